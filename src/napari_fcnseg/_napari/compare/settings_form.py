"""Settings of a comparison as widgets; a snapshot is read from them, nothing is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLineEdit, QWidget

from napari_fcnseg._napari.widgets.form import QuietCombo, form_of
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from napari_fcnseg.comparison import CompareSettings

_KIND = (
    "Classes: label 1 is one kind of thing in both masks. Objects: each label is one cell or nucleus, and numbers need "
    "not be the same. Automatic: objects where there are more than 64 labels."
)
_VOLUME = "Whether a thing goes on from slice to slice (z), or each slice or time is on its own."
_IGNORE = "Labels of A whose pixels do not count, such as 0 where nothing was annotated: numbers with commas between."
_TOLERANCE = "How far a border may be off and still be found, in the layer's unit. Empty: 0.75 % of the diagonal."
_KINDS = (("automatic", "auto"), ("classes", "classes"), ("single objects", "instances"))
_SLICES = (("each slice on its own (2D, time)", 2), ("one volume (3D)", 3))


class SettingsForm(QWidget):
    """How masks are compared."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = QuietCombo("What labels are", _KIND)
        for text, value in _KINDS:
            self.kind.addItem(text, value)
        self.volume = QuietCombo("Slices", _VOLUME)
        for text, number in _SLICES:
            self.volume.addItem(text, number)
        self.ignore = _line("Labels left out", _IGNORE, "none")
        self.tolerance = _line("Border tolerance", _TOLERANCE, "automatic")
        self._form = form_of((
            ("Labels are", self.kind), ("Slices", self.volume), ("Leave out", self.ignore),
            ("Tolerance", self.tolerance),
        ))  # fmt: skip
        self.setLayout(self._form)

    def offer_volume(self, may: bool) -> None:
        """Offer to treat slices as a volume, if there are any."""
        self._form.setRowVisible(self.volume, may)

    def settings(self, threshold: float = 0.5) -> CompareSettings:
        """Return what is chosen.

        Parameters
        ----------
        threshold : float
            IoU from which on two objects are a pair; it is chosen beside the scores.

        Raises
        ------
        SettingsError
            If a line holds something else than numbers.
        """
        from napari_fcnseg.comparison import CompareSettings

        volume = not self.volume.isHidden() and self.volume.currentData() == 3
        return CompareSettings(
            self.kind.currentData(), _labels(self.ignore.text()), threshold, _length(self.tolerance.text()),
            spatial=3 if volume else None,
        )  # fmt: skip


def _line(name: str, tooltip: str, empty: str) -> QLineEdit:
    line = QLineEdit()
    line.setAccessibleName(name)
    line.setToolTip(f"<p>{tooltip}</p>")
    line.setPlaceholderText(empty)
    return line


def _labels(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        problem = f"Leave out takes whole numbers with commas between, such as 0, 255, not {text!r}."
        raise SettingsError(problem) from None


def _length(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"The tolerance is a length, such as 2.5, or empty, not {text!r}.") from None
