"""What the foot of the dock says, kept true: nothing of another image or model, no Run for a model that was refused."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_fcnseg._napari.widgets.problems import notify_error
from napari_fcnseg._napari.widgets.worker import is_expected
from napari_fcnseg.errors import AS_IT_IS, FcnSegError

if TYPE_CHECKING:
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.segment.image.image_box import ImageBox
    from napari_fcnseg._napari.segment.image.input_look import InputLooker
    from napari_fcnseg._napari.segment.model_choice import ModelChoice
    from napari_fcnseg._napari.segment.run.controller import RunController
    from napari_fcnseg._napari.segment.run.plan_preview import PlanPreview
    from napari_fcnseg._napari.segment.run.run_box import RunBox
    from napari_fcnseg._napari.segment.teach.teach_part import TeachPart

_REFUSED = "This model cannot be run: the reason is under Model. Choose another one."


class RunState(QObject):
    """Watches what is chosen, and takes back what the foot says of something else.

    Parameters
    ----------
    box : RunBox
        The foot.
    image, choice, teach, controller, looker, preview
        Parts of the dock.
    parent : QWidget
        The dock.
    """

    def __init__(
        self, box: RunBox, image: ImageBox, choice: ModelChoice, teach: TeachPart, controller: RunController,
        looker: InputLooker, preview: PlanPreview, parent: QWidget,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._image = image
        self._box, self._choice, self._teach, self._controller = box, choice, teach, controller
        self._looker, self._preview = looker, preview
        self._refused = False
        #: The layers of the image when the last run ended, until that is forgotten.
        self._then: tuple[weakref.ref[Layer], ...] | None = None
        choice.begun.connect(self._begin)
        choice.loaded.connect(self._accept)
        choice.refused.connect(self._refuse)
        controller.ended.connect(self._note)
        teach.teacher.changed.connect(self._allow_run)

    def follow(self) -> None:
        """Forget what was said of another image than the one that is chosen now; where there is none, it stays."""
        now = self._now
        if self._then is not None and now and self._then != now and not self._controller.running:
            self._then = None
            self._box.say("")

    @property
    def _now(self) -> tuple[weakref.ref[Layer], ...]:
        """The layers of the image that is chosen; empty where there is none that fits."""
        try:
            return tuple(map(weakref.ref, self._image.source().layers))
        except FcnSegError:
            return ()

    def _note(self) -> None:
        self._then = self._now

    def _begin(self) -> None:
        """Forget what was said of the models before."""
        self._refused = False
        self._allow_run()
        self._looker.look(None, (), "")
        self._preview.refresh()
        self._box.show_forecast("")
        if not self._controller.running:
            self._box.say("")

    def _refuse(self, error: Exception) -> None:
        """Allow no run. The sentence stands under Model; it is a notification as well where nobody sees the dock."""
        self._refused = True
        self._allow_run()
        if not (is_expected(error) and self._box.in_sight):
            notify_error(error)

    def _allow_run(self) -> None:
        self._box.allow_run(_REFUSED if self._refused and self._teach.model is None else "")

    def _accept(self) -> None:
        """Allow a run, and the conversion check where something was converted."""
        self._refused = False
        self._allow_run()
        self._box.allow_verify(AS_IT_IS if any(m.labels_every_pixel for m in self._choice.models) else "")
