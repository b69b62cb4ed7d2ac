"""The editor of a model's sidecar: names, colours, preprocessing, pixel size, and what to cite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, qGray
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from napari_fcnseg._napari.segment.models.memory import remember_model
from napari_fcnseg._napari.segment.models.naming import SidecarEntries, restyle_results, write
from napari_fcnseg._napari.widgets.step_help import step_help
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.worker import in_worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.layers import Layer
    from qtpy.QtGui import QShowEvent
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.model.patch_model import PatchModel

_MOST_HEIGHT = 230  # of a table, in pixels; longer ones scroll
_LIGHT = 127
_WIDTH = 460
_COMMON_UNITS = ("micrometer", "nanometer", "millimeter")


class ColorButton(QPushButton):
    """A button in a colour, which a click changes."""

    def __init__(self, color: str, name: str) -> None:
        super().__init__()
        self._name = name
        self.setAutoDefault(False)
        self.set_color(color)
        self.clicked.connect(self._choose)

    def set_color(self, color: str) -> None:
        """Take on a colour, ``#rrggbb``."""
        self.color = color
        letters = "black" if qGray(QColor(color).rgb()) > _LIGHT else "white"
        self.setStyleSheet(f"background-color: {color}; color: {letters};")
        self.setText(color)
        self.setToolTip(f"<p>The colour of {self._name} in results. Press to choose another.</p>")
        self.setAccessibleName(f"Colour of {self._name}: {color}")

    def _choose(self) -> None:
        chosen = QColorDialog.getColor(QColor(self.color), self, f"Colour of {self._name}")
        if chosen.isValid():
            self.set_color(chosen.name())


