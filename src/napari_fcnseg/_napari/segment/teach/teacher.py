"""Teaching: the sheets that are painted on, and what is to be done next with them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_fcnseg._napari.layers.metadata import real
from napari_fcnseg._napari.segment.teach.book import Book
from napari_fcnseg._napari.segment.teach.jobs import Jobs
from napari_fcnseg._napari.segment.teach.keeper import StrokeKeeper
from napari_fcnseg._napari.segment.teach.stroke_watch import StrokeWatch
from napari_fcnseg._napari.segment.teach.view import ViewWatch, move_view, seen_of
from napari_fcnseg._napari.segment.teach.worker import (
    Opened,
    ShownTile,
    TeachTask,
    doubt_worker,
    open_worker,
    save_worker,
    teach_worker,
)
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg.errors import EngineError, FcnSegError, OutOfMemoryError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari.layers import Labels, Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.segment.teach.choice import TeachChoice
    from napari_fcnseg._napari.segment.teach.sheet import Sheet
    from napari_fcnseg._napari.segment.teach.worker import LookedAt
    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.teaching.session import TeachingSession

_DRAW_MILLISECONDS = 200
_FIRST = "Paint a stroke of each class."
_ENDED = "The computing process ended{}. What was learned stays; the next stroke starts a new process."


class Teacher(QObject):
    """Has strokes taught and their effect shown.

    Parameters
    ----------
    viewer : Viewer
        Where the strokes are.
    choice : callable
        Returns what is chosen in the dock; raises FcnSegError if something is missing.
    parent : QObject
        What it belongs to.

    Attributes
    ----------
    on : bool
        Whether somebody teaches now.
    session : TeachingSession or None
        What is known, of the last teaching too.
    model : PatchModel or None
        What was taught and is in no file yet.
    book : Book
        What is painted on, and the classes.
    """

    #: Emitted with a sentence, and with an error.
    said = Signal(str)
    problem = Signal(object)
    #: Emitted when it began or ended, when the classes have changed, or there is something to save.
    changed = Signal()
    #: Emitted with the label that the brush has.
    picked = Signal(int)
    #: Emitted with the file of a model that was saved.
    saved = Signal(str)

    def __init__(self, viewer: Viewer, choice: Callable[[], TeachChoice], parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._choice = viewer, choice
        self.on = False
        self.session: TeachingSession | None = None
        self.model: PatchModel | None = None
        self.book = Book()
        self._wanted: set[str] = set()  # "learn", "look"
        self._visited: list[tuple[int, ...]] = []
        self._superseded = threading.Event()
        self._warning = ""  # of images whose pixels differ in size
        self.jobs = Jobs(self)
        self.jobs.idle.connect(self._go)
        self._watch, self._keeper = StrokeWatch(self), StrokeKeeper(self)
        self._watch.touched.connect(self._keep)
        self._watch.touched.connect(lambda: self.put_aside(False))
        self._watch.paused.connect(lambda: self._want("learn", "look"))
        self._watch.picked.connect(self.picked)
        self._keeper.failed.connect(lambda text: self.problem.emit(SettingsError(text)))
        self._view = ViewWatch(viewer, self)
        self._view.moved.connect(lambda: self._want("look"))
        self._layers = LayerWatch(viewer.layers, self)
        self._layers.removed.connect(self._removed)
        self._drawing = QTimer(self)
        self._drawing.setSingleShot(True)
        self._drawing.setInterval(_DRAW_MILLISECONDS)
        self._drawing.timeout.connect(self._draw)

    def start(self) -> None:
        """Begin to teach on the image that is chosen, or take another one beside those that are taught on."""
        try:
            choice = self._choice()
            if not self.on:
                self.session, self.model, self._visited, self.on = None, None, [], True
                self.book.begin(choice, self._viewer.layers)
            self._take(choice)
        except FcnSegError as error:
            self.problem.emit(error)
        self.changed.emit()

    def put_aside(self, aside: bool = True) -> None:
        """Hide the previews, or show again those that were hidden so."""
        for sheet in self.book.sheets:
            if aside != sheet.aside and sheet.preview.visible == aside:
                sheet.preview.visible = not aside
            sheet.aside = aside

    def stop(self, text: str = "") -> None:
        """Stop, also what is being computed; the strokes stay, and so does what was learned."""
        if not self.on:
            return
        self.on = False
        self._wanted.clear()
        self.jobs.stop()
        self._watch.watch(())
        for sheet in self.book.sheets:
            sheet.strokes.mode = "pan_zoom"
        self.said.emit(text)
        self.changed.emit()

    @property
    def active(self) -> Labels | None:
        """The layer of strokes that keys and brush are for now."""
        strokes = self.book.current.strokes if self.on and self.book.current is not None else None
        return strokes if strokes is not None and real(self._viewer.layers.selection.active) is strokes else None

    def pick(self, label: int) -> None:
        """Have the brush paint a class."""
        if self.book.current is not None and self.book.current.strokes in self._viewer.layers:
            self.book.current.strokes.selected_label = label
            self.book.current.strokes.mode = "paint"
            self._viewer.layers.selection.active = self.book.current.strokes

    def set_classes(self, names: Sequence[str], colors: Sequence[str], gone: int = 0) -> None:
        """Take other classes; parameters as for :meth:`Book.set_classes`."""
        self.book.set_classes(names, colors, gone)
        self._keep()
        self._want("learn", "look")
        self.changed.emit()

    def find_doubt(self) -> None:
        """Move the view to the next doubtful place."""
        session, sheet = self.session, self.book.current
        if session is None or sheet is None:
            return
        try:
            seen = seen_of(sheet, self._viewer)
        except FcnSegError as error:
            self.problem.emit(error)
            return
        self._put_off()
        avoid = tuple(self._visited)
        self.jobs.run(lambda stop: doubt_worker(session, seen, avoid, stop), lambda _: None, self._doubted)

    def save(self, path: Path, *, overwrite: bool) -> None:
        """Write what is taught by the strokes that are there now."""
        if self.session is None:
            return
        task = self._task(self.session, learn=True, seen=None)
        self._put_off()
        self.said.emit("Saving…")
        self.jobs.run(
            lambda stop: save_worker(replace(task, stop=stop), path, overwrite=overwrite),
            lambda share: self.said.emit(f"Saving… {share} %"),
            self._written,
        )

    def _take(self, choice: TeachChoice) -> None:
        """Have a sheet for an image, made if there is none."""
        new = self.book.turn_to(choice.source)
        if new is None and self.session is not None:
            self._turn_to(self.book.current)
            return
        session, sheets = self.session, tuple(self.book.sheets)
        self.said.emit("Preparing…")
        self.jobs.run(lambda stop: open_worker(choice, sheets, new, session, stop), lambda _: None, self._opened)

    def _turn_to(self, sheet: Sheet | None) -> None:
        """Have an image ready to be painted on; a turn of the event loop for each layer that napari has to add."""
        if sheet is None or not self.on:
            return
        missing = next((layer for layer in (sheet.preview, sheet.strokes) if layer not in self._viewer.layers), None)
        if missing is not None:
            self._viewer.add_layer(missing)
            QTimer.singleShot(0, lambda: self._turn_to(sheet))
            return
        self.book.current = sheet
        self._viewer.layers.selection.active = sheet.strokes
        sheet.ready(self._patch)
        self._watch.watch([each.strokes for each in self.book.sheets])
        self._want("learn", "look")
        self.changed.emit()

    @property
    def _patch(self) -> tuple[int, ...]:
        return self.session.basis.network.patch_shape if self.session is not None else (32,)

    def _opened(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.stop()
            self.problem.emit(outcome.error)
        if outcome.value is None or not self.on:
            return
        opened: Opened = outcome.value
        self.session, self.book.sheets = opened.session, list(opened.sheets)
        self._warning = opened.sheets[-1].apart_from(opened.sheets[0])
        self._say(self.book.restore(opened.kept) or _FIRST)
        self._turn_to(self.book.current or self.book.sheets[-1])

    def _keep(self) -> None:
        self._keeper.keep(self.book.sheets, self.book.names, self.book.colors)

    def _want(self, *what: str) -> None:
        if self.on:
            self._wanted |= set(what)
            self._superseded.set()
            self._go()

    def _put_off(self) -> None:
        """Have what is being learned done later: something else comes first."""
        if self.on and self.jobs.busy:
            self._wanted |= {"learn", "look"}

    def _go(self) -> None:
        """Do what is to be done next, if nothing is being done."""
        session = self.session
        if not self.on or self.jobs.busy or not self._wanted or session is None:
            return
        learn, self._wanted = "learn" in self._wanted, set()
        try:
            seen = seen_of(self.book.current, self._viewer) if self.book.current is not None else None
        except FcnSegError:  # the view shows nothing of it
            seen = None
        try:
            if learn and session.lesson is None and not self.book.any_painted:
                self._say(_FIRST)
                learn = False
            task = self._task(session, learn=learn, seen=seen)
        except FcnSegError as error:
            self.problem.emit(error)
            return
        self._superseded = task.superseded
        if task.strokes and session.lesson is None:
            self.said.emit("Learning…")
        self.jobs.run(lambda stop: teach_worker(replace(task, stop=stop)), self._news, self._done)

    def _task(self, session: TeachingSession, *, learn: bool, seen: LookedAt | None) -> TeachTask:
        renewed = [sheet for sheet in self.book.sheets if sheet.renewed()]
        strokes = self.book.painted() if learn or renewed else {}
        return TeachTask(session, strokes, self.book.names, self.book.colors, renewed, seen)

    def _news(self, news: Any) -> None:
        if isinstance(news, ShownTile):
            sheet = self.book.by_number(news.number)
            if sheet is not None and news.labels is not None:
                sheet.show(news.index, news.region, news.labels)
                if not self._drawing.isActive():
                    self._drawing.start()
        else:
            self._say(news.sentence(self.book.names))

    def _say(self, text: str) -> None:
        """Say something, and what is to be known of the images all the time."""
        self.said.emit(f"{text} {self._warning}".strip())

    def _draw(self) -> None:
        if self.book.current is not None and self.book.current.preview in self._viewer.layers:
            self.book.current.preview.refresh(extent=False, highlight=False, thumbnail=False)

    def _done(self, outcome: Outcome) -> None:
        if outcome.value is not None:
            self.model = outcome.value
        self._tell(outcome.error)
        self.changed.emit()

    def _tell(self, error: Exception | None) -> None:
        if isinstance(error, EngineError):
            why = ", perhaps for want of memory" if isinstance(error, OutOfMemoryError) else ""
            self.problem.emit(EngineError(_ENDED.format(why)))
        elif isinstance(error, SettingsError):  # what is missing yet
            learned = self.session is not None and self.session.lesson is not None
            self.said.emit(f"{error}{' The preview shows what was learned before.' * learned}")
        elif error is not None:
            self.problem.emit(error)

    def _doubted(self, outcome: Outcome) -> None:
        self._tell(outcome.error)
        if outcome.value is None:
            if outcome.error is None and not outcome.cancelled:
                self._visited.clear()
                self.said.emit("Every doubtful place was shown. Press again to begin anew.")
            return
        self._visited.append(outcome.value.point)
        if self.book.current is not None:
            move_view(self.book.current, self._viewer, outcome.value.point, self._patch)

    def _written(self, outcome: Outcome) -> None:
        self._tell(outcome.error)
        if outcome.value is not None and not outcome.cancelled:
            self.model = None
            self.said.emit(f"Saved {outcome.value.name}, which is the model now.")
            self.saved.emit(str(outcome.value))
        self.changed.emit()

    def _removed(self, layer: Layer) -> None:
        if not self.on:
            return
        gone, text = self.book.without(layer)
        for sheet in gone:
            if self.session is not None:
                self.session.drop_image(sheet.number)
        if gone and self.book.sheets:
            self._watch.watch([sheet.strokes for sheet in self.book.sheets])
            self.said.emit(text)
        elif gone:
            self.stop(text)
