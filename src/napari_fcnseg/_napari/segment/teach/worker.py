"""Teaching in a worker thread: fit, then label what the view shows, tile by tile."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.files_in_use import paths_in_use
from napari_fcnseg._napari.widgets.worker import Outcome, wait_in_worker
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from napari_fcnseg._napari.segment.teach.choice import TeachChoice
    from napari_fcnseg._napari.segment.teach.sheet import Sheet
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.teaching.doubt import Doubt
    from napari_fcnseg.teaching.kept import KeptStrokes
    from napari_fcnseg.teaching.lesson import Lesson
    from napari_fcnseg.teaching.session import TeachingSession


@dataclass(frozen=True, eq=False)
class ShownTile:
    """A tile of the preview; its labels are None where only its numbers were computed ahead."""

    number: int
    index: tuple[int, ...]
    region: Region
    labels: npt.NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class LookedAt:
    """What the view shows of an image: its number, the frame, the part of it, and the whole of the plane."""

    number: int
    index: tuple[int, ...]
    view: Region
    plane: Region


@dataclass(frozen=True, eq=False)
class TeachTask:
    """What is to be done next.

    Attributes
    ----------
    session : TeachingSession
        What is known.
    strokes : mapping of int to ndarray
        By image; empty to show only.
    names, colors : tuple of str
        Of the classes.
    renewed : sequence of Sheet
        Whose images were replaced.
    seen : LookedAt or None
        What the view shows.
    stop, superseded : threading.Event
        Set to end it at once, and to end it when it has learned: something else is to be done.
    """

    session: TeachingSession
    strokes: Mapping[int, npt.NDArray[np.uint8]]
    names: tuple[str, ...]
    colors: tuple[str, ...]
    renewed: Sequence[Sheet] = ()
    seen: LookedAt | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    superseded: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, eq=False)
class Opened:
    """A session that can begin.

    Attributes
    ----------
    session : TeachingSession
        What is known.
    sheets : tuple of Sheet
        What is painted on, a new one among them; no viewer has its layers yet.
    kept : mapping of int to KeptStrokes or None
        By the number of a sheet what was kept of its image, of those that are new to the session.
    """

    session: TeachingSession
    sheets: tuple[Sheet, ...]
    kept: Mapping[int, KeptStrokes | None]


def open_worker(
    choice: TeachChoice, sheets: Sequence[Sheet], make: Callable[[], Sheet] | None, session: TeachingSession | None,
    stop: threading.Event,
) -> Generator[None, None, Outcome]:  # fmt: skip
    """Take images into a session; the value of the outcome is :class:`Opened`.

    Parameters
    ----------
    choice : TeachChoice
        What is chosen.
    sheets : sequence of Sheet
        What is painted on.
    make : callable, optional
        Makes another: for the first layers of labels of a session, napari imports and compiles for seconds.
    session : TeachingSession, optional
        That has the sheets; a new one otherwise.
    stop : threading.Event
        Set to end it.
    """

    def opened() -> Opened:
        from napari_fcnseg.teaching.kept import image_key, recall
        from napari_fcnseg.teaching.session import TeachingSession

        made = session or TeachingSession(choice.base, choice.teach_settings(), choice.channels)
        every = (*sheets, *((make(),) if make is not None else ()))
        kept = {}
        for sheet in every if session is None else every[len(sheets) :]:
            made.set_image(sheet.number, sheet.source.image, sheet.source.layout)
            names = [str(layer.source.path or layer.name) for layer in sheet.source.layers]
            sheet.key = image_key(sheet.source.data, names)
            kept[sheet.number] = recall(sheet.key, sheet.strokes.data.shape)
        return Opened(made, every, kept)

    try:
        found: Opened | None = yield from wait_in_worker(opened, stop)
    except Exception as error:
        return Outcome(error=error)
    return Outcome(found, cancelled=found is None)


def teach_worker(task: TeachTask) -> Generator[Lesson | ShownTile | None, None, Outcome]:
    """Learn what is painted, and show it; yield the lesson and each tile. The value of the outcome is the model."""
    session, stop = task.session, task.stop
    missing: SettingsError | None = None
    try:
        for sheet in task.renewed:
            image, layout = sheet.source.image, sheet.source.layout
            yield from wait_in_worker(lambda s=sheet, i=image, o=layout: session.set_image(s.number, i, o), stop)  # type: ignore[misc]
        if task.strokes:
            lesson, missing = yield from _learned(task)
            if lesson is None and missing is None:
                return Outcome(cancelled=True)
            yield lesson
        if task.seen is not None:
            yield from _shown(task, task.seen)
        if missing is not None or stop.is_set():
            return Outcome(error=missing, cancelled=stop.is_set())
        model: PatchModel | None = yield from wait_in_worker(lambda: session.model(task.names, task.colors), stop)
    except Exception as error:
        return Outcome(error=error)
    return Outcome(model)


def _learned(task: TeachTask) -> Generator[None, None, tuple[Lesson | None, SettingsError | None]]:
    """Return what was learned, or else what is missing yet: the view's numbers are computed ahead meanwhile."""
    try:
        return (
            yield from wait_in_worker(lambda: task.session.learn(task.strokes, task.names, task.stop), task.stop)
        ), None
    except SettingsError as error:
        return None, error


def _shown(task: TeachTask, seen: LookedAt) -> Generator[ShownTile | None, None, None]:
    tiles = task.session.look(seen.number, seen.index, seen.view)
    while not task.superseded.is_set() and not task.stop.is_set():
        step: Any = yield from wait_in_worker(lambda: next(tiles, None), task.stop)
        if step is None:
            return
        yield ShownTile(seen.number, seen.index, *step)


def doubt_worker(
    session: TeachingSession, seen: LookedAt, avoid: Sequence[Sequence[int]], stop: threading.Event
) -> Generator[None, None, Outcome]:
    """Look for the most doubtful place; the value of the outcome is a :class:`Doubt`, or None."""
    try:
        found: Doubt | None = yield from wait_in_worker(
            lambda: session.doubtful(seen.number, seen.index, seen.plane, avoid), stop
        )
    except Exception as error:
        return Outcome(error=error)
    return Outcome(found, cancelled=stop.is_set())


def save_worker(task: TeachTask, path: Path, *, overwrite: bool) -> Generator[int | None, None, Outcome]:
    """Teach once more from the strokes alone and write the model; yield the share that is done, in percent."""
    done = [0]

    def save() -> Path:
        from napari_fcnseg.errors import OutputError
        from napari_fcnseg.model.sidecar import sidecar_path
        from napari_fcnseg.system.saving import Inputs, Plan

        if path.suffix != ".keras":
            raise OutputError(f"A patch model is written as a .keras file: choose {path.stem}.keras.")
        base = task.session.basis.base
        read = Inputs([*paths_in_use(), *(base.files if base is not None else ())])
        plan = Plan((path,), read, (sidecar_path(path),), overwrite=overwrite)
        with plan.claim():
            teaching = task.session.teaching(task.strokes)
            model = teaching.fit(task.names, task.colors, lambda share, _: done.append(share))
            if not task.stop.is_set():
                model.write_into(plan)
        return path

    told = 0
    try:
        work = wait_in_worker(save, task.stop)
        while True:
            next(work)
            if done[-1] != told:
                told = done[-1]
                yield told
            else:
                yield None
    except StopIteration as end:
        return Outcome(end.value, cancelled=end.value is None)
    except Exception as error:
        return Outcome(error=error)
