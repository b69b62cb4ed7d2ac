"""The members of an ensemble, each with a button that takes it out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from napari_fcnseg._napari.segment.models.model_text import wrappable

if TYPE_CHECKING:
    from collections.abc import Sequence


class EnsembleMembers(QWidget):
    """A line per model file; nothing is shown where there is only one."""

    #: Emitted with the paths that are left when the user took one out.
    left = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.paths: tuple[str, ...] = ()
        self.buttons: list[QToolButton] = []
        self._lines: list[QWidget] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self.show_paths(())

    def show_paths(self, paths: Sequence[str]) -> None:
        """Show these files."""
        if tuple(paths) == self.paths:
            return
        for line in self._lines:
            line.hide()
            line.deleteLater()
        self.paths = tuple(paths)
        several = len(paths) > 1
        self.buttons = []
        self._lines = [self._line(number) for number in range(len(paths) if several else 0)]
        for line in self._lines:
            self._column.addWidget(line)
        self.setVisible(several)

    def _line(self, number: int) -> QWidget:
        path = Path(self.paths[number])
        name = QLabel(wrappable(path.name))
        name.setTextFormat(Qt.TextFormat.RichText)
        name.setWordWrap(True)
        name.setToolTip(f"<p>{wrappable(str(path))}</p>")
        button = QToolButton()
        button.setText("✕")
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # by Tab too
        button.setToolTip("<p>Take this model out of the ensemble.</p>")
        button.setAccessibleName(f"Take {path.name} out of the ensemble")
        button.clicked.connect(lambda: self._take_out(number))
        self.buttons.append(button)
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(name, 1)
        row.addWidget(button)
        return line

    def _take_out(self, number: int) -> None:
        self.left.emit([path for index, path in enumerate(self.paths) if index != number])
