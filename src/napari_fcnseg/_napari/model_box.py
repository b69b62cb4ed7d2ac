"""The model as widgets: files or a sample, what they were found to be, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox
from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
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

from napari_fcnseg._napari.model_words import describe
from napari_fcnseg._napari.report_dialog import ReportDialog
from napari_fcnseg.samples.catalogue import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.hints import Hints
    from napari_fcnseg.model import PatchModel

_FILTER = "Models (*.keras *.h5 *.hdf5 *.json *.onnx *.pb);;All files (*)"
_HELP = (
    "A trained model that says what the centre pixel of a patch is: .keras, .h5, .onnx, or an architecture in .json "
    "with its weights in .h5 beside it. It is read, and nothing in it is run."
)


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
        self._models: tuple[PatchModel, ...] = ()
        self._folder = str(Path.home())
        self.choose = _button("File…", f"{_HELP} Several files are an ensemble, whose numbers are averaged.")
        self.choose.clicked.connect(self._choose)
        self.folder = _button(
            "Folder…", "A SavedModel folder, as Keras 2 wrote it. It is read, and nothing in it is run."
        )
        self.folder.clicked.connect(self._choose_folder)
        self.samples = _button("Samples", "Open a sample image together with a small model that fits it.")
        self.samples.setMenu(self._menu())
        self.report = _button("Report…", "What became of each layer of the model, and what it costs.")
        self.report.clicked.connect(self._open_report)
        self.names = _button(
            "Names and colours…",
            "Name the model's classes and channels, and say how its images were prepared. It is kept in a small file "
            "beside the model.",
        )
        self.names.clicked.connect(self.naming)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.output = ComboBox(tooltip="<p>Which of the model's answers to compute.</p>")
        self.output.native.activated.connect(lambda _: self.output_chosen.emit(self.output.value))
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Answer", self.output.native)
        buttons = QGridLayout()
        for column, button in enumerate((self.choose, self.folder, self.samples)):
            buttons.addWidget(button, 0, 2 * column, 1, 2)
        buttons.addWidget(self.report, 1, 0, 1, 2)
        buttons.addWidget(self.names, 1, 2, 1, 4)
        layout = QVBoxLayout(self)
        layout.addLayout(buttons)
        layout.addLayout(self._form)
        layout.addWidget(self.about)
        self.show_nothing()

    def show_nothing(self) -> None:
        """Show that no model is chosen."""
        self._offer((), "")
        self._describe((), "No model yet. Choose a file or folder with a trained patch classifier.")

    def show_loading(self, paths: Sequence[str], output: str = "") -> None:
        """Show that files are being read, perhaps for another answer of the same model."""
        if not output:
            self._offer((), "")
        more = f" and {len(paths) - 1} more" * (len(paths) > 1)
        self._describe((), f"Reading {Path(paths[0]).name}{more}…")

    def show_refusal(self, sentence: str) -> None:
        """Show why files were refused; another answer of the same model may do."""
        self._describe((), sentence)

    def show_models(self, models: tuple[PatchModel, ...], hints: Hints) -> None:
        """Show what is in the files."""
        self._offer(models[0].outputs, models[0].output)
        self._describe(models, *describe(models, hints))

    def _offer(self, outputs: Sequence[str], output: str) -> None:
        """Offer the answers of a model that has several."""
        self.output.choices = tuple(outputs)
        if output in outputs:
            self.output.value = output
        self._form.setRowVisible(self.output.native, len(outputs) > 1)

    def _describe(self, models: tuple[PatchModel, ...], text: str, tooltip: str = "") -> None:
        self._models = models
        self.about.setText(text)
        self.about.setToolTip(f"<p>{tooltip}</p>" if tooltip else "")
        self.report.setEnabled(bool(models))
        self.names.setEnabled(any(model.path is not None for model in models))

    def _menu(self) -> QMenu:
        menu = QMenu(self.samples)
        for name, sample in SAMPLES.items():
            action = QAction(sample.title, menu)
            action.triggered.connect(lambda _checked=False, name=name: self.sample_chosen.emit(name))
            menu.addAction(action)
        return menu

    def _choose(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(
            self, "Choose a model, or several for an ensemble", self._folder, _FILTER
        )
        if paths:
            self._folder = str(Path(paths[0]).parent)
            self.files_chosen.emit(paths)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Choose a SavedModel folder", self._folder)
        if path:
            self._folder = str(Path(path).parent)
            self.files_chosen.emit([path])

    def _open_report(self) -> None:
        ReportDialog([(model.name, model.fcn.report) for model in self._models], self).show()


def _button(text: str, tooltip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(f"<p>{tooltip}</p>")
    button.setSizePolicy(QSizePolicy.Policy.MinimumExpanding, QSizePolicy.Policy.Fixed)
    return button
