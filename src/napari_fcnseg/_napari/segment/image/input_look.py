"""Looks at what reaches the model, in a worker, whenever image, model or normalisation has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.widgets.worker import in_worker

if TYPE_CHECKING:
    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.input_check import InputLook

#: Choices that come quickly after each other are waited for.
_STILL_MILLISECONDS = 300


class InputLooker(QObject):
    """Asks for a look and drops answers that came too late."""

    #: Emitted with an :class:`InputLook`, or None where there is nothing to look at.
    seen = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._asked: tuple[ImageLayers, tuple[PatchModel, ...], str] | None = None
        self._number = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STILL_MILLISECONDS)
        self._timer.timeout.connect(self._ask)

    def look(self, source: ImageLayers | None, models: tuple[PatchModel, ...], steps: str) -> None:
        """Look soon.

        Parameters
        ----------
        source : ImageLayers or None
            The image; None where it does not fit.
        models : tuple of PatchModel
            The ensemble.
        steps : str
            Normalisation.
        """
        self._number += 1
        self._asked = (source, models, steps) if source is not None and models else None
        if self._asked is None:
            self._timer.stop()
            self.seen.emit(None)
        else:
            self._timer.start()

    def _ask(self) -> None:
        if self._asked is None:
            return
        (source, models, steps), number = self._asked, self._number

        def see() -> tuple[int, InputLook]:
            from napari_fcnseg import preprocess
            from napari_fcnseg.plan.input_check import look_at_input

            layout, image = source.layout, source.image
            frame = layout.source(image, tuple(n // 2 for n in layout.stack_shape))
            return number, look_at_input(frame, np.dtype(image.dtype), models, preprocess.parse(steps))

        create_worker(in_worker, see, _connect={"returned": self._take}, _ignore_errors=True)

    def _take(self, outcome: Outcome) -> None:
        if outcome.error is not None:  # a run says more
            self.seen.emit(None)
        elif outcome.value is not None and outcome.value[0] == self._number:
            self.seen.emit(outcome.value[1])
