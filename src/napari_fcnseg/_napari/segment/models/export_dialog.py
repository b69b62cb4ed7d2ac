"""A model's dense network for other programs: what the package is to say, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari.qt.threading import create_worker
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout

from napari_fcnseg._napari.files_in_use import in_use
from napari_fcnseg._napari.widgets.form import QuietCombo, form_of
from napari_fcnseg._napari.widgets.growing_dialog import GrowingDialog
from napari_fcnseg._napari.widgets.save_name import ask_save_name
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg._napari.widgets.worker import in_worker
from napari_fcnseg.system.saving import Plan

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg._napari.segment.models.hints import ModelHints
    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.model.patch_model import PatchModel

#: Those that models are given most often; any other SPDX name can be written.
LICENCES: Final = ("CC-BY-4.0", "CC0-1.0", "MIT", "BSD-3-Clause", "Apache-2.0")


@dataclass(frozen=True, eq=False)
class Export:
    """What is chosen in the dock.

    Attributes
    ----------
    model : PatchModel
        The model.
    hints : ModelHints
        What the dock calls its channels and classes.
    preprocess : tuple of str
        Steps.
    source : ImageLayers or None
        The image, if one is chosen that fits.
    """

    model: PatchModel
    hints: ModelHints
    preprocess: tuple[str, ...]
    source: ImageLayers | None


class ExportDialog(GrowingDialog):
    """Asks what a package is to say, and writes it.

    Parameters
    ----------
    chosen : Export
        What is chosen in the dock.
    parent : QWidget, optional
        The window it belongs to.
    """

    def __init__(self, chosen: Export, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chosen = chosen
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Export the model")
        sidecar = chosen.model.sidecar
        self.name = QLineEdit((sidecar.name if sidecar is not None else "") or chosen.model.name)
        self.authors = QLineEdit()
        self.authors.setPlaceholderText("Ada Lovelace, Grace Hopper")
        self.authors.setToolTip("<p>Who made the model, with commas between them.</p>")
        self.licence = QuietCombo("Licence", "Under which others may use the model: an SPDX name.")
        self.licence.setEditable(True)
        self.licence.addItems(LICENCES)
        self.licence.setCurrentIndex(-1)
        if (line := self.licence.lineEdit()) is not None:
            line.setPlaceholderText("choose one")
        self.image = QCheckBox("The middle of the chosen image")
        self.image.setToolTip("<p>Everybody who has the package can see it. Otherwise, random numbers are used.</p>")
        self.image.setChecked(chosen.source is not None)
        self.image.setEnabled(chosen.source is not None)
        rows = (("Name", self.name), ("Authors", self.authors), ("Licence", self.licence), ("Test image", self.image))
        self.export = button("Export…", "Choose a file, and write the package: a bioimage.io model.")
        self.export.clicked.connect(self._choose)
        close = button("Close", "Close this window.")
        close.clicked.connect(self.close)
        about = QLabel(
            "The dense network as ONNX, with its conversion check, for programs that run bioimage.io models."
        )
        self.message = WrappingLabel()
        for text in (about, self.message):
            text.setWordWrap(True)
            text.setTextFormat(Qt.TextFormat.PlainText)
        buttons = QHBoxLayout()
        for each in (self.export, close):
            buttons.addWidget(each)
        layout = QVBoxLayout(self)
        layout.addWidget(about)
        layout.addLayout(form_of(rows))
        layout.addWidget(self.message)
        layout.addLayout(buttons)

    def write(self, path: Path, *, replace: bool = False) -> None:
        """Write the package in the background; say where it is, or why not.

        Parameters
        ----------
        path : Path
            The file.
        replace : bool
            Whether the user was asked whether a file of that name is to be replaced.
        """
        self.export.setEnabled(False)
        self._say("Writing and checking the package…")
        authors = tuple(filter(None, map(str.strip, self.authors.text().split(","))))
        source = self._chosen.source if self.image.isChecked() else None
        work = partial(
            _write, self._chosen, path, self.name.text().strip(), authors, self.licence.currentText().strip(), source,
            replace,
        )  # fmt: skip
        create_worker(in_worker, work, _connect={"returned": self._written}, _ignore_errors=True)

    def _choose(self) -> None:
        from napari_fcnseg.errors import FcnSegError
        from napari_fcnseg.package.writing import check_licence

        licence = self.licence.currentText().strip()
        if not licence:
            self._say("Choose a licence: it says how others may use the model.", ERROR_STYLE)
            return
        try:
            check_licence(licence)
        except FcnSegError as error:
            self._say(str(error), ERROR_STYLE)
            return
        proposed = Path.home() / f"{self._chosen.model.name.removesuffix('.bioimage')}.bioimage.zip"
        if (chosen := ask_save_name(self, str(proposed), "Packages (*.zip)")) is not None:
            path, asked = chosen
            self.write(path, replace=asked)

    def _written(self, outcome: Outcome) -> None:
        self.export.setEnabled(True)
        if outcome.error is not None:
            self._say(str(outcome.error), ERROR_STYLE)
        else:
            self._say(f"Saved as {outcome.value}.")

    def _say(self, text: str, style: str = "") -> None:
        self.message.setStyleSheet(style)
        self.message.setText(text)


def _write(
    chosen: Export, path: Path, name: str, authors: tuple[str, ...], licence: str, source: ImageLayers | None,
    replace: bool,
) -> Path:  # fmt: skip
    from napari_fcnseg.package.known import completed
    from napari_fcnseg.package.writing import write_package

    model, hints = chosen.model, chosen.hints
    channels = hints.channel_names if len(hints.channel_names) == model.channels else ()
    called = {"class_names": hints.class_names, "class_colors": hints.class_colors, "channel_names": channels}
    Plan((path,), in_use(), overwrite=replace, advice="").check_names()
    return write_package(
        completed(model, **called), path, licence=licence, authors=authors, name=name, preprocess=chosen.preprocess,
        image=source.image if source is not None else None,
        channel_axis=source.layout.channel_axis if source is not None else None, overwrite=replace,
    )  # fmt: skip
