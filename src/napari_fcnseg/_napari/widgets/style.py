"""Colours of the docks."""

from __future__ import annotations

#: Of letters in tables, which have no ground of their own.
ERROR_COLOR = "#e5484d"
#: A coloured ground under dark letters: a contrast above 9 to 1 on napari's dark and light backgrounds alike.
ERROR_STYLE = "color: #4d0509; background-color: #f9d0d2; border-radius: 3px; padding: 3px;"
WARNING_STYLE = "color: #432a00; background-color: #ffe3b3; border-radius: 3px; padding: 3px;"
