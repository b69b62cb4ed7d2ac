"""The layers of Keras 1 in the words of Keras 2: class and settings, one function per kind."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Settings = Mapping[str, Any]

#: Settings that only Keras 1 wrote, by the class that had them.
_MARKS: Final = (
    *((name, "nb_filter") for name in (
        "Convolution1D", "Convolution2D", "Convolution3D", "AtrousConvolution1D", "AtrousConvolution2D",
        "SeparableConvolution2D", "Deconvolution2D",
    )),
    *((name, "border_mode") for name in ("MaxPooling2D", "AveragePooling2D", "MaxPooling3D", "AveragePooling3D")),
    *((name, "pool_length") for name in ("MaxPooling1D", "AveragePooling1D")),
    ("Dense", "output_dim"), ("Highway", "W_regularizer"), ("MaxoutDense", "nb_feature"), ("Merge", "concat_axis"),
    ("BatchNormalization", "mode"), ("Dropout", "p"), ("GaussianNoise", "sigma"),
)  # fmt: skip
_MERGES: Final = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "dot": "Dot", "cos": "Dot"}


def is_of_keras_1(entry: Mapping[str, Any]) -> bool:
    """Say whether a layer has settings that only Keras 1 wrote: by class, for a layer of the user's may have any."""
    config = entry.get("config")
    later = ("units", "filters", "rate")
    return isinstance(config, dict) and any(
        entry.get("class_name") == name and key in config and not any(word in config for word in later)
        for name, key in _MARKS
    )


def renamed(class_name: str, config: Settings, *, theano: bool) -> tuple[str, dict[str, Any]]:
    """Give the class and the settings that a layer of Keras 1 has in Keras 2, as far as they differ.

    Parameters
    ----------
    class_name : str
        Its class.
    config : mapping
        Its settings.
    theano : bool
        Whether Theano computed: its ``same`` pads otherwise.
    """
    function = RENAMED.get(class_name)
    if class_name == "Merge":
        return _merge(config)
    settings = {} if function is None else function(config)
    order = config.get("dim_ordering")
    if order in ("th", "tf"):
        settings["data_format"] = "channels_first" if order == "th" else "channels_last"
    if "bias" in config:
        settings["use_bias"] = config["bias"]
    if "border_mode" in config:
        same = config["border_mode"] == "same"
        settings["padding"] = "half" if same and theano else config["border_mode"]
    return _CLASSES.get(class_name, class_name), settings


def _renames(pairs: Mapping[str, str], config: Settings) -> dict[str, Any]:
    return {new: config[old] for old, new in pairs.items() if old in config}


def _convolution(rank: int, config: Settings) -> dict[str, Any]:
    keys = {1: ("filter_length",), 2: ("nb_row", "nb_col"), 3: ("kernel_dim1", "kernel_dim2", "kernel_dim3")}[rank]
    renames = {"nb_filter": "filters", "subsample": "strides", "subsample_length": "strides"}
    renames |= {"atrous_rate": "dilation_rate"}
    return {**_renames(renames, config), "kernel_size": [config.get(key) for key in keys]}


def _pool(config: Settings) -> dict[str, Any]:
    return _renames({"pool_length": "pool_size", "stride": "strides"}, config)


def _padding(config: Settings) -> dict[str, Any]:
    stored = config.get("padding")
    if isinstance(stored, dict) and stored.keys() == {"top_pad", "bottom_pad", "left_pad", "right_pad"}:
        stored = [stored[f"{side}_pad"] for side in ("top", "bottom", "left", "right")]
    if isinstance(stored, list) and len(stored) == 4:
        stored = [stored[:2], stored[2:]]
    return {"padding": stored}


def _merge(config: Settings) -> tuple[str, dict[str, Any]]:
    mode = config.get("mode")
    if mode == "concat":
        return "Concatenate", {"axis": config.get("concat_axis", -1)}
    return _MERGES.get(str(mode), "Merge"), {}


#: Class -> function of its settings.
RENAMED: Final[Mapping[str, Callable[[Settings], dict[str, Any]]]] = {
    **{f"{word}Convolution{n}D": partial(_convolution, n) for word in ("", "Atrous", "Separable") for n in (1, 2, 3)},
    **{f"{kind}Pooling{n}D": _pool for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"ZeroPadding{n}D": _padding for n in (1, 2, 3)},
    "UpSampling1D": partial(_renames, {"length": "size"}),
    "Dense": partial(_renames, {"output_dim": "units"}),
}
_CLASSES: Final = {
    **{f"Convolution{n}D": f"Conv{n}D" for n in (1, 2, 3)},
    **{f"AtrousConvolution{n}D": f"Conv{n}D" for n in (1, 2)},
    "SeparableConvolution2D": "SeparableConv2D",
}
