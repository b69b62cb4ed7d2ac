"""How the image is normalised: a list of what is usual, a line for everything else, and whether it looks right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGroupBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_fcnseg import preprocess
from napari_fcnseg._napari.segment.image.histogram import Histogram
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.step_help import step_help
from napari_fcnseg._napari.widgets.style import WARNING_STYLE
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from magicgui.widgets import LineEdit
    from qtpy.QtWidgets import QLabel

    from napari_fcnseg.plan.input_check import InputLook

_CUSTOM = "Custom…"
#: Words of the list, and steps as text; those with a place to fill in begin the line.
USUAL: Final = {
    "None": "",
    "0–1, from 8 bits (÷ 255)": preprocess.BYTES,
    "0–1, from 16 bits (÷ 65,535)": preprocess.WORDS,
    "0–1, from percentiles 1 to 99.8": "scale_range:1,99.8",
    "Zero mean, unit variance": "zero_mean_unit_variance",
    "Training mean and deviation…": "fixed_zero_mean_unit_variance:0,1",
    "Divide by median": "divide_by_median",
}
_FILLED_IN = "Training mean and deviation…"
_GUESS = "This normalisation is a guess. Ask who trained the model."


class NormalisationBox(QGroupBox):
    """Chooses steps by their usual names.

    Parameters
    ----------
    line : LineEdit
        The steps as text; what counts.
    origin : QLabel
        Where the steps come from.
    """

    #: Emitted with steps, as text, that the user found right although they look unusual.
    accepted = Signal(str)
    #: Emitted with steps, as text, that the user took because they were proposed.
    guessed = Signal(str)

    def __init__(self, line: LineEdit, origin: QLabel, parent: QWidget | None = None) -> None:
        super().__init__("Normalisation", parent)
        self._line = line
        self._suggested: str | None = None
        self._guessed: str | None = None  # steps that were taken because they were suggested
        self.choice = QComboBox()
        self.choice.addItems([*USUAL, _CUSTOM])
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(8)
        self.choice.setAccessibleName("Normalisation")
        self.choice.setToolTip("<p>How images were normalised when the model was trained.</p>")
        self.choice.activated.connect(self._chosen)
        self.histogram = Histogram()
        self.warning = WrappingLabel()
        self.warning.setStyleSheet(WARNING_STYLE)
        self.use = QPushButton()
        self.use.setToolTip("<p>A guess: it makes the values plausible. Only who trained the model knows.</p>")
        self.use.clicked.connect(self._use)
        self.leave = QPushButton("It is right")
        self.leave.setToolTip("<p>Keep it, and do not warn again for this model.</p>")
        self.leave.clicked.connect(self._accept)
        self._doubt = QWidget()
        row = QHBoxLayout(self._doubt)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.use, 1)
        row.addWidget(self.leave)
        layout = QVBoxLayout(self)
        for part in (self.choice, line.native, origin, self.histogram, self.warning, self._doubt):
            layout.addWidget(part)
        line.native.setAccessibleName("Normalisation steps")
        line.native.setPlaceholderText("e.g. /255, zscore, subtract_local_mean:61")
        line.native.setToolTip(step_help())
        line.changed.connect(self._follow)
        line.native.editingFinished.connect(self._show_choice)
        self.show_look(None)
        self._show_choice()

    @property
    def steps(self) -> str:
        """The steps, as text."""
        return str(self._line.value).strip()

    def show_look(self, look: InputLook | None, accepted: str | None = None, guessed: str | None = None) -> None:
        """Show what reaches the model, and the doubt about it unless the user said that it is right.

        Parameters
        ----------
        look : InputLook or None
            What was seen.
        accepted : str or None
            Steps that are right for the model whatever they look like.
        guessed : str or None
            Steps that were proposed for the model before.
        """
        self.histogram.show_look(look)
        doubt = look.doubt if look is not None and accepted != self.steps else None
        mine = bool(self.steps) and self.steps in (self._guessed, guessed)
        guess = _GUESS if doubt is None and mine and self.steps != accepted else ""
        self.warning.setText(doubt.reason if doubt is not None else guess)
        suggestion = doubt.suggestion if doubt is not None else None
        self._suggested = ", ".join(suggestion) if suggestion is not None else None
        self.use.setText(f"Try: {_name_of(self._suggested or '').removesuffix('…')}" if suggestion is not None else "")
        self.use.setVisible(suggestion is not None)
        self.warning.setVisible(bool(self.warning.text()))
        self._doubt.setVisible(bool(self.warning.text()))

    @property
    def doubtful(self) -> bool:
        """Whether what reaches the model looks wrong; a guess looks right, and may not be."""
        return self.warning.text() not in ("", _GUESS)

    @property
    def short_warning(self) -> str:
        """What is wrong or uncertain, in a few words; empty if nothing is."""
        guess = "⚠ The normalisation is a guess." if self.guess else ""
        return "⚠ The image may need another normalisation." if self.doubtful else guess

    @property
    def guess(self) -> bool:
        """Whether what is chosen is a guess that nobody has confirmed."""
        return self.warning.text() == _GUESS

    def _chosen(self, _: int) -> None:
        text = self.choice.currentText()
        if text in USUAL:
            self._line.value = USUAL[text]
        self._show_line(text in (_CUSTOM, _FILLED_IN))
        if self._line.native.isVisibleTo(self):
            self._line.native.setFocus()

    def _follow(self, _: str = "") -> None:
        if not self._line.native.hasFocus():  # nobody is writing in it
            self._show_choice()

    def _show_choice(self) -> None:
        """Show the usual name of what stands in the line, which is shown itself where there is none."""
        name = _name_of(self.steps)
        if name == _CUSTOM or name != self.choice.currentText():
            self.choice.setCurrentText(name)
        self._show_line(name in (_CUSTOM, _FILLED_IN))

    def _show_line(self, shown: bool) -> None:
        self._line.native.setVisible(shown)

    def _use(self) -> None:
        if self._suggested is not None:
            self._guessed = self._suggested
            self._line.value = self._suggested
            self._show_choice()
            self.guessed.emit(self._guessed)

    def _accept(self) -> None:
        self._guessed = None
        self.accepted.emit(self.steps)


def _name_of(steps: str) -> str:
    """Return the usual name of some steps; the word for all others where they have none."""
    try:
        parsed = preprocess.parse(steps)
    except FcnSegError:
        return _CUSTOM
    if len(parsed) == 1 and parsed[0].name == "fixed_zero_mean_unit_variance":
        return _FILLED_IN
    return next((name for name, usual in USUAL.items() if preprocess.parse(usual) == parsed), _CUSTOM)
