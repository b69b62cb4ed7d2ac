"""The settings of a run as widgets; they are read into one snapshot and nothing is decided here."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, LineEdit
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QPushButton, QSpinBox, QWidget

from napari_fcnseg._napari.segment.models.preferences import preferred as preferred_settings
from napari_fcnseg._napari.widgets.tooltips import tooltip_from
from napari_fcnseg.arrays.border import BORDERS
from napari_fcnseg.settings import EXACT, PRECISIONS, RunSettings
from napari_fcnseg.system.cache import recall, remember
from napari_fcnseg.system.formatting import shorten_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg._napari.segment.models.memory import ModelMemory

_REMEMBERED, _LAST = "dock", "settings"
_LARGEST_TILE = 65536
_LARGEST_STEP = 10_000
_LONGEST_NAME = 30  # letters: a caption cannot be wrapped
_COMPARE = (
    "Compute a part of the chosen image in this precision and in float32, and say how much faster it is and how many "
    "labels agree."
)
_PREVIEW = (
    "Label every Nth pixel first, exactly as all the others, then fill in the rest. It takes 10 to 20 % longer; "
    "runs of a few seconds go without."
)
#: What a method is called in the window.
_METHODS = {"auto": "automatic", "dense": "dense", "patchwise": "patch by patch"}


class SettingsBox(QWidget):
    """Preprocessing, border, method, which pixels, precision, device, tile, and what to show and to keep."""

    #: Emitted when something was changed.
    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.preprocess = LineEdit()
        self.preprocess.changed.connect(self._show_origin)
        self._filled, self._origin = "", ""
        self._recalled: str | None = None  # steps that were chosen for the model an earlier time
        self.border = ComboBox(choices=BORDERS, tooltip=_tooltip(tooltip_from(RunSettings, "border")))
        self.method = ComboBox(
            choices=[(text, method) for method, text in _METHODS.items()],
            tooltip=_tooltip(tooltip_from(RunSettings, "method")),
        )
        self.every = _spin_box(1, _LARGEST_STEP, "every pixel")
        self.every.setToolTip(_tooltip(tooltip_from(RunSettings, "every")))
        self.precision = ComboBox(choices=PRECISIONS, tooltip=_tooltip(tooltip_from(RunSettings, "precision")))
        self.compare = QPushButton("Test precision…")
        self.compare.setToolTip(_tooltip(_COMPARE))
        self.precision.changed.connect(self._show_whether_exact)
        self.device = LineEdit(tooltip=_tooltip(tooltip_from(RunSettings, "device")))
        self.device.native.setPlaceholderText("the fastest")
        self.tile = _spin_box(0, _LARGEST_TILE, "automatic")
        self.tile.setToolTip(
            _tooltip(tooltip_from(RunSettings, "tile") + " It changes speed and memory, never the labels.")
        )
        self.probabilities = CheckBox(
            text="Keep probability layers", tooltip=_tooltip(tooltip_from(RunSettings, "probabilities"))
        )
        self.confidence = CheckBox(
            text="Keep a confidence layer", tooltip=_tooltip(tooltip_from(RunSettings, "confidence"))
        )
        self.disagreement = CheckBox(
            text="Keep a disagreement layer", tooltip=_tooltip(tooltip_from(RunSettings, "disagreement"))
        )
        self.preview = CheckBox(value=True, text="Show a coarse picture first", tooltip=_tooltip(_PREVIEW))
        self.caption = QLabel()
        self.caption.setWordWrap(True)
        self.caption.setTextFormat(Qt.TextFormat.PlainText)  # a file's name may look like markup
        self._form = self._arranged()
        self._show_whether_exact()
        self.offer_disagreement(False)
        self._restore(recall(_REMEMBERED, _LAST))
        for widget in (*self._remembered.values(), self.method, self.preprocess, self.precision, self.disagreement):
            widget.changed.connect(lambda _: self.changed.emit())
        for box in (self.every, self.tile):
            box.valueChanged.connect(lambda _: self.changed.emit())

    def _arranged(self) -> QFormLayout:
        """Lay out the settings in a column."""
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows: list[tuple[str, QWidget]] = [
            ("Border rule", self.border.native), ("Method", self.method.native), ("Step", self.every),
            ("Precision", self.precision.native), ("", self.compare), ("Device", self.device.native),
            ("Tile", self.tile),
        ]  # fmt: skip
        for text, widget in rows:
            form.addRow(_caption(text, widget), widget)
            if text:
                widget.setAccessibleName(text)
        for kept in (self.probabilities, self.confidence, self.disagreement, self.preview):
            form.addRow(kept.native)
        return form

    @property
    def _remembered(self) -> dict[str, Any]:
        """The widgets that are as they were when napari was last used.

        What the model says is not among them, nor what is chosen for a trial: a method, arithmetic that is not exact.
        """
        names = ("border", "device", "probabilities", "confidence", "preview")
        return {name: getattr(self, name) for name in names}

    def keep(self) -> None:
        """Remember what is chosen, for the next time that napari is started."""
        remember(_REMEMBERED, _LAST, {name: widget.value for name, widget in self._remembered.items()})

    def _restore(self, chosen: Any) -> None:
        for name, widget in self._remembered.items():
            value = chosen.get(name) if isinstance(chosen, dict) else None
            if type(value) is type(widget.value) and value in getattr(widget, "choices", (value,)):
                widget.value = value

    def offer_disagreement(self, may: bool) -> None:
        """Offer the layer that only several models have."""
        self._form.setRowVisible(self.disagreement.native, may)
        if not may:
            self.disagreement.value = False

    def set_preprocess(self, steps: Sequence[str], origin: str = "") -> None:
        """Write steps into the text line, and say where they come from for as long as they stand there."""
        self._filled, self._origin = ", ".join(steps), origin
        self.preprocess.value = self._filled
        self.preprocess.native.setCursorPosition(0)
        self._show_origin()

    def forget_preprocess(self) -> None:
        """Take back what was filled in for another model; what the user wrote stays."""
        if self.preprocess.value == self._filled:
            self.set_preprocess(())

    def chosen_for_model(self) -> dict[str, Any]:
        """Return what is to be remembered of a model: steps only where they are not those that came with it."""
        steps = self.preprocess.value
        return {"preprocess": steps if steps != self._filled else None, "border": self.border.value}

    def restore(self, memory: ModelMemory) -> None:
        """Take what the user chose for a model the last time."""
        self._recalled = memory.preprocess
        if memory.preprocess is not None:
            self.preprocess.value = memory.preprocess
        self._show_origin()
        if memory.border in BORDERS:
            self.border.value = memory.border

    def _show_origin(self) -> None:
        steps, text, note = self.preprocess.value, "", ""
        if steps == self._filled and self._origin:
            text = f"From {shorten_name(self._origin, _LONGEST_NAME)}"
            note = f"Filled in from {escape(self._origin)}. Change it here, or under Model details."
        elif steps != self._filled and steps == self._recalled:
            text = "As you last chose for this model"
            note = f"What comes with the model is {escape(self._filled)}." if self._filled else "Nothing comes with it."
        self.caption.setText(text)
        self.caption.setToolTip(f"<p>{note}</p>" * bool(note))
        self.caption.setVisible(bool(text))

    def _show_whether_exact(self) -> None:
        self.compare.setEnabled(self.precision.value != EXACT)

    def settings(self) -> RunSettings:
        """Return what the user chose.

        Raises
        ------
        SettingsError
            If a value is not one of the possible ones.
        """
        text = self.preprocess.value.strip()
        preferred = preferred_settings()
        return RunSettings(
            preprocess=(text,) if text else (),
            border=self.border.value,
            tile=self.tile.value() or None,
            method=self.method.value,
            every=self.every.value(),
            probabilities=self.probabilities.value,
            precision=self.precision.value,
            device=self.device.value.strip() or preferred.device,
            memory_limit=preferred.memory_limit,
            confidence=self.confidence.value,
            disagreement=self.disagreement.value,
        )


def _spin_box(lowest: int, highest: int, lowest_means: str) -> QSpinBox:
    """Return a box for a number of pixels; magicgui's has no word for its lowest value."""
    box = QSpinBox()
    box.setRange(lowest, highest)
    box.setSpecialValueText(lowest_means)
    box.setSuffix(" pixels")
    return box


def _caption(text: str, widget: QWidget) -> QLabel:
    label = QLabel(text)
    label.setToolTip(widget.toolTip())
    return label


def _tooltip(text: str) -> str:
    return f"<p>{text}</p>"  # rich text is wrapped, plain text is one long line
