"""Models that are dropped on the dock, or on napari's canvas while the dock is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtGui import QDragLeaveEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget

from napari_fcnseg.readers.likely import CERTAIN, HDF5, likely_models

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OVER = (QEvent.Type.DragEnter, QEvent.Type.DragMove)
#: An architecture with its weights beside it, the file of a SavedModel, a package, the description of one.
_OTHER_ENDINGS = (".json", ".pb", ".zip", ".yaml")


class ModelDrop(QObject):
    """Takes models that are dropped, and leaves everything else to napari.

    On the dock itself whatever may be a model by its name is taken, for nothing else can be meant there: if it is none,
    reading it says so. On the canvas only what is a model.

    Parameters
    ----------
    dock : QWidget
        The dock, with its parts in place; it need not be in its window yet. All ends with it.
    """

    #: Emitted with the paths that were dropped together.
    dropped = Signal(list)

    def __init__(self, dock: QWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        dock.setAcceptDrops(True)
        dock.installEventFilter(self)
        self._watch()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Look at what happens to the dock, to what is in it, and to the canvas."""
        if event is None or not isinstance(watched, QWidget):
            return False
        if event.type() == QEvent.Type.Show and watched is self._dock:
            self._watch()
        elif isinstance(event, QDropEvent) and (event.type() in _OVER or event.type() == QEvent.Type.Drop):
            return self._take(watched, event)
        return False

    def _watch(self) -> None:
        """Look at all that takes drops, once it is there: a line for text would take a file's name as text."""
        places = list(self._dock.findChildren(QWidget))
        window = _above(self._dock, QMainWindow)
        canvas = window.centralWidget() if isinstance(window, QMainWindow) else None
        if canvas is not None:
            places += [canvas, *canvas.findChildren(QWidget)]
        for place in places:
            if place.acceptDrops() and place.window() is self._dock.window():
                place.installEventFilter(self)  # one that is there already is only moved

    def _take(self, watched: QWidget, event: QDropEvent) -> bool:
        """Take an event if it brings models; return whether it did."""
        paths = _local_files(event)
        if _above(self._dock, QMainWindow) is None:  # it was closed, and lives until somebody lets go of it
            return False
        inside = watched is self._dock or self._dock.isAncestorOf(watched)
        if not paths or event.modifiers() & Qt.KeyboardModifier.AltModifier:  # that asks napari for its list of readers
            return False
        models = _possible(paths) if inside else likely_models(paths) if event.type() == QEvent.Type.Drop else []
        if not models:
            return False
        event.acceptProposedAction()
        if event.type() == QEvent.Type.Drop:
            QApplication.sendEvent(watched, QDragLeaveEvent())  # what lit up when the files came is to go out
            around = _above(self._dock, QDockWidget)
            if around is not None:  # it may be hidden, or behind another one
                around.show()
                around.raise_()
            self.dropped.emit(models)
        return True


def _local_files(event: QDropEvent) -> list[str]:
    """Return the files that an event brings; none if there is anything else among them."""
    mime = event.mimeData()
    urls = mime.urls() if mime is not None else []
    return [str(Path(url.toLocalFile())) for url in urls] if all(url.isLocalFile() for url in urls) else []


def _possible(paths: Sequence[str]) -> list[str]:
    """Return what may be models by their names, all of them or none; of models themselves what they are read from."""
    endings = (*CERTAIN, *HDF5, *_OTHER_ENDINGS)
    if not all(path.lower().endswith(endings) or Path(path).is_dir() for path in paths):
        return []
    return likely_models(paths) or list(paths)


def _above(widget: QWidget, kind: type[QWidget]) -> QWidget | None:
    """Return the nearest widget around another one that is of a kind."""
    return next((parent for parent in _parents(widget) if isinstance(parent, kind)), None)


def _parents(widget: QWidget) -> Iterator[QWidget]:
    parent = widget.parentWidget()
    while parent is not None:
        yield parent
        parent = parent.parentWidget()
