"""The dock: its parts and how they are wired. What runs is in ``run``, what is shown in ``results``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker

from napari_fcnseg._napari.layers.channels import InputSpec
from napari_fcnseg._napari.segment.dialogs import Dialogs
from napari_fcnseg._napari.segment.image.image_box import ImageBox
from napari_fcnseg._napari.segment.image.input_look import InputLooker
from napari_fcnseg._napari.segment.image.normalisation_box import NormalisationBox
from napari_fcnseg._napari.segment.model_choice import ModelChoice
from napari_fcnseg._napari.segment.models.drop import ModelDrop
from napari_fcnseg._napari.segment.models.hints import ModelHints, hints_for
from napari_fcnseg._napari.segment.models.memory import recall_model, remember_model
from napari_fcnseg._napari.segment.models.model_box import ModelBox
from napari_fcnseg._napari.segment.models.naming import show_classes
from napari_fcnseg._napari.segment.models.preferences import preferred
from napari_fcnseg._napari.segment.results.edit_watch import EditWatch
from napari_fcnseg._napari.segment.results.instances_box import InstancesBox
from napari_fcnseg._napari.segment.results.look_bar import LookBar
from napari_fcnseg._napari.segment.results.result_box import ResultBox
from napari_fcnseg._napari.segment.results.threshold_bar import ThresholdBar
from napari_fcnseg._napari.segment.results.undo import Undo
from napari_fcnseg._napari.segment.run.controller import RunController
from napari_fcnseg._napari.segment.run.engine_line import EngineLine
from napari_fcnseg._napari.segment.run.follow_view import FollowView
from napari_fcnseg._napari.segment.run.older import replaced, take_place
from napari_fcnseg._napari.segment.run.plan_preview import PlanPreview
from napari_fcnseg._napari.segment.run.region_box import RegionBox
from napari_fcnseg._napari.segment.run.region_of_interest import RegionOfInterest
from napari_fcnseg._napari.segment.run.request import RunRequest
from napari_fcnseg._napari.segment.run.run_box import RunBox
from napari_fcnseg._napari.segment.run.save_image import ImageSaver
from napari_fcnseg._napari.segment.run.saved import read_saved
from napari_fcnseg._napari.segment.run.settings_box import SettingsBox
from napari_fcnseg._napari.segment.run.stopped import run_of
from napari_fcnseg._napari.segment.run_state import RunState
from napari_fcnseg._napari.segment.teach.choice import teach_choice
from napari_fcnseg._napari.segment.teach.teach_part import TeachPart
from napari_fcnseg._napari.widgets.entry import Entry
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg._napari.widgets.panel import Panel
from napari_fcnseg._napari.widgets.section import Section
from napari_fcnseg._napari.widgets.shortcuts import Shortcuts
from napari_fcnseg._napari.widgets.worker import in_worker
from napari_fcnseg.errors import FcnSegError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.segment.run.saved import SavedRun
    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.input_check import InputLook


class DenseSegmentation(Panel):
    """Segment an image densely with a trained patch model: image, model, run.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose layers are segmented.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.image, self.model, self.settings = ImageBox(), ModelBox(), SettingsBox()
        self.where, self.input = RegionBox(napari_viewer), InputLooker(self)
        self.normalisation = NormalisationBox(self.settings.preprocess, self.settings.caption)
        self.run, self.engine = RunBox(), EngineLine()
        self.choice = ModelChoice(napari_viewer, self.model, self.settings, self)
        self.controller = RunController(napari_viewer, self.run, self)
        self.plan_preview = PlanPreview(self.run, self.controller, self.request, self)
        self.follow = FollowView(napari_viewer, self.controller, self.where.follow, self.request, self)
        self.undo = Undo(napari_viewer, self)
        about = "Go on with a stopped result that was saved, on the image under Image."
        self.saved = Entry("Resume a saved result…", about)
        self.saver = ImageSaver(napari_viewer, self.run, self.controller, self.image, self.start)
        self.result = ResultBox(napari_viewer, (self.run.certificate,))
        self.teach = TeachPart(napari_viewer, partial(teach_choice, self.image, self.choice, self.settings))
        self.state = RunState(
            self.run, self.image, self.choice, self.teach, self.controller, self.input, self.plan_preview, self
        )
        self.instances = InstancesBox(napari_viewer)
        self.threshold, self.look = ThresholdBar(), LookBar()
        self.edits = EditWatch(self.controller.writes_into, self)
        self.shortcuts = Section("Shortcuts", Shortcuts(self._keys(), self), "What the keyboard does.")
        self.dialogs = Dialogs(
            self, napari_viewer, self.choice, self.settings, self.where, self.run, self.controller, self.instances.form
        )
        self.dialogs.add_entries((self.saved,))
        self._arrange()
        self._connect()
        self._watch = LayerWatch(napari_viewer.layers, self)
        self._watch.changed.connect(self._offer_layers)
        self._watch.removed.connect(self.controller.forget)
        self._watch.removed.connect(self.undo.note_removed)
        self._offer_layers()
        self.controller.select(self.result.layer)

    def _connect(self) -> None:
        """Connect signals; nothing is decided here."""
        self.choice.begun.connect(self.teach.model_chosen)
        self.choice.loaded.connect(self._take_models)
        self.choice.opened.connect(self.image.take)
        self.choice.opened.connect(lambda _: self._refresh())
        self.choice.problem.connect(self.report_problem)
        self.image.chosen.connect(self._follow_image)
        self.image.rescale.made.connect(self.choice.add_images)
        self.model.files_chosen.connect(self.choose_models)
        self.model.sample_chosen.connect(self.choice.choose_sample)
        self.model.output_chosen.connect(self.choice.choose_output)
        self.model.naming.connect(lambda: self.dialogs.open_naming(guess=self.normalisation.guess))
        self.model.export.triggered.connect(lambda _=False: self.dialogs.open_export(self.image))
        self.run.run.clicked.connect(self.start)
        self.run.cancel.clicked.connect(self.controller.stop)
        self.run.resume.clicked.connect(self.controller.resume)
        self.run.verify.clicked.connect(self.start_verification)
        self.run.certificate.triggered.connect(lambda _=False: self.dialogs.open_certificate())
        self.input.seen.connect(self._show_input)
        self.normalisation.accepted.connect(self._accept_input)
        self.normalisation.guessed.connect(lambda steps: remember_model(self.models, guessed=steps, preprocess=steps))
        self.model.legend.changed.connect(self._show_classes)
        self.model.legend.marked.connect(lambda label: remember_model(self.models, background=label))
        self.settings.compare.clicked.connect(self.start_comparison)
        self.controller.shown.connect(self._note_result)
        self.controller.begun.connect(lambda: self.result.hush(self.controller.computes))
        self.controller.ended.connect(lambda: self.result.hush(False))
        self.result.shown.connect(self.controller.select)
        for bar in (self.threshold, self.look):
            self.result.shown.connect(bar.show_layer)
        self.threshold.changed.connect(self._threshold_changed)
        self.result.run_again.connect(self.run_again)
        self.result.remove.connect(lambda layer: self.undo.take(self.result.layers_of(layer)))
        self.saved.triggered.connect(lambda _=False: self.dialogs.choose_saved(self.resume_file))
        self.teach.saved.connect(lambda path: self.choose_models([path]))
        self.image.chosen.connect(self.teach.follow_image)
        self.edits.counted.connect(lambda _: self.result.refresh())
        self.result.problem.connect(self.report_problem)
        for source in (self.image.chosen, self.image.changed, self.settings.changed, self.where.changed):
            source.connect(self._refresh)

    def _keys(self) -> list[tuple[str, str, Callable[[], object]]]:
        """Return what each key does."""
        return [
            ("Alt+Shift+R", "Run", self.run.run.click),
            ("Alt+Shift+X", "Cancel", self.run.cancel.click),
            ("Alt+Shift+G", "Resume", self.run.resume.click),
            ("Alt+Shift+V", "Verify", self.run.verify.click),
            ("Alt+Shift+F", "Toggle Follow the view", self.where.follow.click),
            ("Alt+Shift+O", "Choose a model file", self.model.choose.click),
            ("Ctrl+Z", "Undo: a stroke, the latest result, or Remove", lambda: self.teach.undo() or self.undo.undo()),
            ("Ctrl+Shift+Z", "Redo", lambda: self.teach.redo() or self.undo.redo()),
        ]

    def _arrange(self) -> None:
        """Lay out the steps in a column; only then do threads begin to work: they would take turns with the window's.

        At the first question about preferences napari looks through all its plugins, which is a turn of its own.
        """
        objects = Section("Objects", self.instances, "Number the connected regions of a class: cells, nuclei.")
        teach = Section("Teach", self.teach, "Correct a model, or make one, with a few strokes of the brush.")
        advanced = Section("Advanced", self.settings, "How the image is computed, and what is kept.")
        parts = (self.image, self.model, self.normalisation, self.where, self.threshold, self.look)
        self.lay_out(
            (*parts, teach, objects, advanced, self.dialogs.buttons, self.engine, self.shortcuts),
            preferred,
            self._begin,
            footer=(self.result, self.run),
        )

    def _begin(self) -> None:
        ModelDrop(self).dropped.connect(self.drop_models)
        self.engine.start()
        self._follow_image()
        paths = [str(m.path) for m in run.request.models if m.path] if (run := run_of(self.result.layer)) else []
        if paths and not self.choice.wanted:  # the model of what is there, in a dock that was closed
            self.choose_models(paths)

    @property
    def models(self) -> tuple[PatchModel, ...]:
        """The models that are loaded; several are an ensemble."""
        return self.choice.models

    @property
    def ready(self) -> bool:
        """Whether image and model are chosen and fit each other."""
        try:
            return bool(self.models and self.image.source().layout)
        except FcnSegError:
            return False

    def choose_models(self, paths: Sequence[str]) -> None:
        """Load model files; several are an ensemble."""
        self.choice.choose(paths)

    def drop_models(self, paths: Sequence[str]) -> None:
        """Load model files that come one by one but belong together, as when several are dropped at once."""
        self.choice.drop(paths)

    def request(self) -> RunRequest:
        """Return a snapshot of what is chosen.

        Raises
        ------
        FcnSegError
            If something is missing or does not fit.
        """
        taught = self.teach.model
        models = self.models if taught is None else (taught,)
        if not models:
            waiting = "The model is still being read." if self.choice.reading else "No model was chosen."
            raise SettingsError(f"{waiting} Choose one under Model, or try a sample.")
        source, settings = self.image.source(), self.settings.settings()
        place, preview = self.where.place(source), self.settings.preview.value
        hints = replace(self.choice.hints, hidden=self.model.legend.hidden)
        if taught is not None:
            hints = ModelHints(class_names=taught.class_names, class_colors=taught.class_colors)
        return RunRequest.of(self.viewer, source, models, settings, hints, place, preview)

    def start(self) -> None:
        """Segment what is chosen."""
        if (request := self._request()) is not None:
            self.settings.keep()
            self.choice.keep()
            self.controller.segment(request)

    def start_verification(self) -> None:
        """Compare the segmentation with the patch model itself; segment first if that has not been done."""
        if (request := self._request()) is not None:
            self.controller.verify(request)

    def start_comparison(self) -> None:
        """Compare the chosen precision with the exact one on a part of the image."""
        if not self.controller.running and (request := self._request()) is not None:
            self.controller.compare(request)

    def run_again(self, layer: Layer) -> None:
        """Compute a result again, with the image, the models and the settings that it was made with."""
        try:
            request = self.result.request_again(layer)
        except FcnSegError as error:
            self.report_problem(error)
            return
        if request is not None and not self.controller.running:
            self.controller.segment(request)

    def resume_file(self, path: str) -> None:
        """Go on with a result that was stopped and saved, on the image that is chosen."""
        slots = {"returned": self._resume_saved}
        create_worker(in_worker, partial(read_saved, path), _connect=slots, _ignore_errors=True)

    def _resume_saved(self, outcome: Outcome) -> None:
        try:
            if outcome.error is not None:
                raise outcome.error
            saved: SavedRun = outcome.value
            source = self.image.source()
            place = RegionOfInterest(saved.settings.region, saved.settings.frames)
            hints = hints_for([str(m.path) for m in saved.models], self.viewer.layers)
            hints = hints.completed(saved.models[0], recall_model(saved.models))
            if not self.controller.running:
                request = RunRequest.of(self.viewer, source, saved.models, saved.settings, hints, place)
                self.controller.resume_saved(request, saved)
        except Exception as error:  # told as any other
            self.report_problem(error)

    def report_problem(self, error: Exception) -> None:
        """Report an error in the dock and as a notification."""
        self.controller.report_problem(error)

    def _request(self) -> RunRequest | None:
        """Return a snapshot of what is chosen; say what is missing otherwise."""
        try:
            return self.request()
        except FcnSegError as error:
            self.report_problem(error)
            return None

    def _note_result(self, layers: tuple[Layer, ...]) -> None:
        if self.controller.last is not None:
            self.result.remember(layers, self.controller.last.request)
        self.look.dress(layers[-1])
        older = replaced(self.viewer.layers, layers[-1])
        take_place(self.viewer.layers, older, layers[-1])
        self.instances.inherit(older, layers[-1])
        self.instances.recompute(layers[-1])
        self.undo.note(layers, older)
        self.teach.put_aside()
        self.result.show_layer(layers[-1])

    def _show_input(self, look: InputLook | None) -> None:
        """Show what reaches the model, and warn where it looks wrong, in sight whatever is scrolled."""
        memory = recall_model(self.models)
        self.normalisation.show_look(look, memory.accepted, memory.guessed)
        self.run.warn(self.normalisation.short_warning)

    def _accept_input(self, steps: str) -> None:
        remember_model(self.models, accepted=steps, guessed=None)
        self._show_input(self.normalisation.histogram.look)

    def _threshold_changed(self, layer: Layer) -> None:
        self.result.refresh()
        self.instances.recompute(layer)

    def _show_classes(self) -> None:
        show_classes(self.viewer.layers, self.models, self.choice.hints.class_colors, self.model.legend.hidden)

    def _offer_layers(self) -> None:
        layers = list(self.viewer.layers)
        self.edits.watch(layers)
        self.image.offer(layers, self.viewer.layers.selection.active)
        self.where.offer(layers)
        if not self.choice.wanted:
            self._follow_image()
        self._refresh()

    def _follow_image(self) -> None:
        """Take the model that the image names, unless the user chose one."""
        self.choice.follow(self.image.first)

    def _take_models(self) -> None:
        first, hints, sidecar = self.models[0], self.choice.hints, self.models[0].sidecar
        size, unit = (sidecar.pixel_size, sidecar.unit) if sidecar is not None else ((), "")
        need = InputSpec(first.channels, len(first.patch_shape), hints.channel_names, size, unit)
        self.image.set_need(need, self.viewer.layers.selection.active)
        self.settings.offer_disagreement(len(self.models) > 1)
        self._refresh()

    def _refresh(self) -> None:
        """Follow a choice that has changed: what it means for the image, for the time it takes, for the view."""
        try:
            source = self.image.source()
        except FcnSegError:
            source = None
        self.state.follow()
        self.where.show_for(source)
        self.input.look(source, self.models, self.normalisation.steps)
        self.plan_preview.refresh()
        self.follow.refresh()
