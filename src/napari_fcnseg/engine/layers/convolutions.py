"""Layers that look through dilated windows."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras

from napari_fcnseg.engine import functions
from napari_fcnseg.engine.layers.base import register

#: Per input, per spatial axis.
Windows: TypeAlias = "tuple[tuple[int, ...], ...]"


class _Windowed(keras.layers.Layer):  # type: ignore[misc]
    """A layer that looks at each of its inputs through a dilated window of its own.

    ``sizes`` and ``dilations`` have one entry per input, and that one entry per spatial axis.
    """

    def __init__(self, sizes: Windows, dilations: Windows, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(map(tuple, sizes))
        self.dilations = tuple(map(tuple, dilations))

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "sizes": self.sizes, "dilations": self.dilations}

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the result; windows of all inputs leave the same."""
        first = input_shape[0]
        spatial = (
            None if n is None else n - (k - 1) * d
            for n, k, d in zip(first[1:-1], self.sizes[0], self.dilations[0], strict=True)
        )
        return (first[0], *spatial, self._channels(first[-1] or 0))

    def _channels(self, channels: int) -> int:
        return channels


@register
class DilatedConv(_Windowed):
    """Sum of valid cross-correlations with ``filters`` results, in ``groups``.

    ``side_by_side`` inputs go to each kernel, as channels.
    """

    def __init__(self, filters: int, groups: int = 1, side_by_side: tuple[int, ...] = (1,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.groups = groups
        self.side_by_side = tuple(side_by_side)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        more = {"filters": self.filters, "groups": self.groups, "side_by_side": self.side_by_side}
        return {**super().get_config(), **more}

    def build(self, input_shape: Any) -> None:
        """Create kernels and bias."""
        shapes = iter(input_shape)
        self.kernels = []
        for number, (size, count) in enumerate(zip(self.sizes, self.side_by_side, strict=True)):
            channels = sum(next(shapes)[-1] for _ in range(count)) // self.groups
            shape = (*size, channels, self.filters)
            self.kernels.append(self.add_weight(shape=shape, name=f"kernel_{number}", initializer="zeros"))
        self.bias = self.add_weight(shape=(self.filters,), name="bias", initializer="zeros")

    def _channels(self, channels: int) -> int:
        return self.filters

    def call(self, inputs: Any) -> Any:
        """Return the sum of the cross-correlations plus bias."""
        return functions.convolve(inputs, self.kernels, self.bias, self.dilations, self.side_by_side)


@register
class DilatedDepthwise(_Windowed):
    """Sum of valid cross-correlations of each channel, one per input, with ``multiplier`` results per channel."""

    def __init__(self, multiplier: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiplier = multiplier

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "multiplier": self.multiplier}

    def build(self, input_shape: Any) -> None:
        """Create kernels and bias."""
        channels = input_shape[0][-1] or 0
        self.kernels = [
            self.add_weight(shape=(*size, channels, self.multiplier), name=f"kernel_{n}", initializer="zeros")
            for n, size in enumerate(self.sizes)
        ]
        self.bias = self.add_weight(shape=(channels * self.multiplier,), name="bias", initializer="zeros")

    def _channels(self, channels: int) -> int:
        return channels * self.multiplier

    def call(self, inputs: Any) -> Any:
        """Return the sum of the cross-correlations plus bias."""
        return functions.convolve_channels(inputs, self.kernels, self.bias, self.dilations)


@register
class DilatedPool(_Windowed):
    """Maximum over the windows of all inputs, or their sum divided by ``count``; one axis after the other."""

    def __init__(self, kind: str, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.count = count

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "kind": self.kind, "count": self.count}

    def call(self, inputs: Any) -> Any:
        """Return the pooled map."""
        return functions.pool(inputs, self.kind, self.sizes, self.dilations, self.count)
