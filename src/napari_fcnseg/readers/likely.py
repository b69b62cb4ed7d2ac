"""Guess quickly which files and folders are models, for drops and menus.

A file's name is believed where only models have it. Of an HDF5 file, which may hold anything, the first bytes are
searched for what Keras writes there; nothing is parsed, so that nothing in it can do harm.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_fcnseg.readers.guard.folder import has_file

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Endings that only models have.
CERTAIN: Final = (".keras", ".onnx", ".pt2", ".tflite")
#: Endings that packages have, and the files by which one is known.
PACKAGES: Final = (".bioimage.zip", ".bioimageio.zip")
DESCRIPTIONS: Final = ("rdf.yaml", "bioimageio.yaml")
HDF5: Final = (".h5", ".hdf5")
#: The files by which the folder of a SavedModel is known, and which stand for it.
SAVED_MODEL: Final = ("saved_model.pb", "keras_metadata.pb")
#: What may lie beside models without making their folder one of something else.
_BESIDE: Final = (".json", ".txt", ".md", ".yaml", ".yml", ".csv", ".log", ".data")
_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
#: Attributes and groups that Keras 1 to 3 write before anything else.
_MARKS: Final = (b"model_config", b"model_weights", b"layer_names", b"_layer_checkpoint_dependencies")
#: Keras 3 writes weights alone under no other ending.
_WEIGHTS: Final = ".weights.h5"
_SEARCHED: Final = 2**14  # in 400 files of every kind they stood within the first thousand bytes
_MOST_ENTRIES: Final = 500


def likely_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a model, or a folder a SavedModel, as far as a glance tells."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return any(has_file(path, name) for name in (*SAVED_MODEL, *DESCRIPTIONS))
        if not stat.S_ISREG(mode):
            return False
        if path.name.lower().endswith((*CERTAIN, *PACKAGES)) or path.name in (*SAVED_MODEL, *DESCRIPTIONS):
            return True
        return _is_package(path) or _is_keras_hdf5(path)
    except (OSError, ValueError):
        return False


def likely_models(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return the models that files and folders are, if all of them are models.

    Parameters
    ----------
    paths : iterable of path
        Files and folders. A folder with model files right inside, and nothing else but texts, stands for all of
        them; a file of a SavedModel for its folder. A ``.json`` among models is what belongs to one of them.

    Returns
    -------
    list of str
        Each once; empty if one of them is something else.
    """
    found: dict[str, None] = {}
    for path in map(Path, paths):
        if path.suffix.lower() == ".json":
            continue
        inside = [path] if likely_model(path) else models_in(path, only=True)
        if not inside:
            return []
        found |= dict.fromkeys(str(p.parent if p.name in SAVED_MODEL else p) for p in inside)
    return list(found)


def models_in(folder: str | os.PathLike[str], only: bool = False) -> list[Path]:
    """Return the models right inside a folder by name; with ``only`` none where something else is there too.

    Of a very full folder only so many entries are looked at, and with ``only`` it is none of models.
    """
    found: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                path = Path(entry.path)
                if number >= _MOST_ENTRIES:
                    return [] if only else sorted(found)
                if entry.name.startswith("."):
                    continue
                if likely_model(path):
                    found.append(path)
                elif only and (entry.is_dir() or path.suffix.lower() not in _BESIDE):
                    return []
    except OSError:
        return []
    return sorted(found)


def _is_package(path: Path) -> bool:
    """Whether a zip archive lists a package's description, as far as the end of the list is looked at."""
    if path.suffix.lower() != ".zip":
        return False
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(max(path.stat().st_size - _SEARCHED, 0))
        end = file.read(_SEARCHED)
    return head == b"PK\x03\x04" and any(name.encode() in end for name in DESCRIPTIONS)


def _is_keras_hdf5(path: Path) -> bool:
    if path.suffix.lower() not in HDF5:
        return False
    with path.open("rb") as file:
        head = file.read(_SEARCHED)
    marked = path.name.lower().endswith(_WEIGHTS) or any(mark in head for mark in _MARKS)
    return head.startswith(_SIGNATURE) and marked
