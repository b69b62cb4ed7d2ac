"""Layers that act on each pixel alone."""

from __future__ import annotations

from typing import Any

import keras

from napari_fcnseg.engine import activations, functions
from napari_fcnseg.engine.layers.base import register


@register
class ChannelAffine(keras.layers.Layer):  # type: ignore[misc]
    """One factor and one offset per channel, and where asked a centre that is subtracted first."""

    def __init__(self, centered: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.centered = centered

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "centered": self.centered}

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create centre, factor and offset."""
        if self.centered:
            self.center = self.add_weight(shape=(input_shape[-1],), name="center", initializer="zeros")
        self.scale = self.add_weight(shape=(input_shape[-1],), name="scale", initializer="ones")
        self.offset = self.add_weight(shape=(input_shape[-1],), name="offset", initializer="zeros")

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return shape

    def call(self, x: Any) -> Any:
        """Return ``(x - center) * scale + offset``."""
        return functions.affine(x, self.center if self.centered else None, self.scale, self.offset)


@register
class ChannelPReLU(keras.layers.Layer):  # type: ignore[misc]
    """``max(x, 0) + alpha * min(x, 0)`` with one ``alpha`` per channel."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the slopes."""
        self.alpha = self.add_weight(shape=(input_shape[-1],), name="alpha", initializer="zeros")

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        return shape

    def call(self, x: Any) -> Any:
        """Return the rectified map."""
        return functions.prelu(x, self.alpha)


@register
class Pointwise(keras.layers.Layer):  # type: ignore[misc]
    """A stateless activation by its name in ``keras.activations``, with its parameters."""

    def __init__(self, function: str, params: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.params = dict(params)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "function": self.function, "params": self.params}

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the result."""
        halved = (shape[-1] or 0) // 2 if self.function == "glu" else shape[-1]
        return (*shape[:-1], halved)

    def call(self, x: Any) -> Any:
        """Return the activation of every number."""
        return activations.activation(self.function, self.params)(x)