class NamingDialog(QDialog):
    """Edits what is kept beside model files.

    Parameters
    ----------
    models : sequence of PatchModel
        A model, or the members of an ensemble, which are named alike.
    entries : SidecarEntries
        What is known now.
    layers : iterable of Layer
        What is shown: results of these models take on what is written.
    parent : QWidget, optional
        The window it belongs to.
    hidden : sequence of int
        Labels of classes that are not shown.
    """

    #: Emitted when it was written.
    written = Signal()

    def __init__(
        self,
        models: Sequence[PatchModel],
        entries: SidecarEntries,
        layers: Iterable[Layer],
        parent: QWidget | None = None,
        *,
        hidden: Sequence[int] = (),
    ) -> None:
        from napari_fcnseg.model.sidecar import sidecar_path

        super().__init__(parent)
        self._models = tuple(models)
        self._layers, self._hidden = layers, tuple(hidden)
        self._saved = entries
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Model details")
        names = [sidecar_path(model.path).name for model in models if model.path is not None]
        heading = QLabel(f"Kept beside the model in {' and '.join(names)}. What is left empty stays unknown.")
        heading.setWordWrap(True)
        heading.setTextFormat(Qt.TextFormat.PlainText)
        output = f"Classes of {models[0].output}" if models[0].output else "Classes"
        self.classes = _table(("Class", "Colour"), entries.class_names, output)
        for row, color in enumerate(entries.class_colors):
            self.classes.setCellWidget(row, 1, ColorButton(color, f"class {row + 1}"))
        self.channels = _table(("Channel",), entries.channel_names, "Channels")
        self.preprocess = QLineEdit(entries.preprocess)
        self.preprocess.setPlaceholderText("no preprocessing")
        self.preprocess.setToolTip(step_help())
        self.pixel_size = QLineEdit(entries.pixel_size)
        self.pixel_size.setPlaceholderText("unknown")
        self.pixel_size.setToolTip("<p>Length of a pixel in the images of training: a number, or one per axis.</p>")
        self.unit = _units(entries.unit)
        self.citation = QPlainTextEdit(entries.citation)
        self.citation.setTabChangesFocus(True)
        self.citation.setStyleSheet("QPlainTextEdit { border: 1px solid gray; }")  # napari's style has no frame for it
        self.citation.setFixedHeight(3 * self.citation.fontMetrics().lineSpacing() + 12)
        self.citation.setToolTip("<p>What to cite where the model is used.</p>")
        self.doi = QLineEdit(entries.doi)
        self.doi.setPlaceholderText("10.1000/182")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setStyleSheet(ERROR_STYLE)
        self.message.hide()
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel, parent=self
        )
        self.buttons.accepted.connect(self.save)
        self.buttons.rejected.connect(self.reject)
        self._arrange(heading, output)
        self.resize(_WIDTH, 0)

    def entries(self) -> SidecarEntries:
        """Return what stands in the window."""
        buttons = [self.classes.cellWidget(row, 1) for row in range(self.classes.rowCount())]
        return SidecarEntries(
            _texts(self.classes),
            tuple(button.color for button in buttons if isinstance(button, ColorButton)),
            _texts(self.channels),
            self.preprocess.text().strip(),
            self.pixel_size.text(),
            self.unit.currentText(),
            self.citation.toPlainText(),
            self.doi.text(),
        )

    def save(self) -> None:
        """Write it; close when that is done, or say why it cannot be."""
        entries, models = self.entries(), self._models
        self._saved = entries
        self.buttons.setEnabled(False)
        create_worker(
            in_worker, lambda: write(models, entries), _connect={"returned": self._conclude}, _ignore_errors=True
        )

    def _conclude(self, outcome: Outcome) -> None:
        self.buttons.setEnabled(True)
        if outcome.error is not None:
            self.message.setText(str(outcome.error))
            self.message.show()
            self._grow()
            return
        remember_model(self._models, class_names=self._saved.class_names, class_colors=self._saved.class_colors)
        names, colors = self._saved.class_names, self._saved.class_colors
        restyle_results(self._layers, self._models, names, colors, self._hidden)
        self.written.emit()
        self.accept()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Take the height that is needed, which is known once the window has its style."""
        super().showEvent(event)
        self._grow()

    def _grow(self) -> None:
        layout = self.layout()
        if layout is not None:
            layout.activate()
            self.resize(self.width(), max(self.height(), layout.totalHeightForWidth(self.width())))

    def _arrange(self, heading: QLabel, output: str) -> None:
        size = QHBoxLayout()
        size.addWidget(self.pixel_size)
        size.addWidget(self.unit)
        form = QFormLayout()
        form.addRow("Preprocessing", self.preprocess)
        form.addRow("Pixel size", size)
        form.addRow("Cite", self.citation)
        form.addRow("DOI", self.doi)
        layout = QVBoxLayout(self)
        for widget in (heading, QLabel(output), self.classes, QLabel("Channels"), self.channels):
            layout.addWidget(widget)
        layout.addStretch()
        layout.addLayout(form)
        layout.addWidget(self.message)
        layout.addWidget(self.buttons)


def _table(headings: Sequence[str], names: Sequence[str], accessible_name: str) -> QTableWidget:
    """Return a table with a row per name, the name editable."""
    table = QTableWidget(len(names), len(headings))
    table.setAccessibleName(accessible_name)
    table.setHorizontalHeaderLabels(headings)
    table.setTabKeyNavigation(False)  # Tab leads on to the colours and the fields below
    trigger = QAbstractItemView.EditTrigger
    table.setEditTriggers(
        trigger.DoubleClicked | trigger.SelectedClicked | trigger.AnyKeyPressed | trigger.EditKeyPressed
    )
    for row, name in enumerate(names):
        table.setItem(row, 0, QTableWidgetItem(name))
    header = table.horizontalHeader()
    if header is not None:
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    table.setSizeAdjustPolicy(QAbstractItemView.SizeAdjustPolicy.AdjustToContents)
    table.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    table.setMaximumHeight(_MOST_HEIGHT)
    table.setToolTip("<p>Type to rename; the order is that of the model.</p>")
    return table


def _texts(table: QTableWidget) -> tuple[str, ...]:
    items = [table.item(row, 0) for row in range(table.rowCount())]
    return tuple(item.text() if item is not None else "" for item in items)


def _units(unit: str) -> QComboBox:
    from napari_fcnseg.model.sidecar.values import UNITS

    box = QComboBox()
    box.addItems(["", *_COMMON_UNITS, *(other for other in UNITS if other not in _COMMON_UNITS)])
    box.setCurrentText(unit)
    box.setToolTip("<p>Unit of the pixel size.</p>")
    box.setAccessibleName("Unit of the pixel size")
    return box
