"""Image files in and out, with their axes and pixel size."""

from napari_fcnseg.imagefile.growing_zarr import GrowingZarr, stored_axes
from napari_fcnseg.imagefile.image import ChannelLook, ImageFile
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
    "OUTPUTS", "READ", "UNITS", "ZARR", "ChannelLook", "GrowingZarr", "ImageFile", "axis_letters", "check_ending",
    "check_output", "check_picture", "grown", "read_image", "stage_image", "stored_axes", "write_image",
]  # fmt: skip
