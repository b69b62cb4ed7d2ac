"""Find files from which the image of a result can be read again, or save it to one.

Everything here reads pixels: call it in a worker.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg._napari.layers.files import path_of
from napari_fcnseg._napari.segment.models.hints import hints_of, sample_hints
from napari_fcnseg.arrays.frame_source import chunk_shape_of
from napari_fcnseg.errors import FcnSegError, ImageError, OutputError
from napari_fcnseg.run.recipe import Inputs
from napari_fcnseg.samples.catalogue import SAMPLES
from napari_fcnseg.system.formatting import format_bytes
from napari_fcnseg.system.saving import put

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg._napari.segment.run.request import RunRequest
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.imagefile import ImageFile

_MOST = 2**31  # bytes that are saved; of a larger image in a file as many are compared
_BLOCK = 2**25  # bytes that are compared at once


def inputs_of(request: RunRequest, *, samples: bool = True, save: bool = True) -> tuple[Inputs, list[str]]:
    """Return where the image and the mask of a run can be read again, and what the user should know of that.

    Parameters
    ----------
    request : RunRequest
        What the run was asked.
    samples : bool
        Whether a sample may be given by its name, and needs no file.
    save : bool
        Whether what is in no file is saved; otherwise it is left out.

    Raises
    ------
    FcnSegError
        If something is in no file and too large to be saved, or cannot be written.
    """
    notes: list[str] = []
    inputs = (_sample(request.source) if samples else None) or _files(request.source)
    if inputs is None:
        inputs = Inputs()
        if save:
            inputs = Inputs(tuple(_saved(array, "image") for array in _channels(request.source)))
            files = " and ".join(inputs.files)
            notes.append(f"The image is in no file as it was segmented, so it was saved as {files}.")
    if request.inside is not None and save:
        inputs = replace(inputs, mask=_saved(request.inside.mask(), "region"))
        notes.append(f"The region was saved as {inputs.mask}.")
    return inputs, notes


def inputs_folder() -> Path:
    """Return the folder where images are kept that are in no file; ``NAPARI_FCNSEG_DATA`` names another one."""
    if chosen := os.environ.get("NAPARI_FCNSEG_DATA"):
        return Path(chosen) / "inputs"
    import platformdirs

    return Path(platformdirs.user_data_path("napari-fcnseg", appauthor=False)) / "inputs"


def _sample(source: ImageLayers) -> Inputs | None:
    """Return the sample that an image is, as it came."""
    hints = hints_of(source.layers[0])
    name = next((name for name, sample in SAMPLES.items() if sample_hints(sample) == hints), "")
    if not name or not _same(SAMPLES[name].image(), source.image):
        return None
    return Inputs(sample=name)


def _files(source: ImageLayers) -> Inputs | None:
    """Return the files that hold the very pixels of an image."""
    from napari_fcnseg.imagefile import read_image

    paths = [path_of(layer) for layer in source.layers]
    if not all(paths):
        return None
    files = tuple(dict.fromkeys(paths))
    try:
        file = read_image(files).for_model(source.need.channels)
    except FcnSegError:
        return None
    axis = source.layout.channel_axis
    if _same(file.data, source.image):
        # A file that names channels which the run took for frames would be understood in another way.
        return Inputs(files) if axis is not None or file.channel_axis is None else None
    moved = _moved(file, source)
    return Inputs(files, channel_axis=moved) if moved is not None else None


def _moved(file: ImageFile, source: ImageLayers) -> int | None:
    """Return where a file has the channels that are layers of their own here, in the same order; None if it has not."""
    image, last = source.image, len(source.image.shape) - 1
    if len(source.layers) == 1 or len(file.data.shape) != last + 1:
        return None
    axes = range(last) if file.channel_axis is None else (file.channel_axis,)
    return next((axis for axis in axes if _same(file.data, image, axis)), None)


def _same(file: Any, image: Any, axis: int | None = None) -> bool:
    """Whether two arrays hold the same pixels, the first one with its channels along another axis than the last.

    Of very large ones blocks all over the image are compared.
    """
    last = len(image.shape) - 1
    there = tuple(range(last + 1)) if axis is None else (*range(axis), last, *range(axis, last))
    mine, theirs = np.dtype(image.dtype), np.dtype(file.dtype)
    if tuple(file.shape) != tuple(image.shape[a] for a in there) or (mine.kind, mine.itemsize) != (
        theirs.kind,
        theirs.itemsize,
    ):
        return False
    order = np.argsort(there)
    for region in _blocks(tuple(image.shape), mine.itemsize, chunk_shape_of(image)):
        place = tuple(slice(start, stop) for start, stop in region)
        pixels = np.asarray(file[tuple(place[a] for a in there)]).transpose(order)
        if not np.array_equal(np.asarray(image[place]), pixels, equal_nan=True):
            return False
    return True


def _blocks(shape: tuple[int, ...], itemsize: int, chunks: tuple[int, ...] | None) -> Iterator[Region]:
    """Yield regions, along whole chunks, that cover an array, or of a very large one evenly so much as is compared."""
    sizes = list(shape)
    for axis in range(len(shape)):
        rest = itemsize * math.prod(sizes) // sizes[axis]
        chunk = chunks[axis] if chunks is not None else 1
        sizes[axis] = min(sizes[axis], max(1, _BLOCK // rest // chunk) * chunk)
    grid = [range(0, n, size) for n, size in zip(shape, sizes, strict=True)]
    share = max(1, math.prod(shape) * itemsize // _MOST)
    for starts in itertools.islice(itertools.product(*grid), 0, None, share):
        yield tuple((a, min(a + size, n)) for a, size, n in zip(starts, sizes, shape, strict=True))


def _channels(source: ImageLayers) -> list[Any]:
    """Return the arrays to save: the image itself, or one per channel."""
    if len(source.layers) == 1:
        return [source.image]
    everything = (slice(None),) * (len(source.image.shape) - 1)
    size = math.prod(source.image.shape) * np.dtype(source.image.dtype).itemsize
    _check_size(size, "image")
    return [source.image[(*everything, channel)] for channel in range(len(source.layers))]


def _check_size(size: int, what: str) -> None:
    if size > _MOST:
        raise ImageError(
            f"The {what} is in no file as it was segmented and takes {format_bytes(size)}; no more than "
            f"{format_bytes(_MOST)} are saved for this. Save its layer as a file (File, Save Selected Layers), open "
            "that file in napari and run again."
        )


def _saved(array: Any, what: str) -> str:
    """Save an array under the hash of what it holds, unless it is there; return where."""
    _check_size(math.prod(array.shape) * np.dtype(array.dtype).itemsize, what)
    pixels: npt.NDArray[Any] = np.ascontiguousarray(array[(slice(None),) * len(array.shape)])
    digest = hashlib.sha256(f"{pixels.dtype.str} {pixels.shape} ".encode())
    digest.update(pixels.reshape(-1).view(np.uint8).data)
    path = inputs_folder() / f"{digest.hexdigest()}.npy"
    if path.is_file():
        return str(path)
    try:
        put(path, lambda part: np.save(part, pixels))
    except OSError as error:
        raise OutputError(
            f"The {what} is in no file and could not be saved in {path.parent} "
            f"({error.strerror or 'the disk is full'}). Make room there, or save its layer as a file, open that and "
            "run again."
        ) from None
    return str(path)
