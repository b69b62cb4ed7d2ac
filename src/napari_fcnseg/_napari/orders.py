"""What goes into a worker thread and what comes out of it, as plain objects."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_fcnseg._napari.channels import Source
    from napari_fcnseg._napari.hints import Hints
    from napari_fcnseg.model import PatchModel
    from napari_fcnseg.run import Run, Tile
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.verification import Witness


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
    stop : threading.Event
        Set to end the run and keep what is done.
    """

    source: Source
    models: tuple[PatchModel, ...]
    settings: RunSettings
    hints: Hints
    geometry: dict[str, Any]
    stop: threading.Event = field(default_factory=threading.Event)

    def same_as(self, other: Order) -> bool:
        """Whether another order would give the same numbers."""
        return (self.models, self.settings) == (other.models, other.settings) and self.source.same_as(other.source)


class Canvas:
    """The arrays that a run's tiles are written into; the layers show these very arrays.

    Parameters
    ----------
    run : Run
        The run.
    """

    def __init__(self, run: Run) -> None:
        shape = run.layout.result_shape
        self.labels: npt.NDArray[Any] = np.zeros(shape, run.label_dtype)
        self.scores = np.zeros((run.outputs, *shape), np.float32) if run.settings.probabilities else None
        self.head = run.networks[0].head
        self.classes = run.networks[0].classes
        self.limits = (0.0, 1.0)

    def write(self, tile: Tile) -> None:
        """Take over a finished tile."""
        self.labels[tile.where] = tile.labels
        if self.scores is None:
            return
        self.scores[(slice(None), *tile.where)] = np.moveaxis(tile.scores, -1, 0)
        if self.head == "scores":  # neither bounded nor known beforehand
            low, high = float(tile.scores.min()), float(tile.scores.max())
            self.limits = (low, high) if tile.done == 1 else (min(low, self.limits[0]), max(high, self.limits[1]))


@dataclass(frozen=True, eq=False)
class Progress:
    """A finished tile, or with ``done == 0`` the start.

    Attributes
    ----------
    canvas : Canvas
        With the tile in it.
    layers : tuple of Layer
        That show the canvas, the labels last; no viewer has them yet.
    done, total : int
        Tiles.
    seconds_left : float or None
        An estimate, once there is one.
    """

    canvas: Canvas
    layers: tuple[Layer, ...]
    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a worker ended.

    Attributes
    ----------
    value : object
        The result; None if there is none.
    error : Exception or None
        What went wrong.
    cancelled : bool
        Whether it was asked to stop.
    """

    value: Any = None
    error: Exception | None = None
    cancelled: bool = False


@dataclass(eq=False)
class Segmented:
    """A finished or stopped run.

    Attributes
    ----------
    order : Order
        What it was asked.
    witness : Witness
        What it saw, for verification.
    canvas : Canvas
        What it computed.
    done, total : int
        Tiles.
    provenance : dict
        What the result comes from.
    """

    order: Order
    witness: Witness
    canvas: Canvas
    total: int
    done: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def labels(self) -> npt.NDArray[Any]:
        """The labels so far."""
        return self.canvas.labels


@dataclass(frozen=True, eq=False)
class Loaded:
    """Model files, read and converted.

    Attributes
    ----------
    paths : tuple of str
        The files.
    models : tuple of PatchModel
        Empty if they were refused.
    error : Exception or None
        Why they were refused.
    """

    paths: tuple[str, ...]
    models: tuple[PatchModel, ...] = ()
    error: Exception | None = None
