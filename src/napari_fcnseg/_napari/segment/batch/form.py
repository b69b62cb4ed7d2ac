"""The form at the top of the batch window: images, folder for results, format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_fcnseg._napari.segment.batch.layers import choosable
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.imagefile import ZARR
from napari_fcnseg.imagefile.plates import is_plate
from napari_fcnseg.run.output_kinds import EXTRA_OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Layer

    from napari_fcnseg._napari.layers.channels import InputSpec
    from napari_fcnseg._napari.segment.batch.search import BatchSearch
    from napari_fcnseg.settings import RunSettings

_FOLDER, _LAYERS = 0, 1
_ROWS = 5  # of the list of layers that are seen at once
_RESULTS = "labels"  # subfolder that is proposed


class FolderLine(QWidget):
    """A folder's name, to write or to choose."""

    changed = Signal()

    def __init__(self, name: str, tooltip: str, title: str) -> None:
        super().__init__()
        self._title = title
        self.line = QLineEdit()
        self.line.setPlaceholderText("no folder yet")
        self.line.setAccessibleName(name)
        self.line.setToolTip(f"<p>{tooltip}</p>")
        self.line.textChanged.connect(self.changed)
        self.browse = button("Browse…", f"{title}.")
        self.browse.setAccessibleName(title)
        self.browse.setAutoDefault(False)
        self.browse.clicked.connect(self._choose)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line)
        row.addWidget(self.browse)
        self.setFocusProxy(self.line)

    @property
    def folder(self) -> str:
        """The folder; empty if there is none yet."""
        return self.line.text().strip()

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self._title, self.folder or str(Path.home()))
        if chosen:
            self.line.setText(chosen)


