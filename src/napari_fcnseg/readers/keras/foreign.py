"""Layers that go by another name than Keras's own of today: old classes of TensorFlow's, and those of known packages.

What they compute is written down in their packages; nothing is imported. A class of the user's own that happens to
have such a name is told by its settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.readers.keras.unsupported import is_builtin

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Keras's own classes by the names that some versions of TensorFlow wrote.
_OLD_NAMES: Final = {"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"}
#: Package as it stands before the class's name or begins the module's -> class there -> class of ours, settings that
#: it must have, and settings that it stands for.
_PACKAGES: Final[Mapping[str, Mapping[str, tuple[str, frozenset[str], Mapping[str, Any]]]]] = {
    "addons": {
        "InstanceNormalization": ("GroupNormalization", frozenset({"epsilon", "axis"}), {"groups": -1}),
        "GroupNormalization": ("GroupNormalization", frozenset({"epsilon", "axis", "groups"}), {}),
        "SpectralNormalization": ("SpectralNormalization", frozenset({"layer"}), {}),
    },
    "deepcell": {
        name: (name, frozenset({*settings.split(), "data_format"}), {})
        for name, settings in (
            ("TensorProduct", "output_dim use_bias"),
            ("TensorProd2D", "output_dim use_bias"),
            ("TensorProd3D", "output_dim use_bias"),
            ("DilatedMaxPool2D", "pool_size dilation_rate"),
            ("DilatedMaxPool3D", "pool_size dilation_rate"),
            ("ImageNormalization2D", "norm_method filter_size"),
            ("ImageNormalization3D", "norm_method filter_size"),
            ("ReflectionPadding2D", "padding"),
            ("ReflectionPadding3D", "padding"),
        )
    },
    # The dropout of the EfficientNets that there were before Keras's own.
    "efficientnet": {"FixedDropout": ("Dropout", frozenset({"rate", "noise_shape"}), {})},
}
#: Classes that only these packages have: one without their settings is the user's own.
FOREIGN_ONLY: Final = frozenset(_PACKAGES["deepcell"])
_MODULES: Final = {"tensorflow_addons": "addons"}


def known_as(entry: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Say by what class of ours a layer goes that is none of Keras's own of today.

    Parameters
    ----------
    entry : mapping
        The layer as serialised.

    Returns
    -------
    (str, mapping) or None
        The class, and settings that take the place of those in the file; None where it is not known to be another.
    """
    written, config = entry.get("class_name"), entry.get("config")
    if not isinstance(written, str) or not isinstance(config, dict):
        return None
    package, _, name = written.rpartition(">")
    if not package and name in _OLD_NAMES and is_builtin(entry):
        return _OLD_NAMES[name], {}
    module = entry.get("module")
    if not package and isinstance(module, str):
        package = module.split(".")[0]
    package = _MODULES.get(package, package).lower()
    packages = [package] if package in _PACKAGES else []
    if not package:  # ``.h5`` files have no module; the add-ons always wrote their package before the name
        packages = [known for known in _PACKAGES if known != "addons"]
    for known in packages:
        found = _PACKAGES[known].get(name)
        if found is not None and found[1] <= config.keys():
            return found[0], found[2]
    return None
