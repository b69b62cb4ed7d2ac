"""Colours of the docks."""

from __future__ import annotations

#: Legible on napari's dark and light backgrounds alike.
ERROR_COLOR = "#e5484d"
ERROR_STYLE = f"color: {ERROR_COLOR};"
