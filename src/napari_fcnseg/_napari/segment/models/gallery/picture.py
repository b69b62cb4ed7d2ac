"""A picture from a stranger, on a label."""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel

#: Formats that are decoded, by their first bytes: of others Qt would try whatever it has.
_FORMATS: Final = ((b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPG"), (b"GIF8", "GIF"))
_SIZE: Final = QSize(360, 200)


class Picture(QLabel):
    """Shows a model's picture; takes no room where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(_SIZE.height())
        self.setMinimumWidth(1)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setAccessibleName("Picture of the model")

    def show_nothing(self) -> None:
        """Make room for what is beside it."""
        self.hide()
        self.setPixmap(QPixmap())

    def show_picture(self, content: bytes) -> None:
        """Show a picture as its file is."""
        kind = next((name for head, name in _FORMATS if content.startswith(head)), None)
        image = QImage.fromData(content, kind) if kind is not None else QImage()
        if image.isNull():
            self.show_nothing()
            return
        how = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        self.setPixmap(QPixmap.fromImage(image.scaled(_SIZE, *how)))
        self.show()
