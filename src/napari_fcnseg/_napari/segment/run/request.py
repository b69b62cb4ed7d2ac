"""What goes into a worker thread and what comes out of it, as plain objects."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.layers.geometry import looked_at, placed

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.layers.channels import Source
    from napari_fcnseg._napari.segment.models.hints import Hints
    from napari_fcnseg._napari.segment.run.live_result import LiveCanvas
    from napari_fcnseg._napari.segment.run.region_of_interest import Inside, Place
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.proof.verification import Witness
    from napari_fcnseg.run.run import Tile
    from napari_fcnseg.settings import RunSettings


@dataclass(frozen=True, eq=False)
class Order:
    """Everything a run needs to know, as it was when Run was pressed.

    Attributes
    ----------
    source : Source
        The image.
    models : tuple of PatchModel
        The ensemble.
    settings : RunSettings
        What the user chose.
    hints : Hints
        What the classes are called.
    geometry : dict
        Where the result lies in the world.
    spanned_axis : int or None
        Axis of length 1 that the result's layers have beside the result's own.
    focus : tuple of int or None
        The pixel of the labels that the user looks at.
    preview : bool
        Whether a coarse picture of the whole image comes first.
    inside : Inside or None
        What the pixels have to lie in; where else they lie is in the settings.
    stop : threading.Event
        Set to end the run and keep what is done.
    """

    source: Source
    models: tuple[PatchModel, ...]
    settings: RunSettings
    hints: Hints
    geometry: dict[str, Any]
    spanned_axis: int | None = None
    focus: tuple[int, ...] | None = None
    preview: bool = False
    inside: Inside | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(
        cls,
        viewer: Viewer,
        source: Source,
        models: tuple[PatchModel, ...],
        settings: RunSettings,
        hints: Hints,
        place: Place,
        preview: bool = False,
    ) -> Order:
        """Return the snapshot of what is chosen, and of what the view shows."""
        layer, dropped = source.layers[0], source.dropped_axis
        geometry, spanned = placed(layer, dropped, source.spatial_axes, settings.every)
        focus = source.from_layer_axes(looked_at(layer, dropped, viewer))
        settings = replace(settings, region=place.region, frames=place.frames)
        return cls(source, models, settings, hints, geometry, spanned, focus, preview, place.inside)

    def same_as(self, other: Order) -> bool:
        """Whether another order would give the same numbers."""
        mine, others = ((order.models, order.settings, order.inside) for order in (self, other))
        return mine == others and self.source.same_as(other.source)


@dataclass(frozen=True, eq=False)
class Progress:
    """A finished tile, or with ``done == 0`` the start.

    Attributes
    ----------
    canvas : LiveCanvas
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

    canvas: LiveCanvas
    layers: tuple[Layer, ...]
    done: int
    total: int
    written: int = 0
    seconds_left: float | None = None
    said: str = ""


@dataclass(eq=False)
class Segmented:
    """A finished or stopped run.

    Attributes
    ----------
    order : Order
        What it was asked.
    witness : Witness
        What it saw, for verification.
    canvas : LiveCanvas
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
    """

    order: Order
    witness: Witness
    canvas: LiveCanvas
    total: int
    done: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)
    forecast: str = ""
    unpainted: bool = False
    layers: tuple[Layer, ...] = ()

    @property
    def labels(self) -> npt.NDArray[Any]:
        """The labels so far."""
        labels: npt.NDArray[Any] = self.canvas.labels
        return labels

    def count(self) -> tuple[int, int]:
        """Return how many tiles are finished, and how many there are."""
        finished = [self.canvas.has(*tile) for tile in self.witness.run.schedule]
        return sum(finished), len(finished)

    def look_at(self, view: Place | None) -> bool:
        """Have computed, the next time, what is not finished; of that only what a view shows, if one is given.

        Returns
        -------
        bool
            Whether there is anything to compute.
        """
        every, canvas = self.order.settings.every, self.canvas

        def shown(index: tuple[int, ...], region: Region) -> bool:
            spans = [*(view.frames or ()), *(view.region or ())] if view is not None else []
            mine = [*((i, i + 1) for i in index), *((start * every, stop * every) for start, stop in region)]
            return all(a < d and c < b for (a, b), (c, d) in zip(spans, mine[len(mine) - len(spans) :], strict=True))

        def skip(index: tuple[int, ...], region: Region) -> bool:
            return not shown(index, region) or canvas.has(index, region)

        self.witness.run.skip = skip
        return not all(skip(*tile) for tile in self.witness.run.schedule)

    def see(self, tile: Tile) -> None:
        """Take over a tile, of the preview or finished."""
        self.canvas.write(tile)
        if not tile.preview:
            self.witness.see(tile)
            self.done, self.total = tile.done, tile.total

    def progress(self, layers: tuple[Layer, ...], seconds_left: float | None = None) -> Progress:
        """Return how far it is."""
        said = " ".join(filter(None, [self.forecast, *self.witness.run.notes]))
        return Progress(self.canvas, layers, self.done, self.total, self.canvas.written, seconds_left, said)
