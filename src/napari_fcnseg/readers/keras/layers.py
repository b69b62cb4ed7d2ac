"""The allow-list: Keras layer class -> the operations it stands for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Activation, Dense, Identity, Op, PReLU
from napari_fcnseg.readers.keras.activations import ACTIVATION_LAYERS, activated, activation_ops, placed
from napari_fcnseg.readers.keras.architecture import INPUT_LAYER
from napari_fcnseg.readers.keras.axes import AXIS_LAYERS
from napari_fcnseg.readers.keras.convolutions import WINDOW_LAYERS
from napari_fcnseg.readers.keras.merges import MERGE_LAYERS
from napari_fcnseg.readers.keras.normalization import NORM_LAYERS
from napari_fcnseg.readers.keras.tensor_axes import TRAIN_AGAIN, Tensor, advance, joined
from napari_fcnseg.readers.keras.unsupported import is_builtin
from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from napari_fcnseg.readers.keras.architecture import LayerSpec
    from napari_fcnseg.readers.keras.tensor_axes import Builder, Built
    from napari_fcnseg.readers.weights import Weights

_TRAINING_ONLY: Final = "it acts during training only"
_AUGMENTATION: Final = "image augmentation is off when a trained model is applied"


def is_known(layer: LayerSpec) -> bool:
    """Say whether a layer is one of Keras's own that can be read."""
    if not is_builtin(layer.stored):
        return False
    return layer.layer_type in LAYERS or layer.layer_type in MERGE_LAYERS or layer.layer_type == INPUT_LAYER


def build(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    """Turn one layer that reads one tensor into operations.

    Parameters
    ----------
    layer : LayerSpec
        One whose class is in :data:`LAYERS`.
    tensor : Tensor
        What it reads.
    weights : Weights
        Its arrays; all are taken.

    Returns
    -------
    ops : tuple of Op
        What it does, in order.
    tensor : Tensor
        What it returns.

    Raises
    ------
    UnreadableError
        Settings, arrays and input do not fit together.
    RefusedError
        One of its settings cannot be used, or what it reads is not what it takes it for.
    """
    ops, result = LAYERS[layer.layer_type](layer, tensor, weights)
    if not any(isinstance(op, Identity) for op in ops):
        # What a layer without effect keeps in the file (a random state) is nobody's concern.
        weights.finish()
    return ops, result


def _dense(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    config = layer.config
    if "lora_rank" in config:
        raise RefusedError("it holds a LoRA adapter", "Save the model again without LoRA (its weights merged).")
    before: tuple[Op, ...] = ()
    view = tensor.with_channels_at(len(tensor.axes) - 1)
    if view is None:
        if any(tensor.core(i) for i in range(len(tensor.axes) - 1)):
            raise RefusedError(
                "it mixes positions, along an axis that an earlier layer (Reshape, Permute, or another data_format) "
                "put last",
                TRAIN_AGAIN,
            )
        before, view = joined(tensor)
    units, width = config.whole("units"), view.shape[-1]
    kernel = weights.take((width, units), "kernel")
    bias = weights.take((units,), "bias") if config.flag("use_bias", True) else None
    ops, result = advance(view, Dense(kernel, bias))
    more, result = activated(config.raw("activation"), layer.generation, result)
    return (*before, *ops, *more), result


def _activation(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    found = activation_ops(layer.config.raw("activation"), layer.generation) or (Activation("linear"),)
    return placed(tensor, *found)


def _activation_layer(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    return placed(tensor, ACTIVATION_LAYERS[layer.layer_type](layer.config))


def _prelu(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    sizes = list(tensor.seen)
    for axis in layer.config.axes("shared_axes") if "shared_axes" in layer.config else ():
        if axis < 1:
            raise UnreadableError(f"it shares its parameters along axis {axis}, which is none of the patch")
        sizes[tensor.index(axis)] = 1
    return advance(tensor, PReLU(tensor.array(weights.take(tuple(sizes), "alpha"))))


def _identity(reason: str, layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    return advance(tensor, Identity(reason))


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

#: Class -> function of (layer, what it reads, its arrays). A class that is neither here nor a merge is not read.
LAYERS: Final[dict[str, Builder]] = {
    **WINDOW_LAYERS,
    **NORM_LAYERS,
    **AXIS_LAYERS,
    **dict.fromkeys(ACTIVATION_LAYERS, _activation_layer),
    **{name: partial(_identity, reason) for reason, names in _INERT.items() for name in names.split()},
    "Activation": _activation,
    "Dense": _dense,
    "PReLU": _prelu,
}
