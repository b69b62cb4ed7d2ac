"""What runs on a worker that searches blocks for instances: plain data in, plain data out."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import ClusterError, FcnSegError
from napari_fcnseg.imagefile.growing_zarr import open_growing
from napari_fcnseg.instances.blocks import Grid, slices
from napari_fcnseg.instances.scratch import Scratch
from napari_fcnseg.instances.searching import Found
from napari_fcnseg.instances.settings import InstanceSettings
from napari_fcnseg.instances.stages import LabelsError, Meanwhile, Stages, Task
from napari_fcnseg.run.cluster.job import VERDICT
from napari_fcnseg.run.cluster.order import look_at, opened, seen_under
from napari_fcnseg.run.cluster.order_bench import OrderBench, StoppedError
from napari_fcnseg.run.cluster.worker import bench_of, made_ready, sentence_of
from napari_fcnseg.run.provenance import version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: A note in the room for as long as the head needs it.
ALIVE = "alive"
_LIBRARIES = ("numpy", "scipy", "scikit-image")  # that the numbers depend on


class SearchBench(OrderBench):
    """What a worker keeps for a search.

    Parameters
    ----------
    order : mapping
        What there is to do (:meth:`napari_fcnseg.run.cluster.instance_team.SearchTeam.join`).
    files : mapping
        Nothing.

    Raises
    ------
    ClusterError
        If it sees other labels than the head, not the folder of the result, or has another version of this program.
    FcnSegError
        If the labels cannot be read.
    """

    def __init__(self, order: Mapping[str, Any], files: Mapping[int, Mapping[str, bytes]]) -> None:
        super().__init__(order)
        del files
        self.turn = threading.BoundedSemaphore(1)  # a block takes hundreds of MiB
        labels, scores = _seen(order["labels"]), order["scores"]
        if look_at(labels) != order["look"]:
            raise ClusterError(f"It sees other labels under {seen_under(order['labels'])} than the head does.")
        self.room = Scratch(Path(order["room"]))
        if not self.wanted:
            raise ClusterError(
                f"It does not see the folder of the result, {Path(order['room']).parent}, as the head does. Name one "
                "that all see under the same path."
            )
        self.task = Task(
            labels, _seen(scores) if scores is not None else None, InstanceSettings.from_dict(order["settings"]),
            tuple(order["sampling"]), Grid(tuple(order["shape"]), tuple(order["block"])),
        )  # fmt: skip
        self._stages: tuple[tuple[str, int], Stages] | None = None
        self._found: Found | None = None

    def kind(self) -> dict[str, Any]:
        """Return what the numbers of this worker depend on, as plain data."""
        return {"devices": [], "versions": {name: version(name) for name in _LIBRARIES}}

    @property
    def wanted(self) -> bool:
        """Whether the head goes on with the search."""
        return (Path(self.order["room"]) / f"{ALIVE}.npz").is_file()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Do something in the room; what was written after the head was gone is removed."""
        with self.turn:
            self.check_stopped()
            if not self.wanted:
                raise StoppedError("The search has ended.")
            try:
                yield
            finally:
                if not self.wanted:
                    self.room.empty()

    def stages(self, stage: str, first: int, count: int) -> Stages:
        """Return what does a stage, kept for its other blocks: what other workers have written since is read anew."""
        if self._stages is None or self._stages[0] != (stage, first):
            meanwhile = Meanwhile.within(self.room, first, count)
            self._stages = (stage, first), Stages(self.task, self.room, meanwhile, self.check_stopped)
        return self._stages[1]

    def found(self, dtype: str) -> Found:
        """Return the instances."""
        if self._found is None:
            self._found = Found(self.task, self.room, np.dtype(dtype))
        return self._found


def _seen(place: Mapping[str, Any]) -> Any:
    """Open what the head has named."""
    try:
        return opened(place)
    except (FcnSegError, OSError, KeyError):
        raise ClusterError(
            f"It does not see {seen_under(place)} as the head does. Have all see the labels under the same path."
        ) from None


def greet(order: Mapping[str, Any], files: Mapping[int, Mapping[str, bytes]], cores: Sequence[int]) -> dict[str, Any]:
    """Make a worker ready for a search (:func:`napari_fcnseg.run.cluster.worker.greet`)."""
    return made_ready(SearchBench, order, files, cores)


def do_stage(key: str, stage: str, index: Sequence[int], block: int, frames: Sequence[int]) -> dict[str, Any]:
    """Do a stage of a search with a block.

    Parameters
    ----------
    key : str
        Of the order.
    stage : str
        Which (:mod:`napari_fcnseg.instances.stages`).
    index : sequence of int
        The frame.
    block : int
        The block of it.
    frames : sequence of int
        The first frame and how many are gone through together with it.

    Returns
    -------
    dict
        Empty; or ``trouble``; or ``verdict``, if no worker can do it.
    """
    try:
        bench = bench_of(key, SearchBench)
        with bench.at_work():
            bench.stages(stage, *frames).do(stage, tuple(index), block)
        return {}
    except LabelsError as error:  # those of any worker
        return {VERDICT: str(error)}
    except Exception as error:
        return {"trouble": sentence_of(error)}


def write_box(key: str, dtype: str, box: Sequence[Sequence[int]], place: Mapping[str, Any]) -> dict[str, Any]:
    """Write the instances in a box into a result that the head has begun.

    Parameters
    ----------
    key : str
        Of the order.
    dtype : str
        Of the instances.
    box : sequence of (int, int)
        Whole chunks of the result.
    place : mapping
        Where that grows (:attr:`napari_fcnseg.imagefile.GrowingZarr.address`).

    Returns
    -------
    dict
        Empty; or ``trouble``.
    """
    try:
        bench = bench_of(key, SearchBench)
        with bench.at_work():
            whole = tuple((int(a), int(b)) for a, b in box)
            open_growing(place)[slices(whole)] = bench.found(dtype).read(whole)
        return {}
    except Exception as error:
        return {"trouble": sentence_of(error)}
