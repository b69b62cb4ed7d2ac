"""Image files in and out, with their axes and pixel size. TIFF by tifffile, everything else by imageio."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping, Sequence  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import tifffile

from napari_fcnseg.errors import ImageError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

_TIFF = (".tif", ".tiff")
#: Endings a result can be written with.
OUTPUTS = (*_TIFF, ".png", ".npy")
_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_LIMIT = 2**32 - 2**25  # ImageJ files count bytes with 32 bits


@dataclass(frozen=True)
class ImageFile:
    """An image with the meaning of its axes.

    Attributes
    ----------
    data : ndarray
        The pixels.
    axes : str
        One letter per axis of ``data``, as tifffile gives them: ``"YX"``, ``"ZCYX"``, ``"YXS"`` (``S``: RGB samples).
    pixel_size : dict of str to float
        Size per axis letter, where the file says it.
    unit : str
        Of the pixel size, for example ``"µm"``.
    """

    data: npt.NDArray[Any]
    axes: str
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""

    @property
    def channel_axis(self) -> int | None:
        """The axis the file says holds channels or RGB samples, None where it says none."""
        return next((self.axes.index(letter) for letter in "CS" if letter in self.axes), None)

    def without_alpha(self, channels: int) -> ImageFile:
        """Return an RGBA image as RGB where a model takes three channels."""
        samples = self.channel_axis
        if channels != 3 or samples is None or self.axes[samples] != "S" or self.data.shape[samples] != 4:
            return self
        return replace(self, data=self.data.take(range(3), axis=samples))

    def with_channels_along(self, axis: int | None) -> ImageFile:
        """Return the file with an axis named as that of the channels, which a file without names leaves open."""
        if axis is None or axis == self.channel_axis:
            return self
        others = self.axes.replace("C", "Q").replace("S", "Q")
        return replace(self, axes=others[:axis] + "C" + others[axis + 1 :])

    def sampled(self, every: int, axes: int) -> ImageFile:
        """Return the file with the pixel size of every so-manieth pixel along its last axes, channels not counted."""
        coarse = self._result_axes()[-axes:]
        size = {axis: length * every if axis in coarse else length for axis, length in self.pixel_size.items()}
        return replace(self, pixel_size=size)

    def labelled(self, labels: npt.NDArray[Any]) -> ImageFile:
        """Return labels with this image's axes but the channel axis, and its pixel size."""
        return ImageFile(labels, self._result_axes(), self.pixel_size, self.unit)

    def scored(self, scores: npt.NDArray[Any]) -> ImageFile:
        """Return scores ``(…, class)`` with the classes as channels before the last two axes."""
        axes = self._result_axes()
        at = max(len(axes) - 2, 0)
        return ImageFile(np.moveaxis(scores, -1, at), axes[:at] + "C" + axes[at:], self.pixel_size, self.unit)

    def _result_axes(self) -> str:
        channel = self.channel_axis
        return self.axes if channel is None else self.axes[:channel] + self.axes[channel + 1 :]


def read_image(paths: Sequence[str | os.PathLike[str]]) -> ImageFile:
    """Read an image from one file, or from one file per channel.

    Raises
    ------
    ImageError
        If a file cannot be read as an image, or the channels differ in shape.
    """
    files = [_read_one(Path(path)) for path in paths]
    first = files[0]
    if len(files) == 1:
        return first
    for path, other in zip(paths[1:], files[1:], strict=True):
        if other.data.shape != first.data.shape:
            raise ImageError(
                f"{path} has the shape {other.data.shape} and {paths[0]} {first.data.shape}. Give one file per "
                "channel, all of the same shape."
            )
    if first.channel_axis is not None:
        raise ImageError(f"{paths[0]} holds channels already. Give one file with all channels, or one per channel.")
    return replace(first, data=np.stack([f.data for f in files], axis=-1), axes=first.axes + "C")


def _read_one(path: Path) -> ImageFile:
    if not path.is_file():
        raise ImageError(f"There is no image file {path}. Check the name.")
    try:
        if path.suffix.lower() == ".npy":
            data = np.load(path, allow_pickle=False)
            return ImageFile(data, _guessed_axes(data))
        if path.suffix.lower() in _TIFF:
            return _read_tiff(path)
        data = iio.imread(path)
        return ImageFile(data, _guessed_axes(data))
    except MemoryError:
        raise
    except Exception as error:  # image libraries raise whatever their parsers stumble over
        said = str(error).strip().splitlines()
        raise ImageError(
            f"{path} cannot be read as an image ({said[0] if said else type(error).__name__}). Open it in an image "
            "program and save it as TIFF."
        ) from None


