"""Building blocks of the docks' forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qtpy.QtGui import QPaintEvent

_BESIDE = 8  # pixels around an icon


def form_of(rows: Iterable[tuple[str, QWidget]]) -> QFormLayout:
    """Return widgets below each other, each with its caption, which explains itself as the widget does.

    Parameters
    ----------
    rows : iterable of (str, QWidget)
        Caption and widget.
    """
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for caption, widget in rows:
        label = QLabel(caption)
        label.setToolTip(widget.toolTip())
        label.setBuddy(widget)
        form.addRow(label, widget)
    return form


class QuietCombo(QComboBox):
    """A combo that long entries do not make wide; it leaves the middle of a name out, for names differ at the ends.

    Parameters
    ----------
    name : str
        For a screen reader.
    tooltip : str
        What it chooses.
    """

    def __init__(self, name: str = "", tooltip: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setToolTip(f"<p>{tooltip}</p>")
        self.setAccessibleName(name)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw what is chosen, shortened if need be."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        style = self.style()
        if style is not None:
            part = QStyle.SubControl.SC_ComboBoxEditField
            room = style.subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, self).width()
            room -= 0 if self.itemIcon(self.currentIndex()).isNull() else self.iconSize().width() + _BESIDE
            middle = Qt.TextElideMode.ElideMiddle
            option.currentText = self.fontMetrics().elidedText(self.currentText(), middle, room)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
