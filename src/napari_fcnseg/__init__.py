"""Run a trained patch classifier densely over whole images: exact, fast, proven.

The names below are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "Certificate": "proof.certificate",
    "Comparison": "comparison",
    "FCN": "model.fcn",
    "PatchModel": "model.patch_model",
    "PrecisionTrial": "proof.precision_trial",
    "Estimate": "run.time_estimate",
    "InstanceSettings": "instances.settings",
    "ProbabilityScores": "comparison.metrics.probability",
    "Segmentation": "run.result",
    "Sidecar": "model.sidecar",
    "Tile": "run.run",
    "Verification": "proof.verification",
    "compare": "comparison",
    "convert": "model.patch_model",
    "estimate": "run.time_estimate",
    "find_instances": "run.find_instances",
    "iter_segment": "run.segment",
    "load_model": "model.patch_model",
    "score_probability": "comparison.metrics.probability",
    "segment": "run.segment",
    "segment_patchwise": "run.patchwise",
    "teach": "teaching.teach",
    "try_precision": "proof.precision_trial",
    "verify": "proof.verification",
    "write_package": "package.writing",
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
