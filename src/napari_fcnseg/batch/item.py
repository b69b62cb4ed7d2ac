"""One image of a batch, and what is found where images are looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg.imagefile import read_image
from napari_fcnseg.imagefile.identity import facts_of_file
from napari_fcnseg.imagefile.plates import check_inside
from napari_fcnseg.proof.certificate import image_sha256

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fcnseg.batch.report import ReportLine
    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.imagefile.plates import Plate, PlateField

_AROUND = "../../"  # the field, seen from labels/NAME in it
_LABELS = "labels"  # of a field, which others may add and which are no part of its image


@dataclass(frozen=True, eq=False)
class BatchItem:
    """One image of a batch.

    Attributes
    ----------
    name : str
        What it is called in the report.
    target : str
        What its results are called, without their endings; different for each image of a batch.
    path : Path or None
        The file.
    image : ImageFile or None
        The image, if it is in no file.
    more : tuple of Path
        The files of the other channels, where each has one of its own.
    plate : Plate or None
        The plate that it is of.
    field : PlateField or None
        Its place in there.
    """

    name: str
    target: str
    path: Path | None = None
    image: ImageFile | None = None
    more: tuple[Path, ...] = ()
    plate: Plate | None = None
    field: PlateField | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All its files."""
        return (self.path, *self.more) if self.path is not None else ()

    def read(self, series: int | None = None) -> ImageFile:
        """Return the image.

        Parameters
        ----------
        series : int, optional
            Which one, where the file holds several.

        Raises
        ------
        ImageError
            If the file cannot be read.
        """
        if self.image is not None:
            return self.image
        assert self.path is not None, "an item has a file or an image"
        if self.plate is None:
            return read_image(self.paths, series)
        check_inside(self.plate.path, self._looked_at())
        return replace(read_image(self.paths), zarr_format=self.plate.zarr_format, labels_of=_AROUND)

    def identity(self) -> dict[str, Any] | None:
        """Return what tells the image from a later one of the same name, as plain data; None where nothing does."""
        if self.path is None:
            digest = image_sha256(self.image.data) if self.image is not None else None
            return {"sha256": digest} if digest is not None else None
        facts = [facts_of_file(path) for path in self._looked_at()]
        size, modified = sum(size for size, _ in facts), ", ".join(str(when) for _, when in facts)
        others = {"more": [path.name for path in self.more]} if self.more else {}
        return {"path": self.name, **others, "bytes": size, "modified": modified}

    def _looked_at(self) -> tuple[Path, ...]:
        """Return the files and folders by whose sizes and times it is known."""
        if self.path is None or self.plate is None:
            return self.paths
        return tuple(sorted(path for path in self.path.iterdir() if path.name != _LABELS))


@dataclass(frozen=True)
class FoundImages:
    """What is in a folder.

    Attributes
    ----------
    items : tuple of BatchItem
        The images, in the order in which a person would count them.
    left_out : tuple of ReportLine
        The other files, and why each is none.
    others : tuple of Path
        Images that are not taken, and that this program has not written.
    plate : Plate or None
        The plate that they are the fields of.
    """

    items: tuple[BatchItem, ...]
    left_out: tuple[ReportLine, ...]
    others: tuple[Path, ...] = ()
    plate: Plate | None = None
