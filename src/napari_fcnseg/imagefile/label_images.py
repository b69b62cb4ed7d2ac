"""Labels inside an OME-Zarr image: ``image.zarr/labels/NAME``, where viewers look for them.

References
----------
OME-Zarr specifications 0.4 and 0.5, "labels", https://ngff.openmicroscopy.org/0.5/
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile.omezarr import described, read_zarr
from napari_fcnseg.imagefile.pyramid import describe
from napari_fcnseg.imagefile.writing import grown
from napari_fcnseg.system.saving import ZARR, is_zarr, swap_in
from napari_fcnseg.system.saving.names import final
from napari_fcnseg.system.saving.reasons import reason, remedy
from napari_fcnseg.system.saving.renaming import remove
from napari_fcnseg.system.saving.stores import marked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LABELS = "labels"
_OLD_FORMAT = 2  # of Zarr, which OME-Zarr 0.4 has


def image_around(path: Path) -> Path | None:
    """Return the image that labels of this name are to be put into; None where the name says no such thing."""
    image = path.parent.parent
    return image if path.parent.name == _LABELS and is_zarr(image) else None


def work_name(path: Path) -> Path:
    """Return where labels lie until they are put into their image: beside it."""
    image = final(path.parent.parent)
    return image.with_name(f"{image.stem}.{_LABELS}-{path.stem}{ZARR}")


def check_room(path: Path, *, overwrite: bool, advice: str) -> None:
    """Find out whether labels can be put into an image under a name.

    Parameters
    ----------
    path : Path
        ``image.zarr/labels/NAME``.
    overwrite : bool
        Whether earlier labels of this program are replaced.
    advice : str
        How to have that.

    Raises
    ------
    OutputError
        If not.
    """
    import zarr

    image = path.parent.parent
    node = zarr.open(final(image), mode="r")
    if not (isinstance(node, zarr.Group) and "multiscales" in described(node)):
        raise OutputError(f"{image} is no OME-Zarr image that labels could be put into. Choose another name.")
    if not os.access(path.parent if path.parent.exists() else image, os.W_OK):
        raise OutputError(f"{image} cannot be written: you have no permission. Choose a name outside of it.")
    if not os.path.lexists(path):
        return
    if not marked(path):
        raise OutputError(f"{path} is there already, and this program has not written it. Choose another name.")
    if not overwrite:
        raise OutputError(f"{path} exists already. Choose another name, or {advice}.")


def put_into_image(work: Path, path: Path) -> None:
    """Put labels that are complete into their image, in its version of OME-Zarr, and name them in its list.

    Earlier labels of the name are replaced.

    Parameters
    ----------
    work, path : Path
        Where they are, and ``image.zarr/labels/NAME``.

    Raises
    ------
    OutputError
        If they cannot be put there; then they stay where they are.
    """
    import zarr

    try:
        image = zarr.open_group(final(path.parent.parent), mode="r+")
        form = image.metadata.zarr_format
        image.require_group(_LABELS)
        if form == _OLD_FORMAT:
            growing = grown(final(path), read_zarr(work).for_format(form), overwrite=True)
            _name_source(zarr.open_group(growing.part, mode="r+"), path.name)
            growing.finish()
            remove(work)
        else:
            _name_source(zarr.open_group(work, mode="r+"), path.name)
            swap_in(work, final(path), overwrite=True)
        list_labels(path.parent.parent, [path.name])
    except OSError as error:
        raise OutputError(
            f"The labels are complete and lie in {work}. They could not be put into {path.parent.parent}: "
            f"{reason(error)}. {remedy(error)}"
        ) from None


def list_labels(path: Path, names: Sequence[str]) -> None:
    """Have labels in the list of an image's, which is made if it is not there.

    Parameters
    ----------
    path : Path
        The image.
    names : sequence of str
        What the labels are called.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    import zarr

    labels = zarr.open_group(final(path), mode="r+").require_group(_LABELS)
    there = [str(name) for name in described(labels).get(_LABELS, ())]
    if _LABELS in described(labels) and set(names) <= set(there):
        return
    everything = list(dict.fromkeys([*there, *names]))
    if labels.metadata.zarr_format == _OLD_FORMAT:
        labels.attrs[_LABELS] = everything
    else:
        labels.attrs["ome"] = {**described(labels), "version": "0.5", _LABELS: everything}


def _name_source(group: Any, name: str) -> None:
    """Say in an image of labels what it is called, and that it is about the image around it."""
    found = described(group)
    form = group.metadata.zarr_format
    known = {key: value for key, value in found.items() if key in ("multiscales", "image-label")}
    known["multiscales"] = [{**scale, "name": name} for scale in known["multiscales"]]
    known["image-label"] = {**known.get("image-label", {}), "source": {"image": "../../"}}
    describe(group, known, form)