class BatchForm(QWidget):
    """The choices of a batch.

    Parameters
    ----------
    need : InputSpec
        What the model takes.
    settings : RunSettings
        What the dock would run with; they say what is kept beside the labels.
    members : int
        Number of models.
    search : BatchSearch
        The objects that may be found.
    """

    def __init__(self, need: InputSpec, settings: RunSettings, members: int, search: BatchSearch) -> None:
        super().__init__()
        self._need = need
        self.source = QComboBox()
        self.source.addItems(["A folder", "Open layers"])
        self.source.setAccessibleName("Images from")
        self.source.setToolTip("<p>Where the images are: files in a folder, or image layers that are open.</p>")
        about = "Folder with the images: TIFF, PNG, JPEG, NumPy or Zarr, or a plate of OME-Zarr. Others are left out."
        self.folder = FolderLine("Folder with the images", about, "Choose the folder with the images")
        self.subfolders = _check("Include subfolders", "Take images in subfolders as well.")
        self.layers = QListWidget()
        self.layers.setAccessibleName("Layers to segment")
        self.layers.setToolTip("<p>Tick the layers to segment; each is an image of its own.</p>")
        self.layers.setMaximumHeight(_ROWS * self.layers.fontMetrics().lineSpacing() * 3 // 2)
        self._listed: list[Image] = []
        about = "Folder for the results and the report; of a plate the plate with the labels. Images are never changed."
        self.results = FolderLine("Folder for the results", about, "Choose the folder for the results")
        self._proposed = ""
        self.form = QComboBox()
        self.form.addItem("TIFF", "tif")
        self.form.addItem("OME-Zarr", "ome-zarr")
        self.form.setAccessibleName("Write as")
        self.form.setToolTip("<p>TIFF opens everywhere. OME-Zarr suits images that do not fit into memory.</p>")
        self.probabilities = _check("Also save probabilities", "Write the probability of each class as well.")
        self.confidence = _check("Also save confidence", "Write the winning class's probability at each pixel as well.")
        self.disagreement = _check(
            "Also save disagreement", "Write the share of the models that say another class as well."
        )
        self.disagreement.setVisible(members > 1)
        about = "As under Objects in the dock: their labels, a table for each image, and objects.csv for all of them."
        called = f": {search.classes}" if search.classes else ""
        self.objects = _check(f"Find objects{called}", search.problem or about)
        self.objects.setEnabled(search.settings is not None)
        about = "Compute all images anew, and replace results of other models or settings. Images are never replaced."
        self.overwrite = _check("Replace earlier results", about)
        for name, box in self.extras.items():
            box.setChecked(getattr(settings, name))
        self.source.currentIndexChanged.connect(self._show_source)
        self.folder.changed.connect(self._propose)
        self._arrange()
        self._show_source()

    @property
    def extras(self) -> dict[str, QCheckBox]:
        """What may be written beside the labels, by the names of the settings."""
        return {kind.name: getattr(self, kind.name) for kind in EXTRA_OUTPUTS}

    @property
    def takes_layers(self) -> bool:
        """Whether the images are layers."""
        return self.source.currentIndex() == _LAYERS

    def offer(self, layers: Iterable[Layer]) -> None:
        """List the image layers; those that cannot be segmented alone say why. What was unticked stays so."""
        left = {id(layer) for row, layer in enumerate(self._listed) if self._item(row).checkState() != _TICKED}
        self.layers.clear()
        self._listed = []
        for layer, problem in choosable([layer for layer in layers if isinstance(layer, Image)], self._need):
            item = QListWidgetItem(layer.name)
            flags = Qt.ItemFlag.ItemIsUserCheckable
            item.setFlags(flags if problem else flags | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            item.setCheckState(Qt.CheckState.Unchecked if problem or id(layer) in left else _TICKED)
            item.setToolTip(f"<p>{problem}</p>" if problem else "")
            self.layers.addItem(item)
            self._listed.append(layer)

    def chosen_layers(self) -> list[Image]:
        """Return the layers that are ticked."""
        return [layer for row, layer in enumerate(self._listed) if self._item(row).checkState() == _TICKED]

    def check(self) -> None:
        """Check that everything is chosen.

        Raises
        ------
        SettingsError
            If something is missing.
        """
        if self.takes_layers and not self.chosen_layers():
            why = "None of the open layers is ticked" if self._listed else "No image layer is open"
            raise SettingsError(f"{why}. Tick at least one, or take a folder.")
        if not self.takes_layers and not self.folder.folder:
            raise SettingsError("No folder with images was chosen. Press Browse… beside the first line.")
        if not self.results.folder:
            raise SettingsError("No folder for the results was chosen. Press Browse… beside “Results to”.")

    def _item(self, row: int) -> QListWidgetItem:
        item = self.layers.item(row)
        assert item is not None, "a listed layer has a row"
        return item

    def _show_source(self) -> None:
        plate = self._plate
        self.folder.setVisible(not self.takes_layers)
        self.subfolders.setVisible(not self.takes_layers and plate is None)
        self.layers.setVisible(self.takes_layers)
        self.form.setEnabled(plate is None)
        self.form.setCurrentIndex(self.form.currentIndex() if plate is None else self.form.findData("ome-zarr"))

    @property
    def _plate(self) -> Path | None:
        """The plate that was chosen as the folder; None if it is none."""
        folder = Path(self.folder.folder)
        return folder if self.folder.folder and not self.takes_layers and is_plate(folder) else None

    def _propose(self) -> None:
        """Propose a subfolder for the results, or a plate beside a plate, unless the user wrote another one."""
        folder, plate = self.folder.folder, self._plate
        self._show_source()
        if self.results.folder == self._proposed:
            inside = str(Path(folder) / _RESULTS) if folder else ""
            self._proposed = str(plate.with_name(f"{plate.stem}.{_RESULTS}{ZARR}")) if plate is not None else inside
            self.results.line.setText(self._proposed)

    def _arrange(self) -> None:
        images = QVBoxLayout()
        for part in (self.source, self.folder, self.subfolders, self.layers):
            images.addWidget(part)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.addRow("Images from", images)
        form.addRow("Results to", self.results)
        form.addRow("Write as", self.form)
        for box in (*self.extras.values(), self.objects):
            form.addRow(box)
        form.addRow(self.overwrite)


_TICKED = Qt.CheckState.Checked


def _check(text: str, tooltip: str) -> QCheckBox:
    box = QCheckBox(text)
    box.setToolTip(f"<p>{tooltip}</p>")
    return box


def sentence(name: str) -> QLabel:
    """Return a label for sentences, in which a file's name is no markup."""
    label = QLabel()
    label.setAccessibleName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
