"""Image shape and geometry to tiles, and tiles to an image."""

from napari_fcnseg.source import Region
from napari_fcnseg.tiling.layout import Layout
from napari_fcnseg.tiling.plan import cut, nearest_first, slices, with_first
from napari_fcnseg.tiling.window import BORDERS, Border, WindowReader, check_border, predicted

__all__ = [
    "BORDERS",
    "Border",
    "Layout",
    "Region",
    "WindowReader",
    "check_border",
    "cut",
    "nearest_first",
    "predicted",
    "slices",
    "with_first",
]
