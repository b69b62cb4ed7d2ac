"""Widgets for the views of how A and B differ; flicker, swipe and side by side exclude each other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QShortcut, QSlider, QVBoxLayout, QWidget

from napari_fcnseg._napari.compare.see.flicker import FASTEST, SLOWEST, Flicker
from napari_fcnseg._napari.compare.see.side_by_side import SideBySide
from napari_fcnseg._napari.compare.see.swipe import NO_3D, Swipe
from napari_fcnseg._napari.widgets.endings import at_end
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch, disconnect
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.layers import Labels
    from napari.viewer import Viewer

_NOBODY = "Press Compare first: then A and the mask that is looked at can be seen in turns, cut, and side by side."
_FLICKER = "Show A and B in turns in the same place: what differs moves. Press the key to change by hand."
_SWIPE = "A on one side of a line, B on the other. Drag the line on the canvas, or move the slider."
_SIDE = "A and B in two views that zoom and pan together."
_AGREEMENT = "Show where both masks agree and where only one has a label, in colours for colour-blind readers too."
_NEXT = "Look at the next place where the masks differ, those first that differ by more than an outline."
_PREVIOUS = "Look at the place before."
_KEYS = (
    ("Alt+Shift+B", "A or B"), ("Alt+Shift+W", "Swipe line"), ("Alt+Shift+A", "Side by side"),
    ("Alt+Shift+N", "Next worst place"), ("Alt+Shift+P", "Previous place"),
)  # fmt: skip


class SeeBox(QWidget):
    """The views of A and B, and their buttons.

    Parameters
    ----------
    viewer : Viewer
        Where they are shown.
    """

    #: Emitted with whether the map of agreement is wanted.
    agreement_wanted = Signal(bool)
    #: Emitted with whether A and B are viewed alone, so that layers over them are hidden.
    bare = Signal(bool)
    #: Emitted when another place is wanted.
    next_place, previous_place = Signal(), Signal()

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._a: Labels | None = None
        self._b: Labels | None = None
        self.flickering, self.swiping, self.beside = Flicker(self), Swipe(viewer, self), SideBySide(viewer)
        self.agreement = _check("Agreement", _AGREEMENT, on=True)
        self.flicker, self.swipe = _check("Flicker", _FLICKER), _check("Swipe line", _SWIPE)
        self.side_by_side = _check("Side by side", _SIDE)
        self.speed = _slider("Time that each is seen", "How long each is seen: left is fast.", FASTEST, SLOWEST, 700)
        self.line = _slider("Place of the swipe line", "Where the line is; the arrow keys move it.", 0, 100, 50)
        self.across = _check("Horizontal", "A above the line, B below it.")
        self.place, self.message = WrappingLabel(), WrappingLabel()
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setAccessibleName("Legend of the agreement")
        self.previous = button("◀ Previous", _PREVIOUS)
        self.next = button("Next worst place ▶", _NEXT)
        self._arrange()
        self._connect()
        self._show()
        self._watch = LayerWatch(viewer.layers, self)
        self._watch.changed.connect(self._mind_views)
        callbacks = [(viewer.dims.events.ndisplay, self._leave_plane)]
        callbacks[0][0].connect(callbacks[0][1])
        at_end(self, partial(_end, self.flickering, self.swiping, self.beside, callbacks))

    def _arrange(self) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        for place, (left, right) in enumerate((
            (self.agreement, self.side_by_side), (self.flicker, self.speed), (self.swipe, self.line),
            (None, self.across),
        )):  # fmt: skip
            if left is not None:
                grid.addWidget(left, place, 0)
            grid.addWidget(right, place, 1)
        steps = QHBoxLayout()
        for each in (self.previous, self.next):
            steps.addWidget(each)
        keys = QLabel(" · ".join(f"{words}: {_native(key)}" for key, words in _KEYS[:3]))
        keys.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.legend)
        layout.addLayout(steps)
        for part in (self.place, self.message, keys):
            layout.addWidget(part)

    def _connect(self) -> None:
        self.agreement.toggled.connect(self.agreement_wanted)
        self.next.clicked.connect(self.next_place)
        self.previous.clicked.connect(self.previous_place)
        for check in (self.flicker, self.swipe, self.side_by_side):
            check.toggled.connect(partial(self._toggle, check))
        self.speed.valueChanged.connect(self._set_speed)
        self.line.valueChanged.connect(lambda value: self.swiping.move(value / 100))
        self.across.toggled.connect(self._turn_line)
        self.swiping.moved.connect(self._follow_line)
        self.flickering.turned.connect(self._say_which)
        acts: tuple[Callable[[], object], ...] = (
            self.turn, self.swipe.click, self.side_by_side.click, self.next.click, self.previous.click,
        )  # fmt: skip
        for (key, _), act in zip(_KEYS, acts, strict=True):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.setAutoRepeat(False)  # a key that is held down would flash thirty times a second
            shortcut.activated.connect(act)

    def take(self, a: Labels | None, b: Labels | None) -> None:
        """Set the two layers; views of others end."""
        if a is self._a and b is self._b:
            return
        self.end()
        self._a, self._b = a, b
        self._show()

    def end(self) -> None:
        """Show all layers as they were before flicker, swipe and side by side."""
        for check in (self.flicker, self.swipe, self.side_by_side):
            with QSignalBlocker(check):
                check.setChecked(False)
        if any(way.on for way in (self.flickering, self.swiping, self.beside)):
            _end(self.flickering, self.swiping, self.beside)
            self.bare.emit(False)
        self._say("")
        self._show()

    def turn(self) -> None:
        """Show A instead of B, or vice versa, by hand."""
        if self._a is None or self._b is None:
            return
        if self.flickering.on:
            self.flickering.turn()
        else:
            self.end()
            self.bare.emit(True)
            self.flickering.start(self._a, self._b, by_itself=False)
            with QSignalBlocker(self.flicker):
                self.flicker.setChecked(True)

    def say_place(self, text: str) -> None:
        """Show which place is looked at."""
        self.place.setText(text)
        self.place.setVisible(bool(text))

    def say_agreement(self, counts: Mapping[int, int]) -> None:
        """Show the legend, with the share of each kind of pixel."""
        from napari_fcnseg.comparison import AGREEMENT

        total = sum(counts.values())
        parts = []
        for kind, (name, color) in AGREEMENT.items():
            share = f"{100 * counts.get(kind, 0) / total:.3g} %" if total else "–"
            words = f"{name} {share}".replace(" ", "&nbsp;")
            parts.append(f'<span style="color:{color}">■</span>&nbsp;{words}')
        self.legend.setText(", ".join(parts) + " of the foreground pixels")
        self.legend.show()

    def _toggle(self, check: QCheckBox, on: bool) -> None:
        self.end()
        if not on or self._a is None or self._b is None:
            return
        with QSignalBlocker(check):
            check.setChecked(True)
        self.bare.emit(True)
        try:
            if check is self.flicker:
                self.flickering.start(self._a, self._b)
            elif check is self.swipe:
                self.swiping.start(self._a, self._b)
            else:
                self.beside.start(self._a, self._b)
        except FcnSegError as error:
            with QSignalBlocker(check):
                check.setChecked(False)
            self.bare.emit(False)
            self._say(str(error), ERROR_STYLE)
        self._show()

    def _leave_plane(self, event: Any = None) -> None:
        if self.swiping.on:
            self.end()
            self._say(NO_3D)

    def _mind_views(self) -> None:
        """End side by side if an image was removed or the layers were moved: they would be in the wrong view."""
        if self.beside.on and not self.beside.intact:
            self.end()

    def _set_speed(self, milliseconds: int) -> None:
        self.flickering.interval = milliseconds

    def _turn_line(self, across: bool) -> None:
        self.swiping.upright = not across
        self.swiping.move(self.swiping.place)

    def _follow_line(self, place: float) -> None:
        with QSignalBlocker(self.line):
            self.line.setValue(round(100 * place))

    def _say_which(self, which: int) -> None:
        layer = (self._a, self._b)[which]
        self._say(f"Now seen: {'AB'[which]}, {layer.name}." if layer is not None else "")

    def _say(self, text: str, style: str = "") -> None:
        self.message.setStyleSheet(style)
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def _show(self) -> None:
        """Offer what can be done now."""
        ready = self._a is not None and self._b is not None
        for widget, tip in ((self.flicker, _FLICKER), (self.swipe, _SWIPE), (self.side_by_side, _SIDE)):
            widget.setEnabled(ready)
            widget.setToolTip(f"<p>{tip if ready else _NOBODY}</p>")
        for step, tip, (key, _) in ((self.next, _NEXT, _KEYS[3]), (self.previous, _PREVIOUS, _KEYS[4])):
            step.setEnabled(ready)
            step.setToolTip(f"<p>{tip} ({_native(key)})</p>" if ready else f"<p>{_NOBODY}</p>")
        self.speed.setVisible(self.flicker.isChecked())
        self.line.setVisible(self.swipe.isChecked())
        self.across.setVisible(self.swipe.isChecked())
        self.legend.setVisible(bool(self.legend.text()))
        self.place.setVisible(bool(self.place.text()))


def _end(flicker: Flicker, swipe: Swipe, beside: SideBySide, callbacks: Sequence[tuple[Any, Any]] = ()) -> None:
    for way in (flicker, swipe, beside):
        if way.on:
            way.stop()
    disconnect(list(callbacks))


def _check(text: str, tooltip: str, *, on: bool = False) -> QCheckBox:
    check = QCheckBox(text)
    check.setToolTip(f"<p>{tooltip}</p>")
    check.setAccessibleName(text)
    check.setChecked(on)
    return check


def _slider(name: str, tooltip: str, least: int, most: int, value: int) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(least, most)
    slider.setValue(value)
    slider.setToolTip(f"<p>{tooltip}</p>")
    slider.setAccessibleName(name)
    return slider


def _native(key: str) -> str:
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
