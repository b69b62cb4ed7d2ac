"""Asks for the size of the patches of a model that takes any, and keeps it beside the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSpinBox, QWidget

from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Sequence

_USUAL, _LARGEST = 61, 4096
_HELP = (
    "<p>How large the patches were that the model was trained on: rows and columns. It is kept beside the model.</p>"
)
_AXES = ("rows", "columns")


class PatchSizeRow(QWidget):
    """A number for each axis, and a button that keeps them; hidden until it is needed."""

    #: Emitted with the model's path, once its sidecar says the size.
    kept = Signal(str)
    #: Emitted with an exception that the user has to know.
    problem = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._path = ""
        self.sizes: tuple[QSpinBox, ...] = tuple(QSpinBox() for _ in range(3))
        self.use = QPushButton("Use")
        self.use.clicked.connect(self._keep)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Patch size"))
        for box in self.sizes:
            box.setRange(1, _LARGEST)
            box.setValue(_USUAL)
            row.addWidget(box)
        row.addWidget(self.use)
        self.setToolTip(_HELP)
        self.hide()

    def ask(self, paths: Sequence[str], axes: int) -> None:
        """Ask for so many sizes of the patch of a model; of several models at once, or for none, do not ask."""
        self._path = paths[0] if len(paths) == 1 else ""
        wanted = self.asks(paths, axes)
        names = _AXES if axes <= 2 else ("planes", *_AXES)
        for number, box in enumerate(self.sizes):
            box.setVisible(number < axes)
            box.setAccessibleName(f"Patch size, {names[number]}" if number < min(axes, len(names)) else "")
        self.setVisible(wanted)

    def asks(self, paths: Sequence[str], axes: int) -> bool:
        """Say whether :meth:`ask` asks for them."""
        return len(paths) == 1 and 1 <= axes <= len(self.sizes)

    def _keep(self) -> None:
        from napari_fcnseg.model.sidecar import write_patch_size

        sizes = [box.value() for box in self.sizes if not box.isHidden()]
        try:
            write_patch_size(self._path, sizes)
        except FcnSegError as error:
            self.problem.emit(error)
        else:
            self.kept.emit(self._path)
