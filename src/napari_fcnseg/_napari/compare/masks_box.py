"""Widgets that choose the truth and the masks; a request is read from them, nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QGroupBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QVBoxLayout,
)

from napari_fcnseg._napari.compare.guess import likely_mask, likely_truth
from napari_fcnseg._napari.compare.settings_form import SettingsForm
from napari_fcnseg._napari.layers.metadata import is_tool, shows_comparison
from napari_fcnseg._napari.widgets.form import QuietCombo, form_of
from napari_fcnseg._napari.widgets.section import Section
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

_TRUTH = (
    "The labels that the others are held against: a hand annotation, if there is one, or simply the first of two. "
    "Called A below."
)
_MASKS = (
    "The labels that are compared with A. Check one or several; several are ranked. They may have another size, scale "
    "or place: what counts is where they lie in the view."
)
_ROWS = 4  # rows that are visible at once
_FEW = "Open at least two Labels layers: results of runs, or files. One of them is the truth, or the first mask."


class MasksBox(QGroupBox):
    """Chooses a truth and masks; has Compare, Cancel and the message line."""

    #: Emitted when other layers were chosen.
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("1  Masks", parent)
        self._layers: list[Labels] = []
        self._known: list[Labels] = []  # masks offered before; they keep their check marks
        self._by_hand = False
        self.truth = QuietCombo("Truth", _TRUTH)
        self.masks = QListWidget()
        self.masks.setToolTip(f"<p>{_MASKS}</p>")
        self.masks.setAccessibleName("Masks")
        self.masks.setFixedHeight(_ROWS * self.masks.fontMetrics().lineSpacing() * 3 // 2)
        self.form = SettingsForm()
        self.compare = button("Compare", "See and measure how the masks differ from A.")
        self.cancel = button("Cancel", "Stop; what was compared before stays.")
        self.bar = QProgressBar()
        self.message = WrappingLabel()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._arrange()
        self.truth.activated.connect(self._choose_truth)
        self.truth.currentIndexChanged.connect(self._offer_masks)
        self.masks.itemChanged.connect(self._check)
        self.ready()
        self.offer([])

    def _arrange(self) -> None:
        form = form_of((("Truth (A)", self.truth), ("Masks (B)", self.masks)))
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(Section("Settings", self.form, "What the labels mean, and what counts."))
        buttons = QHBoxLayout()
        for each in (self.compare, self.cancel):
            buttons.addWidget(each)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.message)

    @property
    def first(self) -> Labels | None:
        """The layer that the others are compared with."""
        index = self.truth.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    @property
    def chosen(self) -> tuple[Labels, ...]:
        """The masks that are checked, from top to bottom of the layer list."""
        return tuple(layer for item, layer in self._items() if item.checkState() == Qt.CheckState.Checked)

    def offer(self, layers: Sequence[object]) -> None:
        """Offer Labels layers, the newest first; the choice is kept."""
        first, chosen = self.first, self.chosen
        self._layers = [
            layer
            for layer in reversed(layers)
            if isinstance(layer, Labels) and not shows_comparison(layer) and not is_tool(layer)
        ]
        kept = self._by_hand and any(layer is first for layer in self._layers)
        wanted = first if kept else likely_truth(self._layers)
        with QSignalBlocker(self.truth):
            self.truth.clear()
            self.truth.addItems([layer.name for layer in self._layers])
            self.truth.setCurrentIndex(next((i for i, layer in enumerate(self._layers) if layer is wanted), -1))
        self._list(chosen)
        if len(self._layers) < 2:
            self.say(_FEW)
        elif self.message.text() == _FEW:
            self.say("")
        self.changed.emit()

    def ready(self) -> None:
        """Get ready for the next request."""
        self.compare.setEnabled(True)
        self.cancel.setEnabled(False)
        self.bar.hide()

    def busy(self) -> None:
        """Show that masks are being compared."""
        self.compare.setEnabled(False)
        self.cancel.setEnabled(True)
        self.advance(0, 1)
        self.bar.show()
        self.say("Comparing…")

    def advance(self, done: int, total: int) -> None:
        """Show the progress."""
        if (done, total) != (self.bar.value(), self.bar.maximum()):
            self.bar.setRange(0, total)
            self.bar.setValue(done)

    def say(self, text: str, style: str = "") -> None:
        """Show what happened."""
        self.message.setStyleSheet(style)
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def complain(self, sentence: str) -> None:
        """Show what went wrong."""
        self.say(sentence, ERROR_STYLE)

    def _items(self) -> list[tuple[QListWidgetItem, Labels]]:
        others = [layer for layer in self._layers if layer is not self.first]
        items = [self.masks.item(i) for i in range(self.masks.count())]
        return [(item, layer) for item, layer in zip(items, others, strict=False) if item is not None]

    def _choose_truth(self) -> None:
        self._by_hand = True

    def _offer_masks(self) -> None:
        """Offer all layers but the truth as masks."""
        self._list(self.chosen)
        self.changed.emit()

    def _list(self, chosen: Sequence[Labels]) -> None:
        """List the masks; a new one is checked if it is the only one, or a result of a run."""
        others = [layer for layer in self._layers if layer is not self.first]
        checked = [layer for layer in others if any(layer is other for other in chosen)]
        new = [layer for layer in others if not any(layer is other for other in self._known)]
        checked += [layer for layer in new if likely_mask(layer)]
        if new and not checked and others:
            checked = others[:1]
        self._known = list(self._layers)
        with QSignalBlocker(self.masks):
            self.masks.clear()
            for layer in others:
                item = QListWidgetItem(layer.name)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                on = any(layer is other for other in checked)
                item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
                self.masks.addItem(item)
        self._judge()

    def _check(self) -> None:
        self._judge()
        self.changed.emit()

    def _judge(self) -> None:
        first = self.first
        self.form.offer_volume(first is not None and first.ndim > 2)
