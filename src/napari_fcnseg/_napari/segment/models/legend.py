"""The classes of a model as chips: a click shows or hides one, a double click names it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QAction, QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy, QToolButton, QWidget

from napari_fcnseg._napari.widgets.flow import FlowLayout
from napari_fcnseg.model.classes import likely_background

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QMouseEvent

_MOST = 24  # chips; of more classes the others are in the editor
_ICON = 12


class Chip(QToolButton):
    """One class.

    Parameters
    ----------
    label : int
        Its label.
    name, color : str
        What it is called, and ``#rrggbb``.
    background : bool
        Whether it is the background.
    """

    #: Emitted when its name or colour is to be changed.
    naming = Signal()
    #: Emitted with whether it is to be the background.
    marked = Signal(bool)

    def __init__(self, label: int, name: str, color: str, *, background: bool) -> None:
        super().__init__()
        self.label, self.name, self.color = label, name, color
        self.setCheckable(True)
        self.setChecked(not background)
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.setIconSize(QSize(_ICON, _ICON))
        named = likely_background([name]) == 1
        shown = f"{name} (background)" if background and not named else name
        self.setText(shown.replace("&", "&&"))
        self.setAccessibleName(f"Show {shown}")
        self.setStyleSheet("QToolButton::menu-indicator { image: none; }")  # its actions are for the right button
        self.setToolTip("<p>Click to show or hide this class, double-click to name and colour it.</p>")
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        mark = QAction("This class is the background", self)
        mark.setCheckable(True)
        mark.setChecked(background)
        mark.triggered.connect(self.marked)
        rename = QAction("Name and colour…", self)
        rename.triggered.connect(lambda _=False: self.naming.emit())
        self.addActions([mark, rename])
        self.mark = mark
        self.toggled.connect(self._colour)
        self._colour(self.isChecked())

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Ask for another name; the first click has shown or hidden it, which is taken back."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.toggle()
            self.naming.emit()

    def _colour(self, shown: bool) -> None:
        """Draw a full square for a class that is shown, an empty one for another."""
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap(round(_ICON * ratio), round(_ICON * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(QColor(self.color))
        if not shown:
            painter = QPainter(pixmap)
            painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Clear)
            painter.fillRect(2, 2, _ICON - 4, _ICON - 4, Qt.GlobalColor.transparent)
            painter.end()
        self.setIcon(QIcon(pixmap))


class Legend(QWidget):
    """Chips of all classes.

    Attributes
    ----------
    chips : list of Chip
        In the order of the labels.
    background : int
        Label of the class that is background; 0 if none is.
    """

    #: Emitted when a class was shown or hidden.
    changed = Signal()
    #: Emitted with the label that is background from now on, by the user's choice; 0 for none.
    marked = Signal(int)
    #: Emitted when names and colours are to be changed.
    naming = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chips: list[Chip] = []
        self.background = 0
        self._names: tuple[str, ...] = ()
        self._colors: tuple[str, ...] = ()
        self._more = QLabel()
        self._flow = FlowLayout()
        self.setLayout(self._flow)
        self.hide()

    @property
    def hidden(self) -> tuple[int, ...]:
        """Labels of the classes that are not shown."""
        return tuple(chip.label for chip in self.chips if not chip.isChecked())

    def show_classes(self, names: Sequence[str], colors: Sequence[str], background: int | None = None) -> None:
        """Show classes.

        Parameters
        ----------
        names, colors : sequence of str
            In the model's order.
        background : int, optional
            Label of the class that is background, 0 for none; what the names say otherwise.
        """
        self.clear()
        self._names, self._colors = tuple(names), tuple(colors)
        self.background = likely_background(names) if background is None else background
        for label, (name, color) in enumerate(zip(names[:_MOST], colors, strict=False), 1):
            chip = Chip(label, name, color, background=label == self.background)
            chip.toggled.connect(lambda _: self.changed.emit())
            chip.naming.connect(self.naming)
            chip.marked.connect(lambda on, label=label: self._mark(label if on else 0))
            self._flow.addWidget(chip)
            self.chips.append(chip)
        for before, after in itertools.pairwise((self, *self.chips)):  # new widgets are the last ones otherwise
            QWidget.setTabOrder(before, after)
        more = len(names) - len(self.chips)
        self._more = QLabel(f"+ {more} more")
        self._more.setVisible(more > 0)
        self._flow.addWidget(self._more)
        self.setAccessibleName(f"Classes: {', '.join(names[:_MOST])}{', …' * (more > 0)}")
        self.setVisible(bool(names))

    def clear(self) -> None:
        """Show none."""
        for widget in (*self.chips, self._more):
            self._flow.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self.chips, self.background = [], 0
        self.setAccessibleName("Classes")
        self.hide()
        self._more = QLabel()

    def _mark(self, label: int) -> None:
        self.show_classes(self._names, self._colors, label)
        self.marked.emit(label)
        self.changed.emit()
