"""The dock: its parts and how they are wired. What runs is in ``job``, what is shown in ``result``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from napari.qt.threading import create_worker
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_fcnseg._napari.channels import Need
from napari_fcnseg._napari.engine_line import EngineLine
from napari_fcnseg._napari.hints import Hints, hints_for, hints_of, sample_hints
from napari_fcnseg._napari.image_box import ImageBox
from napari_fcnseg._napari.job import loading, sampling
from napari_fcnseg._napari.live import LiveRun
from napari_fcnseg._napari.model_box import ModelBox
from napari_fcnseg._napari.run_box import RunBox
from napari_fcnseg._napari.settings_box import SettingsBox
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
        self._hints = Hints()
        self._dropped: list[str] = []
        self.image = ImageBox()
        self.model = ModelBox()
        self.settings = SettingsBox()
        self.run = RunBox()
        self.engine = EngineLine()
        self.live = LiveRun(napari_viewer, self.run, self)
        self._arrange()
        self.image.chosen.connect(self._follow_hints)
        self.model.files_chosen.connect(self.choose_models)
        self.model.sample_chosen.connect(self.choose_sample)
        self.run.run.clicked.connect(self.start)
        self.run.cancel.clicked.connect(self.live.stop)
        self.run.verify.clicked.connect(self.start_verification)
        self._watch = LayerWatch(napari_viewer.layers, self)
        self._watch.changed.connect(self._offer_layers)
        self._watch.removed.connect(self.live.forget)
        self.image.offer(list(napari_viewer.layers), napari_viewer.layers.selection.active)

    def _arrange(self) -> None:
        """Put the steps below each other; a low window scrolls, for squeezed labels would lose their text.

        They come one per turn of the event loop: styling them all takes Qt a tenth of a second. Only then do threads
        begin to work, for they would take turns with the window's.
        """
        parts = deque((self.image, self.model, self.settings, self.run, self.engine))
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

    def report_problem(self, error: Exception) -> None:
        """Say what went wrong, in the dock and as a notification."""
        self.live.report_problem(error)

    def _order(self) -> Order | None:
        """Return a snapshot of what is chosen; say what is missing otherwise."""
        try:
            if not self._models:
                waiting = "The model is still being read." if self._wanted else "No model was chosen."
                raise SettingsError(f"{waiting} Choose one under Model, or take a sample.")
            return self.live.order(self.image.source(), self._models, self.settings.settings(), self._hints)
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

    def _load(self, paths: tuple[str, ...], hints: Hints) -> None:
        self._wanted, self._models, self._hints = paths, (), hints
        self.model.show_loading(paths)
        if hints.model:
            self.settings.set_preprocess(hints.preprocess)
        create_worker(loading, paths, _connect={"returned": self._take_models}, _ignore_errors=True)

    def _take_models(self, loaded: Loaded) -> None:
        if loaded.paths != self._wanted:
            return  # the user has chosen others meanwhile
        if loaded.error is not None:
            self._wanted = ()
            self.model.show_refusal(str(loaded.error))
            self.report_problem(loaded.error)
            return
        self._models = loaded.models
        first = loaded.models[0]
        self.model.show_models(loaded.models, self._hints)
        need = Need(first.channels, len(first.patch_shape), self._hints.channel_names)
        self.image.set_need(need, self._viewer.layers.selection.active)

    def _take_dropped(self) -> None:
        paths, self._dropped = self._dropped, []
        self.choose_models(paths)

    def _add_sample(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.report_problem(outcome.error)
            return
        for data, options, _ in outcome.value:
            self._viewer.add_image(data, **options)
