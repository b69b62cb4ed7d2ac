"""The chosen models, be it by the user, a sample or the image; a worker reads them, the latest request counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.files_in_use import watch_choice
from napari_fcnseg._napari.segment.models.hints import ModelHints, hints_for, hints_of, sample_hints
from napari_fcnseg._napari.segment.models.memory import recall_model, remember_model
from napari_fcnseg._napari.segment.models.model_job import load_worker, sample_worker
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.samples.catalogue import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_fcnseg._napari.segment.models.model_box import ModelBox
    from napari_fcnseg._napari.segment.models.model_job import LoadedModels
    from napari_fcnseg._napari.segment.run.settings_box import SettingsBox
    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.model.patch_model import PatchModel


class ModelChoice(QObject):
    """Reads the models that somebody chose, and shows them.

    Parameters
    ----------
    viewer : Viewer
        Where samples are opened.
    box : ModelBox
        What shows the models.
    settings : SettingsBox
        What shows how their images are prepared.
    parent : QObject
        What it belongs to.

    Attributes
    ----------
    models : tuple of PatchModel
        Several are an ensemble; empty while they are being read.
    hints : ModelHints
        What is known about them beside their files.
    """

    #: Emitted when models are about to be read, and when they have been.
    begun = Signal()
    loaded = Signal()
    #: Emitted with the reason when models were refused, which stands under Model.
    refused = Signal(object)
    #: Emitted with an exception that the user has to know.
    problem = Signal(object)
    #: Emitted with the layers of a sample that the user chose.
    opened = Signal(object)

    def __init__(self, viewer: Viewer, box: ModelBox, settings: SettingsBox, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._box, self._settings = viewer, box, settings
        self.models: tuple[PatchModel, ...] = ()
        self.hints = self._given = ModelHints()  # what came with the model, and the same completed by its sidecar
        self.wanted: tuple[str, ...] = ()
        self.reading = False
        self._by_hand = False  # whether the user chose the model, and not a layer
        self._request = 0  # number of the latest one
        self._output = ""  # the answer that the user chose, of a model with several
        self._fill_in = True  # whether the model's preprocessing takes the place of what is written
        self._dropped: list[str] = []
        self._before: tuple[str, ...] = ()  # hashes of the models before these
        watch_choice(self)

    def choose(self, paths: Sequence[str]) -> None:
        """Load model files; several are an ensemble."""
        self._by_hand = True
        self._load(tuple(map(str, paths)), hints_for(paths, self._viewer.layers))

    def drop(self, paths: Sequence[str]) -> None:
        """Load model files that come one by one but belong together, as when several are dropped at once."""
        if not self._dropped:
            QTimer.singleShot(0, self._take_dropped)
        self._dropped += paths

    def choose_output(self, output: str) -> None:
        """Take another answer of a model that has several."""
        if self.wanted:
            self._load(self.wanted, self._given, output, fill_in=False)

    def choose_sample(self, name: str) -> None:
        """Open a sample image, unless it is open, and load its model."""
        hints = sample_hints(SAMPLES[name])
        self._by_hand = False
        self._load((hints.model,), hints)
        there = [layer for layer in self._viewer.layers if hints_of(layer) == hints]
        if there:
            self.opened.emit(there)
        else:
            create_worker(sample_worker, name, _connect={"returned": self._add_sample}, _ignore_errors=True)

    def follow(self, image: Image | None) -> None:
        """Take the model that an image names, unless the user chose one."""
        hints = hints_of(image)
        if hints is not None and not self._by_hand and (hints.model,) != self.wanted:
            self._load((hints.model,), hints)

    @property
    def hidden(self) -> tuple[int, ...]:
        """Labels of classes that are not shown."""
        return self._box.legend.hidden

    def keep(self) -> None:
        """Remember what the user chose for these models."""
        remember_model(self.models, **self._settings.chosen_for_model())

    def read_again(self, *, forget_steps: bool = True) -> None:
        """Read the model with what the user has just written beside it, which counts more than a sample's."""
        if forget_steps:
            remember_model(self.models, preprocess=None)
        self._load(self.wanted, ModelHints(), self._output)

    def _load(self, paths: tuple[str, ...], hints: ModelHints, output: str = "", *, fill_in: bool = True) -> None:
        self.wanted, self.models, self._given = paths, (), hints
        self._output, self._fill_in = output, fill_in
        self._request += 1
        self.reading = True
        self._box.show_loading(paths, output)
        self.begun.emit()
        arguments = (paths, output, self._request)
        create_worker(load_worker, *arguments, _connect={"returned": self.take}, _ignore_errors=True)

    def take(self, loaded: LoadedModels) -> None:
        """Accept what a worker has read."""
        if loaded.request != self._request:
            return  # the user has chosen others meanwhile
        self.reading = False
        if loaded.error is not None:
            if not self._output and not self._box.offers_answers(loaded.error):
                self.wanted = ()
            self._box.show_refusal(loaded.error)
            self.refused.emit(loaded.error)
            return
        self.models = loaded.models
        memory = recall_model(loaded.models)
        self.hints = self._given.completed(loaded.models[0], memory)
        if self._fill_in:
            self._fill_in_preprocessing()
            self._settings.restore(memory)
        self._before = tuple(model.sha256 for model in loaded.models)
        self._box.show_models(loaded.models, self.hints, memory.background)
        self.loaded.emit()

    def _fill_in_preprocessing(self) -> None:
        """Write down the steps that came with the model, or stand in its sidecar."""
        if self._given.preprocess:
            self._settings.set_preprocess(self._given.preprocess)
        elif any(model.sidecar is not None for model in self.models):
            from napari_fcnseg.model.sidecar import agreed_preprocess

            try:
                steps = agreed_preprocess([(model.name, model.sidecar) for model in self.models])
            except FcnSegError as error:
                self._settings.forget_preprocess()
                self.problem.emit(error)
                return
            place = next(m.sidecar_place for m in self.models if m.sidecar is not None)
            self._settings.set_preprocess(steps, place.name)
        elif self._given.model:
            self._settings.set_preprocess(())
        elif self._others():  # those steps were chosen for another model
            self._settings.set_preprocess(())
        else:
            self._settings.forget_preprocess()

    def _others(self) -> bool:
        """Whether there were models before, and none of these among them."""
        return bool(self._before) and not {model.sha256 for model in self.models} & set(self._before)

    def _take_dropped(self) -> None:
        paths, self._dropped = self._dropped, []
        self.choose(paths)

    def _add_sample(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.problem.emit(outcome.error)
            return
        self.add_images([(data, options) for data, options, _ in outcome.value])

    def add_images(self, new: Sequence[tuple[Any, dict[str, Any]]]) -> None:
        """Add images to the viewer, and have them chosen."""
        self.opened.emit([self._viewer.add_image(data, **options) for data, options in new])
