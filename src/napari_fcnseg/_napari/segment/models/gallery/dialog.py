"""The gallery: models of the user's folder and of a collection, what each expects, and fetching one."""

from __future__ import annotations

import threading
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_fcnseg._napari.segment.models.gallery import jobs
from napari_fcnseg._napari.segment.models.gallery.model_list import ModelList
from napari_fcnseg._napari.segment.models.gallery.picture import Picture
from napari_fcnseg._napari.segment.models.preferences import preferred
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg.system.cache import recall, remember
from napari_fcnseg.system.formatting import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_fcnseg._napari.segment.models.gallery.jobs import Fetched, Kept, Shown
    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.gallery import Entry

_KIND, _KEY = "gallery", "place"
_EMPTY = (
    "There are no models here yet.</p><p>Choose a model folder in <i>File ▸ Preferences ▸ FCNSeg</i>, or write the "
    "address of a collection above or there, such as <i>https://example.org/collection.json</i>, and press Refresh."
)
_HINT = "Nothing is contacted before you press Refresh or choose one of its models."


class GalleryDialog(QDialog):
    """Lists models, shows what one expects, fetches and opens it.

    Parameters
    ----------
    parent : QWidget, optional
        The window it belongs to.
    """

    #: Emitted with the path of a model that is to be opened.
    opened = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Gallery")
        self.folder = preferred().model_folder
        self._local: tuple[Entry, ...] = ()
        self._remote: tuple[Entry, ...] = ()
        self._asked = 0  # number of what is looked at: an answer to another question comes too late
        self._said_of: Entry | None = None  # the model of which the message is
        self._errors: dict[Entry, str] = {}  # of downloads
        self._usable = True  # as far as anybody knows of what is looked at
        self._kept: tuple[Entry, Kept] | None = None  # what was just fetched
        self._stop = threading.Event()  # of what is asked for, or fetched
        self._looking = threading.Event()
        self._make_parts()
        self._lay_out()
        self._offer()
        self._run(jobs.stoppable(lambda: jobs.local_models(self.folder)), self._take_local)

    def _make_parts(self) -> None:
        kept = recall(_KIND, _KEY)
        self.place = QLineEdit(preferred().collection or (kept if isinstance(kept, str) else ""))
        self.place.setPlaceholderText("https://…/collection.json, or a folder")
        self.place.setToolTip(f"<p>The address of a list of bioimage.io models, or a folder with one. {_HINT}</p>")
        self.place.setAccessibleName("Collection")
        self.refresh = button("Refresh", "Read the list of the collection.")
        self.refresh.setAutoDefault(False)
        self.refresh.clicked.connect(self.read_collection)
        self.place.returnPressed.connect(self.read_collection)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find…")
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName("Find a model")
        self.search.textChanged.connect(lambda _: self._list())
        self.models = ModelList()
        self.models.currentItemChanged.connect(lambda *_: self._look())
        self.models.itemDoubleClicked.connect(lambda _: self._open_current())
        self.picture = Picture()
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setTextFormat(Qt.TextFormat.RichText)
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress")
        self.bar.hide()
        self.download = button("Download", "Fetch the model into your model folder, and check it.")
        self.download.clicked.connect(self.fetch)
        self.cancel = button("Cancel", "Stop; what has come is gone on with the next time, if the server can.")
        self.cancel.clicked.connect(self._stop_now)
        self.open_button = button("Open", "Use the model in the dock.")
        self.open_button.clicked.connect(self._open_current)
        self.close_button = button("Close", "Close this window.")
        self.close_button.clicked.connect(self.close)
        for each in (self.download, self.cancel, self.open_button, self.close_button):
            each.setAutoDefault(False)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        for part in (QLabel("Collection"), self.place, self.refresh):
            top.addWidget(part)
        left, right = QWidget(), QWidget()
        column = QVBoxLayout(left)
        column.addWidget(self.search)
        column.addWidget(self.models)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(self.about)
        details = QVBoxLayout(right)
        details.addWidget(self.picture)
        details.addWidget(scroll, 1)
        for inner in (column, details):
            inner.setContentsMargins(0, 0, 0, 0)
        split = QSplitter()
        split.setChildrenCollapsible(False)
        split.addWidget(left)
        split.addWidget(right)
        split.setSizes([320, 420])
        buttons = QHBoxLayout()
        for each in (self.download, self.cancel, self.open_button, self.close_button):
            buttons.addWidget(each)
        layout = QVBoxLayout(self)
        layout.addLayout(top)
        layout.addWidget(split, 1)
        layout.addWidget(self.message)
        layout.addWidget(self.bar)
        layout.addLayout(buttons)
        self.resize(780, 560)

    @property
    def current(self) -> Entry | None:
        """The model that is looked at."""
        return self.models.current

    def read_collection(self) -> None:
        """Read the list of the collection that is named."""
        place = self.place.text().strip()
        if not place:
            self._say("Write the address of a collection, or choose one in File, Preferences, FCNSeg.", ERROR_STYLE)
            return
        remember(_KIND, _KEY, place)
        self._stop = stop = threading.Event()
        self._busy(f"Reading {place}…")
        self._run(jobs.stoppable(lambda: jobs.collection_at(place, stop)), self._take_remote)

    def fetch(self) -> None:
        """Fetch the model that is looked at into the user's folder, which is asked for where there is none yet."""
        entry = self.current
        folder = self.folder or QFileDialog.getExistingDirectory(self, "Choose a model folder", str(Path.home()))
        if entry is None or not folder:
            return
        self.folder = folder
        self._stop = stop = threading.Event()
        self._errors.pop(entry, None)
        self._busy(f"Fetching {entry.name}…")
        worker = create_worker(jobs.fetch_worker, entry, folder, stop, _start_thread=False, _ignore_errors=True)
        worker.yielded.connect(self._advance)
        worker.returned.connect(lambda outcome: self._fetched(entry, outcome))
        worker.start()

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Stop what is under way."""
        self._asked += 1
        self._stop_now()
        self._looking.set()
        super().closeEvent(event)

    def _run(self, work: Generator[None, None, Outcome], then: Callable[[Outcome], None]) -> None:
        create_worker(lambda: (yield from work), _connect={"returned": then}, _ignore_errors=True)

    def _take_local(self, outcome: Outcome) -> None:
        self._local = outcome.value or ()
        self._list()
        (fetched, kept), self._kept = self._kept or (None, None), None
        new = next((entry for entry in self._local if kept is not None and entry.path == kept.path), None)
        if kept is None or new is None:
            return
        if kept.problem:
            self._errors[new] = kept.problem
        if self.current == fetched:  # nobody looks at another one by now
            self._said_of = new  # what was said of the download is said of it
            self.models.choose(new)

    def _take_remote(self, outcome: Outcome) -> None:
        self._ready()
        if outcome.error is not None:
            self._say(str(outcome.error), ERROR_STYLE)
        elif outcome.value is not None:
            self._remote = outcome.value.entries
            self._errors.clear()
            self._say(outcome.value.note or f"{len(self._remote):,} models.")
            self._list()

    def _list(self) -> None:
        """List the models that have the words somebody looks for."""
        before = self.current
        here = {entry for entry in self._remote if self._here(entry) is not None}
        groups = ((f"In {self.folder}", self._local), ("In the collection", self._remote))
        self.models.show_models(groups, self.search.text(), here)
        if self.current is None or self.current != before:
            self._look()
        self._offer()

    def _here(self, entry: Entry) -> Entry | None:
        """Return the model of the user's folder that a model is, or is a copy of."""
        from napari_fcnseg.gallery import copy_of

        return entry if entry.path is not None else copy_of(entry, self._local)

    def _look(self) -> None:
        """Ask what the chosen model expects."""
        entry = self.current
        self._asked += 1
        self._looking.set()  # whoever was looked at before is of no interest any more
        self._looking = stop = threading.Event()
        number = self._asked
        self._usable = True
        self._offer()
        self._say_of(entry)
        if entry is None:
            self._show_hint()
            return
        self.picture.show_nothing()
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._describe(entry, None)

        def take(outcome: Outcome) -> None:
            if number == self._asked:
                self._show(entry, outcome)

        self._run(jobs.stoppable(lambda: jobs.shown(entry, stop)), take)

    def _show(self, entry: Entry, outcome: Outcome) -> None:
        seen: Shown | None = outcome.value
        if outcome.error is not None:
            self._say(str(outcome.error), ERROR_STYLE, of=entry)
        self.picture.show_picture(seen.picture if seen is not None else b"")
        self._describe(entry, seen)
        self._usable = seen is not None and (seen.said is None or not seen.said.problem)
        self._offer()

    def _describe(self, entry: Entry, seen: Shown | None) -> None:
        from napari_fcnseg.gallery import facts_of

        rows = facts_of(entry, *((seen.said, seen.size) if seen is not None else (None,)))
        self.about.setText("".join(f"<p><b>{escape(title)}</b><br>{escape(text)}</p>" for title, text in rows))

    def _show_hint(self) -> None:
        self.picture.show_nothing()
        self.about.setAlignment(Qt.AlignmentFlag.AlignCenter)
        first = "Choose a model to see what it expects." if self._local or self._remote else _EMPTY
        self.about.setText(f"<p>{first}</p><p>{_HINT}</p>")

    def _advance(self, fetched: Fetched) -> None:
        self.bar.setRange(0, 1000 if fetched.total else 0)
        if fetched.total:
            self.bar.setValue(1000 * fetched.done // fetched.total)
        of = f" of {format_bytes(fetched.total)}" if fetched.total else ""
        come = f"Fetching {fetched.name}: {format_bytes(fetched.done)}{of}" if fetched.name else ""
        self._say(" ".join(filter(None, (fetched.note, come))))

    def _fetched(self, entry: Entry, outcome: Outcome) -> None:
        self._ready()
        if outcome.cancelled:
            self._say("Stopped. Download goes on from where it was, if the server can.", of=entry)
        elif outcome.error is not None:
            self._errors[entry] = str(outcome.error)
            of = "" if entry == self.current else f"{entry.name}: "
            self._say(of + self._errors[entry], ERROR_STYLE, of=entry)
        else:
            kept: Kept = outcome.value
            self._kept = entry, kept
            self._say(kept.problem or f"Saved as {kept.path}.", ERROR_STYLE if kept.problem else "", of=entry)
            if not kept.problem:
                self.opened.emit(str(kept.path))
        self._run(jobs.stoppable(lambda: jobs.local_models(self.folder)), self._take_local)

    def _open_current(self) -> None:
        here = self._here(self.current) if self.current is not None else None
        if here is not None and self.open_button.isEnabled():
            self.opened.emit(str(here.path))

    def _stop_now(self) -> None:
        self._stop.set()
        self.cancel.setEnabled(False)

    def _busy(self, text: str) -> None:
        self._say(text)
        self.bar.setRange(0, 0)
        self.bar.show()
        self.cancel.setEnabled(True)
        self._offer()

    def _ready(self) -> None:
        self.bar.hide()
        self.cancel.setEnabled(False)
        self._offer()

    def _offer(self) -> None:
        """Offer what can be done with the chosen model."""
        entry, busy = self.current, not self.bar.isHidden()
        self.refresh.setEnabled(not busy)
        here = self._here(entry) if entry is not None else None
        self.download.setEnabled(entry is not None and here is None and self._usable and not busy)
        self.open_button.setEnabled(here is not None and self._usable)
        self.cancel.setEnabled(busy and not self._stop.is_set())
        if entry is None and not self.about.text():
            self._show_hint()

    def _say_of(self, entry: Entry | None) -> None:
        """Say what is wrong with a model; what was said of another one goes."""
        if not self.bar.isHidden():  # what is under way has the word
            return
        wrong = self._errors.get(entry) if entry is not None else None
        if wrong is not None:
            self._say(wrong, ERROR_STYLE, of=entry)
        elif self._said_of is not None and self._said_of != entry:
            self._say("")

    def _say(self, text: str, style: str = "", of: Entry | None = None) -> None:
        self._said_of = of
        self.message.setStyleSheet(style)
        self.message.setText(text)