def _guessed_axes(data: npt.NDArray[Any]) -> str:
    rgb = data.ndim >= 3 and data.shape[-1] in (3, 4)
    named = "YXS" if rgb else "YX"
    return "QPONMLKJI"[: data.ndim - len(named)] + named if data.ndim >= len(named) else "X"


def _read_tiff(path: Path) -> ImageFile:
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        size, unit = _pixel_size(tiff)
        return ImageFile(series.asarray(), series.axes, size, unit)


def _pixel_size(tiff: tifffile.TiffFile) -> tuple[dict[str, float], str]:
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_pixel_size(tiff.ome_metadata)
    tags = tiff.pages.first.tags
    size = {}
    for letter, tag in (("X", "XResolution"), ("Y", "YResolution")):
        if tag in tags:
            numerator, denominator = tags[tag].value
            if numerator and denominator:
                size[letter] = denominator / numerator
    imagej = tiff.imagej_metadata if tiff.is_imagej else None
    if imagej:
        if "spacing" in imagej:
            size["Z"] = float(imagej["spacing"])
        unit = str(imagej.get("unit", ""))
        return size, {"\\u00B5m": "µm", "micron": "µm", "um": "µm"}.get(unit, unit)
    factor = {2: 25400.0, 3: 10000.0}.get(int(tags["ResolutionUnit"].value) if "ResolutionUnit" in tags else 1)
    # Without a unit the numbers say nothing but the shape of a pixel.
    return ({letter: n * factor for letter, n in size.items()}, "µm") if factor else ({}, "")


def _ome_pixel_size(text: str) -> tuple[dict[str, float], str]:
    image = tifffile.xml2dict(text)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    size = {letter: float(pixels[key]) for letter in "XYZ" if (key := f"PhysicalSize{letter}") in pixels}
    return size, str(pixels.get("PhysicalSizeXUnit", "µm")) if size else ""


def check_output(path: Path) -> None:
    """Find out before a long run whether a result can be written.

    Raises
    ------
    OutputError
        If the ending is unknown, or the folder is missing or may not be written.
    """
    if path.suffix.lower() not in OUTPUTS:
        raise OutputError(f"{path} has no ending that can be written. Choose one of: {', '.join(OUTPUTS)}.")
    if not path.parent.is_dir():
        raise OutputError(f"There is no folder {path.parent}. Create it, or choose another one.")
    if path.is_dir():
        raise OutputError(f"{path} is a folder. Choose a file name in it.")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".napari-fcnseg-"):
            pass
        if path.exists():
            with path.open("ab"):
                pass
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}). Choose another folder or name.") from None


def write_image(path: Path, image: ImageFile) -> None:
    """Write a result; a file is complete or not there at all.

    Raises
    ------
    OutputError
        If it cannot be written. The result is then kept in a file that the error names, where that is possible.
    """
    write = _writer(path, image)
    try:
        _write_whole(path, write)
    except OSError as error:
        # NumPy reports a short write without a number, and there is one cause of it.
        reason = "the disk is full" if error.errno in (None, errno.ENOSPC) else error.strerror
        raise OutputError(f"{path} could not be written: {reason}. {_rescue(path, write)}") from None


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    part = path.with_name(f".{path.stem}.part-{os.getpid()}{path.suffix}")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _rescue(path: Path, write: Callable[[Path], None]) -> str:
    """Put the result where there is room and say where."""
    for folder in (Path(tempfile.gettempdir()), Path.home(), Path.cwd()):
        spare = folder / f"rescued-{os.getpid()}-{path.name}"
        try:
            _write_whole(spare, write)
        except OSError:
            continue
        return f"The result was kept as {spare}: move it from there."
    return "No other folder could take it either: free some space and run again."


def _writer(path: Path, image: ImageFile) -> Callable[[Path], None]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return lambda target: np.save(target, image.data)
    if suffix == ".png":
        if image.data.ndim != 2 or image.data.dtype.kind != "u":
            raise OutputError(f"{path}: a PNG holds one 2D label image. Choose a name that ends with .tif.")
        return lambda target: iio.imwrite(target, image.data)
    ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
    return lambda target: _write_tiff(target, image, ome=ome)


def _write_tiff(path: Path, image: ImageFile, *, ome: bool) -> None:
    size, metadata = image.pixel_size, {"axes": image.axes}
    extra: dict[str, Any] = {}
    places = [_IMAGEJ_AXES.find(letter) for letter in image.axes]
    imagej = not ome and -1 not in places and places == sorted(places) and image.data.nbytes < _IMAGEJ_LIMIT
    if ome:
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
        path, image.data, imagej=imagej, ome=ome, metadata=metadata, photometric="minisblack",
        compression=None if imagej else "zlib", **extra,
    )  # fmt: skip
