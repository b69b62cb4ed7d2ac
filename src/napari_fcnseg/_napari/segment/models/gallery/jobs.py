"""What the gallery has done in threads. Free of Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_fcnseg._napari.widgets.worker import POLL, Outcome
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator
    from pathlib import Path
    from typing import Any

    from napari_fcnseg.gallery import Collection, Description, Entry


@dataclass(frozen=True)
class Fetched:
    """How much of a file has come: its name, its bytes here, and those there will be, or None; and what else to say."""

    name: str
    done: int
    total: int | None
    note: str = ""


@dataclass(frozen=True)
class Kept:
    """A model that was fetched: where it is, and why it cannot be used; empty where it can."""

    path: Path
    problem: str


@dataclass(frozen=True, eq=False)
class Shown:
    """What is known of a model that somebody looks at."""

    entry: Entry
    said: Description | None
    picture: bytes
    size: int | None = None


def local_models(folder: str) -> tuple[Entry, ...]:
    """Return the models of the user's folder; nothing where there is none."""
    from napari_fcnseg.gallery import models_of

    return models_of(folder) if folder else ()


def collection_at(place: str, stop: threading.Event) -> Collection:
    """Return the list of a collection."""
    from napari_fcnseg.gallery import read_collection

    return read_collection(place, stop)


def shown(entry: Entry, stop: threading.Event) -> Shown:
    """Return what a model's description says, its picture, and how much a download is."""
    from napari_fcnseg.gallery import cover_of, describe, size_of

    said = describe(entry, stop)
    return Shown(entry, said, cover_of(entry, said, stop), size_of(entry, said))


def fetch_worker(entry: Entry, folder: str, stop: threading.Event) -> Generator[Fetched, None, Outcome]:
    """Fetch a model and check it; the value of the outcome is a :class:`Kept`."""
    from napari_fcnseg.gallery import check, get

    latest: list[Fetched] = []
    notes: list[str] = []

    def fetched() -> Kept:
        def told(name: str, done: int, total: int | None) -> None:
            latest.append(Fetched(name, done, total, " ".join(notes)))

        path = get(entry, folder, told, stop, notes.append)
        latest.append(Fetched("", 0, None, f"Checking {entry.name}…"))
        return Kept(path, check(path))

    work = stoppable(fetched)
    while True:
        try:
            next(work)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        if latest:
            yield latest[-1]
            latest.clear()


def stoppable(function: Callable[[], Any]) -> Generator[None, None, Outcome]:
    """Call a function that ends by itself once it is told to stop; its result is the value of the outcome."""
    from napari_fcnseg.gallery.web import StoppedError

    future = in_background(function, "napari-fcnseg-gallery")
    while True:
        try:
            return Outcome(future.result(timeout=POLL))
        except TimeoutError as error:
            if future.done():
                return Outcome(error=error)
        except StoppedError:
            return Outcome(cancelled=True)
        except Exception as error:
            return Outcome(error=error)
        yield None
