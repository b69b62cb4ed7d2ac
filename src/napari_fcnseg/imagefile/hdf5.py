"""Images in HDF5, as ilastik writes and reads them: ``FILE.h5/exported_data``. What is large stays on disk."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.image import ImageFile
from napari_fcnseg.imagefile.omezarr import axis_letters
from napari_fcnseg.imagefile.pictures import guessed_axes
from napari_fcnseg.imagefile.problems import codec_error

if TYPE_CHECKING:
    from pathlib import Path

    import h5py

HDF5: Final = (".h5", ".hdf5", ".hdf", ".he5")
#: Names that programs give to the one image in a file.
_USUAL: Final = ("exported_data", "volume/data", "data", "image", "raw")
_MOST_NAMED: Final = 8
_MOST_LOOKED_AT: Final = 2000  # objects in a file
_LARGE = 2**28
_SIZES: Final = "element_size_um"


def split_inside(path: Path) -> tuple[Path, str]:
    """Return the file of ``FILE.h5/exported_data``, and what is meant in it; empty where only a file is named."""
    for above in path.parents:
        if above.suffix.lower() in HDF5 and above.is_file():
            return above, path.relative_to(above).as_posix()
    return path, ""


def holds_image(path: Path) -> bool:
    """Whether an HDF5 file holds images, and is no model."""
    import h5py

    if not path.is_file():  # of a pipe it would wait for the end
        return False

    try:
        with h5py.File(path, "r") as file:
            return not _is_model(file) and bool(_images(file))
    except OSError:
        return False


def read_hdf5(path: Path, inside: str = "") -> ImageFile:
    """Read an image from an HDF5 file.

    Parameters
    ----------
    path : Path
        The file.
    inside : str
        The image in it; without it the one that there is, or that has a usual name.

    Raises
    ------
    ImageError
        If it is not there, or it is not clear which one is meant.
    """
    import h5py

    file = h5py.File(path, "r")  # stays open where the image is read later
    try:
        dataset = _named(path, file, inside) if inside else _only(path, file)
        axes, size = _axes(dataset), _sizes(dataset)
        data: Any = dataset
        if math.prod(dataset.shape) * dataset.dtype.itemsize < _LARGE:
            data = _read(path, dataset)
    except BaseException:
        file.close()
        raise
    if data is not dataset:
        file.close()
    pixel_size = {letter: n for letter, n in zip("ZYX", size, strict=False) if n > 0 and letter in axes}
    return ImageFile(data, axes or guessed_axes(data), pixel_size, "µm" if pixel_size else "")


def _read(path: Path, dataset: h5py.Dataset) -> Any:
    try:
        return dataset[()]
    except OSError as error:
        codecs = dataset.id.get_create_plist()
        names = [
            codecs.get_filter(n)[3].decode(errors="replace") or str(codecs.get_filter(n)[0])
            for n in range(codecs.get_nfilters())
        ]
        if not names:
            raise
        raise codec_error(path, " and ".join(names), error) from None


def _is_model(file: h5py.File) -> bool:
    return bool({"model_config", "keras_version", "layer_names"} & set(file.attrs)) or "model_weights" in file


def _images(file: h5py.File) -> list[str]:
    """Return the names of all datasets that can be images."""
    import h5py

    found: list[str] = []
    looked = 0

    def look(name: str, item: Any) -> bool | None:
        nonlocal looked
        looked += 1
        if isinstance(item, h5py.Dataset) and item.ndim >= 2 and item.dtype.kind in "buif":
            found.append(name)
        return True if looked >= _MOST_LOOKED_AT else None

    file.visititems(look)
    return found


def _only(path: Path, file: h5py.File) -> h5py.Dataset:
    if _is_model(file):
        raise ImageError(
            f"{path} is a model of Keras, and no image. Name the image first, and the model after --model."
        )
    names = _images(file)
    usual = [name for name in _USUAL if name in names]
    if len(names) == 1 or usual:
        return file[usual[0] if usual else names[0]]
    if not names:
        raise ImageError(
            f"{path} holds no image: there is no array of numbers with two axes in it. Choose another file."
        )
    listed = ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
    raise ImageError(f"{path} holds {len(names)} arrays ({listed}). Name one of them: {path}/{names[0]}.")


def _named(path: Path, file: h5py.File, inside: str) -> h5py.Dataset:
    import h5py

    found = file.get(inside)
    if isinstance(found, h5py.Dataset) and found.ndim >= 2:
        return found
    names = ", ".join(_images(file)[:_MOST_NAMED])
    raise ImageError(f"There is no image {inside!r} in {path}. It holds {names or 'none'}.")


def _axes(dataset: h5py.Dataset) -> str:
    """Return a letter per axis as ilastik or h5py's labels name them; empty where neither does."""
    try:
        names = [str(axis["key"]) for axis in json.loads(dataset.attrs["axistags"])["axes"]]
    except (KeyError, ValueError, TypeError):
        labels = [dimension.label for dimension in dataset.dims]
        names = labels if all(labels) else []
    return axis_letters(names, dataset.ndim) if len(names) == dataset.ndim else ""


def _sizes(dataset: h5py.Dataset) -> tuple[float, ...]:
    """Return the size of a voxel along z, y and x in micrometres; empty where the file does not say."""
    sizes = np.ravel(dataset.attrs.get(_SIZES, ()))
    return tuple(map(float, sizes)) if sizes.size == 3 and sizes.dtype.kind in "iuf" else ()
