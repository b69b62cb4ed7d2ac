"""A stopped result in a file, read so that its run can go on; nothing here knows Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg._napari.layers.edits import pixels_in
from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg._napari.segment.run.request import RunResult
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.settings import RunSettings

#: Finished tiles: the frame of each, and its place.
Finished = tuple[tuple[tuple[int, ...], "Region"], ...]


@dataclass(frozen=True, eq=False)
class SavedRun:
    """What is needed to go on with a run that was stopped and saved.

    Attributes
    ----------
    path : Path
        Of the labels.
    labels : ndarray of unsigned integer
        In the order of the axes of the layer that they were saved from.
    models : tuple of PatchModel
        The very ones.
    settings : RunSettings
        Of the run, without layers that were not saved with the labels.
    finished : tuple
        The tiles that need not be computed.
    image_shape : tuple of int
        Of the image.
    image_sha256 : str or None
        Of its pixels, where that is known.
    """

    path: Path
    labels: npt.NDArray[Any]
    models: tuple[PatchModel, ...]
    settings: RunSettings
    finished: Finished
    image_shape: tuple[int, ...]
    image_sha256: str | None


def stopped_entries(segmented: RunResult | None) -> dict[str, Any]:
    """Return what the provenance of a stopped result says beside everything else, so that it can go on; or nothing."""
    if segmented is None or not 0 < segmented.done < segmented.total:
        return {}
    from napari_fcnseg.proof.certificate import image_sha256

    finished = [[list(index), [list(span) for span in region]] for index, region in segmented.result.finished]
    return {"finished": finished, "image_sha256": image_sha256(segmented.sampler.run.plan.image)}


def read_saved(path: str) -> SavedRun:
    """Read a stopped result; takes its time, so it runs in a worker.

    Raises
    ------
    FcnSegError
        If it is none, or cannot go on.
    """
    from napari_fcnseg.imagefile import read_image
    from napari_fcnseg.model.patch_model import load_model
    from napari_fcnseg.run.provenance_file import provenance_of_file
    from napari_fcnseg.run.recipe import check_models, models_of, settings_of

    file = Path(path)
    provenance = provenance_of_file(file)
    done, total = provenance.get("tiles", (0, 0))
    if not provenance or done >= total or "finished" not in provenance:
        raise SettingsError(f"{file.name} is no result that was stopped and saved with its provenance beside it.")
    if pixels_in(provenance):
        raise SettingsError(f"{file.name} was edited by hand: a run would go on beside labels that are not its own.")
    models = tuple(load_model(m["path"], m["output"] or None) for m in models_of(provenance))
    check_models(provenance, models)
    settings = replace(settings_of(provenance), probabilities=False, confidence=False, disagreement=False)
    labels = np.asarray(read_image([path]).data)
    shape = tuple(provenance["image"]["shape"])
    return SavedRun(file, labels, models, settings, _finished(provenance), shape, provenance.get("image_sha256"))


def check_image(saved: SavedRun, source: ImageLayers) -> None:
    """Find out whether an image is the one that a saved run was on.

    Raises
    ------
    ImageError
        If it is another one.
    """
    from napari_fcnseg.proof.certificate import image_sha256

    image = source.image
    if tuple(image.shape) != saved.image_shape:
        raise ImageError(
            f"{saved.path.name} is of an image of {format_shape(saved.image_shape)}; the one under Image has "
            f"{format_shape(tuple(image.shape))}. Choose that image, then resume."
        )
    if saved.image_sha256 is not None and image_sha256(image) not in (None, saved.image_sha256):
        raise ImageError(f"{saved.path.name} is of another image. Choose that image under Image, then resume.")


def in_result_axes(labels: npt.NDArray[Any], source: ImageLayers) -> npt.NDArray[Any]:
    """Return labels of a layer in the order of the axes of a run's result."""
    mine = list(source.axes.result)
    there = sorted(mine)
    return labels.transpose([there.index(axis) for axis in mine])


def _finished(provenance: Mapping[str, Any]) -> Finished:
    try:
        return tuple(
            (tuple(int(i) for i in index), tuple((int(start), int(stop)) for start, stop in region))
            for index, region in provenance["finished"]
        )
    except (TypeError, ValueError):
        raise SettingsError("The provenance beside the result was changed. Run again.") from None
