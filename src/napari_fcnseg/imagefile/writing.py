"""Write results: TIFF by tifffile, Zarr by zarr, PNG by imageio."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_fcnseg.arrays.frame_source import transposed
from napari_fcnseg.arrays.lazy import parts_of, stored_shape
from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile.class_table import lookup_table, names_text, png_bytes
from napari_fcnseg.imagefile.growing_zarr import GrowingZarr
from napari_fcnseg.imagefile.tiff import TIFF
from napari_fcnseg.system.saving import ZARR, Inputs, Plan, Staged, files_behind, save_whole, stage
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.whole import is_special

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.imagefile.image import ImageFile

#: Endings a result can be written with; the last is written while a run goes on.
OUTPUTS = (*TIFF, ".png", ".npy", ZARR)
_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_IMAGEJ_LIMIT = 2**32 - 2**25  # ImageJ files count bytes with 32 bits
_CHUNK = 1024  # pixels along the last two axes


def check_picture(path: Path, ndim: int, dtype: np.dtype[Any]) -> None:
    """Check that a PNG is for labels with two axes.

    Raises
    ------
    OutputError
        If it is not.
    """
    if path.suffix.lower() == ".png" and (ndim != 2 or dtype not in (np.uint8, np.uint16)):
        raise OutputError(f"{path}: a PNG holds one 2D label image. Choose a name that ends with .tif.")


def check_ending(path: Path) -> None:
    """Check that results can be written under a name with this ending.

    Raises
    ------
    OutputError
        If it cannot.
    """
    if path.suffix.lower() not in OUTPUTS:
        raise OutputError(f"{path} has no ending that can be written. Choose one of: {', '.join(OUTPUTS)}.")
    if is_special(path):
        raise OutputError(f"{path} is a device or a pipe, which holds no image. Choose the name of a file.")


def check_output(path: Path, *, overwrite: bool = False) -> None:
    """Check before a long run that a result can be written.

    Parameters
    ----------
    path : Path
        Its name.
    overwrite : bool
        Whether an earlier result of that name is to be replaced.

    Raises
    ------
    OutputError
        If the ending is unknown, the folder is missing or may not be written, or there is a result of that name that
        is not to be replaced.
    """
    check_ending(path)
    Plan((path,), overwrite=overwrite).check_free()


def write_image(
    path: Path, image: ImageFile, *, overwrite: bool = False, inputs: Inputs | None = None,
    proceed: Callable[[], object] = lambda: None,
) -> None:  # fmt: skip
    """Write a result; a file is complete or not there at all.

    Parameters
    ----------
    path : Path
        Its name, whose ending says as what.
    image : ImageFile
        The result.
    overwrite : bool
        Whether an earlier result of that name is replaced.
    inputs : Inputs, optional
        What is not written over; what the image is read from otherwise.
    proceed : callable, optional
        Called for each block of a Zarr; what it raises ends the writing, and nothing is left.

    Raises
    ------
    OutputError
        If it cannot be written, or is there already. What could not be written is kept in a file that the error names,
        where that is possible.
    """
    check_ending(path)
    inputs = inputs if inputs is not None else Inputs(files_behind(image.data))
    plan = Plan((path,), inputs, overwrite=overwrite, stoppable=path.suffix.lower() == ZARR)
    with plan.claim():
        if path.suffix.lower() == ZARR:
            grown(path, image, overwrite=overwrite, proceed=proceed).finish()
        else:
            stage_image(path, image).publish(overwrite=overwrite)


def stage_image(path: Path, image: ImageFile) -> Staged:
    """Write a result (not Zarr) to a temporary file, to be published.

    Raises
    ------
    OutputError
        As for :func:`write_image`.
    """
    write = _writer(path, image)
    try:
        return stage(path, write)
    except OSError as error:
        raise OutputError(f"{path} could not be written: {reason(error)}. {_rescue(path, write)}") from None
    except (TypeError, ValueError, tifffile.OmeXmlError) as error:  # for a type or axes that it has no place for
        raise OutputError(
            f"{path} cannot hold this image ({error}). Choose a name that ends with .tif or .npy."
        ) from None


def _rescue(path: Path, write: Callable[[Path], object]) -> str:
    """Put the result where there is room and say where."""
    for folder in (Path(tempfile.gettempdir()), Path.home(), Path.cwd()):
        spare = folder / f"rescued-{os.getpid()}-{path.name}"
        try:
            save_whole(spare, write, overwrite=False)
        except (OSError, OutputError):
            continue
        return f"The result was kept as {spare}: move it from there."
    return "No other folder could take it either: free some space and run again."


def _writer(path: Path, image: ImageFile) -> Callable[[Path], object]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return lambda target: np.save(target, image.data)
    if suffix == ".png":
        check_picture(path, image.data.ndim, image.data.dtype)
        data = png_bytes(image.data, image.class_colors)  # written at once: a full disk would leave it open
        return lambda target: target.write_bytes(data)
    ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
    return lambda target: _write_tiff(target, image, ome=ome)


def _write_tiff(path: Path, image: ImageFile, *, ome: bool) -> None:
    size, metadata = image.pixel_size, {"axes": image.axes}
    extra: dict[str, Any] = {}
    places = [_IMAGEJ_AXES.find(letter) for letter in image.axes]
    imagej = not ome and -1 not in places and places == sorted(places) and image.data.nbytes < _IMAGEJ_LIMIT
    imagej = imagej and image.data.dtype in _IMAGEJ_TYPES
    extra |= _class_table(image, metadata, ome=ome, imagej=imagej)
    if ome:
        image = _rows_and_columns_last(image)
        metadata["axes"] = image.axes
        for letter in "XYZ":
            if letter in size:
                metadata |= {f"PhysicalSize{letter}": size[letter], f"PhysicalSize{letter}Unit": image.unit or "µm"}  # type: ignore[dict-item]
    elif size.get("X") and size.get("Y"):
        extra["resolution"] = (1 / size["X"], 1 / size["Y"])
        if imagej:
            metadata["unit"] = image.unit.replace("µ", "u")
            if "Z" in size:
                metadata["spacing"] = size["Z"]  # type: ignore[assignment]
        elif image.unit in ("µm", "um"):
            extra = {"resolution": (1e4 / size["X"], 1e4 / size["Y"]), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(
        path, image.data, imagej=imagej, ome=ome, metadata=metadata, compression=None if imagej else "zlib", **extra,
    )  # fmt: skip


def _class_table(image: ImageFile, metadata: dict[str, Any], *, ome: bool, imagej: bool) -> dict[str, Any]:
    """Add the names of the classes to a TIFF's metadata; return how its labels are shown, and as what."""
    if image.class_names:
        text = names_text(image.class_names)
        metadata |= {"Description": text} if ome else {"Info": text} if imagej else {"classes": text}
    if not (imagej and image.class_colors and image.data.dtype == np.uint8):
        return {"photometric": "minisblack"}
    table = lookup_table(image.class_colors).T.astype(np.uint16)
    return {"photometric": "palette", "colormap": table * 257}  # 16 bits, as TIFF has them


