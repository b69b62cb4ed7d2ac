"""napari's spinner in the status bar, slowed down while something is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel, QMainWindow

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

_SLOW = 2  # percent: a picture in two seconds


def set_spinning(widget: QWidget, fast: bool) -> None:
    """Let what moves in the status bar of a widget's window move fast, or slowly.

    Each picture of it has Qt put the whole window together anew, canvas included. Where that is drawn without a
    graphics card, thirty pictures a second take nearly half a processor core from what is computed.
    """
    window = widget.window()
    if isinstance(window, QMainWindow) and (bar := window.statusBar()) is not None:
        for label in bar.findChildren(QLabel):
            if (movie := label.movie()) is not None:
                movie.setSpeed(100 if fast else _SLOW)
