"""Entries of menus, which are pressed as buttons are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QToolButton

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qtpy.QtWidgets import QWidget


class Entry(QAction):  # type: ignore[misc]  # which qtpy has from another module for each Qt
    """An entry of a menu.

    Parameters
    ----------
    text, tooltip : str
        What it says, and what it does.
    """

    def __init__(self, text: str, tooltip: str) -> None:
        super().__init__(text)
        self.setToolTip(tooltip)

    def click(self) -> None:
        """Choose it."""
        self.trigger()


def menu_of(entries: Iterable[QAction | None], parent: QWidget) -> QMenu:
    """Return a menu; None is a line between two entries."""
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    for entry in entries:
        if entry is None:
            menu.addSeparator()
        else:
            if entry.parent() is None:
                entry.setParent(menu)
            menu.addAction(entry)
    return menu


def more_button(name: str, entries: Iterable[QAction | None]) -> QToolButton:
    """Return the button with three points that opens a menu.

    Parameters
    ----------
    name : str
        For those who cannot see it, and its tooltip.
    entries : iterable of QAction or None
        Of the menu.
    """
    button = QToolButton()
    button.setText("⋯")
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    button.setToolTip(f"<p>{name}</p>")
    button.setAccessibleName(name)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
    button.setMenu(menu_of(entries, button))
    return button
