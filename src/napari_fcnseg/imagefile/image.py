"""An image with the meaning of its axes."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_fcnseg.arrays.frame_source import first_channels
from napari_fcnseg.imagefile.colours import grey_of

if TYPE_CHECKING:
    import numpy.typing as npt

_PLANE = "YX"


@dataclass(frozen=True)
class ChannelLook:
    """How a channel is shown.

    Attributes
    ----------
    name : str
        What it is called.
    low, high : float
        The numbers that are shown as its darkest and its brightest colour.
    color : str
        The latter, as ``#rrggbb``.
    """

    name: str
    low: float
    high: float
    color: str = "#ffffff"


@dataclass(frozen=True)
class ImageFile:
    """An image with the meaning of its axes.

    Attributes
    ----------
    data : array_like
        The pixels, with ``shape``, ``dtype`` and slicing: in memory, or on disk and read where they are asked for.
    axes : str
        One letter per axis of ``data``, as tifffile gives them: ``"YX"``, ``"ZCYX"``, ``"YXS"`` (``S``: RGB samples).
    pixel_size : dict of str to float
        Size per axis letter, where the file says it.
    unit : str
        Of the pixel size, for example ``"µm"``.
    notes : tuple of str
        What somebody might not expect, as sentences: which of several images in the file this is, for one.
    class_names, class_colors : tuple of str
        Of labels 1, 2, …, where it holds labels and they are to be written; colours as ``#rrggbb``.
    is_labels : bool
        Whether its numbers stand for classes or objects.
    averaged : bool
        Whether coarser levels hold means also of whole numbers: of intensities.
    looks : tuple of ChannelLook
        How its channels are shown, or its only one; empty where nothing is said.
    zarr_format : int
        Of a Zarr folder that it is written into: 3, as OME-Zarr 0.5 has it, or 2 for 0.4.
    labels_of : str
        Where the image lies that labels are of, seen from a Zarr folder with them; empty for nowhere near.
    """

    data: Any
    axes: str
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = ""
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    class_colors: tuple[str, ...] = ()
    is_labels: bool = False
    averaged: bool = False
    looks: tuple[ChannelLook, ...] = ()
    zarr_format: Literal[2, 3] = 3
    labels_of: str = ""

    @property
    def channel_axis(self) -> int | None:
        """The axis the file says holds channels or RGB samples, None where it says none."""
        return next((self.axes.index(letter) for letter in "CS" if letter in self.axes), None)

    def for_model(self, channels: int) -> ImageFile:
        """Return an image with colours as a model takes it that has so many channels.

        Transparency is left out where the model takes three channels, or one; where it takes one, an image all of whose
        colours are grey is grey.
        """
        at = self.channel_axis
        if at is None or self.axes[at] != "S" or channels not in (1, 3) or self.data.shape[at] not in (3, 4):
            return self
        if channels == 1:
            grey = grey_of(self.data, at)
            return self if grey is None else replace(self, data=grey, axes=self.axes.replace("S", ""))
        if self.data.shape[at] == 3:
            return self
        return replace(self, data=first_channels(self.data, at, 3))

    def for_format(self, zarr_format: Literal[2, 3]) -> ImageFile:
        """Return the file, to be written in a format of Zarr."""
        return replace(self, zarr_format=zarr_format)

    def with_channels_along(self, axis: int | None) -> ImageFile:
        """Return the file with an axis named as that of the channels, which a file without names leaves open.

        Where it was named as one of the plane's, which had been guessed, the last two others are the plane's.
        """
        if axis is None or axis == self.channel_axis:
            return self
        others = self.axes.replace("C", "Q").replace("S", "Q")
        before, after = others[:axis], others[axis + 1 :]
        if others[axis] in _PLANE:
            rest = before + after
            first = "".join(letter if letter not in _PLANE else "Q" for letter in rest[:-2])
            rest = first + _PLANE[-len(rest[-2:]) :] if rest else ""
            before, after = rest[:axis], rest[axis:]
        return replace(self, axes=before + "C" + after)

    def sampled(self, every: int, axes: int) -> ImageFile:
        """Return the file with the pixel size of every Nth pixel along its last axes, channels not counted."""
        coarse = self.result_axes[-axes:]
        size = {axis: length * every if axis in coarse else length for axis, length in self.pixel_size.items()}
        return replace(self, pixel_size=size)

    def spacing(self, axes: int) -> list[float] | None:
        """Return the length of a pixel along each of the last axes; None unless all are known."""
        sizes = [self.pixel_size.get(letter) for letter in self.axes[-axes:]]
        return [size for size in sizes if size] if all(sizes) else None

    def labelled(self, labels: Any) -> ImageFile:
        """Return labels with this image's axes but the channel axis, and its pixel size."""
        axes, form, of = self.result_axes, self.zarr_format, self.labels_of
        return ImageFile(labels, axes, self.pixel_size, self.unit, is_labels=True, zarr_format=form, labels_of=of)

    def scored(self, scores: npt.NDArray[Any]) -> ImageFile:
        """Return scores ``(…, class)`` with the classes as channels before the last two axes."""
        axes = self.result_axes
        at = max(len(axes) - 2, 0)
        return ImageFile(np.moveaxis(scores, -1, at), axes[:at] + "C" + axes[at:], self.pixel_size, self.unit)

    @property
    def result_axes(self) -> str:
        """Letters of the axes that labels have: all but the channel's."""
        channel = self.channel_axis
        return self.axes if channel is None else self.axes[:channel] + self.axes[channel + 1 :]
