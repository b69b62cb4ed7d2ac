"""The extent that a run computes, and the size of its tiles.

Sizes and regions are in output pixels: output pixel ``i`` is pixel ``i * every`` of the image.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_fcnseg.arrays.border import predicted_region
from napari_fcnseg.arrays.lazy import overlap
from napari_fcnseg.errors import ImageError, SettingsError
from napari_fcnseg.plan.default_tile import default_patch_tile, default_pixel_tile, default_tile
from napari_fcnseg.plan.memory_budget import FRAMEWORK
from napari_fcnseg.plan.pixel_method import PixelMethod
from napari_fcnseg.plan.smaller_tile import shrink_to_fit
from napari_fcnseg.plan.tiles import tile_around
from napari_fcnseg.system.formatting import format_bytes, format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.plan.memory_budget import MemoryBudget
    from napari_fcnseg.plan.method import AnyMethod
    from napari_fcnseg.settings import RunSettings

_FIRST_WORK = 2.5e10  # FLOP of a tile that the user waits for: a quarter of a second on a laptop
_FIRST_SHARE = 0.1  # share of the run's work that it may take, since it is computed twice

_ANEW = 0.03  # of a group's work, at most, that the last group has done already


def extent_of(shape: tuple[int, ...], patches: Sequence[tuple[int, ...]], settings: RunSettings) -> Region:
    """Return the output pixels that get a prediction.

    Parameters
    ----------
    shape : tuple of int
        Spatial shape of a frame.
    patches : sequence of tuple of int
        Patch shape of each model.
    settings : RunSettings
        What the user chose.

    Raises
    ------
    ImageError, SettingsError
        If no pixel gets one.
    """
    starts_stops = [predicted_region(shape, patch, settings.border) for patch in patches]  # type: ignore[arg-type]
    extent = tuple((max(a for a, _ in axis), min(b for _, b in axis)) for axis in zip(*starts_stops, strict=True))
    if any(stop <= start for start, stop in extent):
        largest = tuple(map(max, zip(*patches, strict=True)))
        raise ImageError(
            f"The image ({format_shape(shape)}) is smaller than the patch ({format_shape(largest)}), and "
            'border="valid" predicts only where a whole patch fits. Choose another border, for example "reflect".'
        )
    if settings.region is not None:
        extent = _within(extent, settings.region)
    subsampled = tuple((-(-start // settings.every), -(-stop // settings.every)) for start, stop in extent)
    if any(stop <= start for start, stop in subsampled):
        raise SettingsError(f"With every={settings.every} no pixel is left to predict. Choose a smaller number.")
    return subsampled


def _within(extent: Region, region: Region) -> Region:
    if len(region) != len(extent):
        raise SettingsError(f"The region has {len(region)} axes and the model {len(extent)} spatial ones.")
    both = overlap(extent, region)
    if any(stop <= start for start, stop in both):
        raise SettingsError(f"The region {region} holds no pixel with a prediction; predictions reach {extent}.")
    return both


def tile_size_for(
    methods: Sequence[AnyMethod],
    sizes: tuple[int, ...],
    settings: RunSettings,
    memory_budget: MemoryBudget,
    tell: Callable[[str], object],
) -> tuple[int, ...]:
    """Return the largest tile, in output pixels per axis.

    Parameters
    ----------
    methods : sequence of Method
        How each model's numbers are computed.
    sizes : tuple of int
        Places per axis that are computed.
    settings : RunSettings
        What the user chose.
    memory_budget : MemoryBudget
        What a tile may take.
    tell : callable
        Called with a sentence where the tile is not the one that was asked for, or takes more than the limit.

    Raises
    ------
    SettingsError
        If the chosen tile does not fit the model's axes, or the memory limit is below the smallest tile.
    """
    every = settings.every
    if settings.tile is not None:
        tile = (settings.tile,) * len(sizes) if isinstance(settings.tile, int) else settings.tile
        if len(tile) != len(sizes):
            raise SettingsError(f"The tile {tile} has {len(tile)} sizes and the model {len(sizes)} spatial axes.")
        chosen = tuple(min(max(t // every, 1), n) for t, n in zip(tile, sizes, strict=True))
    else:
        chosen = _best(methods, sizes, memory_budget)
    for method in methods:
        chosen = method.largest(chosen) if isinstance(method, PixelMethod) else chosen
    tile = memory_budget.tile(chosen)
    if tile != chosen and settings.tile is not None:
        tell(
            f"A tile of {format_shape(chosen)} pixels would take about {format_bytes(memory_budget.expected(chosen))}, "
            f"more than may be taken: tiles of at most {format_shape(tile)} are computed. The labels are the same."
        )
    limit, least = settings.memory_limit, memory_budget.expected(tile)
    if limit is not None and least > limit:
        raise SettingsError(
            f"The memory limit of {format_bytes(limit)} is too small: even a tile of {format_shape(tile)} pixels takes "
            f"{format_bytes(least)} beside what the computing process itself takes. Allow more memory."
        )
    if limit is not None and least + FRAMEWORK > limit:
        tell(
            f"The memory limit of {format_bytes(limit)} is less than this run takes: about "
            f"{format_bytes(least + FRAMEWORK)}, of which {format_bytes(FRAMEWORK)} are the computing process itself."
        )
    return tile


def strips_per_group(methods: Sequence[AnyMethod], tile: tuple[int, ...]) -> int:
    """Return how many tiles below each other are a group, the first of which is computed from none above.

    1 where no tile is computed from another. The fewer, the less has to be computed for a part of an image; there are
    so many that what each group computes anew is little of its work.
    """
    if not any(method.in_strips for method in methods):
        return 1
    one, two = (_work(methods, (rows, *tile[1:])) for rows in (tile[0], 2 * tile[0]))
    return max(1, math.ceil((2 * one - two) / (two - one) / _ANEW))


def first_tile(methods: Sequence[AnyMethod], most: tuple[int, ...]) -> tuple[int, ...]:
    """Return a tile that takes less than a second, no larger than the given sizes."""
    return shrink_to_fit(most, lambda size: _work(methods, size) <= _FIRST_WORK)


def early_tile(
    methods: Sequence[AnyMethod],
    extent: Region,
    settings: RunSettings,
    tile: tuple[int, ...],
    tiles: int,
    focus: Sequence[float],
) -> Region | None:
    """Return a small first tile around an output pixel, or None where it does not pay.

    What it covers is computed again in its turn. So there is none where that is a good part of the run, or where the
    first of the other tiles is there nearly as soon.

    Parameters
    ----------
    methods : sequence of Method
        How each model's numbers are computed.
    extent : Region
        What is computed.
    settings : RunSettings
        What the user chose.
    tile, tiles : tuple of int, int
        The run's tile, and how many it has.
    focus : sequence of float
        The place.
    """
    size = first_tile(methods, tile if settings.tile is not None else tuple(stop - start for start, stop in extent))
    early, usual = _work(methods, size), _work(methods, tile)
    return tile_around(extent, size, focus) if 2 * early <= usual and early <= _FIRST_SHARE * usual * tiles else None


def _work(methods: Sequence[AnyMethod], size: tuple[int, ...]) -> int:
    return sum(method.flop(size) for method in methods)


def _best(methods: Sequence[AnyMethod], sizes: tuple[int, ...], memory_budget: MemoryBudget) -> tuple[int, ...]:
    best = sizes
    as_they_are = [method for method in methods if isinstance(method, PixelMethod)]
    converted = [method for method in methods if not isinstance(method, PixelMethod)]
    dense = [method for method in converted if method.name == "dense"]
    if dense:
        in_strips = all(method.in_strips for method in dense)
        best = default_tile([method.dense for method in dense], sizes, memory_budget.bytes, in_strips)
    if patchwise := [method.dense for method in converted if method.name == "patchwise"]:
        best = tuple(map(min, best, default_patch_tile(patchwise, sizes)))
    if as_they_are:
        best = tuple(map(min, best, default_pixel_tile(as_they_are, sizes)))
    return best
