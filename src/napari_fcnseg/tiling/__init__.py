"""Image shape and geometry to tiles, and tiles to an image."""

from napari_fcnseg.tiling.layout import Layout
from napari_fcnseg.tiling.plan import Region, cut, slices
from napari_fcnseg.tiling.window import BORDERS, Border, WindowReader, check_border, predicted

__all__ = ["BORDERS", "Border", "Layout", "Region", "WindowReader", "check_border", "cut", "predicted", "slices"]
