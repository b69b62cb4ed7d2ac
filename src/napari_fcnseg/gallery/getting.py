"""What one model of a gallery says, its picture, and the model itself."""

from __future__ import annotations

import hashlib
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import GalleryError, UnreadableError
from napari_fcnseg.gallery import description as descriptions
from napari_fcnseg.gallery.addresses import beside, host_of
from napari_fcnseg.gallery.description import File
from napari_fcnseg.gallery.entries import is_archive
from napari_fcnseg.gallery.local import is_package, read_member
from napari_fcnseg.gallery.web import TAG, download, fetch, length
from napari_fcnseg.readers.guard import yaml_text
from napari_fcnseg.readers.guard.archive import MAX_MEMBER_BYTES
from napari_fcnseg.system.saving import Plan, swap_in

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from napari_fcnseg.gallery.description import Description
    from napari_fcnseg.gallery.entries import Entry
    from napari_fcnseg.gallery.web import Progress

_PICTURE: Final = 8 * 2**20  # bytes
_PART: Final = ".download"
_RDF: Final = "rdf.yaml"
_TELL: Final = "Tell whoever keeps the collection."


def describe(entry: Entry, stop: threading.Event | None = None) -> Description | None:
    """Return what a model's description says; None for a model file that has none.

    Of a model elsewhere this asks for the description, of an archive elsewhere for nothing.

    Raises
    ------
    GalleryError
        If it cannot be had or read.
    """
    try:
        if entry.path is not None:
            return (
                descriptions.parse(read_member(entry.path, "", yaml_text.MAX_BYTES)) if is_package(entry.path) else None
            )
        if is_archive(entry):
            return None
        content = _checked(entry, fetch(entry.source, yaml_text.MAX_BYTES, stop))
        with _told_to_its_keepers():
            return descriptions.parse(content)
    except UnreadableError as problem:
        raise GalleryError(f"The model {entry.name!r} cannot be shown: {problem.reason}. {problem.advice}") from None


def cover_of(entry: Entry, said: Description | None, stop: threading.Event | None = None) -> bytes:
    """Return a picture of a model, as its file is; nothing where there is none to be had from where the model is."""
    picture = said.cover if said is not None else File("")
    try:
        if entry.path is not None:
            content = read_member(entry.path, picture.name, _PICTURE) if picture.name else b""
        else:
            place = beside(entry.source, picture.name, "its picture") if picture.name else entry.cover
            same = host_of(place) == host_of(entry.source)
            content = fetch(place, _PICTURE, stop) if place and same else b""
    except (GalleryError, UnreadableError):
        return b""
    known = picture.sha256
    return b"" if known and hashlib.sha256(content).hexdigest() != known else content


def size_of(entry: Entry, said: Description | None) -> int | None:
    """Return how many bytes a download is, as far as the server says; None where it does not, or nothing is to come."""
    if entry.path is not None or (said is not None and said.problem):
        return None
    try:
        if is_archive(entry):
            return length(entry.source)
        files = said.files if said is not None else ()
        sizes = [length(beside(entry.source, file.name, file.name)) for file in files]
    except UnreadableError:
        return None
    known = [size for size in sizes if size is not None]
    return sum(known) if known and len(known) == len(sizes) else None


def copy_of(entry: Entry, local: Iterable[Entry]) -> Entry | None:
    """Return what a download of a model would be, among those that are here already."""
    name = _name_here(entry)
    return next((each for each in local if each.key == name), None) if entry.path is None else None


