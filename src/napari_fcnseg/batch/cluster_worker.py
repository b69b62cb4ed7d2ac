"""What runs on a worker that segments images of a batch: plain data in, plain data out."""

from __future__ import annotations

import socket
import time
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.batch.item import BatchItem
from napari_fcnseg.batch.objects import ObjectSearch
from napari_fcnseg.batch.one_image import ImageWork
from napari_fcnseg.batch.options import ImageOptions
from napari_fcnseg.batch.report import ReportLine, failed_line
from napari_fcnseg.batch.sight import check_sight
from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.plates import read_plate
from napari_fcnseg.instances.settings import InstanceSettings
from napari_fcnseg.run.cluster.model_bench import ModelBench
from napari_fcnseg.run.cluster.order import order_of
from napari_fcnseg.run.cluster.worker import bench_of, made_ready, sentence_of
from napari_fcnseg.system.saving import Inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.batch.batch import Batch
    from napari_fcnseg.imagefile.plates import Plate, PlateField


def batch_order(batch: Batch) -> dict[str, Any]:
    """Return what a worker needs to segment any image of a batch, but for what it has to see.

    Raises
    ------
    SettingsError
        If a model was not read from a file.
    """
    plates = {item.plate.path for item in batch.items if item.plate is not None}
    search = batch.search
    return order_of(
        batch.models, batch.settings.as_dict(),
        options=batch.work.options.as_dict(),
        objects={"settings": search.settings.as_dict(), "volume": search.volume} if search is not None else None,
        plate=next((str(path.absolute()) for path in plates), None),
        inputs=[str(Path(path).absolute()) for path in batch.inputs],
        out=str(batch.out_dir.absolute()),
    )  # fmt: skip


def image_job(item: BatchItem, record: Mapping[str, Any], *places: Mapping[str, Path]) -> tuple[Any, ...]:
    """Return what :func:`segment_image` needs of one image, beside the order's key."""
    where = [str(path.absolute()) for path in item.paths]
    said = [item.name, item.target, where, item.field.name if item.field is not None else None]
    return (said, dict(record), *({kind: str(path.absolute()) for kind, path in place.items()} for place in places))


class BatchBench(ModelBench):
    """What a worker keeps for the images of a batch.

    Parameters
    ----------
    order : mapping
        As :func:`batch_order` returns it, with its ``sight`` (:func:`napari_fcnseg.batch.sight.sight_of`).
    files : mapping of int to mapping of str to bytes
        The files of models that it does not see, by the models' numbers.

    Raises
    ------
    FcnSegError
        If it cannot take part.
    """

    def __init__(self, order: Mapping[str, Any], files: Mapping[int, Mapping[str, bytes]]) -> None:
        super().__init__(order, files)
        options, inputs, search = ImageOptions.from_dict(order["options"]), Inputs(order["inputs"]), order["objects"]
        objects = None
        if search is not None:
            wanted = ObjectSearch(InstanceSettings.from_dict(search["settings"]), search["volume"])
            objects = wanted.finder(self.models, self.settings, Path(order["out"]), options, inputs)
        self.work = ImageWork(self.models, self.settings, options, inputs, objects)
        check_sight(order["sight"], lambda image: self.work.record(self.item(*image[0])) == image[1])

    def item(self, name: str, target: str, paths: Sequence[str], field: str | None) -> BatchItem:
        """Return an image that the head has described."""
        first, *more = map(Path, paths)
        if field is None:
            return BatchItem(name, target, first, more=tuple(more))
        if field not in self._fields:
            raise ImageError(f"The plate {self.plate.path} has no field {field} any more. Start the same batch again.")
        return BatchItem(name, target, first, plate=self.plate, field=self._fields[field])

    @cached_property
    def plate(self) -> Plate:
        """The plate that the images are the fields of, read when the first is wanted."""
        return read_plate(Path(self.order["plate"]))

    @cached_property
    def _fields(self) -> dict[str, PlateField]:
        return {field.name: field for field in self.plate.fields}


def greet(order: Mapping[str, Any], files: Mapping[int, Mapping[str, bytes]], cores: Sequence[int]) -> dict[str, Any]:
    """Make a worker ready for a batch (:func:`napari_fcnseg.run.cluster.worker.greet`)."""
    return made_ready(BatchBench, order, files, cores)


def segment_image(
    key: str, said: Sequence[Any], record: Mapping[str, Any], outputs: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, Any]:
    """Segment an image, as a batch on one computer does.

    Parameters
    ----------
    key : str
        Of the order.
    said, record, outputs, own
        As :func:`image_job` returns them: the image; what its results depend on, as the head sees it; where they lie,
        and where its objects and their table do.

    Returns
    -------
    dict
        ``line``, what became of it (:func:`line_of`), None if it was stopped; or ``trouble``.
    """
    try:
        bench = bench_of(key, BatchBench)
        began = time.perf_counter()
        with bench.turn:
            try:
                item = bench.item(*said)
                if (seen := bench.work.record(item)) != record:
                    raise ImageError(
                        f"The worker on {socket.gethostname()} sees another file than the head does. Have both see the "
                        "same folder under the same path, and do not change its images meanwhile."
                    )
                line = _worked(bench, item, outputs, own, seen)
            except Exception as error:
                line = failed_line(str(said[0]), error, time.perf_counter() - began)
        return {"line": {**asdict(line), "output": str(line.output or "")} if line is not None else None}
    except Exception as error:
        return {"trouble": sentence_of(error)}


def _worked(
    bench: BatchBench, item: BatchItem, outputs: Mapping[str, str], own: Mapping[str, str], record: dict[str, Any]
) -> ReportLine | None:
    """Do an image to its end, or until the batch is stopped."""
    work = bench.work.line(item, _paths(outputs), _paths(own), bench.stopped, record)
    while True:
        try:
            next(work)
        except StopIteration as end:
            line: ReportLine | None = end.value
            return line


def line_of(answer: Mapping[str, Any], output: Path) -> ReportLine:
    """Return what became of an image, by the answer of a worker; ``output`` is what the head calls its labels."""
    line = ReportLine(**{**answer, "output": None})
    return replace(line, output=output) if answer["output"] else line


def _paths(places: Mapping[str, str]) -> dict[str, Path]:
    return {kind: Path(path) for kind, path in places.items()}
