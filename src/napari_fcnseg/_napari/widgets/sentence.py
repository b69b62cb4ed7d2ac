"""A label that wraps long names."""

from __future__ import annotations

import re

from qtpy.QtWidgets import QLabel

#: A white space of no width.
SPACE = "\u200b"


class WrappingLabel(QLabel):
    """Plain text that is wrapped, within names, paths and hashes where it has to be: a narrow dock cuts nothing off."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)

    def setText(self, text: str | None) -> None:  # noqa: N802 - Qt's name
        """Show a text."""
        super().setText(breakable(text or ""))

    def text(self) -> str:
        """Return the text as it was given."""
        return super().text().replace(SPACE, "")


def breakable(text: str) -> str:
    """Return a text that may be wrapped within names, paths and hashes, at white spaces of no width."""
    return re.sub(r"([_\-/\\]|[.:](?!\d)|[^\W_]{16})(?=\w)", rf"\1{SPACE}", text)
