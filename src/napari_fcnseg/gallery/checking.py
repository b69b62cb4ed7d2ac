"""Whether a model that was fetched can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fcnseg.errors import ConversionError, FcnSegError, ModelFileError, PatchSizeError, UnsupportedLayerError

if TYPE_CHECKING:
    from pathlib import Path


def check(path: Path) -> str:
    """Return why a fetched model cannot be used, and what to do, in words; empty where it can.

    It is read as it is when it is opened: as data, in a process of its own where that is the way.

    Parameters
    ----------
    path : Path
        What :func:`napari_fcnseg.gallery.get` returned.
    """
    from napari_fcnseg.model.patch_model import load_model  # what reads models is slow to import

    try:
        load_model(path)
    except PatchSizeError:  # of any size: whoever opens it says which
        return ""
    except (ModelFileError, UnsupportedLayerError, ConversionError) as error:
        return f"The model is kept as {path}, but cannot be used: {_reason(error)} Tell whoever keeps the collection."
    except FcnSegError as error:
        return f"The model is kept as {path}, but could not be checked: {error}"
    return ""


def _reason(error: FcnSegError) -> str:
    """Return what is wrong, without the advice to those who trained the model."""
    if isinstance(error, UnsupportedLayerError):
        return f"its layer {error.layer!r} ({error.layer_type}) is not known here: {error.reason}."
    if isinstance(error, ModelFileError) and error.reason:
        return f"{error.reason}."
    return str(error)
