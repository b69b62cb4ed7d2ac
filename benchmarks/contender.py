"""What a contender is, and what its process does when it is told to.

Each contender lives in a process of its own, so that the thread pools of the frameworks do not meet; the parent hands
the turn around (:mod:`turns`).
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import os
import pickle
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_fcnseg.plan.tiles import as_slices, cut_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.conversion import DenseNetwork

#: Name on the command line: the module, its class, and what has to be installed.
CONTENDERS = {
    "ours": ("ours", "Ours", "tensorflow"),
    "blog": ("peers_tensorflow", "Blog", "tensorflow"),
    "keras": ("peers_tensorflow", "KerasDilated", "tensorflow"),
    "torch": ("peers_torch", "TorchDilated", "torch"),
    "openvino": ("peers_onnx", "OpenVino", "openvino"),
    "onnxruntime": ("peers_onnx", "OnnxRuntime", "onnxruntime"),
    "patch": ("peers_tensorflow", "PatchByPatch", "tensorflow"),
}
_ENOUGH = 1.0  # seconds of a first call after which a second one, to be rid of what a first call costs, tells no more
_LEAST = 24  # pixels per axis of the smallest tile that is tried


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be computed.

    Attributes
    ----------
    folder : str
        Holds ``model.keras``, ``network.pickle`` (the dense network), ``image.npy`` ``(*spatial, channel)`` and
        ``image.tif``; takes ``WAY.npy``, the scores of each way ``(*spatial, class)``.
    threads : int
        That a contender computes with.
    """

    folder: str
    threads: int

    def path(self, name: str) -> str:
        """Return a file in the folder."""
        return str(Path(self.folder) / name)

    @property
    def image(self) -> np.ndarray:
        """The image."""
        image: np.ndarray = np.load(self.path("image.npy"))
        return image

    @property
    def network(self) -> DenseNetwork:
        """The dense network."""
        network: DenseNetwork = pickle.loads(Path(self.path("network.pickle")).read_bytes())
        return network


