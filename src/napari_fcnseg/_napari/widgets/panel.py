"""The base of the dock widgets: parts below each other, cleaned up when the dock is closed."""

from __future__ import annotations

import itertools
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from qtpy import API_NAME, QT_VERSION
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QFrame, QMainWindow, QVBoxLayout, QWidget

from napari_fcnseg._napari.widgets.panel_scroll import PanelScroll
from napari_fcnseg._napari.widgets.style import FOCUS_STYLE
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qtpy.QtGui import QShowEvent

_LEAVING: set[Panel] = set()
_NUMBERS = itertools.count(1)
_WIDTH: Final = 340  # pixels that a dock opens with
_QT_NEEDED: Final = (6, 4)  # whose forms can hide a row


class Panel(QWidget):
    """A widget for a dock.

    napari's x does not delete the widget in a dock, it lets go of it: what the widget does would go on unseen until
    Python's garbage collector deletes it, at a time when half of its functions are gone. So it deletes itself.

    Raises
    ------
    FcnSegError
        If napari runs on a Qt that is too old.
    """

    def __init__(self) -> None:
        check_qt(QT_VERSION or "", API_NAME)
        super().__init__()
        self._number = 0  # of those that were shown, in their order

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size to open with."""
        hint = super().sizeHint()
        return QSize(max(_WIDTH, hint.width()), hint.height())

    def lay_out(self, parts: Iterable[QWidget], *then: Callable[[], object], footer: Sequence[QWidget] = ()) -> None:
        """Put parts below each other; a low window scrolls, for squeezed labels would lose their text.

        They come one per turn of the event loop: styling them all takes Qt a tenth of a second.

        Parameters
        ----------
        parts : iterable of QWidget
            From the top to the bottom.
        *then : callable
            What is done when they are all there, one per turn as well.
        footer : sequence of QWidget
            Below them, always in sight.
        """
        steps = QWidget()
        column = QVBoxLayout(steps)
        column.setContentsMargins(6, 4, 6, 4)
        column.addStretch()
        scroll = PanelScroll(steps)
        self.setStyleSheet(FOCUS_STYLE)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        foot = _Foot(footer)
        if footer:
            layout.addWidget(foot)

        def place(part: QWidget) -> None:
            column.insertWidget(column.count() - 1, part)
            scroll.fit()

        order = [partial(_follow_with_tab, steps, foot)] if footer else []
        turns: deque[Callable[[], object]] = deque([*(partial(place, part) for part in parts), *order, *then])
        timer = QTimer(self)

        def turn() -> None:
            act = turns.popleft()
            if not turns:
                timer.stop()
            act()

        timer.timeout.connect(turn)
        timer.start(0)

    def event(self, event: QEvent | None) -> bool:
        """Notice when napari lets go of it."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            _LEAVING.add(self)  # it belongs to Python now, and nobody else may hold it
            QTimer.singleShot(0, self._leave)
        return super().event(event)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 - Qt's name
        """Go behind the tab of our other dock at first, where napari would put one above the other, both too low."""
        super().showEvent(event)
        if not self._number:
            self._number = next(_NUMBERS)
            QTimer.singleShot(0, self._share_place)

    def _share_place(self) -> None:
        window, mine = self.window(), _dock_of(self)
        if not isinstance(window, QMainWindow) or mine is None or mine.isFloating():
            return
        older = [panel for panel in window.findChildren(Panel) if 0 < panel._number < self._number]
        for other in map(_dock_of, older):
            together = other is None or other.isFloating() or mine in window.tabifiedDockWidgets(other)
            if other is not None and not together and window.dockWidgetArea(other) == window.dockWidgetArea(mine):
                window.tabifyDockWidget(other, mine)
                mine.show()
                mine.raise_()
                return

    def _leave(self) -> None:
        if self.parent() is None:  # or it was docked again
            self.deleteLater()
        _LEAVING.discard(self)


class _Foot(QWidget):
    """Parts that are always in sight, below a line, as high as their texts need: no more, and never less.

    Qt asks them for the height of what they say before they have their width, and may be content with that.
    """

    def __init__(self, parts: Sequence[QWidget]) -> None:
        super().__init__()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        for part in (line, *parts):
            self._column.addWidget(part)

    def event(self, event: QEvent | None) -> bool:
        """Take the height that is needed, whenever that may have changed."""
        handled = super().event(event)
        if event is not None and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            height = self._column.totalHeightForWidth(self.width())
            if height > 0 and (self.minimumHeight(), self.maximumHeight()) != (height, height):
                self.setFixedHeight(height)
        return handled


def _dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock that a widget is in."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def check_qt(version: str, binding: str) -> None:
    """Say so where Qt is too old, which napari before 0.7 brings.

    Parameters
    ----------
    version : str
        Of Qt.
    binding : str
        What hands Qt to Python, for example ``"PyQt5"``.

    Raises
    ------
    FcnSegError
        If it is too old.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < _QT_NEEDED:
        needed = ".".join(map(str, _QT_NEEDED))
        raise FcnSegError(
            f"FCNSeg needs Qt {needed} or newer, and napari runs on Qt {version} ({binding}) here. "
            'Make a new Python environment and install both with `pip install "napari-fcnseg[all]"`.'
        )


def _follow_with_tab(steps: QWidget, footer: QWidget) -> None:
    """Have Tab lead from the last of the parts to the footer, which was there first."""
    last, widget, below = steps, steps.nextInFocusChain(), []
    while widget is not None and widget is not steps:
        if widget.focusPolicy() == Qt.FocusPolicy.NoFocus:  # Qt gives such a widget no place
            pass
        elif steps.isAncestorOf(widget):
            last = widget
        elif footer.isAncestorOf(widget):
            below.append(widget)
        widget = widget.nextInFocusChain()
    for widget in below:
        QWidget.setTabOrder(last, widget)
        last = widget
