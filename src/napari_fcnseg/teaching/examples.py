"""Painted pixels as what is asked for gradients: regions of the image, or patch by patch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.border import WindowReader
from napari_fcnseg.conversion.memory import tile_flop
from napari_fcnseg.conversion.strided import subsampled
from napari_fcnseg.run.run import Run
from napari_fcnseg.teaching.cover import cover
from napari_fcnseg.teaching.features import frames_seen, views

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.teaching.strokes import Strokes

_LARGEST: Final = 128  # pixels of a region along an axis, at most
#: FLOP of a region that take as long as one of a patch: patches make better use of a processor, and a call costs.
_SLOWER, _CALL = 1.5, 2_000_000_000
_PATCHES: Final = 64  # that are asked for together
_WINDOWS: Final = 2**29  # bytes of windows that are kept


@dataclass(frozen=True, eq=False)
class Example:
    """A part of an image with strokes in it, as one view shows it.

    Attributes
    ----------
    window : ndarray of float32, shape (*window, channel)
        What the network sees.
    points : ndarray of int, shape (n, axis)
        The painted pixels, in the region.
    which : ndarray of int, shape (n,)
        Their numbers among all painted pixels.
    size : tuple of int
        Of the region.
    """

    window: npt.NDArray[np.float32]
    points: npt.NDArray[np.intp]
    which: npt.NDArray[np.intp]
    size: tuple[int, ...]


@dataclass(frozen=True)
class Way:
    """How gradients are found: by regions, or by patches.

    Attributes
    ----------
    network : DenseNetwork
        The dense network, or thinned to the model's own strides: then each patch is an entry of the batch.
    patches : int
        How many patches are handed over together; 0 for regions.
    """

    network: DenseNetwork
    patches: int

    @classmethod
    def chosen(cls, dense: DenseNetwork, examples: Sequence[Example], learn: npt.NDArray[np.intp]) -> Way:
        """Return the way that is less work for painted pixels."""
        thin = subsampled(dense, dense.strides)
        mine = [example for example in examples if np.isin(example.which, learn).any()]
        regions = sum(_SLOWER * tile_flop(dense, example.size) + _CALL for example in mine)
        patches = len(learn) * tile_flop(thin, (1,) * len(dense.patch_shape))
        return cls(dense, 0) if regions <= patches else cls(thin, _PATCHES)

    def asked(
        self, example: Example, labels: npt.NDArray[Any], weight: npt.NDArray[Any]
    ) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
        """Yield windows, labels and weights to ask for gradients with."""
        mine = weight[example.which] > 0
        points, which = example.points[mine], example.which[mine]
        if not self.patches:
            what, weights = np.zeros((1, *example.size), np.int32), np.zeros((1, *example.size), np.float32)
            what[0][tuple(points.T)], weights[0][tuple(points.T)] = labels[which], weight[which]
            yield example.window[None], what, weights
            return
        one = (1,) * points.shape[1]
        for start in range(0, len(points), self.patches):
            some = which[start : start + self.patches]
            places = points[start : start + self.patches]
            cut = (tuple(slice(i, i + n) for i, n in zip(p, self.network.reach, strict=True)) for p in places.tolist())
            windows = np.stack([example.window[c] for c in cut])
            shape = (len(some), *one)
            yield windows, labels[some].reshape(shape).astype(np.int32), weight[some].reshape(shape)


def examples_of(
    plans: Sequence[RunPlan], painted: Strokes, dense: DenseNetwork, *, turned: bool
) -> list[list[Example]]:
    """Return by view the regions with strokes in them, and what the network sees there.

    Parameters
    ----------
    plans : sequence of RunPlan
        Of the images: how each is prepared.
    painted : Strokes
        What is painted on them.
    dense : DenseNetwork
        Of the network that is trained.
    turned : bool
        Whether the images are seen turned and mirrored, too, as far as there is room.
    """
    axes = len(dense.patch_shape)
    ways = views(axes, turned=turned)
    found: list[list[Example]] = [[] for _ in ways]
    numbers = [np.flatnonzero(painted.image == n) for n in range(len(plans))]
    parts: list[npt.NDArray[Any]] = []
    size = 0
    for plan, points, which in zip(plans, painted.points, numbers, strict=True):
        if not len(points):
            continue
        for way, mine, seen, source in frames_seen(Run(plan), points, len(plan.layout.stack_shape), ways):
            if way and size * len(ways) > _WINDOWS:
                continue
            if not way:  # what is seen turned is turned as a whole
                parts = [part for _, part in cover(seen, dense.reach, (_LARGEST,) * axes)]
            reader = WindowReader(source, dense.patch_shape, plan.settings.border)  # type: ignore[arg-type]
            for part in parts:
                first, last = seen[part].min(axis=0), seen[part].max(axis=0) + 1
                region = tuple(zip(first.tolist(), last.tolist(), strict=True))
                window = reader.read(region, dense.reach, dense.origin)
                size += window.nbytes * (not way)
                extent = tuple((last - first).tolist())
                found[way].append(Example(window, seen[part] - first, which[mine[part]], extent))
    return [examples for examples in found if len(examples) == len(found[0])]
