"""Colours of the docks."""

from __future__ import annotations

#: Of letters in tables, which have no ground of their own.
ERROR_COLOR = "#e5484d"
#: A coloured ground under dark letters: a contrast above 9 to 1 on napari's dark and light backgrounds alike.
ERROR_STYLE = "color: #4d0509; background-color: #f9d0d2; border-radius: 3px; padding: 3px;"
#: napari's own style shows nothing of the keyboard's focus. The blue stands out from both of its backgrounds.
FOCUS_STYLE = ", ".join(
    f"{kind}:focus" for kind in ("QPushButton", "QToolButton", "QComboBox", "QLineEdit", "QAbstractSpinBox",
                                 "QCheckBox", "QSlider", "QListWidget", "QTableView")
) + " { border: 2px solid #3b8eea; border-radius: 3px; }"  # fmt: skip
WARNING_STYLE = "color: #432a00; background-color: #ffe3b3; border-radius: 3px; padding: 3px;"
