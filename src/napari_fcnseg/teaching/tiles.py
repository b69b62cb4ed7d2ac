"""The network's numbers of the tiles that somebody looks at, kept while there is room: a new head applies at once."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.engine import engine
from napari_fcnseg.plan.method import Method
from napari_fcnseg.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from napari_fcnseg.arrays.frame_source import FrameSource, Region
    from napari_fcnseg.plan.run_plan import RunPlan

Index = tuple[int, ...]
_EDGES: Final = (256, 128, 64, 32, 16)
_BYTES: Final = 2**25  # of a tile's numbers
_AHEAD: Final = 2  # tiles that wait for the device
_PATCHES: Final = 256  # that are computed at once where there is no dense form


class FeatureTiles:
    """Tiles of one image on a fixed grid.

    Parameters
    ----------
    plan : RunPlan
        Of the image with the network that gives the numbers.
    room : int
        Bytes of numbers that are kept.
    """

    def __init__(self, plan: RunPlan, room: int) -> None:
        self._plan, self._room = plan, room
        self._run = Run(plan)
        self._kept: dict[tuple[Index, Region], npt.NDArray[np.float32]] = {}
        self._bytes = 0
        self._frame: tuple[Index, FrameSource] | None = None
        area = 4 * plan.outputs
        self._edge = next((n for n in _EDGES if n * n * area <= _BYTES), _EDGES[-1])

    def grid(self, view: Region, focus: Sequence[int] | None = None) -> list[Region]:
        """Return the tiles that a part of a frame is made of, the nearest to a pixel first.

        Parameters
        ----------
        view : Region
            The part; an axis along which it is one pixel long has tiles of one.
        focus : sequence of int, optional
            The pixel; the middle of the part otherwise.
        """
        shape = self._plan.layout.frame_shape
        spans = []
        for (start, stop), length in zip(view, shape, strict=True):
            edge = 1 if stop - start == 1 else self._edge
            begin = range(start // edge * edge, min(stop, length), edge)
            spans.append([(first, min(first + edge, length)) for first in begin])
        near = focus if focus is not None else [(start + stop) / 2 for start, stop in view]

        def distance(region: Region) -> float:
            return math.dist([(start + stop) / 2 for start, stop in region], near)

        return sorted(itertools.product(*spans), key=distance)

    def known(self, index: Index, region: Region) -> bool:
        """Whether the numbers of a tile are kept."""
        return (index, region) in self._kept

    def numbers(self, index: Index, regions: Sequence[Region]) -> Iterator[tuple[Region, npt.NDArray[np.float32]]]:
        """Yield each tile of a frame with its numbers, ``(*tile, number)``.

        Raises
        ------
        FcnSegError
            If the image cannot be read there, or the computing process ended.
        """
        wanted = {(index, region) for region in regions}
        waiting: dict[Region, Future[Any]] = {}
        coming = iter([region for region in regions if not self.known(index, region)])
        for region in regions:
            for following in itertools.islice(coming, max(0, _AHEAD - len(waiting))):
                waiting[following] = self._asked(index, following)
            known = self._kept.get((index, region))
            if known is None:
                answer = waiting.pop(region, None) or self._asked(index, region)
                shape = tuple(stop - start for start, stop in region)
                known = np.asarray(answer.result(), np.float32).reshape(*shape, self._plan.outputs)
                self._keep((index, region), known, wanted)
            yield region, known

    def _keep(
        self, place: tuple[Index, Region], numbers: npt.NDArray[np.float32], wanted: set[tuple[Index, Region]]
    ) -> None:
        """Keep a tile if there is room beside those that are looked at; others make room, the oldest first."""
        for old in [key for key in self._kept if key not in wanted]:
            if self._bytes + numbers.nbytes <= self._room:
                break
            self._bytes -= self._kept.pop(old).nbytes
        if self._bytes + numbers.nbytes <= self._room:
            self._kept[place] = numbers
            self._bytes += numbers.nbytes

    def _asked(self, index: Index, region: Region) -> Future[Any]:
        plan, method = self._plan, self._plan.methods[0]
        if self._frame is None or self._frame[0] != index:
            self._frame = index, self._run.source(index)
        reader = method.reader(self._frame[1])
        device = engine().devices_for(plan.settings.device)[0]
        assert isinstance(method, Method)
        dense, network = method.dense, method.model.network
        if not dense.steps:  # there is no dense form worth building: patch by patch
            window = reader.read(region, network.patch_shape)
            return engine().run_patches(network, device, window, 1, _PATCHES)
        return engine().run(dense, device, reader.read(region, dense.reach, dense.origin)[None])


def scores_of(numbers: npt.NDArray[np.float32], head: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Return the classes' scores before the softmax, ``(*tile, class)``.

    Parameters
    ----------
    numbers : ndarray, shape (*tile, number)
        What the head reads.
    head : sequence of ndarray
        Kernel and bias of the hidden layer, and of the scores.
    """
    hidden, bias, kernel, last = head
    flat = numbers.reshape(-1, numbers.shape[-1]) @ hidden
    flat += bias
    np.maximum(flat, 0, out=flat)
    scores = np.asarray(flat @ kernel + last, np.float32)
    return scores.reshape(*numbers.shape[:-1], -1)


def doubt_of(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return how close the two most probable classes are, 0 to 1, ``(*tile)``."""
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    best = np.partition(shares / shares.sum(axis=-1, keepdims=True), -2, axis=-1)[..., -2:]
    return np.asarray(1 - (best[..., 1] - best[..., 0]), np.float32)
