"""Read the window of an image that a tile needs, continued over the border as the user chose.

The patch that speaks for pixel ``i`` starts at ``i - P // 2``. A tile ``start … stop`` therefore reads
``start - P // 2 … stop - P // 2 + P - 1``, or less where the network does not look at all of a patch. Where that leaves
the image the border rule says which pixel stands there. Nothing is padded as a whole: each axis has a table from
coordinates to pixels, as long as the axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from napari_fcnseg.arrays.frame_source import FrameSource, Image, Region

Border: TypeAlias = Literal["reflect", "edge", "constant", "valid"]
#: What may surround the image.
BORDERS: tuple[Border, ...] = get_args(Border)


def check_border(border: str) -> None:
    """Raise a :class:`~napari_fcnseg.errors.SettingsError` for an unknown border rule."""
    if border not in BORDERS:
        raise SettingsError(f"There is no border rule {border!r}. Choose one of: {', '.join(BORDERS)}.")


def predicted_region(shape: tuple[int, ...], patch: tuple[int, ...], border: Border) -> Region:
    """Return the region whose pixels get a prediction: all, or with ``"valid"`` those with a full patch.

    The region is empty along an axis that is shorter than the patch.
    """
    if border != "valid":
        return tuple((0, n) for n in shape)
    return tuple((p // 2, p // 2 + max(n - p + 1, 0)) for n, p in zip(shape, patch, strict=True))


class WindowReader:
    """Reads windows of a frame that may reach over its border.

    Parameters
    ----------
    source : FrameSource
        The prepared frame ``(*spatial, channel)``.
    patch : tuple of int
        Patch shape.
    border : {"reflect", "edge", "constant", "valid"}
        What surrounds the image; ``"constant"`` is zero.
    """

    def __init__(self, source: FrameSource, patch: tuple[int, ...], border: Border) -> None:
        self._source = source
        self._before = tuple(p // 2 for p in patch)
        self._constant = border == "constant"
        mode: Literal["reflect", "edge"] = "edge" if border == "edge" else "reflect"
        self._pixel = []  # per axis: coordinate + before -> pixel, -1 for outside
        for n, p, before in zip(source.shape[:-1], patch, self._before, strict=True):
            after = p - 1 - before
            if self._constant:
                table = np.full(n + before + after, -1)
                table[before : before + n] = np.arange(n)
            else:
                table = np.pad(np.arange(n), (before, after), mode=mode)
            self._pixel.append(table)

    def read(self, region: Region, reach: tuple[int, ...], origin: tuple[int, ...] | None = None) -> Image:
        """Return what the pixels of a region see: ``(*(size + reach - 1), channel)``.

        ``reach`` pixels of each patch are seen, from pixel ``origin`` of the patch on.
        """
        first = origin or (0,) * len(reach)
        tables = [
            table[start + skip : stop + skip + length - 1]
            for table, (start, stop), length, skip in zip(self._pixel, region, reach, first, strict=True)
        ]
        inside = [table[table >= 0] for table in tables]
        shape = (*map(len, tables), self._source.shape[-1])
        if not all(map(len, inside)):  # it sees nothing of the image
            return np.zeros(shape, np.float32)
        box = [(int(table.min()), int(table.max()) + 1) for table in inside]
        window = self._source.read(tuple(box))
        for axis, (table, (low, high)) in enumerate(zip(inside, box, strict=True)):
            if not np.array_equal(table, np.arange(low, high)):  # over the border: pixels come again, or backwards
                window = window.take(table - low, axis=axis)
        if window.shape == shape:
            return np.ascontiguousarray(window)
        whole = np.zeros(shape, np.float32)
        whole[tuple(_span(table) for table in tables)] = window
        return whole

    def patches(self, points: npt.NDArray[np.integer], patch: tuple[int, ...]) -> Image:
        """Return the patch of each point: ``(n, *patch, channel)``."""
        regions = [tuple((int(i), int(i) + 1) for i in point) for point in points]
        return np.stack([self.read(region, patch) for region in regions])


def _span(table: npt.NDArray[np.integer]) -> slice:
    """Return where a table says pixels of the image; they follow each other."""
    where = np.flatnonzero(table >= 0)
    return slice(int(where[0]), int(where[-1]) + 1)
