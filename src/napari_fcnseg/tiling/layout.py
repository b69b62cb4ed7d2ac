"""Which axis of an image is what, and its frames as ``(*spatial, channel)`` in float32."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator


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

    def frame(self, image: Any, index: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Return one frame as ``(*spatial, channel)`` in float32.

        Raises
        ------
        ImageError
            If its type is not numeric or it holds values that are not finite; the error says where.
        """
        where: list[int | slice] = [*index] + [slice(None)] * self.spatial
        if self.channel_axis is not None:
            where.insert(self.channel_axis, slice(None))
        raw = np.asarray(image[tuple(where)])
        if self.channel_axis is None:
            raw = raw[..., None]
        else:
            before = sum(1 for axis in range(len(index)) if axis < self.channel_axis)
            raw = np.moveaxis(raw, self.channel_axis - before, -1)
        return _finite_float32(raw, index)


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Raise an :class:`~napari_fcnseg.errors.ImageError` for anything but whole or real numbers."""
    if dtype.kind not in "buif":
        kind = "complex numbers" if dtype.kind == "c" else f"values of type {dtype}"
        advice = " Choose its magnitude or its phase." if dtype.kind == "c" else " Choose an image of numbers."
        raise ImageError(f"The image holds {kind}, and a model takes real ones.{advice}")


def _find_channel_axis(shape: tuple[int, ...], channels: int, spatial: int, text: str) -> int | None:
    if channels == 1:
        return len(shape) - 1 if len(shape) == spatial + 1 and shape[-1] == 1 else None
    fitting = [axis for axis, n in enumerate(shape) if n == channels]
    if len(shape) <= spatial or not fitting:
        raise ImageError(
            f"The model takes {channels} channels and the image ({text}) has no axis of that length. Choose as many "
            "channels as the model has, in the order it was trained with."
        )
    if len(fitting) > 1:
        raise ImageError(
            f"The image ({text}) has {len(fitting)} axes as long as the model has channels ({channels}): "
            f"say which holds them, channel_axis={' or '.join(map(str, fitting))}."
        )
    return fitting[0]


def _finite_float32(raw: npt.NDArray[Any], index: tuple[int, ...]) -> npt.NDArray[np.float32]:
    check_dtype(raw.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        frame = np.ascontiguousarray(raw, np.float32)
        total = frame.sum(dtype=np.float64)  # one pass without a copy; only a bad image pays for the search
    if raw.dtype.kind == "f" and not np.isfinite(total):
        bad = ~np.isfinite(frame)
        count = int(np.count_nonzero(bad))
        if count:
            *place, channel = map(int, np.unravel_index(int(bad.argmax()), bad.shape))
            at = f"pixel ({', '.join(map(str, (*index, *place)))})"
            many = f", channel {channel}" if frame.shape[-1] > 1 else ""
            raise ImageError(
                f"The image holds {count} value{'s' * (count > 1)} that "
                f"{'are' if count > 1 else 'is'} NaN, infinite or too large, the first at {at}{many}. Replace them "
                "(for example by 0 or the local mean) and run again."
            )
    return frame
