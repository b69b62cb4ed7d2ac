"""Image files in and out, with their axes and pixel size."""

from napari_fcnseg.imagefile.growing_zarr import GrowingZarr
from napari_fcnseg.imagefile.image import ImageFile
from napari_fcnseg.imagefile.omezarr import UNITS, axis_letters
from napari_fcnseg.imagefile.reading import READ, read_image
from napari_fcnseg.imagefile.writing import (
    OUTPUTS,
    check_ending,
    check_output,
    check_picture,
    grown,
    stage_image,
    write_image,
)
from napari_fcnseg.system.saving import ZARR

__all__ = [
    "OUTPUTS", "READ", "UNITS", "ZARR", "GrowingZarr", "ImageFile", "axis_letters", "check_ending", "check_output",
    "check_picture", "grown", "read_image", "stage_image", "write_image",
]  # fmt: skip
