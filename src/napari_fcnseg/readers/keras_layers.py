"""The allow-list: Keras layer class -> the operations it stands for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from napari_fcnseg.graph.ops import AXIS_ACTIVATIONS, Activation, Dense, Flatten, Identity, Op, PReLU
from napari_fcnseg.readers.keras_activations import ACTIVATION_LAYERS, activation_ops
from napari_fcnseg.readers.keras_norms import NORM_LAYERS
from napari_fcnseg.readers.keras_windows import WINDOW_LAYERS
from napari_fcnseg.readers.problem import RefusedError, UnreadableError
from napari_fcnseg.readers.shapes import Shape, after, array_axis

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.readers.layer import Layer
    from napari_fcnseg.readers.weights import Weights

    Builder: TypeAlias = Callable[[Layer, Shape, Weights], tuple[Op, ...]]

_TRAINING_ONLY: Final = "it acts during training only"
_AUGMENTATION: Final = "image augmentation is off when a trained model is applied"


def build(layer: Layer, shape: Shape, weights: Weights) -> tuple[tuple[Op, ...], Shape]:
    """Turn one layer into operations.

    Parameters
    ----------
    layer : Layer
        One whose class is in :data:`LAYERS`.
    shape : tuple of int
        What it reads, without the batch axis.
    weights : Weights
        Its arrays; all are taken.

    Returns
    -------
    ops : tuple of Op
        What it does, in order.
    shape : tuple of int
        What it returns, without the batch axis.

    Raises
    ------
    UnreadableError
        Settings, arrays and input do not fit together.
    RefusedError
        One of its settings cannot be used.
    """
    if layer.config.raw("data_format") == "channels_first":
        raise RefusedError(
            "it expects the channels before the positions (channels_first)",
            'Build the model with data_format="channels_last" and train again.',
        )
    ops = LAYERS[layer.layer_type](layer, shape, weights)
    if not any(isinstance(op, Identity) for op in ops):
        # What a layer without effect keeps in the file (a random state) is nobody's concern.
        weights.finish()
    for op in ops:
        if isinstance(op, Activation) and op.name in AXIS_ACTIVATIONS:
            array_axis(int(op.params["axis"] or 0), shape)
        shape = after(op, shape)
    return ops, shape


def _dense(layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    config = layer.config
    if "lora_rank" in config:
        raise RefusedError("it holds a LoRA adapter", "Save the model again without LoRA (its weights merged).")
    units = config.whole("units")
    kernel = weights.take((shape[-1], units), "kernel")
    bias = weights.take((units,), "bias") if config.flag("use_bias", True) else None
    return (Dense(kernel, bias), *activation_ops(config.raw("activation"), layer.generation))


def _flatten(layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    return (Flatten(),)


def _activation(layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    return activation_ops(layer.config.raw("activation"), layer.generation) or (Activation("linear"),)


def _activation_layer(layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    return (ACTIVATION_LAYERS[layer.layer_type](layer.config),)


def _prelu(layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    sizes = list(shape)
    for axis in layer.config.axes("shared_axes") if "shared_axes" in layer.config else ():
        if axis < 1:
            raise UnreadableError(f"it shares its parameters along axis {axis}, which is none of the patch")
        sizes[array_axis(axis, shape)] = 1
    return (PReLU(weights.take(tuple(sizes), "alpha")),)


def _identity(reason: str, layer: Layer, shape: Shape, weights: Weights) -> tuple[Op, ...]:
    return (Identity(reason),)


_INERT: Final = {
    "it does nothing": "Identity",
    _TRAINING_ONLY: (
        "Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout GaussianNoise "
        "ActivityRegularization"
    ),
    # Each was seen to return its input unchanged when a trained model is applied (Keras 3.15), also for values
    # outside 0 … 255; AutoContrast, Equalization, Solarization, RandomCrop and CenterCrop are not of this kind.
    _AUGMENTATION: (
        "RandomFlip RandomRotation RandomZoom RandomContrast RandomBrightness RandomTranslation RandomHeight "
        "RandomWidth RandomShear RandomPerspective RandomInvert RandomGrayscale RandomGaussianBlur RandomErasing "
        "RandomElasticTransform RandomColorDegeneration RandomColorJitter RandomHue RandomSaturation RandomSharpness "
        "RandomPosterization RandAugment AugMix CutMix MixUp"
    ),
}

#: Class -> function of (layer, shape of what it reads, its arrays). A class that is not here is not read.
LAYERS: Final[dict[str, Builder]] = {
    **WINDOW_LAYERS,
    **NORM_LAYERS,
    **dict.fromkeys(ACTIVATION_LAYERS, _activation_layer),
    **{name: partial(_identity, reason) for reason, names in _INERT.items() for name in names.split()},
    "Activation": _activation,
    "Dense": _dense,
    "Flatten": _flatten,
    "PReLU": _prelu,
}
