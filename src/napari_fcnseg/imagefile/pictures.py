"""PNG, JPEG, GIF, BMP and whatever else Pillow and imageio read: the numbers that are stored, colours as RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.image import ImageFile

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from PIL.Image import Image

_MOVING: Final = ("GIF", "PNG", "WEBP")
_TURNED: Final = 0x0112  # the EXIF tag that says which way up a picture is shown
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_DEPTH: Final = 24  # where a PNG says how many bits a number has, and after that what they mean
_PNG_COLOURS: Final = (2, 4, 6)  # with colours, with transparency, with both


def read_picture(path: Path, *, indices: bool = False) -> ImageFile:
    """Read a picture.

    Parameters
    ----------
    path : Path
        The file.
    indices : bool
        Whether numbers that stand for colours are wanted as they are, as in a map of labels.

    Raises
    ------
    ImageError
        If its colours are none that a model takes.
    """
    from PIL import Image, UnidentifiedImageError  # late: with napari it would be imported twice as soon

    try:
        with Image.open(path) as picture:
            turned = picture.getexif().get(_TURNED, 1)
            said = [f"{path} says that it is to be shown turned or mirrored: it is taken as it is stored."]
            notes = said if turned not in (0, 1) else []
            if (deep := _deep_png(path)) is not None:
                data, axes, more = deep, "YXS", ""
            else:
                data, axes, more = _frames(path, picture, indices)
    except UnidentifiedImageError:
        import imageio.v3 as iio

        data = iio.imread(path)
        return ImageFile(data, guessed_axes(data))
    notes += [more] if more else []
    if axes.endswith("S") and data.shape[-1] in (2, 4):
        data, axes, more = _without_transparency(path, data, axes)
        notes += [more] if more else []
    return ImageFile(data, axes, notes=tuple(notes))


def guessed_axes(data: npt.NDArray[Any]) -> str:
    """Return a letter per axis of an array without names: three or four numbers at the end are colours.

    That is left open where another axis is as long.
    """
    rgb = data.ndim >= 3 and data.shape[-1] in (3, 4) and data.shape[-1] not in data.shape[:-1]
    named = "YXS" if rgb else "YX"
    return "QPONMLKJI"[: data.ndim - len(named)] + named if data.ndim >= len(named) else "X"


def _frames(path: Path, picture: Image, indices: bool) -> tuple[Any, str, str]:
    count = getattr(picture, "n_frames", 1) if picture.format in _MOVING else 1
    found: list[npt.NDArray[Any]] = []
    note = ""
    for number in range(count):
        if number:
            picture.seek(number)
        data, note = _one(path, picture, indices)
        found.append(data)
    if count > 1 and len({one.shape for one in found}) > 1:  # some of it grey, some coloured
        found = [one[..., :3] if one.ndim == 3 else np.stack([one] * 3, -1) for one in found]
    axes = "YXS" if found[0].ndim == 3 else "YX"
    return (np.stack(found), "Q" + axes, note) if count > 1 else (found[0], axes, note)


def _one(path: Path, picture: Image, indices: bool) -> tuple[npt.NDArray[Any], str]:
    """Return the frame that a picture is at, and what is to be said of it."""
    mode, note = picture.mode, ""
    if mode in ("P", "PA") and not indices:
        return np.asarray(picture.convert("RGBA" if "transparency" in picture.info or mode == "PA" else "RGB")), note
    if mode in ("CMYK", "YCbCr"):
        if mode == "CMYK":
            note = f"{path} holds CMYK, which was converted to RGB without regard to its colour profile."
        return np.asarray(picture.convert("RGB")), note
    if mode in ("LAB", "HSV"):
        raise ImageError(f"{path} holds colours as {mode}, and models take RGB. Save it as RGB.")
    if mode == "1":
        note = f"{path} has one bit per pixel: its numbers are 0 and 1."
    return np.asarray(picture), note


def _deep_png(path: Path) -> npt.NDArray[Any] | None:
    """Return a PNG of 16 bits with colours or transparency, of which Pillow keeps 8; None for any other picture."""
    with path.open("rb") as file:
        head = file.read(_DEPTH + 2)
    if not head.startswith(_PNG) or head[_DEPTH] != 16 or head[_DEPTH + 1] not in _PNG_COLOURS:
        return None
    import imagecodecs

    data: npt.NDArray[Any] = imagecodecs.png_decode(path.read_bytes())
    return data


def _without_transparency(path: Path, data: Any, axes: str) -> tuple[Any, str, str]:
    """Return grey without its transparency; of colours it stays, as some models take four channels."""
    if data.shape[-1] != 2:
        return data, axes, ""
    see_through = bool((data[..., 1] != np.iinfo(data.dtype).max).any())
    note = f"{path} has transparent pixels: they are taken like the others." if see_through else ""
    return data[..., 0], axes[:-1], note
