"""The axes of an image, and its frames as ``(*spatial, channel)`` in float32."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.frame_source import ChunkedSource, FrameSource, Image, Region, chunk_shape_of
from napari_fcnseg.errors import FcnSegError, ImageError
from napari_fcnseg.imagefile.problems import unread
from napari_fcnseg.plan.tiles import as_slices

if TYPE_CHECKING:
    from collections.abc import Iterator

_FEW = (2, 3, 4)  # pixels that no axis of space has: those of an image's last axis are its channels or colours


@dataclass(frozen=True)
class Layout:
    """The axes of an image as a model sees them.

    The last spatial axes are the model's; a channel axis may stand anywhere; every other axis (z, time, …) is a stack
    of frames, each segmented alone.

    Attributes
    ----------
    shape : tuple of int
        Of the image.
    channel_axis : int or None
        Not negative.
    spatial : int
        Number of the model's spatial axes.
    """

    shape: tuple[int, ...]
    channel_axis: int | None
    spatial: int

    @classmethod
    def of(cls, shape: tuple[int, ...], channels: int, spatial: int, channel_axis: int | None = None) -> Layout:
        """Find out which axis is what.

        Parameters
        ----------
        shape : tuple of int
            Of the image.
        channels, spatial : int
            What the model takes.
        channel_axis : int, optional
            Where the channels are; otherwise the one axis as long as the model has channels.

        Raises
        ------
        ImageError
            If the image does not fit, or it could be read in more than one way.
        """
        text = " × ".join(map(str, shape))
        if 0 in shape:
            raise ImageError(f"The image is empty: its shape is {text}. Choose an image with pixels.")
        if channel_axis is None:
            axis = _find_channel_axis(shape, channels, spatial, text)
        else:
            if not -len(shape) <= channel_axis < len(shape):
                raise ImageError(f"There is no channel axis {channel_axis}: the image ({text}) has {len(shape)} axes.")
            axis = channel_axis % len(shape)
            if shape[axis] != channels:
                raise ImageError(
                    f"The image ({text}) has {shape[axis]} channels along axis {axis}; the model takes {channels}. "
                    "Choose the model's channels, in the order it was trained with."
                )
        if len(shape) - (axis is not None) < spatial:
            raise ImageError(
                f"The image ({text}) has too few axes: the model takes {spatial} spatial axes and {channels} channels."
            )
        return cls(tuple(shape), axis, spatial)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the labels: the image's without its channel axis."""
        return tuple(n for axis, n in enumerate(self.shape) if axis != self.channel_axis)

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Spatial shape of one frame."""
        return self.result_shape[len(self.result_shape) - self.spatial :]

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Shape of the stack of frames; ``()`` for a single one."""
        return self.result_shape[: len(self.result_shape) - self.spatial]

    def frames(self) -> Iterator[tuple[int, ...]]:
        """Yield the index of every frame in the stack."""
        return itertools.product(*map(range, self.stack_shape))

    def source(self, image: Any, index: tuple[int, ...]) -> Frame:
        """Return one frame of the image, to be read region by region."""
        return Frame(image, self, index)


