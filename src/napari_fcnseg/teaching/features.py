"""The numbers of a network at painted pixels, also of the image turned and mirrored."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.frame_source import FrameSource, Image, Region
from napari_fcnseg.engine import engine
from napari_fcnseg.plan.method import Method
from napari_fcnseg.run.run import Run
from napari_fcnseg.teaching.cover import cover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from napari_fcnseg.arrays.border import WindowReader
    from napari_fcnseg.engine import Device
    from napari_fcnseg.plan.run_plan import RunPlan

_AHEAD: Final = 2  # regions that wait for the device


@dataclass(frozen=True)
class View:
    """How an image is turned: axis ``n`` of what is seen is axis ``order[n]`` of the image, backwards if it says so."""

    order: tuple[int, ...]
    backwards: tuple[bool, ...]

    def seen(self, points: npt.NDArray[np.intp], shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
        """Return where pixels of an image of a shape are in what is seen."""
        pairs = zip(self.order, self.backwards, strict=True)
        return np.stack(
            [shape[axis] - 1 - points[:, axis] if back else points[:, axis] for axis, back in pairs], axis=1
        )


def views(axes: int, *, turned: bool) -> tuple[View, ...]:
    """Return how an image is seen: as it is, and in three other ways where it may be turned."""
    upright = tuple(range(axes))
    plain = View(upright, (False,) * axes)
    if not turned:
        return (plain,)
    flipped = [View(upright, tuple(n in back for n in range(axes))) for back in ((axes - 1,), (axes - 2, axes - 1))]
    if axes != 2:
        return (plain, *(view for view in flipped if axes > 1))
    return (plain, flipped[0], View((1, 0), (True, False)), View((1, 0), (True, True)))


class TurnedFrame(FrameSource):
    """A prepared frame as a view shows it."""

    def __init__(self, source: FrameSource, view: View) -> None:
        self._source, self._view = source, view
        self.shape = (*(source.shape[a] for a in view.order), source.shape[-1])
        self.chunks = tuple(source.chunks[a] for a in view.order)

    def read(self, region: Region) -> Image:
        """Return a region of what is seen."""
        order, backwards = self._view.order, self._view.backwards
        there: dict[int, tuple[int, int]] = {}
        for (start, stop), axis, back in zip(region, order, backwards, strict=True):
            n = self._source.shape[axis]
            there[axis] = (n - stop, n - start) if back else (start, stop)
        pixels = self._source.read(tuple(there[axis] for axis in range(len(order))))
        pixels = pixels.transpose((*order, len(order)))
        return np.ascontiguousarray(pixels[tuple(slice(None, None, -1 if back else 1) for back in backwards)])


def features_at(
    plan: RunPlan, points: npt.NDArray[np.intp], *, turned: bool, progress: Callable[[float], object] | None = None
) -> npt.NDArray[np.float32]:
    """Return the network's numbers at some pixels, ``(view, n, number)``.

    Parameters
    ----------
    plan : RunPlan
        Of one image with the network that gives the numbers.
    points : ndarray of int, shape (n, axes of the labels)
        The pixels.
    turned : bool
        Whether the image is seen turned and mirrored, too.
    progress : callable, optional
        Called with the share that is done.

    Raises
    ------
    FcnSegError
        If the image cannot be read there, or holds no numbers.
    """
    device = engine().devices_for(plan.settings.device)[0]
    run, stack = Run(plan), len(plan.layout.stack_shape)
    ways = views(len(plan.layout.frame_shape), turned=turned)
    found = np.zeros((len(ways), len(points), plan.outputs), np.float32)
    done, total = 0, len(ways) * len(points)
    waiting: deque[tuple[int, Region, npt.NDArray[np.intp], npt.NDArray[np.intp], Future[Any]]] = deque()

    def finish() -> None:
        nonlocal done
        way, region, mine, seen, answer = waiting.popleft()
        numbers = answer.result().reshape(*(stop - start for start, stop in region), plan.outputs)
        found[way, mine] = numbers[tuple((seen - [start for start, _ in region]).T)]
        done += len(mine)
        if progress is not None:
            progress(done / total)

    for way, mine, seen, source in frames_seen(run, points, stack, ways):
        for region, part, answer in _answers(plan, source, seen, device):
            waiting.append((way, region, mine[part], seen[part], answer))
            while len(waiting) > _AHEAD:
                finish()
    while waiting:
        finish()
    return found


def frames_seen(
    run: Run, points: npt.NDArray[np.intp], stack: int, ways: tuple[View, ...]
) -> Iterator[tuple[int, npt.NDArray[np.intp], npt.NDArray[np.intp], FrameSource]]:
    """Yield each frame with points in it, as each view shows it.

    The number of the view, those of the points, where these are in what is seen, and the frame so seen.
    """
    for index in np.unique(points[:, :stack], axis=0):
        mine = np.flatnonzero((points[:, :stack] == index).all(axis=1))
        source = run.source(tuple(map(int, index)))
        for number, view in enumerate(ways):
            seen = view.seen(points[mine, stack:], source.shape[:-1])
            yield number, mine, seen, TurnedFrame(source, view) if number else source


def _answers(
    plan: RunPlan, source: FrameSource, points: npt.NDArray[np.intp], device: Device
) -> Iterator[tuple[Region, npt.NDArray[np.intp], Future[Any]]]:
    """Hand region after region to the engine; yield each with the numbers of the points in it."""
    method = plan.methods[0]
    assert isinstance(method, Method)
    dense = method.dense
    reader: WindowReader = method.reader(source)
    if not dense.steps:  # there is no dense form worth building: patch by patch
        network = method.model.network
        for start in range(len(points)):
            region = tuple((int(i), int(i) + 1) for i in points[start])
            yield (
                region,
                np.array([start]),
                engine().run(network, device, reader.read(region, network.patch_shape)[None]),
            )
        return
    for region, part in cover(points, dense.reach, plan.tile):
        yield (
            region,
            part.astype(np.intp),
            engine().run(dense, device, reader.read(region, dense.reach, dense.origin)[None]),
        )
