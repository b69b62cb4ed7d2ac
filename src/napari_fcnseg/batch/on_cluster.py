"""A batch on the workers of a cluster: each segments whole images, as many at a time as there are workers.

What a worker does with an image is what a batch on one computer does, with all options, and written by the same rules:
so results are of any form, are checked, and an image whose worker has died is gone on with by another one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from napari_fcnseg.batch.batch import Batch
from napari_fcnseg.batch.cluster_worker import batch_order, greet, image_job, line_of, segment_image
from napari_fcnseg.batch.progress import BatchProgress
from napari_fcnseg.batch.report import FAILED, KEPT, ReportLine, failed_line
from napari_fcnseg.errors import InMemoryError
from napari_fcnseg.run.cluster.address import connected
from napari_fcnseg.run.cluster.job import GIVEN_UP, Job
from napari_fcnseg.run.cluster.team import Team

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from napari_fcnseg.batch.batch import Entry
    from napari_fcnseg.batch.item import BatchItem

    Places = tuple[dict[str, Path], dict[str, Path]]

_POLL = 0.2  # seconds after which a batch looks whether it should stop
_STOPPING = 10.0  # seconds that workers may take to stop: they look between two tiles


class ClusterBatch(Batch):
    """A batch (:class:`napari_fcnseg.batch.batch.Batch`) whose images are segmented by the workers of a cluster.

    Parameters
    ----------
    *batch, **options
        As for a batch.
    cluster : str or distributed.Client
        A scheduler's address, or ``"local:N"`` (:func:`napari_fcnseg.run.cluster.address.connected`).

    Raises
    ------
    InMemoryError
        If an image is in no file.
    FcnSegError
        If settings are not possible, or the folder cannot be written.
    """

    def __init__(self, *batch: Any, cluster: Any, **options: Any) -> None:
        super().__init__(*batch, **options)
        self._cluster = cluster
        if lost := next((item for item in self.items if item.path is None), None):
            raise InMemoryError(
                f"The image {lost.name} is only in this computer's memory, and the workers cannot read it. Save it as "
                "OME-Zarr in a folder that they see, and segment that folder."
            )
        self._order = batch_order(self)
        self._given: dict[Job, tuple[BatchItem, Places]] = {}  # what is in work
        self._new: list[Entry] = []
        self._ended, self._computed = 0, 0

    def _ends(self, stop: threading.Event | None) -> Generator[Entry, None, None]:
        """Have the images segmented; yield each when it is given out, how far the batch is, and what became of each."""
        tables: dict[BatchItem, dict[str, Path]] = {}
        with connected(self._cluster) as cluster:
            team = Team(cluster, self._order, self.models, greet)
            for _ in team.gather():
                if stop is not None and stop.is_set():
                    return
            team.choose({})
            began, finished = time.perf_counter(), False
            answers = team.window.answers(self._jobs(team.key), _POLL)
            try:
                for found in answers:
                    if stop is not None and stop.is_set():
                        return
                    if found is not None:
                        item, (outputs, own) = self._given.pop(found[0])
                        line = self._line(item, outputs, found[1])
                        if line is not None:
                            self._note(item, line)
                            if line.objects is not None:
                                tables[item] = own
                    yield from self._news()
                    yield self._progress(team.name, began)
                yield from self._news()
                finished = True
            finally:
                if not finished:
                    team.dismiss()
                    team.window.settle(_STOPPING)
                answers.close()
                for item, _ in self._given.values():
                    self.settled(item, None)
        if self.objects is not None:
            for item in filter(tables.__contains__, self.items):  # in the order of the images
                self.objects.take(item.name, tables[item])

    def _jobs(self, key: str) -> Iterator[Job]:
        """Yield what is to be done, image by image."""
        for item in self.items:
            self._new.append(item)
            try:
                places = self.where(item)
                arguments = (key, *image_job(item, self.work.record(item), *places))
            except Exception as error:
                self._note(item, failed_line(item.name, error, 0.0))
                continue
            job = Job(segment_image, arguments, f"The image {item.name}", alone=True)
            self._given[job] = (item, places)
            yield job

    def _line(self, item: BatchItem, outputs: Mapping[str, Path], answer: Mapping[str, Any]) -> ReportLine | None:
        """Return what became of an image; None if its worker was told to stop."""
        if GIVEN_UP in answer:
            return self.settled(item, ReportLine(item.name, FAILED, str(answer[GIVEN_UP])))
        said = answer["line"]
        return self.settled(item, line_of(said, next(iter(outputs.values()))) if said is not None else None)

    def _note(self, item: BatchItem, line: ReportLine) -> None:
        self._new.append((item, line))
        self._ended += 1
        self._computed += line.status != KEPT

    def _news(self) -> Iterator[Entry]:
        new, self._new = self._new, []
        yield from new

    def _progress(self, team: str, began: float) -> BatchProgress:
        count = len(self.items)
        each = (time.perf_counter() - began) / self._computed if self._computed else None
        left = each * (count - self._ended) if each is not None else None
        first, *others = [item.name for item, _ in self._given.values()] or [self.items[-1].name]
        done = min(self._ended, count - 1)
        return BatchProgress(first, done, count, seconds_left=left, others=tuple(others), team=team)
