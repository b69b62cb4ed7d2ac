"""Touching instances cut apart in block after block, each piece as in the whole frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.instances.basins import INTERIOR, Cutter
from napari_fcnseg.instances.blocks import grown, slices
from napari_fcnseg.instances.joining import first_places

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.instances.blocks import Mask, Numbers
    from napari_fcnseg.instances.joining import Parts, Table


class BlockCutter:
    """Cuts the parts in block after block; the numbers that it gives are those of instances, whole or in part."""

    def __init__(
        self, cutter: Cutter, kinds: Callable[[Box], Numbers], parts: Parts, block: tuple[int, ...], connectivity: int
    ) -> None:  # fmt: skip
        self._cutter, self._kinds, self._parts, self._connectivity = cutter, kinds, parts, connectivity
        self._block = block
        self._grid = tuple(-(-n // b) for n, b in zip(cutter.shape, block, strict=True))
        self._sizes, self._firsts = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
        self._count = 0
        self._open: dict[int, tuple[Box, Numbers, int]] = {}  # pieces that go on in blocks to come

    def objects(self) -> tuple[Table, Table]:
        """Return the size and the first pixel that belong to each number, 0 among them."""
        return np.concatenate(self._sizes), np.concatenate(self._firsts)

    def block(self, number: int, box: Box, ids: Numbers) -> Numbers:
        """Return the instances in a block whose parts are given."""
        parts = self._parts
        start = parts.starts[number]
        stop = (*parts.starts, len(parts.root) - 1)[number + 1]
        roots = parts.root[start + 1 : stop + 1]
        local: Numbers = np.where(ids > 0, ids.astype(np.int64) - start, 0)
        crossing = parts.crosses[roots]
        cores, deep = self._cores(local, box, len(roots))
        simple = ~crossing & (cores == 1) & ~deep  # one instance, and nothing to compute
        table = np.zeros(len(roots) + 1, np.uint32)
        table[1:][simple] = self._count + np.arange(1, np.count_nonzero(simple) + 1)
        self._note(parts.size[roots[simple]], parts.first[roots[simple]])
        result: Numbers = table[local]
        for root in roots[~crossing & ((cores > 1) | deep)].tolist():
            self._paste(result, box, *self._cut(root))
        for root in np.unique(roots[crossing]).tolist():
            if root not in self._open:
                self._open[root] = self._cut(root)
            self._paste(result, box, *self._open[root])
            if self._last(root) <= number:
                del self._open[root]
        return result

    def _cores(self, local: Numbers, box: Box, count: int) -> tuple[Table, Mask]:
        """Return how many components of the interior each part has, and whether one may have to be cut."""
        from scipy.ndimage import maximum
        from skimage.measure import label

        inside = self._kinds(box) == INTERIOR
        interior: Numbers = label(inside, connectivity=self._connectivity)  # type: ignore[no-untyped-call]
        cores = np.bincount(local.ravel()[first_places(interior)], minlength=count + 1)[1:]
        deep: Mask = np.zeros(count, bool)
        wide = grown(box, 1, self._cutter.shape)
        around = self._kinds(wide) == INTERIOR
        if self._cutter.separation and count and not around.all():
            depth = self._cutter.depth(around)[slices(box, [low for low, _ in wide])]
            most = maximum(np.where(inside, depth, 0), local, np.arange(1, count + 1))
            deep = np.asarray(most) > self._cutter.separation * (1 - 1e-9)
        return cores, deep

    def _cut(self, root: int) -> tuple[Box, Numbers, int]:
        """Cut a piece; return where it lies, its instances from 1, and what is added to them."""
        parts = self._parts
        low, high = parts.low[root].tolist(), parts.high[root].tolist()
        box, numbers = self._cutter.cut(tuple(zip(low, high, strict=True)), int(parts.first[root]))
        before, flat = self._count, numbers.ravel()
        count = int(flat.max())
        first = np.zeros(count + 1, np.int64)
        first[flat[::-1]] = np.arange(len(flat))[::-1]
        places = np.unravel_index(first[1:], numbers.shape)
        origin = [a for a, _ in box]
        whole = np.ravel_multi_index([p + o for p, o in zip(places, origin, strict=True)], self._cutter.shape)
        self._note(np.bincount(flat)[1:], whole)
        return box, numbers, before

    def _note(self, sizes: Table, firsts: npt.NDArray[np.integer[Any]]) -> None:
        self._sizes.append(np.asarray(sizes, np.int64))
        self._firsts.append(np.asarray(firsts, np.int64))
        self._count += len(sizes)

    def _last(self, root: int) -> int:
        """Return the last block that a piece may be in."""
        corner = [(n - 1) // b for n, b in zip(self._parts.high[root].tolist(), self._block, strict=True)]
        return int(np.ravel_multi_index(corner, self._grid))

    @staticmethod
    def _paste(result: Numbers, box: Box, place: Box, numbers: Numbers, before: int) -> None:
        """Put what lies in a block of a piece's instances there."""
        both = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(box, place, strict=True))
        if any(a >= b for a, b in both):
            return
        part = numbers[slices(both, [low for low, _ in place])]
        target = result[slices(both, [low for low, _ in box])]
        np.copyto(target, part + np.int64(before), where=part > 0, casting="unsafe")
