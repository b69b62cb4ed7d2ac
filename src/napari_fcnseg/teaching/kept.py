"""Strokes on disk, one small file per image in the user's state folder: what is painted outlives a crash."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.proof.certificate import image_sha256
from napari_fcnseg.system.cache import state_folder
from napari_fcnseg.system.saving import put

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_VERSION: Final = 1
_MOST: Final = 200  # files; the oldest go first
_BYTES: Final = 2**28


@dataclass(frozen=True, eq=False)
class KeptStrokes:
    """What was painted on an image.

    Attributes
    ----------
    shape : tuple of int
        Of the array that was painted in.
    places : ndarray of int64, shape (n,)
        The painted pixels, counted in C order.
    labels : ndarray of uint8, shape (n,)
        Their labels.
    names, colors : tuple of str
        Of the classes.
    """

    shape: tuple[int, ...]
    places: npt.NDArray[np.int64]
    labels: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    colors: tuple[str, ...]

    @classmethod
    def of(cls, painted: npt.NDArray[Any], names: Sequence[str], colors: Sequence[str]) -> KeptStrokes:
        """Return what is painted in an array."""
        places = np.flatnonzero(painted)
        labels = np.ravel(painted)[places].astype(np.uint8)
        return cls(painted.shape, places.astype(np.int64), labels, tuple(names), tuple(colors))

    def paint(self, array: npt.NDArray[Any]) -> None:
        """Paint into an array of the same shape."""
        array[np.unravel_index(self.places, self.shape)] = self.labels


def image_key(arrays: Sequence[Any], names: Sequence[str]) -> str:
    """Return what an image is known by: its content, or its name where reading it would take long.

    Parameters
    ----------
    arrays : sequence of array_like
        Its layers.
    names : sequence of str
        Where they come from.
    """
    parts = [
        [list(map(int, array.shape)), str(array.dtype), image_sha256(array) or name]
        for array, name in zip(arrays, names, strict=True)
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def keep(key: str, strokes: KeptStrokes) -> None:
    """Write strokes in the place of those that were kept of the image; no strokes forget them.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    path = _path(key)
    if not len(strokes.places):
        path.unlink(missing_ok=True)
        return
    about = {"version": _VERSION, "shape": strokes.shape, "names": strokes.names, "colors": strokes.colors}

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, about=json.dumps(about), places=strokes.places, labels=strokes.labels)

    put(path, write)
    others = sorted(path.parent.glob("*.npz"), key=lambda other: other.stat().st_mtime)
    for old in others[:-_MOST]:
        old.unlink(missing_ok=True)


def recall(key: str, shape: tuple[int, ...]) -> KeptStrokes | None:
    """Return the strokes that were kept of an image, None if there are none, or none that fit.

    Parameters
    ----------
    key : str
        Of the image.
    shape : tuple of int
        Of the array that is painted in.
    """
    path = _path(key)
    with suppress(OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        if path.stat().st_size > _BYTES:
            return None
        with np.load(path, allow_pickle=False) as kept:
            about = json.loads(str(kept["about"]))
            places, labels = kept["places"], kept["labels"]
        names, colors = tuple(map(str, about["names"])), tuple(map(str, about["colors"]))
        fits = about["version"] == _VERSION and tuple(about["shape"]) == shape and places.shape == labels.shape
        known = labels.ndim == 1 and labels.dtype == np.uint8 and places.dtype == np.int64 and len(places) > 0
        if fits and known and 0 <= places.min() and places.max() < math.prod(shape) and labels.max() <= len(names):
            return KeptStrokes(shape, places, labels, names, colors)
    return None


def _path(key: str) -> Path:
    return state_folder() / "strokes" / f"{key}.npz"
