"""Where the results of a batch go: files in a folder, called like the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from napari_fcnseg.batch.object_tables import OWN
from napari_fcnseg.batch.outcome import make_folder, named_like
from napari_fcnseg.errors import OutputError, SettingsError
from napari_fcnseg.imagefile import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_fcnseg.batch.item import BatchItem
    from napari_fcnseg.batch.report import ReportLine

#: What results can be written as, and how their names end.
OUTPUT_FORMATS = {"tif": ".tif", "ome-zarr": ".ome.zarr"}


class Places(Protocol):
    """Where results go."""

    @property
    def folder(self) -> Path:
        """The folder with the report, and what else is about all images."""

    @property
    def wells(self) -> Mapping[str, tuple[str, str]]:
        """Well and field of images, by their names; empty where they are of no plate."""

    def begin(self) -> None:
        """Make what is not there yet."""

    def outputs(self, item: BatchItem, kinds: Sequence[str]) -> dict[str, Path]:
        """Return where the results of an image lie, by their kinds."""

    def objects(self, item: BatchItem) -> dict[str, Path]:
        """Return where its objects and their table lie."""

    def prepare(self, item: BatchItem) -> None:
        """Make room for an image's results."""

    def settle(self, item: BatchItem, line: ReportLine | None) -> None:
        """Take note of what has become of an image; None if it was stopped."""

    def finish(self) -> Path | None:
        """Write what sums up all images that came to an end; return where."""


class ResultFolder:
    """A folder for results, which is made if it is not there.

    Parameters
    ----------
    folder : Path
        The folder.
    form : {"tif", "ome-zarr"}
        What results are written as.

    Raises
    ------
    FcnSegError
        If there is no such form, or the folder cannot be made.
    """

    def __init__(self, folder: Path, form: str) -> None:
        if form not in OUTPUT_FORMATS:
            raise SettingsError(f"Results cannot be written as {form!r}. Choose one of: {', '.join(OUTPUT_FORMATS)}.")
        if folder.suffix.lower() in OUTPUTS and not folder.is_dir():
            raise OutputError(f"{folder} is the name of a file. For many images, name a folder for the results.")
        self.folder, self._ending = make_folder(folder), OUTPUT_FORMATS[form]
        self.wells: Mapping[str, tuple[str, str]] = {}

    def begin(self) -> None:
        """Make nothing: it is there."""

    def outputs(self, item: BatchItem, kinds: Sequence[str]) -> dict[str, Path]:
        """Return where the results of an image lie, by their kinds."""
        return named_like(self.folder / item.target, kinds, self._ending)

    def objects(self, item: BatchItem) -> dict[str, Path]:
        """Return where its objects and their table lie."""
        stem = self.folder / item.target
        return {**named_like(stem, ["objects"], self._ending), "table": stem.with_name(stem.name + OWN)}

    def prepare(self, item: BatchItem) -> None:
        """Make nothing: its folder is made with its results."""

    def settle(self, item: BatchItem, line: ReportLine | None) -> None:
        """Take no note: each image's files are for themselves."""

    def finish(self) -> None:
        """Sum up nothing."""
