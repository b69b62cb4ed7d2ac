"""Keras layers that are known and not read, each with the reason and what can be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.readers.problem import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

CUSTOM_ADVICE: Final = (
    "Only Keras's own layers and activations can be read, because code from a model file is never run: "
    "replace it by one of them and train again."
)
_PLAIN: Final = "Replace it by convolutions, pooling and dense layers, and train again."
_BEFORE: Final = "Leave it out of the model, do this step on the image before, and save the model again."
_DOT = ("it multiplies positions with positions", _PLAIN)
_MODEL = (
    "it is a model inside the model whose layers are not listed",
    "Save the model again with model.save('my_model.keras') where it was trained, and open that file.",
)
_RECURRENT = ("it is recurrent: it reads positions one after the other", _PLAIN)
_ATTENTION = ("it is an attention layer: it mixes all positions of a patch", _PLAIN)
_MOVES = ("it moves values to other positions or axes", _PLAIN)
_WRAPPER = ("it wraps another layer", "Use the inner layer itself and train again.")
_OPERATION = (
    "it is a bare TensorFlow or Keras operation rather than a layer",
    "Use the layer of the same meaning (for example keras.layers.Rescaling or ReLU) and train again.",
)
_TEXT = ("it works on words or categories, not on images", "Open a model that classifies patches of an image.")
_IMAGE = ("it changes the image also when a trained model is applied", _BEFORE)
_SOUND = ("it works on sound, not on images", "Open a model that classifies patches of an image.")
_LAMBDA = (
    "it holds Python code, which is never run",
    "Replace it by one of Keras's own layers (for example Rescaling or Activation) and save the model again.",
)
_LAMBDA_MERGE = (
    "it joins its inputs by Python code or in a way that cannot be read",
    "Use one of Keras's own modes (sum, mul, ave, max, concat) and train again.",
)
_POOL = ("its windows have no fixed size", "Use MaxPooling, AveragePooling or a global pooling and train again.")
_OLD = ("it belongs to an old version of Keras", _PLAIN)

_GROUPS: Final = (
    (_DOT, "Dot"),
    (_MODEL, "Sequential Functional Model"),
    (
        _RECURRENT,
        "RNN LSTM LSTMCell GRU GRUCell SimpleRNN SimpleRNNCell StackedRNNCells ConvLSTM1D ConvLSTM2D ConvLSTM3D "
        "ConvLSTM2DCell Bidirectional CuDNNLSTM CuDNNGRU",
    ),
    (_ATTENTION, "Attention AdditiveAttention MultiHeadAttention GroupQueryAttention GroupedQueryAttention"),
    (_MOVES, "EinsumDense LocallyConnected1D LocallyConnected2D"),
    (_WRAPPER, "TimeDistributed Wrapper"),
    (_OPERATION, "TFOpLambda SlicingOpLambda TensorFlowOpLayer ClassMethod InstanceMethod InstanceProperty TFSMLayer"),
    (
        _TEXT,
        "Embedding ReversibleEmbedding Masking CategoryEncoding Discretization FeatureSpace HashedCrossing Hashing "
        "IndexLookup IntegerLookup StringLookup TextVectorization DenseFeatures",
    ),
    (
        _IMAGE,
        "Resizing RandomCrop AutoContrast ContrastLimitedAdaptiveHistogramEqualization "
        "Equalization Solarization MaxNumBoundingBoxes Pipeline",
    ),
    (_SOUND, "MelSpectrogram STFTSpectrogram"),
    (_LAMBDA, "Lambda FlaxLayer JaxLayer TorchModuleWrapper"),
    (
        _POOL,
        "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D "
        "AdaptiveMaxPooling2D AdaptiveMaxPooling3D",
    ),
    (_OLD, "RandomFourierFeatures Deconvolution2D Deconvolution3D TimeDistributedDense SReLU ParametricSoftplus"),
    (_LAMBDA_MERGE, "Merge"),
)
#: Layers that deepcell-tf has for its networks of whole images alone.
_DEEPCELL: Final = frozenset(
    "UpsampleLike Location2D Location3D Anchors RegressBoxes ClipBoxes FilterDetections ConcatenateBoxes".split()
)

#: Class -> (reason, advice).
REFUSED: Final[Mapping[str, tuple[str, str]]] = {name: why for why, names in _GROUPS for name in names.split()}


def is_builtin(entry: Mapping[str, Any]) -> bool:
    """Say whether a serialised object claims to be one of Keras's own.

    Nothing is ever imported by the module it names; a foreign module or a registered name only says that a class which
    happens to be called ``Conv2D`` is another one.
    """
    module, registered = entry.get("module"), entry.get("registered_name")
    own = module is None or (
        isinstance(module, str) and module.split(".")[0] in ("keras", "tf_keras", "tensorflow", "builtins")
    )
    return own and (registered is None or registered == entry.get("class_name"))


def _function(name: str) -> RefusedError:
    """Refuse a function by its name, with what people use it for."""
    if "standardization" in name:
        return RefusedError(
            f"it is the function {name[:60]!r}, which normalises each patch by itself",
            "Normalise images as a whole instead, leave it out of the model, and train again.",
        )
    return RefusedError(f"it is the function {name[:60]!r}, which is not read", _OPERATION[1])


def refuse(class_name: str, entry: Mapping[str, Any]) -> RefusedError:
    """Give the reason and the advice for a layer that is not read.

    Parameters
    ----------
    class_name : str
        The layer's class.
    entry : mapping
        The layer as serialised.

    Returns
    -------
    RefusedError
        To be raised with the layer's name.
    """
    module = entry.get("module")
    if isinstance(module, str) and module.startswith("keras.src.ops"):
        return _function(f"ops.{class_name}")
    if is_builtin(entry) and class_name in REFUSED:
        config = entry.get("config")
        called = config.get("function") if isinstance(config, dict) else None
        if REFUSED[class_name] is _OPERATION and isinstance(called, str):
            return _function(called)
        return RefusedError(*REFUSED[class_name])
    if class_name.rpartition(">")[2] in _DEEPCELL:
        return RefusedError(
            "it is of DeepCell's networks for whole images (PanopticNet, RetinaMask), which label every pixel by "
            "themselves and not patches",
            "Run the model with deepcell-tf, or open it as a bioimage.io package with ONNX weights.",
        )
    return RefusedError(
        f"this program does not know the layer type {class_name[:80]!r}; it may be a custom layer", CUSTOM_ADVICE
    )
