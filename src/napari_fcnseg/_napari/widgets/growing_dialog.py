"""A dialog that is never lower than its texts need where they are wrapped."""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QDialog

_NEW_SIZES: Final = {QEvent.Type.LayoutRequest, QEvent.Type.Resize, QEvent.Type.Show}


class GrowingDialog(QDialog):
    """Grows with what it says: Qt asks for the height that wrapped texts take once, and squeezes all parts later."""

    def event(self, event: QEvent | None) -> bool:
        """Handle an event; where sizes change, keep as high as all parts need at this width."""
        if event is not None and event.type() in _NEW_SIZES:
            layout = self.layout()
            if layout is not None and layout.hasHeightForWidth():
                self.setMinimumHeight(layout.totalHeightForWidth(self.width()))
        return super().event(event)
