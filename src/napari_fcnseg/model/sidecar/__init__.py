"""The sidecar of a model, ``NAME.fcnseg.json``: names, colours, preprocessing and pixel size, which a model file lacks.

The file is JSON, meant to be written by hand too, and read as a stranger's: bounded in size and depth, every value
checked. Preprocessing steps are written as the bioimage.io model description 0.5 writes them.
"""

from __future__ import annotations

from napari_fcnseg.model.classes import default_names, palette
from napari_fcnseg.model.sidecar.data import Sidecar, blank, check
from napari_fcnseg.model.sidecar.files import (
    agreed_preprocess,
    read_options,
    read_sidecar,
    sidecar_for,
    sidecar_path,
    sidecar_within,
    write_patch_size,
    write_sidecar,
)
from napari_fcnseg.model.sidecar.values import Citation, Classes

__all__ = [
    "Citation",
    "Classes",
    "Sidecar",
    "agreed_preprocess",
    "blank",
    "check",
    "default_names",
    "palette",
    "read_options",
    "read_sidecar",
    "sidecar_for",
    "sidecar_path",
    "sidecar_within",
    "write_patch_size",
    "write_sidecar",
]
