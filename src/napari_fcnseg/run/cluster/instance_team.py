"""A search for instances whose blocks are searched by the workers of a cluster."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.arrays.lazy import parts_of, stored_shape
from napari_fcnseg.errors import ClusterError
from napari_fcnseg.imagefile import ZARR
from napari_fcnseg.run.cluster.address import connected
from napari_fcnseg.run.cluster.instance_worker import ALIVE, do_stage, greet, write_box
from napari_fcnseg.run.cluster.job import Job, Words, said_block
from napari_fcnseg.run.cluster.order import look_at, order_of, place_of_files
from napari_fcnseg.run.cluster.session import placed
from napari_fcnseg.run.cluster.team import Team

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from napari_fcnseg.imagefile import GrowingZarr
    from napari_fcnseg.instances.scratch import Scratch
    from napari_fcnseg.instances.stages import Index, Meanwhile, Task
    from napari_fcnseg.run.cluster.address import Cluster

_WORDS: Final = Words(
    kept="",
    memory="Choose workers with more memory, then run again.",
    gone="Start a scheduler and workers, and give the same command with its address: the search begins anew.",
)
_POLL: Final = 0.2  # seconds after which a search looks whether it should stop
_STOPPING: Final = 3.0  # seconds that workers may take to stop
_EACH: Final = 16  # blocks that each worker should have in a stage, so that all end at about the same time


class SearchTeam:
    """The workers that search blocks (:class:`napari_fcnseg.instances.searching.Workers`).

    Parameters
    ----------
    cluster : Cluster
        Where they are.
    labels, scores : mapping or None
        Where these lie (:func:`napari_fcnseg.run.cluster.order.place_of`).

    Attributes
    ----------
    near : int
        Pixels of frames of which the workers need not see on disk what is known meanwhile: of none.
    """

    near = 0

    def __init__(self, cluster: Cluster, labels: Mapping[str, Any], scores: Mapping[str, Any] | None) -> None:
        self._cluster, self._labels, self._scores = cluster, dict(labels), dict(scores) if scores else None

    @property
    def together(self) -> int:
        """Blocks from which on there is enough for all workers to do."""
        return _EACH * max(1, len(self._team.window.in_use))

    def join(self, task: Task, room: Scratch, proceed: Callable[[], None]) -> SearchTeam:
        """Get the workers ready for a search.

        Parameters
        ----------
        task : Task
            The search.
        room : Scratch
            In a folder that they see.
        proceed : callable
            Called again and again.

        Raises
        ------
        ClusterError
            If none can take part.
        """
        assert room.folder is not None, "the output is a folder, and the room is beside it"
        order = order_of(
            (), task.settings.as_dict(), labels=self._labels, look=look_at(task.labels), scores=self._scores,
            sampling=list(task.sampling), shape=list(task.grid.shape), block=list(task.grid.block),
            room=str(room.folder.absolute()),
        )  # fmt: skip
        self._proceed, self._grid = proceed, task.grid
        self._team = Team(self._cluster, order, (), greet, _WORDS)
        room.note(ALIVE)
        for _ in self._team.gather():
            proceed()
        self._team.choose({})
        return self

    def each(
        self, stage: str, blocks: Iterable[tuple[Index, int]], meanwhile: Meanwhile, done: Callable[[], None]
    ) -> None:
        """Have a stage done with blocks of frames; ``done`` is called for each."""
        frames, grid = [meanwhile.first, meanwhile.count], self._grid
        self._have_done(
            (
                Job(do_stage, (self._team.key, stage, list(index), block, frames), said_block(index, grid.box(block)))
                for index, block in blocks
            ),
            done,
        )

    def copy(self, growing: GrowingZarr) -> None:
        """Have the instances written into a new Zarr."""
        array = growing.array
        key, dtype, place = self._team.key, array.dtype.str, growing.address
        boxes = ([list(span) for span in box] for box in parts_of(array.shape, stored_shape(array) or array.shape))
        self._have_done((Job(write_box, (key, dtype, box, place), said_block((), box)) for box in boxes), lambda: None)

    def _have_done(self, jobs: Iterator[Job], done: Callable[[], None]) -> None:
        finished, answers = False, self._team.window.answers(jobs, _POLL)
        try:
            for found in answers:
                self._proceed()
                if found is not None:
                    done()
            finished = True
        finally:
            if not finished:
                self._team.dismiss()
                self._team.window.settle(_STOPPING)
            answers.close()


@contextlib.contextmanager
def team_for(where: Any, labels: Any, scores: Any = None) -> Iterator[SearchTeam]:
    """Connect to a cluster that is to search labels.

    Parameters
    ----------
    where : str or distributed.Client
        The cluster (:func:`napari_fcnseg.run.cluster.address.connected`).
    labels, scores : array_like or path
        As for :func:`~napari_fcnseg.find_instances`.

    Raises
    ------
    ClusterError, SettingsError
        If there is no such cluster, or its workers cannot read them.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(labels, str | Path):
            place = place_of_files([labels], None, None, indices=True)
        else:
            place = stack.enter_context(placed(where, labels, "labels"))
        led = stack.enter_context(placed(where, scores, "scores")) if scores is not None else None
        yield SearchTeam(stack.enter_context(connected(where)), place, led)


def check_for_cluster(output: Any) -> None:
    """Find out whether a search can be done on a cluster, before one is asked.

    Raises
    ------
    ClusterError
        If not.
    """
    if not isinstance(output, str | Path) or Path(output).suffix.lower() != ZARR:
        raise ClusterError(
            "On a cluster the objects go into a Zarr folder that the workers see. Give the output a name that ends "
            f"with {ZARR}."
        )