class Frame(FrameSource):
    """One frame of an image as it is, ``(*spatial, channel)`` in float32; read lazily.

    Parameters
    ----------
    image : array_like
        With ``shape``, ``dtype`` and slicing; of one that is stored in chunks, the last chunks are kept decoded.
    layout : Layout
        Which axis of it is what.
    index : tuple of int
        Of the frame in the stack.

    Raises
    ------
    ImageError
        If its type is not numeric.
    """

    def __init__(self, image: Any, layout: Layout, index: tuple[int, ...]) -> None:
        check_dtype(np.dtype(image.dtype))
        self._image, self._layout, self._index = image, layout, index
        axis = layout.channel_axis
        self.shape = (*layout.frame_shape, 1 if axis is None else layout.shape[axis])
        chunks = chunk_shape_of(image)
        self._fetch = self._raw
        if chunks is None:
            self.chunks = (*(1,) * (layout.spatial - 1), self.shape[-2])
        else:
            spatial = tuple(c for a, c in enumerate(chunks) if a != axis)[-layout.spatial :]
            chunked = ChunkedSource(self._raw, self.shape[:-1], spatial)
            self._fetch, self.chunks = chunked.read, chunked.cell

    def read(self, region: Region) -> Image:
        """Return a region.

        Raises
        ------
        ImageError
            If it holds values that are not finite; the error says where the first one of the frame is.
        """
        pixels, finite = _as_float32(self._fetch(region))
        if not finite:
            self._complain()
        return pixels

    def _raw(self, region: Region) -> npt.NDArray[Any]:
        try:
            return self._read(region)
        except (FcnSegError, MemoryError):
            raise
        except Exception as error:  # codecs and readers raise whatever they like
            raise unread(error) from error

    def _read(self, region: Region) -> npt.NDArray[Any]:
        layout = self._layout
        where: list[int | slice] = [*self._index, *as_slices(region)]
        if layout.channel_axis is None:
            return np.asarray(self._image[tuple(where)])[..., None]
        where.insert(layout.channel_axis, slice(None))
        before = sum(1 for axis in range(len(self._index)) if axis < layout.channel_axis)
        return np.moveaxis(np.asarray(self._image[tuple(where)]), layout.channel_axis - before, -1)

    def _complain(self) -> None:
        """Look for the values that are not finite in the whole frame, and say how many and where the first is."""
        count, places = 0, []
        for region in self.blocks():
            bad = ~np.isfinite(_as_float32(self._fetch(region))[0])
            if found := int(np.count_nonzero(bad)):
                count += found
                first = np.unravel_index(int(bad.argmax()), bad.shape)
                starts = (*(start for start, _ in region), 0)
                places.append(tuple(int(p) + start for p, start in zip(first, starts, strict=True)))
        if count:
            *place, channel = min(places)
            at = f"pixel ({', '.join(map(str, (*self._index, *place)))})"
            many = f", channel {channel}" if self.shape[-1] > 1 else ""
            raise ImageError(
                f"The image holds {count} value{'s' * (count > 1)} that "
                f"{'are' if count > 1 else 'is'} NaN, infinite or too large, the first at {at}{many}. Replace them "
                "(for example by 0 or the local mean) and run again."
            )


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Raise an :class:`~napari_fcnseg.errors.ImageError` for anything but whole or real numbers."""
    if dtype.kind not in "buif":
        advice = "Give an array of numbers: a file is read first, for example with tifffile.imread."
        if dtype.kind == "c":
            raise ImageError("The image holds complex numbers, and a model takes real ones. Choose magnitude or phase.")
        raise ImageError(f"The image holds values of type {dtype}, and a model takes numbers. {advice}")


def _find_channel_axis(shape: tuple[int, ...], channels: int, spatial: int, text: str) -> int | None:
    if channels == 1:
        if len(shape) > 2 and shape[-1] in _FEW and min(shape[-3:-1]) > max(_FEW):
            raise ImageError(
                f"The image ({text}) seems to hold {shape[-1]} channels or colours along its last axis, and the model "
                "takes one channel. Give one of them, image[..., 0], or, if it is a stack, image[..., None] with "
                "channel_axis=-1."
            )
        return len(shape) - 1 if len(shape) == spatial + 1 and shape[-1] == 1 else None
    fitting = [axis for axis, n in enumerate(shape) if n == channels]
    if len(shape) <= spatial or not fitting:
        raise ImageError(
            f"The model takes {channels} channels and the image ({text}) has no axis of that length. Give all of "
            "them in the order it was trained with: stacked in one file, or for a single image a file each; in Python "
            "np.stack(…, axis=-1)."
        )
    if len(fitting) > 1:
        raise ImageError(
            f"The image ({text}) has {len(fitting)} axes as long as the model has channels ({channels}): "
            f"say which holds them, channel_axis={' or '.join(map(str, fitting))}."
        )
    return fitting[0]


def _as_float32(raw: npt.NDArray[Any]) -> tuple[Image, bool]:
    """Return pixels in float32, and whether all are finite as far as their sum tells."""
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = np.ascontiguousarray(raw, np.float32)
        # One pass without a copy; only a bad image pays for the search.
        finite = raw.dtype.kind != "f" or bool(np.isfinite(pixels.sum(dtype=np.float64)))
    return pixels, finite
