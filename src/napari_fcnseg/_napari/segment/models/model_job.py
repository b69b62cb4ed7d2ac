"""Reading models and making samples, in a worker thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_fcnseg._napari.widgets.worker import Outcome, in_worker

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_fcnseg._napari.segment.models.sample_data import LayerData
    from napari_fcnseg.model.patch_model import PatchModel


def load_worker(paths: tuple[str, ...], output: str, request: int) -> Generator[None, None, LoadedModels]:
    """Read and convert model files, several as an ensemble, and the sidecars beside them.

    Parameters
    ----------
    paths : tuple of str
        The files.
    output : str
        Which answer of models with several; empty for the first.
    request : int
        Number that is handed back.
    """

    def load() -> tuple[PatchModel, ...]:
        from napari_fcnseg._napari.recent_models import note
        from napari_fcnseg.model.patch_model import as_ensemble, load_model

        models = as_ensemble([load_model(path, output) for path in paths] if output else paths)
        for model in models:
            _ = model.sidecar  # read here; it is remembered
        note(paths)
        return models

    outcome = yield from in_worker(load)
    return LoadedModels(paths, outcome.value or (), outcome.error, request)


def sample_worker(name: str) -> Generator[None, None, Outcome]:
    """Make a sample's layers; the value of the outcome is their data."""

    def make() -> list[LayerData]:
        from napari_fcnseg._napari.segment.models.sample_data import sample_layers

        return sample_layers(name)

    return (yield from in_worker(make))


@dataclass(frozen=True, eq=False)
class LoadedModels:
    """Model files, read and converted.

    Attributes
    ----------
    paths : tuple of str
        The files.
    models : tuple of PatchModel
        Empty if they were refused.
    error : Exception or None
        Why they were refused.
    request : int
        Number of the request: only the latest one counts.
    """

    paths: tuple[str, ...]
    models: tuple[PatchModel, ...] = ()
    error: Exception | None = None
    request: int = 0
