"""Requests to the worker thread, and its progress and results, as plain objects."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.layers.geometry import looked_at, placed_over
from napari_fcnseg._napari.segment.models.preferences import preferred

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg._napari.segment.models.hints import ModelHints
    from napari_fcnseg._napari.segment.run.live_result import LiveResult
    from napari_fcnseg._napari.segment.run.region_of_interest import LayerMask, RegionOfInterest
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.schedule import Skip
    from napari_fcnseg.proof.verification import VerificationSampler
    from napari_fcnseg.run.run import Tile
    from napari_fcnseg.settings import RunSettings


@dataclass(frozen=True, eq=False)
class RunRequest:
    """Everything a run needs to know, as it was when Run was pressed.

    Attributes
    ----------
    source : ImageLayers
        The image.
    models : tuple of PatchModel
        The ensemble.
    settings : RunSettings
        What the user chose.
    hints : ModelHints
        What the classes are called.
    geometry : dict
        Where the result lies in the world.
    spanned_axis : int or None
        Axis of length 1 that the result's layers have beside the result's own.
    focus : tuple of int or None
        The pixel of the labels that the user looks at.
    preview : bool
        Whether a coarse picture of the whole image comes first.
    inside : LayerMask or None
        What the pixels have to lie in; where else they lie is in the settings.
    cluster : str
        Where workers compute it; empty to compute it here.
    stop : threading.Event
        Set to end the run and keep what is done.
    """

    source: ImageLayers
    models: tuple[PatchModel, ...]
    settings: RunSettings
    hints: ModelHints
    geometry: dict[str, Any]
    spanned_axis: int | None = None
    focus: tuple[int, ...] | None = None
    preview: bool = False
    inside: LayerMask | None = None
    cluster: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(
        cls,
        viewer: Viewer,
        source: ImageLayers,
        models: tuple[PatchModel, ...],
        settings: RunSettings,
        hints: ModelHints,
        place: RegionOfInterest,
        preview: bool = False,
    ) -> RunRequest:
        """Return the snapshot of what is chosen, and of what the view shows."""
        layer, dropped = source.layers[0], source.dropped_axis
        geometry, spanned = placed_over(layer, dropped, source.spatial_axes, settings.every)
        focus = source.from_layer_axes(looked_at(layer, dropped, viewer))
        settings = replace(settings, region=place.region, frames=place.frames)
        return cls(
            source, models, settings, hints, geometry, spanned, focus, preview, place.inside, preferred().cluster
        )

    def same_as(self, other: RunRequest) -> bool:
        """Whether another request would give the same numbers."""
        mine, others = ((request.models, request.settings, request.inside) for request in (self, other))
        return mine == others and self.source.same_as(other.source)


@dataclass(frozen=True, eq=False)
class RunProgress:
    """A finished tile, or with ``done == 0`` the start.

    Attributes
    ----------
    result : LiveResult
        With the tile in it.
    layers : tuple of Layer
        That show the canvas, the labels last; no viewer has them yet.
    done, total : int
        Tiles.
    written : int
        Tiles in the canvas, those of a preview among them.
    seconds_left : float or None
        An estimate, once there is one.
    said : str
        What is to be said of the run: beforehand about the time it takes, later of what happened.
    """

    result: LiveResult
    layers: tuple[Layer, ...]
    done: int
    total: int
    written: int = 0
    seconds_left: float | None = None
    said: str = ""


@dataclass(eq=False)
class RunResult:
    """A finished or stopped run.

    Attributes
    ----------
    request : RunRequest
        What it was asked.
    sampler : VerificationSampler
        What it saw, for verification.
    result : LiveResult
        What it computed.
    done, total : int
        Tiles.
    provenance : dict
        What the result comes from.
    forecast : str
        What was said beforehand about the time it takes.
    unpainted : bool
        Whether a preview was taken back where no tile was finished.
    layers : tuple of Layer
        That show it, the labels last; empty before they are made.
    skip : callable or None
        Which tiles are not to be computed, the next time; :meth:`look_at` sets it.
    waited : float
        Seconds that the user has waited for it, from each click to what it showed.
    """

    request: RunRequest
    sampler: VerificationSampler
    result: LiveResult
    total: int
    done: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)
    forecast: str = ""
    unpainted: bool = False
    layers: tuple[Layer, ...] = ()
    skip: Skip | None = None
    waited: float = 0.0

    @property
    def labels(self) -> npt.NDArray[Any]:
        """The labels so far."""
        labels: npt.NDArray[Any] = self.result.labels
        return labels

    def count(self) -> tuple[int, int]:
        """Return how many tiles are finished, and how many there are."""
        finished = [self.result.has(*tile) for tile in self.sampler.run.plan.schedule]
        return sum(finished), len(finished)

    def look_at(self, view: RegionOfInterest | None) -> bool:
        """Have computed, the next time, what is not finished; of that only what a view shows, if one is given.

        Returns
        -------
        bool
            Whether there is anything to compute.
        """
        every, result = self.request.settings.every, self.result

        def shown(index: tuple[int, ...], region: Region) -> bool:
            spans = [*(view.frames or ()), *(view.region or ())] if view is not None else []
            mine = [*((i, i + 1) for i in index), *((start * every, stop * every) for start, stop in region)]
            return all(a < d and c < b for (a, b), (c, d) in zip(spans, mine[len(mine) - len(spans) :], strict=True))

        def skip(index: tuple[int, ...], region: Region) -> bool:
            return not shown(index, region) or result.has(index, region)

        self.skip = skip
        return not all(skip(*tile) for tile in self.sampler.run.plan.schedule)

    def see(self, tile: Tile) -> None:
        """Accept a tile, of the preview or finished."""
        self.result.write(tile)
        if not tile.preview:
            self.sampler.see(tile)
            self.done, self.total = tile.done, tile.total

    def progress(self, layers: tuple[Layer, ...], seconds_left: float | None = None) -> RunProgress:
        """Return the progress."""
        said = " ".join(filter(None, [self.forecast, *self.sampler.run.notes]))
        return RunProgress(self.result, layers, self.done, self.total, self.result.written, seconds_left, said)
