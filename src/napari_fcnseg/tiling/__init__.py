"""Image shape and geometry to tiles, and tiles to an image."""

from napari_fcnseg.source import Region
from napari_fcnseg.tiling.layout import Layout
from napari_fcnseg.tiling.plan import around, cut, grouped, nearest_first, slices
from napari_fcnseg.tiling.window import BORDERS, Border, WindowReader, check_border, predicted

__all__ = [
    "BORDERS",
    "Border",
    "Layout",
    "Region",
    "WindowReader",
    "around",
    "check_border",
    "cut",
    "grouped",
    "nearest_first",
    "predicted",
    "slices",
]
