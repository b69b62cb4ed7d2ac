"""The line under the strip of axes: the image's type, range and pixel size; what it has to read is read in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QLabel

from napari_fcnseg._napari.layers.facts import ImageFacts, bad_values, look_at_values, values_in_words
from napari_fcnseg._napari.layers.pixel_size import pixel_size_fact, pixel_size_note
from napari_fcnseg._napari.widgets.worker import in_worker
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.plan.layout import check_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg._napari.widgets.worker import Outcome

#: Choices that come quickly after each other are waited for, and so is the opening of the dock.
_STILL_MILLISECONDS = 300


class FactsLine(QLabel):
    """Says what an image holds.

    Attributes
    ----------
    facts : ImageFacts or None
        What was seen of the image's values; None before.
    """

    #: Emitted when the values have been looked at.
    known = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setToolTip("<p>What the image holds: type of its values, their range, and the size of a pixel.</p>")
        self.facts: ImageFacts | None = None
        self._arrays: tuple[Any, ...] = ()
        self._axes: tuple[int, ...] = ()
        self._source: ImageLayers | None = None
        self._request = 0  # number of the latest question
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STILL_MILLISECONDS)
        self._timer.timeout.connect(self._ask)

    def show_for(
        self, arrays: Sequence[Any], axes: Sequence[int], source: ImageLayers | None, *, again: bool = False
    ) -> None:
        """Show what images of one shape hold.

        Parameters
        ----------
        arrays : sequence of array_like
            The images; empty for none.
        axes : sequence of int
            Those of the pixels.
        source : ImageLayers or None
            The same, once it fits a model.
        again : bool
            Whether the very same arrays may hold something else now.
        """
        same = len(arrays) == len(self._arrays) and all(a is b for a, b in zip(arrays, self._arrays, strict=True))
        self._arrays, self._axes, self._source = tuple(arrays), tuple(axes), source
        if again or not same:
            self._request += 1
            self.facts = None
            if arrays and not self._wrong_type():
                self._timer.start()
            else:
                self._timer.stop()
        self._show()

    @property
    def warning(self) -> str:
        """What the user should do something about; empty if there is nothing."""
        size = pixel_size_note(self._source) if self._source is not None else ""
        return " ".join(filter(None, [self._wrong_type(), bad_values(self.facts), size]))

    def _wrong_type(self) -> str:
        try:
            for array in self._arrays:
                check_dtype(np.dtype(array.dtype))
        except FcnSegError as error:
            return str(error)
        return ""

    def _show(self) -> None:
        if not self._arrays:
            self.setText("")
            return
        texts = [values_in_words(np.dtype(self._arrays[0].dtype), self.facts)]
        if self._source is not None:
            texts.append(pixel_size_fact(self._source))
        self.setText("; ".join(texts))

    def _ask(self) -> None:
        arrays, axes, number = self._arrays, self._axes, self._request

        def answer() -> tuple[int, ImageFacts]:
            return number, look_at_values(arrays, axes)

        create_worker(in_worker, answer, _connect={"returned": self._take}, _ignore_errors=True)

    def _take(self, outcome: Outcome) -> None:
        """Accept what a worker saw; of an image that cannot be read a run says more."""
        if outcome.value is None or outcome.value[0] != self._request:
            return
        self.facts = outcome.value[1]
        self._show()
        self.known.emit()
