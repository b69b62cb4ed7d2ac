"""The dock: its parts and how they are wired. What runs is in ``job``, what is shown in ``result``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_fcnseg._napari.certificate_dialog import CertificateDialog
from napari_fcnseg._napari.channels import Need
from napari_fcnseg._napari.doctor_dialog import DoctorDialog, examine
from napari_fcnseg._napari.engine_line import EngineLine
from napari_fcnseg._napari.hints import Hints, hints_for, hints_of, sample_hints
from napari_fcnseg._napari.image_box import ImageBox
from napari_fcnseg._napari.job import loading, sampling, working
from napari_fcnseg._napari.live import LiveRun
from napari_fcnseg._napari.model_box import ModelBox
from napari_fcnseg._napari.naming import entries_of
from napari_fcnseg._napari.naming_dialog import NamingDialog
from napari_fcnseg._napari.result import result_name
from napari_fcnseg._napari.run_box import RunBox
from napari_fcnseg._napari.settings_box import SettingsBox
from napari_fcnseg._napari.text_dialog import button
from napari_fcnseg._napari.watch import LayerWatch
from napari_fcnseg.errors import FcnSegError, SettingsError
from napari_fcnseg.samples.catalogue import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import Viewer

    from napari_fcnseg._napari.orders import Loaded, Order, Outcome
    from napari_fcnseg.model import PatchModel


class DenseSegmentation(QWidget):
    """Segment an image densely with a trained patch model: image, model, settings, run.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose layers are segmented.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._wanted: tuple[str, ...] = ()
        self._by_hand = False  # whether the user chose the model, and not a layer
        self._models: tuple[PatchModel, ...] = ()
        self._request = 0  # number of the latest one for models
        self._reading = False
        self._given = self._hints = Hints()  # what came with the model, and the same completed by its sidecar
        self._output = ""  # the answer that the user chose, of a model with several
        self._fill_in = True  # whether the model's preprocessing takes the place of what is written
        self._dropped: list[str] = []
        self.image = ImageBox()
        self.model = ModelBox()
        self.settings = SettingsBox()
        self.run = RunBox()
        self.engine = EngineLine()
        self.doctor = button("Doctor…", "What there is to compute with, how fast it is, and why there is no GPU.")
        self.live = LiveRun(napari_viewer, self.run, self)
        self._arrange()
        self.image.chosen.connect(self._follow_hints)
        self.model.files_chosen.connect(self.choose_models)
        self.model.sample_chosen.connect(self.choose_sample)
        self.model.output_chosen.connect(self.choose_output)
        self.model.naming.connect(self.open_naming)
        self.run.run.clicked.connect(self.start)
        self.run.cancel.clicked.connect(self.live.stop)
        self.run.verify.clicked.connect(self.start_verification)
        self.run.certificate.clicked.connect(self.open_certificate)
        self.settings.compare.clicked.connect(self.start_comparison)
        self.doctor.clicked.connect(self.open_doctor)
        self._watch = LayerWatch(napari_viewer.layers, self)
        self._watch.changed.connect(self._offer_layers)
        self._watch.removed.connect(self.live.forget)
        self.image.offer(list(napari_viewer.layers), napari_viewer.layers.selection.active)

    def _arrange(self) -> None:
        """Put the steps below each other; a low window scrolls, for squeezed labels would lose their text.

        They come one per turn of the event loop: styling them all takes Qt a tenth of a second. Only then do threads
        begin to work, for they would take turns with the window's.
        """
        parts = deque((self.image, self.model, self.settings, self.run, self.engine, self.doctor))
        steps = QWidget()
        column = QVBoxLayout(steps)
        column.addStretch()
        scroll = QScrollArea()
        scroll.setWidget(steps)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        timer = QTimer(self)

        def place() -> None:
            if parts:
                column.insertWidget(column.count() - 1, parts.popleft())
                scroll.setMinimumWidth(steps.minimumSizeHint().width())
            else:
                timer.stop()
                self.engine.start()
                self._follow_hints()

        timer.timeout.connect(place)
        timer.start(0)

    @property
    def models(self) -> tuple[PatchModel, ...]:
        """The models that are loaded; several are an ensemble."""
        return self._models

    @property
    def ready(self) -> bool:
        """Whether image and model are chosen and fit each other."""
        try:
            return bool(self._models and self.image.source().layout)
        except FcnSegError:
            return False

    def choose_models(self, paths: Sequence[str]) -> None:
        """Load model files; several are an ensemble."""
        self._by_hand = True
        self._load(tuple(map(str, paths)), hints_for(paths, self._viewer.layers))

    def drop_models(self, paths: Sequence[str]) -> None:
        """Load model files that come one by one but belong together, as when several are dropped at once."""
        if not self._dropped:
            QTimer.singleShot(0, self._take_dropped)
        self._dropped += paths

    def choose_output(self, output: str) -> None:
        """Take another answer of a model that has several."""
        if self._wanted:
            self._load(self._wanted, self._given, output, fill_in=False)

    def choose_sample(self, name: str) -> None:
        """Open a sample image, unless it is open, and load its model."""
        hints = sample_hints(SAMPLES[name])
        self._by_hand = False
        self._load((hints.model,), hints)
        if not any(hints_of(layer) == hints for layer in self._viewer.layers):
            create_worker(sampling, name, _connect={"returned": self._add_sample}, _ignore_errors=True)

    def start(self) -> None:
        """Segment what is chosen."""
        if (order := self._order()) is not None:
            self.live.segment(order)

    def start_verification(self) -> None:
        """Compare the segmentation with the patch model itself; segment first if that has not been done."""
        if (order := self._order()) is not None:
            self.live.verify(order)

    def start_comparison(self) -> None:
        """Compare the chosen precision with the exact one on a part of the image."""
        if not self.live.running and (order := self._order()) is not None:
            self.live.compare(order)

    def open_doctor(self) -> None:
        """Have the computer looked at; what it times would disturb a run."""
        if self.live.running:
            problem = "The doctor measures how fast each device is. Wait until the run has ended, or stop it."
            self.report_problem(SettingsError(problem))
            return
        self._let_run(False)
        dialog = DoctorDialog(self)
        dialog.show()
        slots = {"returned": dialog.take, "finished": self._let_run}
        create_worker(working, examine, _connect=slots, _ignore_errors=True)

    def _let_run(self, may: bool = True) -> None:
        """Allow runs and examinations, or neither while one goes on."""
        for part in (self.run, self.settings, self.doctor):
            part.setEnabled(may)

    def open_naming(self) -> None:
        """Open the editor of what is kept beside the model."""
        entries = entries_of(self._models[0], self._hints, self.settings.preprocess.value)
        dialog = NamingDialog(self._models, entries, self)
        dialog.written.connect(self._take_names)
        dialog.show()

    def open_certificate(self) -> None:
        """Show the certificate of the last verification."""
        verification, last = self.live.verification, self.live.last
        if verification is not None and last is not None:
            name = f"{result_name(last.order)}.certificate.json".replace("/", "-").replace(" · ", ".")
            CertificateDialog(verification.certificate, name, self).show()

    def report_problem(self, error: Exception) -> None:
        """Say what went wrong, in the dock and as a notification."""
        self.live.report_problem(error)

    def _order(self) -> Order | None:
        """Return a snapshot of what is chosen; say what is missing otherwise."""
        try:
            if not self._models:
                waiting = "The model is still being read." if self._reading else "No model was chosen."
                raise SettingsError(f"{waiting} Choose one under Model, or take a sample.")
            settings, preview = self.settings.settings(), self.settings.preview.value
            return self.live.order(self.image.source(), self._models, settings, self._hints, preview)
        except FcnSegError as error:
            self.report_problem(error)
            return None

    def _offer_layers(self) -> None:
        self.image.offer(list(self._viewer.layers), self._viewer.layers.selection.active)
        if not self._wanted:
            self._follow_hints()

    def _follow_hints(self) -> None:
        """Take the model that the image names, unless the user chose one."""
        hints = hints_of(self.image.first)
        if hints is not None and not self._by_hand and (hints.model,) != self._wanted:
            self._load((hints.model,), hints)

    def _load(self, paths: tuple[str, ...], hints: Hints, output: str = "", *, fill_in: bool = True) -> None:
        self._wanted, self._models, self._given = paths, (), hints
        self._output, self._fill_in = output, fill_in
        self._request += 1
        self._reading = True
        self.model.show_loading(paths, output)
        arguments = (paths, output, self._request)
        create_worker(loading, *arguments, _connect={"returned": self._take_models}, _ignore_errors=True)

    def _take_models(self, loaded: Loaded) -> None:
        if loaded.request != self._request:
            return  # the user has chosen others meanwhile
        self._reading = False
        if loaded.error is not None:
            if not self._output:
                self._wanted = ()
            self.model.show_refusal(str(loaded.error))
            self.report_problem(loaded.error)
            return
        self._models = loaded.models
        first, sidecar = loaded.models[0], loaded.models[0].sidecar
        self._hints = self._given.completed(first)
        if self._fill_in:
            self._fill_in_preprocessing()
        self.model.show_models(loaded.models, self._hints)
        size, unit = (sidecar.pixel_size, sidecar.unit) if sidecar is not None else ((), "")
        need = Need(first.channels, len(first.patch_shape), self._hints.channel_names, size, unit)
        self.image.set_need(need, self._viewer.layers.selection.active)

    def _fill_in_preprocessing(self) -> None:
        """Write down the steps that came with the model, or stand in its sidecar."""
        if self._given.preprocess:
            self.settings.set_preprocess(self._given.preprocess)
        elif any(model.sidecar is not None for model in self._models):
            from napari_fcnseg.sidecar import agreed_preprocess, sidecar_path

            try:
                steps = agreed_preprocess([(model.name, model.sidecar) for model in self._models])
            except FcnSegError as error:
                self.settings.forget_preprocess()
                self.report_problem(error)
                return
            beside = next(m.path for m in self._models if m.sidecar is not None and m.path is not None)
            self.settings.set_preprocess(steps, sidecar_path(beside).name)
        elif self._given.model:
            self.settings.set_preprocess(())
        else:
            self.settings.forget_preprocess()

    def _take_names(self) -> None:
        """Read the model again with what the user has just written beside it, which counts more than a sample's."""
        self._load(self._wanted, Hints(), self._output)

    def _take_dropped(self) -> None:
        paths, self._dropped = self._dropped, []
        self.choose_models(paths)

    def _add_sample(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.report_problem(outcome.error)
            return
        for data, options, _ in outcome.value:
            self._viewer.add_image(data, **options)
