"""Binds the keys that a dock names (``segment/dock.py``, ``compare/see/see_box.py``), and lists them for the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QFormLayout, QLabel, QShortcut, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Shortcuts(QWidget):
    """Makes keys work in the dock's whole window, and lists them.

    napari's own keys have Ctrl or single letters; these have Alt+Shift. Undo and redo are the dock's only where a part
    of the dock, and no text, has the keyboard: elsewhere they undo a stroke of the brush.

    Parameters
    ----------
    keys : sequence of (str, str, callable)
        Key, what it does, and what does it.
    dock : QWidget
        The dock.
    """

    def __init__(self, keys: Sequence[tuple[str, str, Callable[[], object]]], dock: QWidget) -> None:
        super().__init__(dock)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        for key, words, act in keys:
            sequence = QKeySequence(key)
            shortcut = QShortcut(sequence, dock)
            only_here = key.startswith("Ctrl")
            context = Qt.ShortcutContext
            shortcut.setContext(context.WidgetWithChildrenShortcut if only_here else context.WindowShortcut)
            shortcut.activated.connect(act)
            text = QLabel(f"{words} (in the dock)" if only_here else words)
            text.setWordWrap(True)
            form.addRow(QLabel(sequence.toString(QKeySequence.SequenceFormat.NativeText)), text)
