"""Run a trained patch classifier densely over whole images: exact, fast, proven.

The names below are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Certificate": "certificate",
    "Comparison": "comparison",
    "FCN": "model",
    "PatchModel": "model",
    "PrecisionTrial": "precision",
    "Estimate": "estimation",
    "InstanceSettings": "instances",
    "ProbabilityScores": "comparison.probability",
    "Segmentation": "canvas",
    "Sidecar": "sidecar",
    "Tile": "run",
    "Verification": "verification",
    "compare": "comparison",
    "convert": "model",
    "estimate": "estimation",
    "find_instances": "objects",
    "iter_segment": "segmentation",
    "load_model": "model",
    "score_probability": "comparison.probability",
    "segment": "segmentation",
    "segment_patchwise": "segmentation",
    "try_precision": "precision",
    "verify": "verification",
}

__all__ = [*_HOME, "errors"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"napari_fcnseg.{_HOME[name]}"), name)
    if name == "errors":
        return importlib.import_module("napari_fcnseg.errors")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
