"""The model as widgets: files or a sample, what they were found to be, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QFileDialog, QGroupBox, QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout

from napari_fcnseg._napari.report_dialog import ReportDialog
from napari_fcnseg._napari.result import models_name
from napari_fcnseg.samples.catalogue import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.hints import Hints
    from napari_fcnseg.model import PatchModel

_FILTER = "Keras models (*.keras *.h5 *.hdf5);;All files (*)"
_HELP = (
    "A trained Keras model that says what the centre pixel of a patch is: a .keras file, or a whole model in .h5. It "
    "is read, and nothing in it is run."
)


class ModelBox(QGroupBox):
    """Chooses model files and says what is in them."""

    #: Emitted with a list of paths when the user chose files.
    files_chosen = Signal(list)
    #: Emitted with a sample's name when the user chose one.
    sample_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("2  Model", parent)
        self._models: tuple[PatchModel, ...] = ()
        self._folder = str(Path.home())
        self.choose = QPushButton("Choose file…")
        self.choose.setToolTip(f"<p>{_HELP} Several files are an ensemble, whose numbers are averaged.</p>")
        self.choose.clicked.connect(self._choose)
        self.samples = QPushButton("Samples")
        self.samples.setToolTip("<p>Open a sample image together with a small model that fits it.</p>")
        menu = QMenu(self.samples)
        for name, sample in SAMPLES.items():
            action = QAction(sample.title, menu)
            action.triggered.connect(lambda _checked=False, name=name: self.sample_chosen.emit(name))
            menu.addAction(action)
        self.samples.setMenu(menu)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.report = QPushButton("Report…")
        self.report.setToolTip("<p>What became of each layer of the model, and what it costs.</p>")
        self.report.clicked.connect(self._open_report)
        buttons = QHBoxLayout()
        for button in (self.choose, self.samples, self.report):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addLayout(buttons)
        layout.addWidget(self.about)
        self.show_nothing()

    def show_nothing(self) -> None:
        """Show that no model is chosen."""
        self._describe((), "No model yet. Choose a .keras or .h5 file with a trained patch classifier.")

    def show_loading(self, paths: Sequence[str]) -> None:
        """Show that files are being read."""
        self._describe((), f"Reading {Path(paths[0]).name}" + (f" and {len(paths) - 1} more" * (len(paths) > 1)) + "…")

    def show_refusal(self, sentence: str) -> None:
        """Show why files were refused."""
        self._describe((), sentence)

    def show_models(self, models: tuple[PatchModel, ...], hints: Hints) -> None:
        """Show what is in the files."""
        model = models[0]
        patch = " × ".join(map(str, model.patch_shape))
        classes = f" ({', '.join(hints.class_names)})" if len(hints.class_names) == model.classes else ""
        channels = f" ({', '.join(hints.channel_names)})" if len(hints.channel_names) == model.channels else ""
        plural = "s" * (model.channels > 1)
        about = (
            f"<b>{models_name(models)}</b>: sees patches of {patch} pixels in {model.channels} "
            f"channel{plural}{channels} and tells {model.classes} classes{classes} apart. As a dense network: "
            f"{model.fcn.report.speedup_ceiling:.3g} × less arithmetic than patch by patch."
        )
        self._describe(models, about, model.fcn.report.summary())

    def _describe(self, models: tuple[PatchModel, ...], text: str, tooltip: str = "") -> None:
        self._models = models
        self.about.setText(text)
        self.about.setToolTip(f"<p>{tooltip}</p>" if tooltip else "")
        self.report.setEnabled(bool(models))

    def _choose(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(
            self, "Choose a model, or several for an ensemble", self._folder, _FILTER
        )
        if paths:
            self._folder = str(Path(paths[0]).parent)
            self.files_chosen.emit(paths)

    def _open_report(self) -> None:
        ReportDialog([(model.name, model.fcn.report) for model in self._models], self).show()