def get(
    entry: Entry,
    folder: str | Path,
    progress: Callable[[str, int, int | None], object] | None = None,
    stop: threading.Event | None = None,
    note: Callable[[str], object] | None = None,
) -> Path:
    """Fetch a model into a folder, checked by its hashes; what an earlier try left of it is gone on with.

    Whether the model can be used is another question: :func:`napari_fcnseg.gallery.check` answers it.

    Parameters
    ----------
    entry : Entry
        The model.
    folder : path
        Where the user's models are.
    progress : callable, optional
        Called with a file's name, the bytes of it that are there, and those there will be, or None.
    stop : Event, optional
        Once it is set, it ends; what has come stays for the next try.
    note : callable, optional
        Called with a sentence where a server cannot go on with what an earlier try left.

    Returns
    -------
    Path
        The model: an archive, or a folder.

    Raises
    ------
    GalleryError
        If it cannot be had, or would be of no use here.
    OutputError
        If it cannot be written.
    StoppedError
        If it was stopped.
    """
    if entry.path is not None:
        return entry.path
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GalleryError(
            f"The folder {folder} cannot be made: {error.strerror}. Choose another model folder."
        ) from None
    target = folder / _name_here(entry)
    if target.exists():
        raise GalleryError(f"{target.name!r} is in {folder} already. Open it from there, or move it away.")
    try:
        with Plan((target,), advice="").claim():
            return _fetched(entry, target, progress, stop, note)
    except UnreadableError as problem:
        raise GalleryError(f"The model {entry.name!r} is not fetched: {problem.reason}. {problem.advice}") from None
    except OSError as error:
        raise GalleryError(f"{target} cannot be written: {error.strerror or error}.") from None


def _fetched(
    entry: Entry, target: Path, progress: Callable[[str, int, int | None], object] | None,
    stop: threading.Event | None, note: Callable[[str], object] | None,
) -> Path:  # fmt: skip
    """Fetch all files into a folder beside the place, and then give that its name."""
    part = target.with_name(f".{target.name}{_PART}")
    part.mkdir(exist_ok=True)
    try:
        return _into(part, entry, target, progress, stop, note)
    finally:
        _tidy(part)


def _tidy(part: Path) -> None:
    """Remove the folder of a download that nothing has come of but the description, which is asked for anew."""
    files = [path for path in part.rglob("*") if path.is_file()]
    if not any(path.stat().st_size for path in files if path.name != _RDF and path.suffix != TAG):
        shutil.rmtree(part, ignore_errors=True)


def _into(
    part: Path, entry: Entry, target: Path, progress: Callable[[str, int, int | None], object] | None,
    stop: threading.Event | None, note: Callable[[str], object] | None,
) -> Path:  # fmt: skip
    def told(name: str) -> Progress | None:
        return None if progress is None else lambda done, total: progress(name, done, total)

    if is_archive(entry):
        archive = part / target.name
        download(entry.source, archive, entry.sha256, MAX_MEMBER_BYTES, told(target.name), stop, note)
        with _told_to_its_keepers():
            read_member(archive, "", yaml_text.MAX_BYTES)
        archive.rename(target)
        part.rmdir()
        return target
    content = _checked(entry, fetch(entry.source, yaml_text.MAX_BYTES, stop))
    with _told_to_its_keepers():
        said = descriptions.parse(content)
    if said.problem:
        raise GalleryError(f"The model {entry.name!r} is not fetched. {said.problem}")
    (part / _RDF).write_bytes(content)
    for file in said.files:
        if file.name == _RDF:
            raise UnreadableError("its weights have the name of its description", "Ask its authors.")
        here = _place(part, file.name)
        place = beside(entry.source, file.name, file.name)
        download(place, here, file.sha256, MAX_MEMBER_BYTES, told(file.name), stop, note)
    picture = cover_of(entry, said, stop)
    if picture and said.cover.name:
        _place(part, said.cover.name).write_bytes(picture)
    swap_in(part, target, overwrite=False)
    return target


@contextmanager
def _told_to_its_keepers() -> Iterator[None]:
    """Give what is wrong with a file elsewhere the advice that helps: whoever only chooses cannot save it again."""
    try:
        yield
    except UnreadableError as problem:
        raise UnreadableError(problem.reason, _TELL) from None


def _place(folder: Path, name: str) -> Path:
    """Return where a file of a package goes; the folders on the way are made."""
    here = folder.joinpath(*name.split("/"))
    here.parent.mkdir(parents=True, exist_ok=True)
    return here


def _checked(entry: Entry, content: bytes) -> bytes:
    if entry.sha256 and hashlib.sha256(content).hexdigest() != entry.sha256:
        raise UnreadableError(
            "its description is not the one that the collection names (by its hash)",
            "Try again later, or tell its authors.",
        )
    return content


def _name_here(entry: Entry) -> str:
    """Return the name that a model gets in the user's folder."""
    return _plain(entry.key) + (".zip" if is_archive(entry) else "")


def _plain(key: str) -> str:
    """Return a name that any system takes for a file."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", key).strip("-")[:80] or "model"
