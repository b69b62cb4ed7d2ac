"""Folders that other programs export: known by their files, so that what is wrong with one can be said.

CSBDeep (CARE), Noise2Void, DenoiSeg and StarDist leave a ``config.json`` beside weights; deepImageJ a ``config.xml`` or
a ``model.yaml`` beside a SavedModel, with macros for what is done to images first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.guard.folder import has_file, read_inside
from napari_fcnseg.system import safe_json

if TYPE_CHECKING:
    from pathlib import Path

#: Where CSBDeep and what is built on it keep their settings.
CONFIG: Final = "config.json"
_DEEPIMAGEJ: Final = "config.xml"
_MOST_BYTES: Final = 2**20
#: Settings that every one of CSBDeep's own models has.
_CSBDEEP: Final = frozenset({"n_dim", "axes", "n_channel_in", "n_channel_out"})
_MARKS: Final = (b"<ModelCharacteristics", b"<ModelInformation", b"deepimagej")
#: Macros of deepImageJ, in both of its ways of naming them.
_MACROS: Final = ("preprocessing.txt", "preprocessing.ijm", "Preprocessing.txt", "Preprocessing.ijm")
_NO_LAYERS: Final = "labels every pixel by itself, and its folder has no ONNX weights to run it from"
_THEN: Final = "Run it with the program that it was made for, then segment what it gives."


def refusal(folder: Path) -> UnreadableError | None:
    """Return why a folder of another program cannot be used; None where it is none that is known to be of no use."""
    if not has_file(folder, CONFIG):
        return None
    try:
        keys = safe_json.parse(read_inside(folder, CONFIG, limit=_MOST_BYTES), CONFIG).keys()
    except UnreadableError:
        return None
    if not keys >= _CSBDEEP:
        return None
    if "n_rays" in keys:
        return UnreadableError(
            "it is a StarDist model, which gives distances to the border of objects and no classes of pixels",
            "Run it with StarDist itself, for example with napari-stardist.",
        )
    if any(key.startswith("denoiseg") for key in keys):
        return UnreadableError(
            f"it is a DenoiSeg model, which {_NO_LAYERS}", "Write it as ONNX into a bioimage.io package."
        )
    if any(key.startswith("n2v") for key in keys):
        return UnreadableError("it is a Noise2Void model, which removes noise from images and labels nothing", _THEN)
    return UnreadableError("it is a CARE model of CSBDeep, which restores images and labels nothing", _THEN)


def is_deepimagej(folder: Path) -> bool:
    """Say whether a folder is a model of deepImageJ, by its description."""
    if not has_file(folder, _DEEPIMAGEJ):
        return False
    try:
        content = read_inside(folder, _DEEPIMAGEJ, limit=_MOST_BYTES)
    except UnreadableError:
        return False
    return any(mark in content for mark in _MARKS)


def macro_note(folder: Path) -> tuple[str, ...]:
    """Return what is said of a macro that a folder has for its images."""
    name = next((name for name in _MACROS if has_file(folder, name)), None)
    if name is None:
        return ()
    return (
        f"The folder has a macro of ImageJ, {name!r}, for what is done to an image first. It is not run: choose the "
        "same normalisation here.",
    )