def _rows_and_columns_last(image: ImageFile) -> ImageFile:
    """Return an image with its axes in the order that OME-TIFF asks for."""
    last = [image.axes.index(letter) for letter in "YX" if letter in image.axes]
    order = [axis for axis in range(len(image.axes)) if axis not in last] + last
    return replace(image, data=image.data.transpose(order), axes="".join(image.axes[axis] for axis in order))


def grown(
    path: Path, image: ImageFile, *, overwrite: bool = False, proceed: Callable[[], object] = lambda: None,
    fill: Callable[[GrowingZarr], object] | None = None,
) -> GrowingZarr:  # fmt: skip
    """Write an OME-Zarr image to a temporary folder, to be published.

    Its channels, if it has any, come before the axes of space. ``fill`` writes the finest level, if others are to.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    data, channel = image.data, image.channel_axis
    if channel is not None:
        data = transposed(data, [*(a for a in range(data.ndim) if a != channel), channel])
    stack = max(len(image.result_axes) - 2, 0)
    chunks = (*(1,) * stack, *(min(n, _CHUNK) for n in data.shape[stack : stack + 2]), *(1,) * (channel is not None))
    options: dict[str, Any] = {"classes": channel is not None, "overwrite": overwrite, "shared": True}
    growing = GrowingZarr(path, data.shape, chunks, data.dtype, image, **options)
    try:
        if fill is not None:
            fill(growing)
        else:
            places = len(image.result_axes)
            stored = stored_shape(growing.array) or growing.array.shape
            for box in parts_of(data.shape[:places], stored[:places]):
                proceed()
                where: tuple[Any, ...] = tuple(slice(*span) for span in box)
                growing.array[where] = np.asarray(data[where + (slice(None),) * (channel is not None)])
        growing.complete(proceed)
    except OSError as error:
        growing.discard()
        raise OutputError(f"{path} could not be written: {reason(error)}. {remedy(error)}") from None
    except BaseException:
        growing.discard()
        raise
    return growing
