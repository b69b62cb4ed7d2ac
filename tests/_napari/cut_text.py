"""What of a window cannot be read, because it has less room than it needs."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from qtpy.QtGui import QTextDocumentFragment
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QComboBox,
    QLabel,
    QLineEdit,
    QStyle,
    QStyleOptionComboBox,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRAME = 6  # pixels that a line of text leaves free


def cut_text(root: QWidget, elide: tuple[type[QWidget], ...] = ()) -> list[str]:
    """Return what is cut in the visible parts of a widget: the kind, the room that is missing, and the words.

    Parameters
    ----------
    root : QWidget
        The widget.
    elide : tuple of type
        Kinds of widgets that shorten a name themselves.
    """
    shown = (widget for widget in root.findChildren(QWidget) if widget.isVisible() and not isinstance(widget, elide))
    found = [said for widget in shown for said in _cut(widget)]
    return found + [said for widget in [root, *root.findChildren(QWidget)] for said in _covered(widget)]


def _cut(widget: QWidget) -> Iterator[str]:
    text, missing = "", 0
    if isinstance(widget, QLabel) and widget.text():
        text = QLabel.text(widget)  # with the places where it may be wrapped
        text = QTextDocumentFragment.fromHtml(text).toPlainText() if "<" in text else text
        pieces = re.split(r"[\s\u200b]+" if widget.wordWrap() else r"\n", text)
        margins = widget.contentsMargins()
        room = widget.width() - margins.left() - margins.right() - 2 * widget.margin()
        missing = max(widget.fontMetrics().horizontalAdvance(piece) for piece in pieces) - room
        if widget.wordWrap():
            missing = max(missing, widget.heightForWidth(widget.width()) - widget.height())
    elif isinstance(widget, QAbstractButton) and widget.text():
        text, missing = widget.text(), widget.sizeHint().width() - widget.width()
    elif isinstance(widget, QComboBox):
        text = widget.currentText()
        option = QStyleOptionComboBox()
        widget.initStyleOption(option)
        part = QStyle.SubControl.SC_ComboBoxEditField
        room = widget.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, widget).width()
        missing = widget.fontMetrics().horizontalAdvance(text) - room
    elif isinstance(widget, QLineEdit):
        text = widget.text() or widget.placeholderText()
        missing = widget.fontMetrics().horizontalAdvance(text) + _FRAME - widget.width()
    if missing > 1:
        yield f"{type(widget).__name__} lacks {missing} pixels for {text!r}"
    scrolls = isinstance(widget, QAbstractScrollArea) or isinstance(widget.parent(), QAbstractScrollArea)
    low = widget.minimumSizeHint().height() - widget.height()
    if low > 1 and not scrolls:  # also what is drawn by our own code
        yield f"{type(widget).__name__} is {low} pixels too low: {text!r}"


def _covered(parent: QWidget) -> Iterator[str]:
    """Yield which parts of a layout lie on each other."""
    layout = parent.layout()
    if layout is None or not parent.isVisible():
        return
    children = [w for w in parent.children() if isinstance(w, QWidget) and w.isVisible() and not w.isWindow()]
    for a, b in itertools.combinations(children, 2):
        both = a.geometry().intersected(b.geometry())
        if both.width() > 1 and both.height() > 1:
            yield f"{type(b).__name__} covers {both.height()} pixels of {type(a).__name__}"
