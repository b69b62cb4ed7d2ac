"""What a worker keeps for any order: the models, checked to be the head's, and what they are computed with."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_fcnseg.engine import engine
from napari_fcnseg.errors import ModelFileError, PatchSizeError
from napari_fcnseg.model.patch_model import load_model
from napari_fcnseg.run.cluster.order_bench import OrderBench
from napari_fcnseg.run.ledger import library_versions
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fcnseg.model.patch_model import PatchModel


class MissingModelError(Exception):
    """The worker does not see the files of some models.

    Parameters
    ----------
    numbers : list of int
        Which.
    """

    def __init__(self, numbers: list[int]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


class ModelBench(OrderBench):
    """What a worker keeps for an order that models are needed for.

    Parameters
    ----------
    order : mapping
        What there is to do (:func:`napari_fcnseg.run.cluster.order.order_of`).
    files : mapping of int to mapping of str to bytes
        The files of models that it does not see, by the models' numbers.

    Raises
    ------
    MissingModelError
        If it needs files of models.
    ClusterError
        If it has another version of this program.
    FcnSegError
        If a model cannot be read.
    """

    def __init__(self, order: Mapping[str, Any], files: Mapping[int, Mapping[str, bytes]]) -> None:
        super().__init__(order)
        self._folder = tempfile.TemporaryDirectory(prefix="fcnseg-models-") if files else None
        self.settings = RunSettings.from_dict({"tile": None, **order["settings"]})
        engine().choose(self.settings.device, self.settings.precision)  # it starts while the models are read
        self.models = self._read_models(files)
        self.devices = engine().devices_for(self.settings.device, self.settings.precision)

    def kind(self) -> dict[str, Any]:
        """Return what the numbers of this worker depend on, to the last bit, as plain data."""
        devices = [asdict(device) for device in self.devices]
        for device in devices:
            device.update(memory=None, process=0, precisions=list(device["precisions"]))
        return {"devices": devices, "versions": library_versions(self.devices)}

    def close(self) -> None:
        """Remove the files of models that were sent."""
        if self._folder is not None:
            self._folder.cleanup()

    def _read_models(self, files: Mapping[int, Mapping[str, bytes]]) -> tuple[PatchModel, ...]:
        found: list[PatchModel | None] = []
        for number, said in enumerate(self.order["models"]):
            path = Path(said["path"])
            sent = files.get(number)
            if sent is not None and self._folder is not None:
                path = _unpacked(Path(self._folder.name) / str(number), sent) / path.name
            found.append(_model_at(path, said, must=sent is not None))
        if missing := [number for number, model in enumerate(found) if model is None]:
            raise MissingModelError(missing)
        return tuple(model for model in found if model is not None)


def _model_at(path: Path, said: Mapping[str, Any], *, must: bool) -> PatchModel | None:
    """Return the model at a path if it is the one that is meant; None if not."""
    if not path.exists() and not must:
        return None
    sizes = tuple(said["patch_shape"])
    try:
        model = load_model(path, said["output"])
    except PatchSizeError:
        model = load_model(path, said["output"], patch_size=sizes)
    if model.patch_shape != sizes:
        model = load_model(path, said["output"], patch_size=sizes)
    if model.sha256 == said["sha256"]:
        return model
    if must:
        raise ModelFileError(f"The model {path.name} did not arrive at the worker as it is. Run again.")
    return None


def _unpacked(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files that were sent into a folder; none may lie outside it."""
    for name, contents in files.items():
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise ModelFileError(f"A model's file {name!r} lies outside its folder. Move it there.")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    return folder
