"""The section *Teach*: its widgets and what they do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Labels
from napari.qt.threading import create_worker
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMessageBox

from napari_fcnseg._napari.layers.edits import corrected, may_be_edited
from napari_fcnseg._napari.layers.metadata import class_names, real
from napari_fcnseg._napari.segment.teach.teach_box import TeachBox
from napari_fcnseg._napari.segment.teach.teacher import Teacher
from napari_fcnseg._napari.widgets.problems import error_sentence
from napari_fcnseg._napari.widgets.save_name import ask_save_name
from napari_fcnseg._napari.widgets.worker import in_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_fcnseg._napari.segment.teach.choice import TeachChoice
    from napari_fcnseg._napari.widgets.worker import Outcome
    from napari_fcnseg.model.patch_model import PatchModel

_NO_CORRECTIONS = "No labels of this image were edited by hand. Paint in the labels of a run first."
_OTHER_CLASSES = "The labels that were edited have other classes. Give the classes here the same names first."


class TeachPart(TeachBox):
    """Teaching in the dock.

    Parameters
    ----------
    viewer : Viewer
        Where the strokes are.
    choice : callable
        Returns what is chosen in the dock; raises FcnSegError if something is missing.
    """

    #: Emitted with the file of a model that was saved.
    saved = Signal(str)

    def __init__(self, viewer: Viewer, choice: Callable[[], TeachChoice]) -> None:
        super().__init__()
        self._viewer = viewer
        self.teacher = Teacher(viewer, choice, self)
        self._choosing = False
        self.start.clicked.connect(lambda on: self.teacher.start() if on else self.teacher.stop())
        self.teacher.said.connect(self.say)
        self.teacher.problem.connect(lambda error: self.complain(error_sentence(error)))
        self.teacher.changed.connect(self._refresh)
        self.teacher.picked.connect(self.classes.pick)
        self.teacher.saved.connect(self._choose)
        self.classes.picked.connect(self.teacher.pick)
        self.classes.renamed.connect(self._rename)
        self.classes.recoloured.connect(self._recolour)
        self.classes.added.connect(self._add)
        self.classes.deleted.connect(self._delete)
        self.doubtful.clicked.connect(self.teacher.find_doubt)
        self.save.clicked.connect(self._choose_file)
        self.corrections.triggered.connect(lambda _=False: self.take_corrections())

    @property
    def model(self) -> PatchModel | None:
        """What was taught and is in no file yet, as long as somebody teaches."""
        return self.teacher.model if self.teacher.on else None

    def follow_image(self) -> None:
        """Teach on the image too that was chosen just now."""
        if self.teacher.on:
            self.teacher.start()

    def put_aside(self) -> None:
        """Hide the preview, which would lie under a result, until somebody paints again."""
        self.teacher.put_aside()

    def model_chosen(self) -> None:
        """Stop where another model is chosen than the one that was saved just now."""
        if not self._choosing:
            self.teacher.stop("Another model was chosen. Start teaching to begin with that.")

    def undo(self) -> bool:
        """Undo the last stroke; return whether the brush is for strokes now."""
        strokes = self.teacher.active
        if strokes is not None:
            strokes.undo()
        return strokes is not None

    def redo(self) -> bool:
        """Redo a stroke; return whether the brush is for strokes now."""
        strokes = self.teacher.active
        if strokes is not None:
            strokes.redo()
        return strokes is not None

    def take_corrections(self) -> None:
        """Have strokes where labels of a run were edited by hand."""
        sheet = self.teacher.book.current
        layers = [real(layer) for layer in self._viewer.layers if isinstance(layer, Labels) and may_be_edited(layer)]
        if sheet is not None:
            layers = [layer for layer in layers if layer.data.shape == sheet.strokes.data.shape]
        if sheet is None or not layers:
            self.complain(_NO_CORRECTIONS)
            return
        names = dict(enumerate(self.teacher.book.names, 1))

        def find() -> object:
            found = next((pair for layer in reversed(layers) if (pair := (layer, corrected(layer)))[1].any()), None)
            return None if found is None else (found[1], class_names(found[0]) == names)

        create_worker(in_worker, find, _connect={"returned": self._corrected}, _ignore_errors=True)

    def _corrected(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.complain(error_sentence(outcome.error))
        elif outcome.value is None:
            self.complain(_NO_CORRECTIONS)
        elif not outcome.value[1]:
            self.complain(_OTHER_CLASSES)
        else:
            self.teacher.book.paint(outcome.value[0])

    def _refresh(self) -> None:
        teacher = self.teacher
        self.show_teaching(teacher.on)
        self.offer(teacher.session is not None and teacher.session.lesson is not None)
        strokes = teacher.book.current.strokes if teacher.book.current is not None else None
        label = strokes.selected_label if strokes is not None else 1
        self.classes.show_classes(
            teacher.book.names, teacher.book.colors, min(max(1, int(label)), len(teacher.book.names))
        )

    def _choose(self, path: str) -> None:
        self._choosing = True
        self.saved.emit(path)
        self._choosing = False

    def _rename(self, label: int, name: str) -> None:
        names = list(self.teacher.book.names)
        if name and name not in names:
            names[label - 1] = name
            self.teacher.set_classes(names, self.teacher.book.colors)
        else:
            self._refresh()

    def _recolour(self, label: int, color: str) -> None:
        colors = list(self.teacher.book.colors)
        colors[label - 1] = color
        self.teacher.set_classes(self.teacher.book.names, colors)

    def _add(self) -> None:
        from napari_fcnseg.model.sidecar import palette

        names, colors = list(self.teacher.book.names), list(self.teacher.book.colors)
        number = next(n for n in range(len(names) + 1, 10_000) if f"class {n}" not in names)
        fresh = [color for color in palette(2 * len(names) + 2) if color not in colors]
        self.teacher.set_classes([*names, f"class {number}"], [*colors, fresh[0]])
        self.teacher.pick(len(names) + 1)

    def _delete(self, label: int) -> None:
        names, colors = list(self.teacher.book.names), list(self.teacher.book.colors)
        if not 0 < label <= len(names) or len(names) <= 2:
            return
        if any((sheet.painted() == label).any() for sheet in self.teacher.book.sheets):
            text = f"Delete {names[label - 1]!r} and its strokes?"
            yes = QMessageBox.StandardButton.Yes
            if QMessageBox.question(self, "Delete a class", text) != yes:
                return
        del names[label - 1], colors[label - 1]
        self.teacher.set_classes(names, colors, gone=label)

    def _choose_file(self) -> None:
        current = self.teacher.book.current
        image = current.source.layers[0].name if current is not None else "taught"
        proposed = _free(Path.home() / f"{image.replace('/', '-')}.keras")
        chosen = ask_save_name(self, str(proposed), "Keras model (*.keras)")
        if chosen is not None:
            self.teacher.save(chosen[0], overwrite=chosen[1])


def _free(path: Path) -> Path:
    """Return a path that no file has."""
    return next(p for p in (path, *(path.with_stem(f"{path.stem}-{n}") for n in range(2, 10_000))) if not p.exists())
