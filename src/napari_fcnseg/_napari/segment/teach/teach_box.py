"""Teaching as widgets: start, classes, the next doubtful place, save, and one line that says what is."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_fcnseg._napari.segment.teach.class_list import ClassList
from napari_fcnseg._napari.widgets.entry import Entry, more_button
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button

_START, _STOP = "Start teaching", "Stop teaching"


class TeachBox(QWidget):
    """What is below the heading *Teach*."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.start = button(
            _START,
            "Paint a few strokes of each class: the model learns them, and a preview follows. Run then segments the "
            "whole image with what was learned. Another image under Image gets strokes of its own.",
        )
        self.start.setCheckable(True)
        self.corrections = Entry(
            "Strokes from corrections", "Take as strokes what was edited by hand in the labels of a run of this image."
        )
        self.more = more_button("More to teach with", (self.corrections,))
        self.classes = ClassList()
        self.doubtful = button("Next doubtful place", "Move the view to where the taught model is least sure.")
        self.save = button(
            "Save model…", "Write the taught model as .keras, with a sidecar that says what it was taught on."
        )
        self.message = WrappingLabel()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message.setAccessibleName("Teaching status")
        top, bottom = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.start, 1)
        top.addWidget(self.more)
        for each in (self.doubtful, self.save):
            each.setMinimumWidth(1)
            bottom.addWidget(each, each.sizeHint().width())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(top)
        layout.addWidget(self.classes)
        layout.addLayout(bottom)
        layout.addWidget(self.message)
        self.show_teaching(False)
        self.offer(False)
        self.say("")

    def show_teaching(self, on: bool) -> None:
        """Show what belongs to teaching, or only how to begin."""
        self.start.setChecked(on)
        self.start.setText(_STOP if on else _START)
        for part in (self.classes, self.doubtful, self.more):
            part.setVisible(on)

    def offer(self, learned: bool) -> None:
        """Offer what needs a model that has learned something."""
        self.doubtful.setEnabled(learned)
        self.save.setEnabled(learned)
        self.save.setVisible(learned or self.start.isChecked())

    def say(self, text: str) -> None:
        """Show what is."""
        self._show(text, "")

    def complain(self, sentence: str) -> None:
        """Show what went wrong."""
        self._show(sentence, ERROR_STYLE)

    def _show(self, text: str, style: str) -> None:
        if (text, style) != (self.message.text(), self.message.styleSheet()):
            self.message.setStyleSheet(style)
            self.message.setText(text)
            self.message.setVisible(bool(text))
