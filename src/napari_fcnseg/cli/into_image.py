"""``-o image.zarr/labels/NAME``: a result that is put into an OME-Zarr image once it is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fcnseg.cli.exit_codes import DIFFERENT, OK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

#: How a result may be named, for ``--help``.
NAMES = ".tif, .zarr, .png, .npy, or IMAGE.zarr/labels/NAME"


def into_images(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Return a command whose output may be named so.

    The result grows, and is gone on with after a stop, beside the image.
    """

    def run(chosen: argparse.Namespace) -> int:
        from napari_fcnseg.imagefile.label_images import check_room, image_around, put_into_image, work_name
        from napari_fcnseg.imagefile.plates import is_plate
        from napari_fcnseg.run.provenance_file import move_provenance
        from napari_fcnseg.system.saving import COMMAND

        path = chosen.output
        image = image_around(path)
        if image is None or is_plate(image):  # a plate's fields get their labels one by one
            return command(chosen)
        check_room(path, overwrite=chosen.overwrite, advice=COMMAND)
        chosen.output = work_name(path)
        code = command(chosen)
        if code in (OK, DIFFERENT):
            put_into_image(chosen.output, path)
            move_provenance(chosen.output, path)
            if not chosen.quiet:
                print(f"{chosen.output.name} is now {path}.")
        return code

    return run
