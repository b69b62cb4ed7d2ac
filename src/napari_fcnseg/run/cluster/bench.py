"""A worker's bench for one image: that, the models and the plans of it, opened once and kept for all its blocks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg import preprocess
from napari_fcnseg.errors import ClusterError, OutOfMemoryError
from napari_fcnseg.plan.blocks import Blocks
from napari_fcnseg.plan.mask import Mask
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.plan.schedule import Schedule
from napari_fcnseg.plan.tile_size import strips_per_group
from napari_fcnseg.preprocess.statistics import look, pixels_of
from napari_fcnseg.run.cluster.block_writer import BlockWriter, check_outputs, opened_outputs
from napari_fcnseg.run.cluster.model_bench import ModelBench
from napari_fcnseg.run.cluster.order import look_at, opened, seen_under
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.run.run import Run
from napari_fcnseg.run.witnesses import Witnesses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.arrays.frame_source import FrameSource
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.plan.schedule import Index
    from napari_fcnseg.run.dispatcher import Dispatcher
    from napari_fcnseg.run.witnesses import Seen

_FRAMES: Final = 2  # frames that stay prepared
_LOOK: Final = 0.2  # seconds between two looks whether to stop


class Bench(ModelBench):
    """What a worker keeps for an order of one image.

    Parameters
    ----------
    order : mapping
        What there is to do (:func:`napari_fcnseg.run.cluster.order.make_order`).
    files : mapping of int to mapping of str to bytes
        The files of models that it does not see, by the models' numbers.

    Raises
    ------
    MissingModelError
        If it needs files of models.
    ClusterError
        If it sees another image than the head, or has another version of this program.
    FcnSegError
        If the image or a model cannot be read.
    """

    def __init__(self, order: Mapping[str, Any], files: Mapping[int, Mapping[str, bytes]]) -> None:
        super().__init__(order, files)
        self._lock = threading.Lock()
        self._plans: dict[tuple[int, ...], WorkerPlan] = {}
        self.image = opened(order["image"])
        if look_at(self.image) != order["look"]:
            raise ClusterError(f"It sees another image under {seen_under(order['image'])} than the head does.")
        self.mask = opened(order["mask"]) if order["mask"] is not None else None

    def plan_for(self, tile: Sequence[int]) -> WorkerPlan:
        """Return the plan with a tile, made once."""
        with self._lock:
            sizes = tuple(tile)
            if sizes not in self._plans:
                self._plans = {sizes: WorkerPlan(self, sizes)}
            return self._plans[sizes]


class WorkerPlan:
    """The head's plan, made again, of which any block can be computed.

    Parameters
    ----------
    bench : Bench
        What it is made of.
    tile : tuple of int
        Output pixels per axis.

    Raises
    ------
    OutOfMemoryError, ClusterError
        If it does not come out as the head's.
    """

    def __init__(self, bench: Bench, tile: tuple[int, ...]) -> None:
        self._bench = bench
        settings = replace(bench.settings, tile=tuple(n * bench.settings.every for n in tile))
        plan = make_plan(bench.image, bench.models, settings)
        if plan.tile != tile:
            raise OutOfMemoryError("A tile of the image does not fit into the memory of this worker.")
        if [method.name for method in plan.methods] != bench.order["methods"]:
            raise ClusterError("The worker would compute in another way than the head has planned.")
        mask = Mask(bench.mask, plan.layout, settings.every) if bench.mask is not None else None
        self.plan = replace(plan, mask=mask)
        self.blocks = Blocks.of(plan)
        self._together = strips_per_group(plan.methods, tile)
        self._frames: OrderedDict[Index, FrameSource] = OrderedDict()
        self._bound: dict[Index, list[preprocess.Bound]] = {}
        self._lock = threading.Lock()
        self._outputs: tuple[Mapping[str, Any], list[Any]] = ({}, [])

    def look(
        self, index: Index, known: Sequence[preprocess.Numbers], name: str, argument: Any, part: int, parts: int
    ) -> Any:
        """Look at a part of a frame for a statistic (:func:`napari_fcnseg.run.cluster.worker.look_at_frame`)."""
        steps = self.plan.steps
        bound = list(map(preprocess.bind_known, steps[: len(known)], known))
        source = preprocess.prepare(self.plan.layout.source(self.plan.image, index), steps[: len(known)], bound)
        joint = steps[len(known)].joint
        regions = list(source.blocks())
        mine = regions[part * len(regions) // parts : (part + 1) * len(regions) // parts]
        return look(name, argument, pixels_of(source, mine, joint), 1 if joint else source.shape[-1])

    def source(self, index: Index, numbers: Sequence[preprocess.Numbers] | None) -> FrameSource:
        """Return a frame, prepared with numbers that were taken elsewhere, or with its own."""
        with self._lock:  # two blocks at once are not to prepare it twice
            if index not in self._frames:
                bound = [] if numbers is None else list(map(preprocess.bind_known, self.plan.steps, numbers))
                source = self.plan.layout.source(self.plan.image, index)
                self._frames[index] = preprocess.prepare(source, self.plan.steps, bound)
                while len(self._frames) > _FRAMES:
                    self._frames.popitem(last=False)
            self._frames.move_to_end(index)
            return self._frames[index]

    def compute(
        self, number: int, numbers: Any, places: Mapping[str, Any], asked: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Compute a block and write it (:func:`napari_fcnseg.run.cluster.worker.compute_block`)."""
        began = time.perf_counter()
        index, region = self.blocks.at(number)
        tiles = self.blocks.tiles(region)
        schedule = Schedule.of(tiles, self._together, [index], self.plan.mask)
        run = _BlockRun(replace(self.plan, schedule=schedule), self.source(index, numbers))
        expected = [tile for _, parts in schedule.planned() for _, tile in parts]
        check = partial(check_outputs, places)
        writer = BlockWriter(self._opened(places), self.blocks, index, region, expected, check)
        witnesses = Witnesses.asked(asked, len(index) + len(region)) if asked is not None else None
        seen: list[Seen] = []
        for tile in run.execute(_LOOK, skip=_nothing):
            self._bench.check_stopped()
            if tile is None:
                continue
            if run.total != schedule.total:
                raise OutOfMemoryError("A tile of the image does not fit into the memory of this worker.")
            writer.put(tile)
            if asked is not None and witnesses is not None:
                seen.append(witnesses.seen(tile.place, tile.labels, tile.scores, more=asked["more"]))
        counts = [run.counts[label] for label in range(max(run.counts, default=-1) + 1)]
        found: dict[str, Any] = {
            "sums": list(writer.finish()),
            "counts": counts,
            "seconds": time.perf_counter() - began,
        }
        if asked is not None:
            found["seen"] = [[one for part in seen for one in part[kind].tolist()] for kind in range(2)]
        return found

    def _opened(self, places: Mapping[str, Any]) -> list[Any]:
        with self._lock:
            if self._outputs[0] != places:
                self._outputs = (places, opened_outputs(kept_outputs(self.plan.settings), places))
            return self._outputs[1]


class _BlockRun(Run):
    """A run of one block, of a frame that is prepared already."""

    def __init__(self, plan: RunPlan, source: FrameSource) -> None:
        super().__init__(replace(plan, notes=()))
        self._source = source

    def source(self, index: tuple[int, ...]) -> FrameSource:
        return self._source

    def _leave(self, dispatcher: Dispatcher) -> None:
        """Stay ready: the next block comes at once."""

    def tell(self, note: str) -> None:
        """Keep a note; the head says what concerns the whole run."""
        self.notes.append(note)


def _nothing(index: Index, region: Any) -> bool:
    return False
