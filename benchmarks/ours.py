"""Our own way: file to labels, and the engine alone on the same tiles."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg import load_model, segment
from napari_fcnseg.engine import engine
from napari_fcnseg.imagefile import read_image, write_image
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.plan.tiles import as_slices
from napari_fcnseg.run.device_queue import DeviceQueue
from napari_fcnseg.run.device_queue import TileJob as Tile
from napari_fcnseg.run.dispatcher import budget_on
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    from contender import Job

    from napari_fcnseg.arrays.border import WindowReader
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.model.patch_model import PatchModel

END_TO_END = "ours, end to end (TIFF in, labels TIFF out)"
ENGINE = "ours, engine only"


def rest() -> None:
    """Wait until the engine has given its memory back, as it does at the end of a run: every turn begins so."""
    for released in engine().release():
        released.result()


class _ReadBefore:
    """Windows of an image, each read once and kept."""

    def __init__(self, reader: WindowReader) -> None:
        self._reader = reader
        self._known: dict[Any, np.ndarray] = {}

    def read(self, region: Region, reach: tuple[int, ...], origin: tuple[int, ...] | None = None) -> np.ndarray:
        """Return a window."""
        key = region, reach, origin
        if key not in self._known:
            self._known[key] = self._reader.read(region, reach, origin)
        return self._known[key]


class EngineOnly:
    """The tiles of a run, or its strips, straight through the engine: no file, no windows to read, no labels."""

    def __init__(self, image: np.ndarray, model: PatchModel, **settings: Any) -> None:
        self.run = Run(make_plan(image, (model,), RunSettings(channel_axis=-1, method="dense", **settings)))
        self._device = engine().device(self.run.plan.settings.device, self.run.plan.settings.precision)
        readers: Any = (_ReadBefore(self.run.plan.methods[0].reader(self.run.source(()))),)
        self._jobs = [Tile((), tile, readers, group) for group, tile in self.run.plan.schedule.parts(())]
        for compiled in self._lane().request():
            compiled.result()

    def scores(self) -> np.ndarray:
        """Compute all tiles, one always waiting in the engine's queue; return ``(*spatial, class)``."""
        queue, out = self._lane(), np.empty((*self.run.plan.layout.frame_shape, self.run.plan.outputs), np.float32)
        for job in self._jobs:
            queue.begin(job)
            if len(queue) > 1:
                self._take(queue, out)
        while len(queue):
            self._take(queue, out)
        return out

    def _lane(self) -> DeviceQueue:
        return DeviceQueue(self._device, budget_on(self._device, self.run.plan.memory_budget, 1), self.run.runners)

    @staticmethod
    def _take(queue: DeviceQueue, out: np.ndarray) -> None:
        where = as_slices(queue.oldest.region)
        out[where] = queue.take()[0]


class Ours:
    """The program as people use it, its engine warm, as it is in napari or in a script's second call."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.ways = (END_TO_END, ENGINE)
        self.model = load_model(job.path("model.keras"))
        engine().start().result()
        self.engine: EngineOnly | None = None

    def tune(self) -> str:
        """Warm up: compile, and compute everything once."""
        self.engine = EngineOnly(self.job.image, self.model)
        self.engine.scores()
        return f"tile {' × '.join(map(str, self.engine.run.plan.tile))}, chosen by the program"

    def turn(self, way: str) -> tuple[float, np.ndarray]:
        """Return seconds, and labels or scores."""
        assert self.engine is not None, "tune() comes first"
        rest()
        start = time.perf_counter()
        result = self._end_to_end() if way == END_TO_END else self.engine.scores()
        return time.perf_counter() - start, result

    def _end_to_end(self) -> Any:
        image = read_image([self.job.path("image.tif")])
        result = segment(image.data, self.model, channel_axis=image.channel_axis, method="dense")
        write_image(Path(self.job.path("labels.tif")), image.labelled(result.labels), overwrite=True)
        return result.labels
