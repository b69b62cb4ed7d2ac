"""The results of a plate: a plate like it, with the labels, and beside that the report and a table of its wells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fcnseg.batch.object_tables import OWN
from napari_fcnseg.batch.outcome import make_folder
from napari_fcnseg.batch.wells import WellTable
from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile.plate_labels import PlateLabels, name_in_plate
from napari_fcnseg.imagefile.plate_writing import PlateWriter
from napari_fcnseg.run.output_kinds import LABELS
from napari_fcnseg.run.provenance_file import report_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_fcnseg.batch.item import BatchItem
    from napari_fcnseg.batch.report import ReportLine
    from napari_fcnseg.imagefile.plates import Plate, PlateField
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.run.output_kinds import OutputKind
    from napari_fcnseg.system.saving import Inputs


def plate_report(path: Path, plate: Plate) -> Path:
    """Return the folder for the report of a plate's results (:class:`ResultPlate`)."""
    name = name_in_plate(path, plate.path)
    return report_folder(plate.path) / name if name else report_folder(path)


class ResultPlate:
    """A plate for results, which is made if it is not there; each field is in it once its labels are complete.

    Parameters
    ----------
    path : Path
        The plate, which ends with ``.zarr``. The folder for the report is called like it: ``out.report``. Or
        ``plate.zarr/labels/NAME`` of the plate that is segmented, for labels in its own fields.
    plate : Plate
        The plate that is segmented.
    model : PatchModel
        Whose classes the labels are of.
    inputs : Inputs
        What is never written over.
    kinds : sequence of OutputKind
        What is kept.
    objects : bool
        Whether objects are counted.

    Raises
    ------
    OutputError
        If something else is there, or it cannot be written.
    """

    def __init__(
        self, path: Path, plate: Plate, model: PatchModel, inputs: Inputs, kinds: Sequence[OutputKind],
        *, objects: bool = False,
    ) -> None:  # fmt: skip
        name = name_in_plate(path, plate.path)
        if not name and (problem := inputs.problem(path)):
            raise OutputError(f"{problem}: it is never written over. Choose another name for the plate of results.")
        if name and kinds[1:]:
            raise OutputError(
                f"Only labels are put into the plate itself. Leave out {kinds[1].name}, or name another plate for all "
                "results."
            )
        self._writer: PlateLabels | PlateWriter = (
            PlateLabels(plate, name) if name else PlateWriter(path, plate, model.classes)
        )
        self.folder = make_folder(plate_report(path, plate))
        self.wells = {one.name: (one.well, one.path) for one in plate.fields}
        self._table = WellTable(self.folder, plate.fields, model, objects=objects)

    def begin(self) -> None:
        """Make the plate, or open the one that was begun."""
        self._writer.begin()

    def outputs(self, item: BatchItem, kinds: Sequence[str]) -> dict[str, Path]:
        """Return where the results of a field lie, by their kinds."""
        place = _place(item)
        others = {kind: self._writer.beside(place, kind) for kind in kinds if kind != LABELS.name}
        return {LABELS.name: self._writer.labels(place), **others}

    def objects(self, item: BatchItem) -> dict[str, Path]:
        """Return where its objects and their table lie."""
        return {"objects": self._writer.objects(_place(item)), "table": self.folder / f"{item.target}{OWN}"}

    def prepare(self, item: BatchItem) -> None:
        """Make the groups that a field's results lie in."""
        self._writer.make_room(_place(item))

    def settle(self, item: BatchItem, line: ReportLine | None) -> None:
        """Have a field in the plate whose labels are complete, and in the table what it says of its well."""
        self._writer.settle(_place(item))
        if line is not None:
            self._table.add(_place(item), line)

    def finish(self) -> Path | None:
        """Write the table of the wells."""
        return self._table.write()


def _place(item: BatchItem) -> PlateField:
    assert item.field is not None, "it is of a plate"
    return item.field
