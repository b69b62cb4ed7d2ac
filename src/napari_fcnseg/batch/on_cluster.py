"""A batch on the workers of a cluster: each segments whole images, as many at a time as there are workers.

What a worker does with an image is what a batch on one computer does, with all options, and written by the same rules:
so results are of any form, are checked, and an image whose worker has died is gone on with by another one.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

from napari_fcnseg.batch.batch import Batch
from napari_fcnseg.batch.cluster_worker import batch_order, greet, image_job, line_of, segment_image
from napari_fcnseg.batch.progress import BatchProgress
from napari_fcnseg.batch.report import FAILED, ReportLine, failed_line
from napari_fcnseg.batch.sight import sight_of
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
        self._tables: dict[BatchItem, dict[str, Path]] = {}  # of the objects of images that are done
        self._ended, self._left, self._since = 0, 0.0, 0.0  # images; seconds left, as it was then

    def _ends(self, stop: threading.Event | None) -> Generator[Entry, None, None]:
        """Have the images segmented; yield each when it is given out, how far the batch is, and what became of each."""
        with (
            sight_of(self.out_dir, self.items, self._described) as sight,
            connected(self._cluster) as cluster,
        ):  # fmt: skip
            team = Team(cluster, {**self._order, "sight": sight}, self.models, greet)
            for _ in team.gather():
                if stop is not None and stop.is_set():
                    return
            team.choose({})
            finished, answers = False, team.window.answers(self._jobs(team.key), _POLL)
            try:
                for found in answers:
                    if stop is not None and stop.is_set():
                        return
                    if found is not None:
                        self._take(*found)
                    yield from self._news()
                    yield self._progress(team.name)
                yield from self._news()
                finished = True
            finally:
                if not finished:
                    team.dismiss()
                    for found in team.window.settle(_STOPPING):  # some were done all the same
                        self._take(*found)
                self.late += [entry for entry in self._news() if isinstance(entry, tuple)]
                answers.close()
                for item, _ in self._given.values():
                    self.settled(item, None)
        if self.objects is not None:
            for item in filter(self._tables.__contains__, self.items):  # in the order of the images
                self.objects.take(item.name, self._tables[item])

    def _described(self, item: BatchItem) -> list[Any]:
        """Return what tells a worker which image this is, and whether it sees the same."""
        said, record = image_job(item, self.work.record(item))
        return [said, record]

    def _jobs(self, key: str) -> Iterator[Job]:
        """Yield what is to be done, image by image."""
        for item in self.items:
            self._new.append(item)
            try:
                places = self.where(item)
                arguments = (key, *image_job(item, self.work.record(item), *places))
            except Exception as error:
                line = failed_line(item.name, error, 0.0)
                self._note(item, self.settled(item, line) or line)
                continue
            job = Job(segment_image, arguments, f"The image {item.name}", alone=True)
            self._given[job] = (item, places)
            yield job

    def _take(self, job: Job, answer: Mapping[str, Any]) -> None:
        """Take note of what became of an image; of nothing if its worker was told to stop."""
        item, (outputs, own) = self._given.pop(job)
        if GIVEN_UP in answer:
            line: ReportLine | None = ReportLine(item.name, FAILED, str(answer[GIVEN_UP]))
        else:
            said = answer["line"]
            line = line_of(said, next(iter(outputs.values()))) if said is not None else None
        if line is not None and (lost := next((p for p in _written(line, outputs, own) if not p.exists()), None)):
            line = ReportLine(
                item.name, FAILED,
                f"The worker has written {lost}, which this computer does not see. Name a place for the results that "
                "all see under the same path.",
            )  # fmt: skip
        if (line := self.settled(item, line)) is not None:
            self._note(item, line)
            if line.objects is not None:
                self._tables[item] = own

    def _note(self, item: BatchItem, line: ReportLine) -> None:
        self._new.append((item, line))
        self._ended += 1
        rest = len(self.items) - self._ended
        at_once = max(1, len(self._given))
        self._left = median(self._paces) * -(-rest // at_once) if self._paces else 0.0
        self._since = time.perf_counter()

    def _news(self) -> Iterator[Entry]:
        new, self._new = self._new, []
        yield from new

    def _progress(self, team: str) -> BatchProgress:
        left = max(0.0, self._left - (time.perf_counter() - self._since)) if self._left else None
        first, *others = [item.name for item, _ in self._given.values()] or [self.items[-1].name]
        done = min(self._ended, len(self.items) - 1)
        return BatchProgress(first, done, len(self.items), seconds_left=left, others=tuple(others), team=team)


def _written(line: ReportLine, outputs: Mapping[str, Path], own: Mapping[str, Path]) -> list[Path]:
    """Return the files that an image has by what its worker says."""
    found = list(outputs.values()) if line.output is not None else []
    return found + (list(own.values()) if line.objects is not None else [])
