"""The model as widgets: files or a sample, what they were found to be or why they were refused, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
)

from napari_fcnseg._napari.segment.models.members import EnsembleMembers
from napari_fcnseg._napari.segment.models.model_text import describe, legend, refused_sheet, sheets
from napari_fcnseg._napari.segment.models.preferences import preferred
from napari_fcnseg._napari.segment.models.recent_menu import RecentMenu
from napari_fcnseg._napari.segment.models.report_dialog import ReportDialog
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.samples.catalogue import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.segment.models.hints import ModelHints
    from napari_fcnseg._napari.segment.models.model_text import LayerTable
    from napari_fcnseg.model.patch_model import PatchModel

_FILTER = "Models (*.keras *.h5 *.hdf5 *.json *.onnx *.pb);;All files (*)"
_HELP = (
    "A trained model that says what the centre pixel of a patch is: .keras, .h5, .onnx, or an architecture in .json "
    "with its weights in .h5 beside it. It is read, and nothing in it is run. You may drop it here, too."
)
_EMPTY = "No model yet. Choose a file or folder with a trained patch classifier, drop it here, or take a sample."


class ModelBox(QGroupBox):
    """Chooses model files and says what is in them."""

    #: Emitted with a list of paths when the user chose files.
    files_chosen = Signal(list)
    #: Emitted with a sample's name when the user chose one.
    sample_chosen = Signal(str)
    #: Emitted with the name of one of the model's answers when the user chose another one.
    output_chosen = Signal(str)
    #: Emitted when the user wants to name classes and channels.
    naming = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("2  Model", parent)
        self._sheets: tuple[LayerTable, ...] = ()  # of the report
        self._paths: tuple[str, ...] = ()
        self._asked = ""  # which answer
        self._folder = ""  # where the user chose files
        self.choose = _button("File…", f"{_HELP} Several files are an ensemble, whose numbers are averaged.")
        self.choose.clicked.connect(self._choose)
        self.folder = _button(
            "Folder…", "A SavedModel folder, as Keras 2 wrote it. It is read, and nothing in it is run."
        )
        self.folder.clicked.connect(self._choose_folder)
        self.recent = _button("Recent", "Models you used last, and those in the folder that you chose in Preferences.")
        recent_menu = RecentMenu(self.recent)
        self.recent.setMenu(recent_menu)
        self.samples = _button("Samples", "Open a sample image together with a small model that fits it.")
        self.samples.setMenu(self._menu())
        self.report = _button("Report…", "What became of each layer of the model, and what it costs.")
        self.report.clicked.connect(self.open_report)
        self.add = _button("Add…", "Choose one more model: several are an ensemble, whose numbers are averaged.")
        self.add.clicked.connect(self._add)
        self.names = _button(
            "Names and colours…",
            "Name the model's classes and channels, and say how its images were prepared. It is kept in a small file "
            "beside the model.",
        )
        self.names.clicked.connect(self.naming)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setMinimumWidth(1)  # a long name in a refusal is not to make the dock wide
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)  # a refusal is to be sent on
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setToolTip("<p>The classes. Press a colour to change names and colours.</p>")
        self.legend.linkActivated.connect(self._open_naming)
        self.members = EnsembleMembers()
        self.output = ComboBox(tooltip="<p>Which of the model's answers to compute.</p>")
        self.output.native.activated.connect(lambda _: self.output_chosen.emit(self.output.value))
        self.output.native.setAccessibleName("Answer")
        _narrow(self.output.native)
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Answer", self.output.native)
        self._arrange()
        for source in (recent_menu.chosen, self.members.left):
            source.connect(self.files_chosen)
        self.show_nothing()

    def _arrange(self) -> None:
        """Put two buttons in a row: in a narrow dock no more have room for their words."""
        ways, more = QGridLayout(), QGridLayout()
        for number, button in enumerate((self.choose, self.folder, self.recent, self.samples)):
            ways.addWidget(button, number // 2, number % 2)
        more.addWidget(self.report, 0, 0)
        more.addWidget(self.add, 0, 1)
        more.addWidget(self.names, 1, 0, 1, 2)
        layout = QVBoxLayout(self)
        layout.addLayout(ways)
        layout.addWidget(self.members)
        layout.addLayout(self._form)
        layout.addWidget(self.about)
        layout.addWidget(self.legend)
        layout.addLayout(more)

    def show_nothing(self) -> None:
        """Show that no model is chosen."""
        self._asked = ""
        self._show_paths(())
        self._offer((), "")
        self._describe(_EMPTY)

    def show_loading(self, paths: Sequence[str], output: str = "") -> None:
        """Show that files are being read, perhaps for another answer of the same model."""
        self._asked = output
        self._show_paths(paths)
        if not output:
            self._offer((), "")
        more = f" and {len(paths) - 1} more" * (len(paths) > 1)
        self._describe(f"Reading {Path(paths[0]).name}{more}…")

    def show_refusal(self, error: Exception) -> None:
        """Show why files were refused; another answer of the same model may do."""
        if outputs := self.offers_answers(error):
            self._offer(outputs, self._asked or outputs[0])
        self._describe(str(error), refused=True)
        sheet = refused_sheet(Path(self._paths[0]).name if len(self._paths) == 1 else "The model", error)
        self._sheets = (sheet,) if sheet is not None else ()
        self.report.setEnabled(sheet is not None)

    @staticmethod
    def offers_answers(error: Exception) -> tuple[str, ...]:
        """Return the answers of a refused model that has several: another one may do."""
        understood = error.understood if isinstance(error, FcnSegError) else None
        return understood.outputs if understood is not None else ()

    def show_models(self, models: tuple[PatchModel, ...], hints: ModelHints) -> None:
        """Show what is in the files."""
        self._offer(models[0].outputs, models[0].output)
        self._describe(*describe(models, hints))
        self._sheets = sheets(models)
        squares, names = legend(hints)
        self.legend.setText(squares)
        self.legend.setAccessibleName(f"Classes: {names}")
        self.legend.show()
        self.report.setEnabled(True)
        self.names.setEnabled(any(model.path is not None for model in models))

    def _show_paths(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)
        self.members.show_paths(paths)
        self.add.setEnabled(bool(paths))

    def _offer(self, outputs: Sequence[str], output: str) -> None:
        """Offer the answers of a model that has several."""
        self.output.choices = tuple(outputs)
        if output in outputs:
            self.output.value = output
        self._form.setRowVisible(self.output.native, len(outputs) > 1)

    def _open_naming(self) -> None:
        if self.names.isEnabled():
            self.naming.emit()

    def _describe(self, text: str, tooltip: str | None = None, refused: bool = False) -> None:
        """Show a text: rich, if it comes with more of it for a tooltip, and otherwise as it is."""
        self._sheets = ()
        rich = Qt.TextFormat.PlainText if tooltip is None else Qt.TextFormat.RichText
        self.about.setTextFormat(rich)  # names in files may look like markup
        self.about.setStyleSheet(ERROR_STYLE if refused else "")
        self.about.setText(text)
        self.about.setToolTip(f"<p>{tooltip}</p>" if tooltip else "")
        self.legend.clear()
        self.legend.hide()
        self.report.setEnabled(False)
        self.names.setEnabled(False)

    def _menu(self) -> QMenu:
        menu = QMenu(self.samples)
        for name, sample in SAMPLES.items():
            action = QAction(sample.title, menu)
            action.triggered.connect(lambda _checked=False, name=name: self.sample_chosen.emit(name))
            menu.addAction(action)
        return menu

    def _start(self) -> str:
        """Return where a file dialog begins."""
        return self._folder or preferred().model_folder or str(Path.home())

    def _files(self, title: str) -> list[str]:
        paths, _ = QFileDialog.getOpenFileNames(self, title, self._start(), _FILTER)
        if paths:
            self._folder = str(Path(paths[0]).parent)
        return list(paths)

    def _choose(self) -> None:
        if paths := self._files("Choose a model, or several for an ensemble"):
            self.files_chosen.emit(paths)

    def _add(self) -> None:
        if paths := self._files("Choose a model to average with"):
            self.files_chosen.emit([*self._paths, *paths])

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Choose a SavedModel folder", self._start())
        if path:
            self._folder = str(Path(path).parent)
            self.files_chosen.emit([path])

    def open_report(self) -> None:
        """Open the table of the model's layers."""
        ReportDialog(self._sheets, self).show()


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(f"<p>{tooltip}</p>")
    button.setSizePolicy(QSizePolicy.Policy.MinimumExpanding, QSizePolicy.Policy.Fixed)
    return button


def _narrow(box: QComboBox) -> None:
    """Let a list of long names not make the dock wide."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