def patches_of(image: np.ndarray, patch: Sequence[int]) -> np.ndarray:
    """Return a view of the patches of all pixels, ``(*spatial, *patch, channel)``, the border by reflection."""
    padded = np.pad(image, [*((p // 2, p - 1 - p // 2) for p in patch), (0, 0)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, patch, tuple(range(len(patch))))
    return np.moveaxis(windows, len(patch), -1)


class Windows:
    """What tiles see of an image, ``(1, *(size + reach - 1), channel)``.

    The border is continued by reflection beforehand: no peer pays for it.
    """

    def __init__(self, network: DenseNetwork, image: np.ndarray) -> None:
        self._network = network
        width = [(p // 2, p - 1 - p // 2) for p in network.patch_shape]
        self._padded = np.pad(image, [*width, (0, 0)], mode="reflect")

    def __call__(self, tile: Region) -> np.ndarray:
        """Return what a tile sees."""
        reads = zip(tile, self._network.origin, self._network.reach, strict=True)
        return np.ascontiguousarray(self._padded[tuple(slice(a + o, b + o + r - 1) for (a, b), o, r in reads)])[None]


class Tiled:
    """A way to apply the dense network to one tile after the other, tuned by measuring.

    Attributes
    ----------
    name, package : str
        What the table calls it, and the framework.
    styles : sequence of dict
        Arguments for :meth:`build` to choose from.
    pieces : sequence of int
        Into how many pieces along each of its two longest axes the image may be cut, to choose from.
    """

    name, package = "", ""
    styles: Sequence[dict[str, Any]] = ({},)
    pieces: Sequence[int] = (1, 2, 4)

    def __init__(self, job: Job) -> None:
        importlib.import_module(self.package)  # its memory counts as that of an idle process
        self.job, self.network, image = job, job.network, job.image
        self.ways = (self.name,)
        self.shape = image.shape[:-1]
        self.window = Windows(self.network, image)
        self.function: Callable[[np.ndarray], np.ndarray] | None = None
        self.tiles: list[Region] = []

    def build(self, **style: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function of a window ``(1, *spatial, channel)`` that returns scores ``(1, *spatial, class)``."""
        raise NotImplementedError

    def over(self, function: Callable[[np.ndarray], np.ndarray], tiles: Sequence[Region], out: np.ndarray) -> None:
        """Apply the network tile by tile."""
        for tile in tiles:
            out[as_slices(tile)] = function(self.window(tile))[0]

    def tune(self) -> str:
        """Choose the fastest style on small tiles, then the fastest tile; return both in words."""
        out = np.empty((*self.shape, self.network.outputs), np.float32)
        functions = [self.build(**style) for style in self.styles]
        small = self._cut(max(self.pieces))
        speeds = [self._seconds_per_pixel(f, small, out) for f in functions] if len(functions) > 1 else [0.0]
        best = int(np.argmin(speeds))
        self.function = functions[best]
        del functions
        cuts = [self._cut(n) for n in self.pieces if self._fits(self._cut(n))] or [small]
        speeds = [self._seconds_per_pixel(self.function, tiles, out) for tiles in cuts] if len(cuts) > 1 else [0.0]
        self.tiles = cuts[int(np.argmin(speeds))]
        for tile in {tuple(b - a for a, b in t): t for t in self.tiles}.values():
            self.over(self.function, [tile], out)  # compile for every size of tile that will come
        style = ", ".join(f"{k} {v}" for k, v in self.styles[best].items())
        size = " × ".join(str(b - a) for a, b in self.tiles[0])
        return f"tile {size}" + (f" of {style_names(style)}" if style else "")

    def turn(self, way: str) -> tuple[float, np.ndarray]:
        """Return the seconds of one pass over the image, and the scores."""
        assert self.function is not None, "tune() comes first"
        out = np.empty((*self.shape, self.network.outputs), np.float32)
        start = time.perf_counter()
        self.over(self.function, self.tiles, out)
        return time.perf_counter() - start, out

    def _cut(self, pieces: int) -> list[Region]:
        """Cut the image along its two longest axes, into so many pieces along each."""
        longest = sorted(range(len(self.shape)), key=lambda axis: self.shape[axis])[-2:]
        tile = [max(-(-n // pieces), min(n, _LEAST)) if a in longest else n for a, n in enumerate(self.shape)]
        return cut_tiles(tuple((0, n) for n in self.shape), tuple(tile))

    def _fits(self, tiles: list[Region]) -> bool:
        sizes = [b - a for a, b in tiles[0]]
        largest = max(
            s.channels * math.prod(n + e for n, e in zip(sizes, s.extra, strict=True)) for s in self.network.steps
        )
        return largest < 2**31 and 4 * 4 * largest < psutil.virtual_memory().available

    def _seconds_per_pixel(self, function: Any, tiles: list[Region], out: np.ndarray) -> float:
        """Return the time of a few tiles in the middle; it is the second call that counts unless the first is long."""
        middle = len(tiles) // 2
        some = tiles[middle : middle + self.at_once(function)]
        for _ in range(2):
            start = time.perf_counter()
            self.over(function, some, out)
            seconds = time.perf_counter() - start
            if seconds > _ENOUGH:
                break
        return seconds / sum(math.prod(b - a for a, b in tile) for tile in some)

    def at_once(self, function: Any) -> int:
        """Return how many tiles are computed side by side."""
        return 1


def style_names(text: str) -> str:
    """Return a style in words."""
    return text.replace("own_pool True", "dilated pooling").replace("own_pool False", "maximum of slices")


_present: Any = None
_job: Job | None = None


def begin(name: str, job: Job) -> tuple[int, tuple[str, ...]]:
    """Make this process a contender; return its process number and the ways it measures."""
    global _present, _job
    module, kind, _ = CONTENDERS[name]
    _present, _job = getattr(importlib.import_module(module), kind)(job), job
    return os.getpid(), tuple(_present.ways)


def tune() -> str:
    """Have the contender choose its settings; return them in words."""
    return str(_present.tune())


def turn(way: str, keep: bool) -> tuple[float, str | None]:
    """Have the contender compute once; return the seconds, and where its scores are if they were to be kept."""
    assert _job is not None, "begin() comes first"
    seconds, scores = _present.turn(way)
    if not keep or scores is None:
        return seconds, None
    path = _job.path(f"scores-{os.getpid()}-{_present.ways.index(way)}.npy")
    np.save(path, scores)
    return seconds, path


def measure_peak() -> float:
    """Return the machine's peak in FLOP/s: the faster product of two matrices, our engine's or NumPy's."""
    from napari_fcnseg.engine import engine

    side = 4096
    matrix = np.random.default_rng(0).standard_normal((side, side), np.float32)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - start)
    return max(engine().measure_peak(), 2 * side**3 / min(times))
