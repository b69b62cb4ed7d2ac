"""The head of a run on a cluster: it plans, hands out blocks, and keeps the ledger."""

from __future__ import annotations

import itertools
import logging
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.frame_source import is_large
from napari_fcnseg.errors import ClusterError, SettingsError
from napari_fcnseg.plan.blocks import Blocks, wanted_tiles
from napari_fcnseg.plan.tiles import as_slices
from napari_fcnseg.run.cluster.job import Job, said_block
from napari_fcnseg.run.cluster.looking import FrameLook
from napari_fcnseg.run.cluster.worker import compute_block
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.run.run import Run, Tile
from napari_fcnseg.run.stored_tile import StoredTile
from napari_fcnseg.run.time_spent import TimeSpent
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from concurrent.futures import Future

    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.plan.schedule import Index, Skip
    from napari_fcnseg.run.cluster.team import Team
    from napari_fcnseg.run.continuation import Machine

_log = logging.getLogger("napari_fcnseg")
_STOPPING: Final = 3.0  # seconds that workers may take to stop: they look between two tiles
_AHEAD: Final = 2  # large frames whose statistics are taken before their blocks come
_PARTS: Final = 4  # that each worker looks at, of such a frame


class ClusterRun(Run):
    """A run whose blocks are computed and written by the workers of a cluster.

    Parameters
    ----------
    plan : RunPlan
        What to compute.
    team : Team
        Who computes.
    machine : Machine
        What they compute with.
    """

    writes = True

    def __init__(self, plan: RunPlan, team: Team, machine: Machine) -> None:
        super().__init__(plan)
        self.team, self.machine, self.devices = team, machine, machine.devices
        self.notes, self._told = [*team.notes, *plan.notes], len(team.notes)  # the team has said its own
        self._blocks = Blocks.of(plan)
        self._arrays: Mapping[str, Any] = {}
        self._places: dict[str, Any] = {}
        self._looks: dict[Index, FrameLook] = {}  # at large frames
        self._size = list(plan.tile)
        self._looking: Future[None] | None = None  # at what reaches the models, while the first blocks are computed

    @property
    def device(self) -> str | None:
        """What computes."""
        return self.team.name

    @property
    def total(self) -> int:
        """Number of tiles over all frames."""
        return self.plan.schedule.total - (self.plan.schedule.early is not None)

    def writes_into(self, arrays: Mapping[str, Any], growing: Mapping[str, Any]) -> None:
        """Take the arrays that the workers write into.

        Raises
        ------
        SettingsError
            If one of them is no new Zarr result.
        """
        self._arrays = arrays
        if missing := set(arrays) - set(growing):
            raise SettingsError(
                f"On a cluster every result goes into a folder that the workers see. Give the {min(missing)} a name "
                "that ends with .zarr."
            )
        self._places = {name: one.address for name, one in growing.items()}

    def execute(
        self, poll: float | None = None, skip: Skip | None = None, hold: Future[None] | None = None
    ) -> Generator[Tile | None, None, None]:
        """Have block after block computed (:meth:`napari_fcnseg.run.run.Run.execute`)."""
        self.in_part = skip is not None
        if not self.in_part:
            self._pixels.clear()
            self.done = 0
        for note in self.notes[self._told :]:
            _log.warning(note)
        before = self.spent if self.in_part else TimeSpent()
        self.doing, self._start = f"On {self.team.name}: computing", time.perf_counter() - before.computing
        self.spent = TimeSpent(before.starting, before.preparing)
        finished, answers = False, self.team.window.answers(self._block_jobs(skip), poll)
        try:
            for found in answers:
                if found is None:
                    yield None
                    continue
                job, answer = found
                if any(look.answered(job, answer) for look in self._looks.values()):
                    continue
                self._looked(wait=False)
                yield self._stored(int(job.arguments[2]), answer)
            self._looked(wait=True)
            finished = True
        finally:
            for look in self._looks.values():
                look.stop()
            if not finished:
                self.team.dismiss()
                self.team.window.settle(_STOPPING)
            answers.close()

    def provenance(self) -> dict[str, Any]:
        """Return the provenance of the result, as plain data for JSON."""
        found = super().provenance()
        cluster = {"scheduler": self.team.cluster.name, "workers": self.team.window.most}
        return {**found, "versions": {**found["versions"], **self.machine.versions}, "cluster": cluster}

    def _stored(self, number: int, answer: Mapping[str, Any]) -> Tile:
        """Return a block that was written."""
        index, region = self._blocks.at(number)
        self.done += self._wanted(number)
        self.spent.computing = time.perf_counter() - self._start
        self._pixels.update(dict(enumerate(answer["counts"])))
        self._say_one_class()
        new, self._told = tuple(self.notes[self._told :]), len(self.notes)
        where: tuple[int | slice, ...] = (*index, *as_slices(region))
        seen = answer.get("seen")
        if seen is not None:
            points = np.array(seen[0], np.intp).reshape(-1, len(where))
            seen = points, np.array(seen[1], np.float32).reshape(-1, self.plan.outputs)
        return StoredTile.of(self._arrays, where, tuple(answer["sums"]), self.done, self.total, new, seen)

    def _block_jobs(self, skip: Skip | None) -> Iterator[Job | None]:
        """Yield every block that is to be computed, and before those of a large frame its statistics."""
        known = not self.plan.steps or not is_large(self._frame_shape())
        frames = self._frames(skip)
        ahead: list[tuple[Index, Iterator[int]]] = []
        first = True
        while True:
            while len(ahead) < (1 if known else _AHEAD) and (frame := next(frames, None)) is not None:
                ahead.append(frame)
                if not known:
                    self._looks[frame[0]] = self._look_at(frame[0])
            if not ahead:
                return
            index, numbers = ahead.pop(0)
            yield from self._asked(index)
            if first and not self.in_part:
                first = False
                self._looking = in_background(partial(self._look_at_input, index), "napari-fcnseg-look")
            for number in numbers:
                _, region = self._blocks.at(number)
                what = said_block(index, region)
                asked = self.witnesses and self.witnesses.of_block(index, region, more=self.in_part)
                arguments = (self.team.key, self._size, number, self._taken(index), self._places, asked)
                yield Job(compute_block, arguments, what)
                yield from self._next_questions()
            self._looks.pop(index, None)

    def _frames(self, skip: Skip | None) -> Iterator[tuple[Index, Iterator[int]]]:
        """Yield every frame that has something to compute, with the numbers of its blocks in their order."""
        for index in self.plan.schedule.frames:
            numbers = self._missing(index, skip)
            if (focus := self.plan.focus) is not None:
                place = [i / self.plan.settings.every for i in focus[len(index) :]]
                numbers = iter(sorted(numbers, key=lambda number: math.dist(place, self._middle(number))))
            if (first := next(numbers, None)) is not None:
                yield index, itertools.chain([first], numbers)

    def _missing(self, index: Index, skip: Skip | None) -> Iterator[int]:
        """Yield the numbers of a frame's blocks that are not finished."""
        for number in self._blocks.of_frame(index):
            tiles = list(wanted_tiles(self.plan, self._blocks, index, self._blocks.at(number)[1]))
            there = sum(skip(index, tile) for tile in tiles) if skip is not None else 0
            if there < len(tiles):
                self.done -= there  # a block is computed as a whole
                yield number

    def _middle(self, number: int) -> list[float]:
        return [(start + stop) / 2 for start, stop in self._blocks.at(number)[1]]

    def _look_at(self, index: Index) -> FrameLook:
        return FrameLook(
            self.plan, index, self.team.key, _PARTS * max(1, len(self.team.window.in_use)), self.taken.get(index)
        )

    def _asked(self, index: Index) -> Iterator[Job | None]:
        """Yield what is asked of a frame until its numbers are known."""
        look = self._looks.get(index)
        while look is not None and look.numbers is None:
            yield look.next_job()
        if look is not None and look.numbers is not None and index not in self.taken:
            self._take(index, look.numbers)

    def _next_questions(self) -> Iterator[Job]:
        """Yield what is asked of the frames to come, among the blocks of this one."""
        for look in self._looks.values():
            if (job := look.next_job()) is not None:
                yield job

    def _taken(self, index: Index) -> Any:
        look = self._looks.get(index)
        return look.numbers if look is not None else None

    def _look_at_input(self, index: Index) -> None:
        """Doubt what reaches the models, as every run does, with the numbers that the workers use."""
        if (taken := self._taken(index)) is not None:
            self._bound[index] = list(map(preprocess.bind_known, self.plan.steps, taken))
        regions = [region for _, region in self.plan.schedule.parts(index)]
        self._doubt(self.source(index), regions)

    def _looked(self, *, wait: bool) -> None:
        """Raise what the look at the input found, once it has come to its end."""
        if self._looking is not None and (wait or self._looking.done()):
            self._looking.result()
            self._looking = None

    def _frame_shape(self) -> tuple[int, ...]:
        layout = self.plan.layout
        channels = 1 if layout.channel_axis is None else layout.shape[layout.channel_axis]
        return (*layout.frame_shape, channels)

    def _wanted(self, number: int) -> int:
        index, region = self._blocks.at(number)
        if self.plan.schedule.mask is None:
            return self._blocks.count(region)
        return len(list(wanted_tiles(self.plan, self._blocks, index, region)))


def check_for_cluster(plan: RunPlan, outputs: Mapping[str, Any]) -> None:
    """Find out whether a run is possible on a cluster, before one is asked.

    Raises
    ------
    ClusterError
        If not.
    """
    for kind in kept_outputs(plan.settings):
        if kind.name not in outputs:
            raise ClusterError(
                f"On a cluster every result goes into a folder that the workers see, and {kind.about} would go into "
                "memory. Give a name that ends with .zarr."
            )
