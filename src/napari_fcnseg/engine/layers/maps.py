"""Layers that cut maps and put them together."""

from __future__ import annotations

import math
from typing import Any

import keras

from napari_fcnseg.engine import functions
from napari_fcnseg.engine.layers.base import register


@register
class Cut(keras.layers.Layer):  # type: ignore[misc]
    """Entries ``before`` and ``after`` cut off along each spatial axis."""

    def __init__(self, before: tuple[int, ...], after: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.before, self.after = tuple(before), tuple(after)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "before": self.before, "after": self.after}

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        spatial = (
            None if n is None else n - b - a for n, b, a in zip(shape[1:-1], self.before, self.after, strict=True)
        )
        return (shape[0], *spatial, shape[-1])

    def call(self, x: Any) -> Any:
        """Return what is left."""
        return functions.cut(x, self.before, self.after)


@register
class Combine(keras.layers.Layer):  # type: ignore[misc]
    """Inputs joined pixel by pixel: ``kind`` is add, subtract, multiply, average, maximum or minimum."""

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "kind": self.kind}

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (*input_shape[0][:-1], max(shape[-1] for shape in input_shape))

    def call(self, inputs: Any) -> Any:
        """Return the joined map."""
        return functions.combine(inputs, self.kind)


@register
class SideBySide(keras.layers.Layer):  # type: ignore[misc]
    """Inputs side by side as channels; then channel ``i`` is number ``order[i]`` of them."""

    def __init__(self, order: tuple[int, ...] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.order = order

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "order": self.order}

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (*input_shape[0][:-1], sum(shape[-1] for shape in input_shape))

    def call(self, inputs: Any) -> Any:
        """Return the joined map."""
        return functions.join(inputs, self.order)


@register
class SomeChannels(keras.layers.Layer):  # type: ignore[misc]
    """The channels ``start <= c < stop``."""

    def __init__(self, start: int, stop: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (*shape[:-1], self.stop - self.start)

    def call(self, x: Any) -> Any:
        """Return these channels."""
        return x[..., self.start : self.stop]


@register
class ZeroMap(keras.layers.Layer):  # type: ignore[misc]
    """A map of zeros as large as its input."""

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "channels": self.channels}

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (*shape[:-1], self.channels)

    def call(self, x: Any) -> Any:
        """Return zeros."""
        return functions.zeros(x, self.channels)


@register
class PatchTensor(keras.layers.Layer):  # type: ignore[misc]
    """The channels of each pixel as a tensor ``(*sizes, channel)`` of its own in the batch, for layers of patches."""

    def __init__(self, sizes: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "sizes": self.sizes}

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return (None, *self.sizes, (shape[-1] or 0) // math.prod(self.sizes))

    def call(self, x: Any) -> Any:
        """Return the tensors."""
        return functions.to_patches(x, self.sizes)


@register
class BackToMap(keras.layers.Layer):  # type: ignore[misc]
    """Tensors of each pixel back as the channels of a map that is as large as the second input."""

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        tensor, like = input_shape
        return (*like[:-1], math.prod(tensor[1:]))

    def call(self, inputs: Any) -> Any:
        """Return the map."""
        tensor, like = inputs
        return functions.from_patches(tensor, like)
