"""The allow-list: Keras layer class -> the operations it stands for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Activation, Dense, Identity, PReLU, ReduceGroups
from napari_fcnseg.readers.keras.activations import ACTIVATION_LAYERS, activated, activation_ops, placed
from napari_fcnseg.readers.keras.architecture import INPUT_LAYER
from napari_fcnseg.readers.keras.axes import AXIS_LAYERS
from napari_fcnseg.readers.keras.compounds import COMPOUNDS
from napari_fcnseg.readers.keras.convolutions import WINDOW_LAYERS, channels_first
from napari_fcnseg.readers.keras.foreign import FOREIGN_ONLY
from napari_fcnseg.readers.keras.grid import collected
from napari_fcnseg.readers.keras.merges import MERGE_LAYERS
from napari_fcnseg.readers.keras.normalization import NORM_LAYERS
from napari_fcnseg.readers.keras.tensor_axes import TRAIN_AGAIN, Tensor, advance, joined
from napari_fcnseg.readers.keras.unsupported import is_builtin
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import JsonFields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fcnseg.readers.keras.architecture import LayerSpec
    from napari_fcnseg.readers.keras.tensor_axes import Builder, Built
    from napari_fcnseg.readers.weights import Weights

_TRAINING_ONLY: Final = "it acts during training only"
_AUGMENTATION: Final = "image augmentation is off when a trained model is applied"


def is_known(layer: LayerSpec) -> bool:
    """Say whether a layer is one of Keras's own that can be read."""
    if not (layer.foreign or (is_builtin(layer.stored) and layer.layer_type not in FOREIGN_ONLY)):
        return False
    return layer.layer_type in (*LAYERS, *COMPOUNDS, *MERGE_LAYERS, INPUT_LAYER)


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
    before, tensor = collected(tensor, len(tensor.axes) - 1)
    view = tensor.with_channels_at(len(tensor.axes) - 1)
    if view is None:
        if any(tensor.core(i) for i in range(len(tensor.axes) - 1)):
            raise RefusedError(
                "it mixes positions, along an axis that an earlier layer (Reshape, Permute, or another data_format) "
                "put last",
                TRAIN_AGAIN,
            )
        more, view = joined(tensor)
        before += more
    units, width = config.whole("units"), view.shape[-1]
    kernel = weights.take((width, units), "kernel")
    bias = weights.take((units,), "bias") if config.flag("use_bias", True) else None
    ops, result = advance(view, Dense(kernel, bias))
    more, result = activated(config.raw("activation"), layer.generation, result)
    return (*before, *ops, *more), result


def _maxout(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    """Read Keras 1's MaxoutDense: the largest of several dense layers."""
    if not tensor.is_flat or len(tensor.axes) != 1:
        raise UnreadableError("it reads something else than a vector")
    units, count, (width,) = layer.config.whole("output_dim"), layer.config.whole("nb_feature"), tensor.shape
    kernel = weights.take((count, width, units), "kernel").transpose(1, 0, 2).reshape(width, count * units)
    bias = weights.take((count, units), "bias").reshape(-1) if layer.config.flag("use_bias", True) else None
    return advance(tensor, Dense(np.ascontiguousarray(kernel), bias), ReduceGroups("maximum", count))


def _tensor_product(layer: LayerSpec, tensor: Tensor, weights: Weights) -> Built:
    """Read deepcell-tf's name for a dense layer along the channels."""
    settings = {key: layer.config.raw(key) for key in layer.config.keys()}
    view = tensor
    if channels_first(layer) and len(tensor.axes) > 1:
        view = tensor.permuted([*range(1, len(tensor.axes)), 0])
    config = JsonFields({**settings, "units": settings.get("output_dim")})
    ops, result = _dense(replace(layer, config=config), view, weights)
    if view is not tensor:
        result = result.permuted([len(result.axes) - 1, *range(len(result.axes) - 1)])
    return ops, result


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


_INERT: Final[Mapping[str, str]] = {
    "it does nothing": "Identity",
    _TRAINING_ONLY: (
        "Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout GaussianDropout GaussianNoise "
        "ActivityRegularization StochasticDepth"
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

#: Layers that change images, which Keras 3 calls with ``training=True`` unless it is told otherwise, as it is when a
#: trained model is applied.
IMAGE_LAYERS: Final = frozenset({*_INERT[_AUGMENTATION].split(), "CenterCrop"})

#: Class -> function of (layer, what it reads, its arrays). A class that is neither here nor a merge is not read.
LAYERS: Final[dict[str, Builder]] = {
    **WINDOW_LAYERS,
    **NORM_LAYERS,
    **AXIS_LAYERS,
    **dict.fromkeys(ACTIVATION_LAYERS, _activation_layer),
    **{name: partial(_identity, reason) for reason, names in _INERT.items() for name in names.split()},
    "Activation": _activation,
    "Dense": _dense,
    "MaxoutDense": _maxout,
    **dict.fromkeys(("TensorProduct", "TensorProd2D", "TensorProd3D"), _tensor_product),
    "PReLU": _prelu,
}
