"""The model as widgets: files or a sample, what they were found to be or why they were refused, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_fcnseg._napari.segment.models.legend import Legend
from napari_fcnseg._napari.segment.models.members import EnsembleMembers
from napari_fcnseg._napari.segment.models.model_text import describe, refused_sheet, sheets
from napari_fcnseg._napari.segment.models.patch_size_row import PatchSizeRow
from napari_fcnseg._napari.segment.models.preferences import preferred
from napari_fcnseg._napari.segment.models.recent_menu import RecentMenu
from napari_fcnseg._napari.segment.models.report_dialog import ReportDialog
from napari_fcnseg._napari.widgets.entry import Entry, menu_of, more_button
from napari_fcnseg._napari.widgets.flow import FlowLayout
from napari_fcnseg._napari.widgets.problems import error_sentence
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg.errors import FcnSegError, PatchSizeError
from napari_fcnseg.samples.catalogue import SAMPLES
from napari_fcnseg.system.formatting import shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg._napari.segment.models.hints import ModelHints
    from napari_fcnseg._napari.segment.models.model_text import LayerTable
    from napari_fcnseg.model.patch_model import PatchModel

_FILTER = "Models (*.keras *.h5 *.hdf5 *.json *.onnx *.pt2 *.tflite *.pb *.zip *.yaml);;All files (*)"
_HELP = (
    "A trained model that says what the centre pixel of a patch is: .keras, .h5, .onnx, .pt2, .tflite, or an "
    "architecture in .json with its weights in .h5 beside it. Nothing in it is run. Or drop it here."
)
_REPORT = "What became of each layer of the model, and what it costs."
_EXPORT = "The dense network as a bioimage.io package, for other programs to run."
_NO_REPORT = "There is no report: nothing was converted, for the model already labels every pixel."
_NO_EXPORT = "There is nothing to export: the model already labels every pixel. Hand on the package that it came in."
_ONE_EXPORT = "One model is exported at a time, and several are chosen."
_CHOOSE = "Choose a model"
_LONGEST = 32  # letters of a name that a button has room for
_EMPTY = "Choose a file or folder, drop a model here, or try a sample:"


class ModelBox(QGroupBox):
    """Chooses model files and says what is in them."""

    #: Emitted with a list of paths when the user chose files.
    files_chosen = Signal(list)
    #: Emitted with a sample's name when the user chose one.
    sample_chosen = Signal(str)
    #: Emitted with the name of one of the model's outputs when the user chose another one.
    output_chosen = Signal(str)
    #: Emitted when the user wants to name classes and channels.
    naming = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Model", parent)
        self._sheets: tuple[LayerTable, ...] = ()  # of the report
        self._paths: tuple[str, ...] = ()
        self._asked = ""  # which output
        self._folder = ""  # where the user chose files
        self._make_entries()
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setMinimumWidth(1)  # a long name in a refusal is not to make the dock wide
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)  # a refusal is to be sent on
        self.patch_size = PatchSizeRow()
        self.patch_size.kept.connect(lambda path: self.files_chosen.emit([path]))
        self.patch_size.problem.connect(self.show_refusal)
        self.tries = self._sample_buttons()
        self.legend = Legend()
        self.legend.naming.connect(self._open_naming)
        self.members = EnsembleMembers()
        self.members.left.connect(self.files_chosen)
        self.output = ComboBox(tooltip="<p>Which of the model's outputs to compute.</p>")
        self.output.native.activated.connect(lambda _: self.output_chosen.emit(self.output.value))
        self.output.native.setAccessibleName("Output")
        _narrow(self.output.native)
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.addRow("Output", self.output.native)
        row = QHBoxLayout()
        row.addWidget(self.pick, 1)
        row.addWidget(self.more)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.members)
        layout.addLayout(self._form)
        for part in (self.about, self.patch_size, self.tries, self.legend):
            layout.addWidget(part)
        self.show_nothing()

    def _make_entries(self) -> None:
        """Make the menu of ways to choose a model, and the one of what there is to do with it."""
        self.choose = Entry("File…", f"{_HELP} Several files are an ensemble.")
        self.choose.triggered.connect(self._choose)
        self.folder = Entry(
            "Folder…", "A SavedModel as Keras 2 wrote it, or an unpacked bioimage.io package. No code in it is run."
        )
        self.folder.triggered.connect(self._choose_folder)
        self.gallery = Entry("Gallery…", "Models in your folder and in a collection, with what they expect.")
        self.gallery.triggered.connect(self._open_gallery)
        self.pick = QPushButton(_CHOOSE)
        self.pick.setToolTip(f"<p>{_HELP}</p>")
        self.pick.setMinimumWidth(1)
        recent_menu = RecentMenu(self.pick)
        recent_menu.setTitle("Recent")
        recent_menu.chosen.connect(self.files_chosen)
        samples = self._menu()
        samples.setTitle("Samples")
        self.recent, self.samples = recent_menu.menuAction(), samples.menuAction()
        self.pick.setMenu(menu_of((self.recent, self.samples, self.gallery, None, self.choose, self.folder), self.pick))
        self.report = Entry("Report…", _REPORT)
        self.report.triggered.connect(self.open_report)
        self.add = Entry("Add model (ensemble)…", "Average one more model with this one.")
        self.add.triggered.connect(self._add)
        self.names = Entry(
            "Model details…", "Names and colours of the classes, channels, normalisation. Kept beside the model."
        )
        self.names.triggered.connect(lambda _=False: self.naming.emit())
        self.export = Entry("Export…", _EXPORT)
        self.more = more_button("More about the model", (self.report, self.add, self.names, self.export))

    def show_nothing(self) -> None:
        """Show that no model is chosen."""
        self._asked = ""
        self._show_paths(())
        self._offer((), "")
        self._describe(_EMPTY)
        self.tries.show()

    def show_loading(self, paths: Sequence[str], output: str = "") -> None:
        """Show that files are being read, perhaps for another output of the same model."""
        self._asked = output
        self._show_paths(paths)
        if not output:
            self._offer((), "")
        more = f" and {len(paths) - 1} more" * (len(paths) > 1)
        self._describe(f"Reading {Path(paths[0]).name}{more}…")

    def show_refusal(self, error: Exception) -> None:
        """Show why files were refused; another output of the same model may do."""
        if outputs := self.offers_answers(error):
            self._offer(outputs, self._asked or outputs[0])
        asks = isinstance(error, PatchSizeError) and self.patch_size.asks(self._paths, error.axes)
        text = error.in_window if asks and isinstance(error, PatchSizeError) else error_sentence(error)
        self._describe(text, refused=True)
        self.patch_size.ask(self._paths, error.axes if isinstance(error, PatchSizeError) else 0)
        sheet = refused_sheet(Path(self._paths[0]).name if len(self._paths) == 1 else "The model", error)
        self._sheets = (sheet,) if sheet is not None else ()
        self.report.setEnabled(sheet is not None)
        QTimer.singleShot(0, self._bring_into_sight)

    def _bring_into_sight(self) -> None:
        """Scroll to what stands below the choice: nothing else says it."""
        parent = self.parentWidget()
        while parent is not None and not isinstance(parent, QScrollArea):
            parent = parent.parentWidget()
        if parent is not None:
            parent.ensureWidgetVisible(self.about)

    @staticmethod
    def offers_answers(error: Exception) -> tuple[str, ...]:
        """Return the outputs of a refused model that has several: another one may do."""
        understood = error.understood if isinstance(error, FcnSegError) else None
        return understood.outputs if understood is not None else ()

    def show_models(self, models: tuple[PatchModel, ...], hints: ModelHints, background: int | None = None) -> None:
        """Show what is in the files."""
        self._offer(models[0].outputs, models[0].output)
        self._describe(*describe(models, hints))
        self._sheets = sheets(models)
        self.legend.show_classes(hints.class_names, hints.class_colors, background)
        self.report.setEnabled(bool(self._sheets))
        self.names.setEnabled(any(model.path is not None for model in models))
        whole = any(model.labels_every_pixel for model in models)
        self.report.setToolTip(_REPORT if self._sheets else _NO_REPORT)
        self.export.setEnabled(len(models) == 1 and not whole)
        self.export.setToolTip(_NO_EXPORT if whole else _ONE_EXPORT if len(models) > 1 else _EXPORT)

    def _show_paths(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)
        self.members.show_paths(paths)
        self.add.setEnabled(bool(paths))
        more = f" + {len(paths) - 1} more" * (len(paths) > 1)
        text = f"{Path(paths[0]).name}{more}" if paths else _CHOOSE
        self.pick.setText(shorten_name(text, _LONGEST).replace("&", "&&"))
        self.pick.setAccessibleName(f"Model: {text}")

    def _offer(self, outputs: Sequence[str], output: str) -> None:
        """Offer the outputs of a model that has several."""
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
        self.tries.hide()
        self.patch_size.hide()
        for entry, what in ((self.report, _REPORT), (self.export, _EXPORT)):
            entry.setEnabled(False)
            entry.setToolTip(what)
        self.names.setEnabled(False)

    def _sample_buttons(self) -> QWidget:
        """Return a button per sample: nothing is quicker to try."""
        row = QWidget()
        layout = FlowLayout()
        row.setLayout(layout)
        for name, sample in SAMPLES.items():
            each = QPushButton(name)
            each.setToolTip(f"<p>{sample.title}: an image with a model that fits it.</p>")
            each.clicked.connect(lambda _=False, name=name: self.sample_chosen.emit(name))
            layout.addWidget(each)
        return row

    def _menu(self) -> QMenu:
        menu = QMenu(self.pick)
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

    def _open_gallery(self) -> None:
        from napari_fcnseg._napari.segment.models.gallery.dialog import GalleryDialog  # the dock opens without it

        dialog = GalleryDialog(self)
        dialog.opened.connect(lambda path: self.files_chosen.emit([path]))
        dialog.show()

    def open_report(self) -> None:
        """Open the table of the model's layers."""
        ReportDialog(self._sheets, self).show()


def _narrow(box: QComboBox) -> None:
    """Let a list of long names not make the dock wide."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
