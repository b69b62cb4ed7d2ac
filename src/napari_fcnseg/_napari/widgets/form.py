"""Building blocks of the docks' forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QWidget

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def quiet_combo(name: str, tooltip: str) -> QComboBox:
    """Return a combo that long entries do not make wide."""
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.setToolTip(f"<p>{tooltip}</p>")
    combo.setAccessibleName(name)
    return combo
