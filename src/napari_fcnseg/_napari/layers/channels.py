"""Assign layers to the channels of a model, and read them as one image. Free of Qt."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.layers.axes import Axes, AxisChoice, find_axes
from napari_fcnseg._napari.layers.axis_names import letters_of
from napari_fcnseg._napari.layers.metadata import is_result
from napari_fcnseg.arrays.frame_source import ChannelStack, first_channels, transposed
from napari_fcnseg.errors import ImageError
from napari_fcnseg.model.channels import named_order
from napari_fcnseg.plan.layout import Layout
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from napari.layers import Image


@dataclass(frozen=True)
class InputSpec:
    """What a model takes.

    Attributes
    ----------
    channels, spatial : int
        Number of channels and of spatial axes.
    names : tuple of str
        What the channels are called, in the model's order; empty if unknown.
    pixel_size : tuple of float
        Length of a pixel along each spatial axis in the images of training; empty if unknown.
    unit : str
        Of the pixel size.
    """

    channels: int
    spatial: int
    names: tuple[str, ...] = ()
    pixel_size: tuple[float, ...] = ()
    unit: str = ""

    def name(self, channel: int) -> str:
        """Return what a channel is called."""
        return self.names[channel] if channel < len(self.names) else f"channel {channel + 1}"


@dataclass(frozen=True, eq=False)
class ImageLayers:
    """The layers of a run and their data, held by identity: neither a new name nor a deletion changes them.

    Attributes
    ----------
    layers : tuple of Image
        A single layer that has all channels, or one per channel.
    data : tuple
        What each layer held when it was chosen; full resolution.
    need : InputSpec
        What the model takes.
    axes : Axes
        What each axis of a layer's data is.
    """

    layers: tuple[Image, ...]
    data: tuple[Any, ...]
    need: InputSpec
    axes: Axes

    @classmethod
    def of(cls, layers: Sequence[Image], need: InputSpec, choice: AxisChoice | None = None) -> ImageLayers:
        """Return the source made of some layers.

        Parameters
        ----------
        layers : sequence of Image
            A single one, or one per channel.
        need : InputSpec
            What the model takes.
        choice : AxisChoice, optional
            What the user chose of the axes.

        Raises
        ------
        ImageError
            If layers for several channels differ in shape, or one of them is RGB.
        """
        rgb = next((layer for layer in layers if layer.rgb), None)
        if len(layers) > 1 and rgb is not None:
            raise ImageError(
                f"Layer {rgb.name!r} is a colour image and cannot be one channel of {len(layers)}. Choose layers with "
                "one channel each, or split it first (right-click the layer, Split RGB)."
            )
        data = tuple(full_resolution(layer) for layer in layers)
        for layer, array in zip(layers, data, strict=True):
            if array.shape != data[0].shape:
                raise ImageError(
                    f"Layers {layers[0].name!r} ({format_shape(data[0].shape)}) and {layer.name!r} "
                    f"({format_shape(array.shape)}) cannot be channels of one image: their shapes differ. Choose "
                    "layers of the same shape."
                )
        return cls(tuple(layers), data, need, axes_of(layers[0], need, choice, separate=len(layers) > 1))

    @property
    def image(self) -> Any:
        """All channels as one array; nothing is read yet."""
        data = [transposed(array, self.axes.order) for array in self.data]
        if len(data) > 1 or self._needs_channel:
            return ChannelStack(data)
        if self._has_spare_alpha:
            return first_channels(data[0], len(data[0].shape) - 1, self.need.channels)
        return data[0]

    @property
    def layout(self) -> Layout:
        """Which axis of :attr:`image` is what.

        Raises
        ------
        ImageError
            If the image does not fit the model, or fits in more than one way.
        """
        self.axes.check()
        order, channel = self.axes.order, self.axes.channel
        shape = tuple(self.axes.shape[axis] for axis in order)
        axis = order.index(channel) if channel is not None else None
        if len(self.data) > 1 or self._needs_channel:
            shape, axis = (*shape, len(self.data)), len(shape)
        elif self._has_spare_alpha:
            shape = (*shape[:-1], self.need.channels)
        return Layout.of(shape, self.need.channels, self.need.spatial, axis)

    @property
    def dropped_axis(self) -> int | None:
        """The layer's own axis that labels do not have; None where the channels are no axis of the layer."""
        return None if self.layers[0].rgb else self.axes.channel

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The layer's axes that are the model's, in the model's order."""
        return self.axes.model

    @property
    def stack_axes(self) -> tuple[int, ...]:
        """The layer's axes along which each frame is segmented alone."""
        return self.axes.stack

    def to_layer_axes(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return labels, or other numbers of the result's shape, with the layer's order of axes, as a view."""
        mine = self.axes.result
        there = sorted(mine)
        return array if list(mine) == there else array.transpose([mine.index(axis) for axis in there])

    def from_layer_axes(self, values: Sequence[int]) -> tuple[int, ...]:
        """Return numbers, one per axis of the layer that labels have, in the order of the result's axes."""
        there = sorted(self.axes.result)
        return tuple(values[there.index(axis)] for axis in self.axes.result)

    @property
    def _needs_channel(self) -> bool:
        """Whether an axis of pixels would be taken for the channel, as the last one of 9 × 7 × 1 is."""
        one, shape, order = self.need.channels == 1, self.axes.shape, self.axes.order
        alone = self.axes.channel is None and len(shape) == self.need.spatial + 1
        return one and alone and shape[order[-1]] == 1

    @property
    def _has_spare_alpha(self) -> bool:
        return self.layers[0].rgb and self.data[0].shape[-1] == 4 and self.need.channels == 3

    def of_same_layers(self, other: ImageLayers) -> bool:
        """Whether another image is made of the very same layers, whatever they hold now."""
        return len(self.layers) == len(other.layers) and all(map(operator.is_, self.layers, other.layers))

    def same_as(self, other: ImageLayers) -> bool:
        """Whether another source holds the very same data, read the same way."""
        return (
            len(self.data) == len(other.data)
            and all(a is b for a, b in zip(self.data, other.data, strict=True))
            and (self.need, self.axes) == (other.need, other.axes)
        )

    def describe(self) -> str:
        """Return which axis is what, in words."""
        layout = self.layout
        text = f"{format_shape(layout.frame_shape)} pixels"
        if layout.stack_shape:
            text = f"{format_shape(layout.stack_shape)} frames of {text}, each segmented alone"
        names = f": {', '.join(self.need.names)}" if len(self.need.names) == self.need.channels else ""
        if self.layers[0].rgb:
            text += "; colours are the channels" + (" (transparency left out)" if self._has_spare_alpha else "") + names
        elif self.dropped_axis is not None:
            text += f"; channels on axis {self.dropped_axis}{names}"
        return text + "."


def axes_of(layer: Image, need: InputSpec, choice: AxisChoice | None = None, *, separate: bool = False) -> Axes:
    """Return what each axis of a layer's data is for a model."""
    shape, letters = full_resolution(layer).shape, letters_of(layer.axis_labels)
    return find_axes(shape, need.channels, need.spatial, choice, letters, rgb=layer.rgb, separate=separate)


def full_resolution(layer: Image) -> Any:
    """Return a layer's data, of a multiscale layer its finest level."""
    return layer.data[0] if layer.multiscale else layer.data


def works_alone(layer: Image, need: InputSpec) -> bool:
    """Whether a layer has, or may have, all of a model's channels."""
    shape = full_resolution(layer).shape
    if need.channels == 1 or layer.rgb:
        return True
    return len(shape) > need.spatial and need.channels in shape


def suggest_layers(layers: Sequence[Image], need: InputSpec, preferred: Image | None) -> list[Image | None]:
    """Return the layers to fill in for a model: one that works alone, one per channel, or what is certain of them.

    Parameters
    ----------
    layers : sequence of Image
        The candidates, oldest first.
    need : InputSpec
        What the model takes.
    preferred : Image or None
        What the user looks at.
    """
    own = [layer for layer in layers if not is_result(layer)]
    if need.channels > 1 and (named := _by_name(own, need)):
        return list(named)
    if preferred is None:
        preferred = own[-1] if own else None
    if preferred is None:
        return [None] * need.channels
    if works_alone(preferred, need):
        return [preferred] + [None] * (need.channels - 1)
    shape = full_resolution(preferred).shape
    alike = [layer for layer in own if not layer.rgb and full_resolution(layer).shape == shape]
    if len(alike) == need.channels:
        return list(alike)
    alone = [layer for layer in own if works_alone(layer, need)]
    return [alone[-1] if alone else preferred] + [None] * (need.channels - 1)


def _by_name(layers: Sequence[Image], need: InputSpec) -> list[Image] | None:
    """Return the layers called like the model's channels; None unless there is one for each, of one shape."""
    if len(need.names) != need.channels:
        return None
    plain = [layer for layer in layers if not layer.rgb]
    order = named_order(need.names, [layer.name for layer in plain])
    if order is None:
        return None
    chosen = [plain[index] for index in order]
    same = len({full_resolution(layer).shape for layer in chosen}) == 1
    return chosen if same else None
