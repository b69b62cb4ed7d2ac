"""What another person needs to get the same result."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import TYPE_CHECKING, Any, Protocol

from napari_fcnseg.settings import EXACT

if TYPE_CHECKING:
    from napari_fcnseg.engine import Device
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.layout import Layout
    from napari_fcnseg.plan.mask import Mask
    from napari_fcnseg.plan.method import Method
    from napari_fcnseg.settings import RunSettings


class Executed(Protocol):
    """What is known of a run: what was planned, and where and how it was computed."""

    image: Any
    models: tuple[PatchModel, ...]
    methods: tuple[Method, ...]
    settings: RunSettings
    layout: Layout
    mask: Mask | None
    tile: tuple[int, ...]
    devices: tuple[Device, ...]
    seconds: float
    notes: list[str]

    @property
    def device(self) -> str | None:
        """The names of the devices that compute, None before they are known."""


def provenance_of(run: Executed) -> dict[str, Any]:
    """Return what another person needs to get a run's result, as plain data for JSON."""
    backends = {device.backend for device in run.devices} or {"tensorflow"}
    return {
        "program": "napari-fcnseg",
        "models": [
            {
                "name": m.name,
                "path": str(m.path or ""),
                "sha256": m.sha256,
                "output": m.output,
                "patch_shape": list(m.patch_shape),
                "method": method.name,
            }
            for m, method in zip(run.models, run.methods, strict=True)
        ],
        "settings": run.settings.as_dict(),
        "image": {"shape": list(run.layout.shape), "dtype": str(run.image.dtype)},
        "mask": run.mask.as_dict() if run.mask is not None else None,
        "channel_axis": run.layout.channel_axis,
        "precision": precision_of(run),
        "tile": list(run.tile),
        "device": run.device,
        "devices": [device.key for device in run.devices],
        "libraries": {device.key: device.library for device in run.devices if device.library},
        "seconds": run.seconds,
        "notes": list(run.notes),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("napari-fcnseg", *sorted(backends), "keras", "numpy")},
        },
    }


def precision_of(run: Executed) -> str:
    """Return the arithmetic that a run's devices have for the one asked for; that one before they are known."""
    if all(method.name == "patchwise" for method in run.methods):  # the patch network itself
        return EXACT
    return " and ".join(sorted({device.precision for device in run.devices})) or run.settings.precision


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # TensorFlow has packages of other names
        return "?"
