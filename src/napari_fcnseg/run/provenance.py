"""Provenance of a result: what another person needs to get the same one."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from typing import TYPE_CHECKING, Any

from napari_fcnseg.engine.device import KERAS, PACKAGES, PROCESSOR, REFERENCE
from napari_fcnseg.errors import ModelFileError
from napari_fcnseg.imagefile.remote.opening import remote_arrays, shown_address
from napari_fcnseg.model.classes import default_names
from napari_fcnseg.settings import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_fcnseg.engine import Device
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.run.time_spent import TimeSpent


def provenance_of(plan: RunPlan, devices: Sequence[Device], spent: TimeSpent, notes: Sequence[str]) -> dict[str, Any]:
    """Return the provenance of a run, as plain data for JSON.

    Parameters
    ----------
    plan : RunPlan
        What was planned.
    devices : sequence of Device
        Where it was computed; empty before that is known.
    spent : TimeSpent
        How long it took.
    notes : sequence of str
        What the user was told of it.
    """
    on_processor = any(device.backend == PROCESSOR and device.is_cpu for device in devices)
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
                **({"ways": method.dense.ways} if method.name == "dense" and on_processor else {}),
                **_taught(m),
            }
            for m, method in zip(plan.models, plan.methods, strict=True)
        ],
        "classes": list(_classes(plan.models[0])),
        "settings": plan.settings.as_dict(),
        "image": {"shape": list(plan.layout.shape), "dtype": str(plan.image.dtype), **_addresses(plan.image)},
        "mask": plan.mask.as_dict() if plan.mask is not None else None,
        "channel_axis": plan.layout.channel_axis,
        "precision": precision_of(plan, devices),
        "tile": list(plan.tile),
        "device": ", ".join(map(str, devices)) or None,
        "devices": [device.key for device in devices],
        "libraries": {device.key: device.library for device in devices if device.library},
        "seconds": spent.computing,
        "spent": spent.as_dict(),
        "notes": list(notes),
        "versions": {
            "python": platform.python_version(),
            "napari-fcnseg": version("napari-fcnseg"),
            **framework_versions(_backends(plan, devices)),
            "numpy": version("numpy"),
        },
    }


def _addresses(image: Any) -> dict[str, Any]:
    """Return where an image lies on other computers, without what somebody needs to be let in; nothing for one here."""
    found = [shown_address(array) for array in remote_arrays(image)]
    return {"addresses": found} if found else {}


def _classes(model: PatchModel) -> tuple[str, ...]:
    """Return what the labels are called, label 1 first, even where a broken sidecar could say so."""
    try:
        return model.class_names
    except ModelFileError:
        return default_names("class", model.classes)


def _taught(model: PatchModel) -> dict[str, Any]:
    """Return what a taught model was taught on, as its sidecar says; nothing where that cannot be read."""
    try:
        facts = model.sidecar.other.get("taught") if model.sidecar is not None else None
    except ModelFileError:  # a run that needs the sidecar says so
        return {}
    return {"taught": facts} if isinstance(facts, dict) else {}


def framework_versions(backends: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages that frameworks come in, and of Keras where it is one of its."""
    backends = set(backends)
    packages = {PACKAGES.get(backend, backend) for backend in backends}
    return {name: version(name) for name in sorted(packages | ({"keras"} if backends & set(KERAS) else set()))}


def _backends(plan: RunPlan, devices: Sequence[Device]) -> set[str]:
    """Return the frameworks that compute a run."""
    dense = {device.backend for device in devices} or {PROCESSOR}
    itself = {PROCESSOR} if any(method.name == "as it is" for method in plan.methods) else set()
    patches = {device.backend if device.runs_patches else REFERENCE for device in devices} or {REFERENCE}
    used = {method.name for method in plan.methods}
    return (dense if "dense" in used else set()) | (patches if "patchwise" in used else set()) | itself


def precision_of(plan: RunPlan, devices: Sequence[Device]) -> str:
    """Return the precision that a run's devices really use; the chosen one before they are known."""
    if all(method.name != "dense" for method in plan.methods):  # the patch network itself, or a model as it is
        return EXACT
    return " and ".join(sorted({device.precision for device in devices})) or plan.settings.precision


@functools.cache
def version(package: str) -> str:
    """Return the version of a package that is installed; a question mark where nobody knows."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # TensorFlow has packages of other names
        return "?"
