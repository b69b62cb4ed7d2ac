"""Widgets to compare probability maps with the truth: which maps, of which label, their scores and curves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QGridLayout,
    QHeaderView,
    QProgressBar,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_fcnseg._napari.compare.latest_task import LatestTask
from napari_fcnseg._napari.compare.measure.sheets import probabilities
from napari_fcnseg._napari.compare.measure.table_models import SheetModel
from napari_fcnseg._napari.compare.measure.table_view import Table
from napari_fcnseg._napari.compare.plot import Plot
from napari_fcnseg._napari.compare.probability_worker import (
    ProbabilityRequest,
    is_likely,
    label_of,
    maps_among,
    thresholded,
    write_scores,
)
from napari_fcnseg._napari.files_in_use import in_use
from napari_fcnseg._napari.widgets.form import QuietCombo
from napari_fcnseg._napari.widgets.layer_watch import LayerWatch
from napari_fcnseg._napari.widgets.problems import error_sentence
from napari_fcnseg._napari.widgets.save_name import ask_save_name
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.system.saving import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_fcnseg.comparison.metrics.probability import ProbabilityScores

_MAPS = (
    "Image layers with numbers that are larger where a class is more probable. Runs leave them when probabilities are "
    "kept; check those to score, and say which label of A each is about."
)
_BY_HAND = "by_hand"  # Qt property of a label that the user set
_EMPTY = "There are no maps of probabilities. Keep probabilities in a run, or open an image with numbers from 0 to 1."
_BEST = "Add labels where the chosen map reaches its best threshold: a mask to compare above."
_CURVES = ("precision and recall", "calibration")
_MOST_LABEL = 2**31 - 1
_MOST_CURVES = 6  # that one plot tells apart


class ProbabilityBox(QWidget):
    """Scores maps of probabilities.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are scored.
    """

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._truth: Labels | None = None
        self._layers: list[Image] = []
        self._request: ProbabilityRequest | None = None
        self._found: tuple[ProbabilityScores, ...] = ()
        self.maps = QTableWidget(0, 2)
        self.maps.setHorizontalHeaderLabels(["Map", "Label of A"])
        self.maps.setToolTip(f"<p>{_MAPS}</p>")
        self.maps.setAccessibleName("Maps of probabilities")
        self.maps.setTabKeyNavigation(False)
        self.score = button("Score probabilities", "Compare the checked maps with A.")
        self.cancel = button("Cancel", "Stop; what was scored before stays.")
        self.best = button("Labels at best threshold", _BEST)
        self.save = button("Save…", "Save the scores as CSV, or with the curves as JSON.")
        self.bar = QProgressBar()
        self.message = WrappingLabel()
        self.scores = SheetModel()
        self.table = Table(self.scores, "Scores of the maps", rows=3)
        self.which = QuietCombo(
            "Curve", "Precision against recall, or how often a class is there where it is probable."
        )
        self.which.addItems(list(_CURVES))
        self.plot = Plot()
        self._work, self._labels, self._files = LatestTask(self), LatestTask(self), LatestTask(self)
        self._arrange()
        self._connect()
        self._watch = LayerWatch(viewer.layers, self)
        self._watch.changed.connect(self._offer)
        self._offer()
        self._ready()

    def _arrange(self) -> None:
        header, rows = self.maps.horizontalHeader(), self.maps.verticalHeader()
        assert header is not None, "a table has one"
        assert rows is not None, "a table has one"
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        rows.hide()
        self.maps.setMinimumHeight(6 * self.fontMetrics().lineSpacing())
        grid = QGridLayout()
        for place, each in enumerate((self.score, self.cancel, self.best, self.save)):
            grid.addWidget(each, place // 2, place % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.maps)
        layout.addLayout(grid)
        for part in (self.bar, self.message, self.table, self.which, self.plot):
            layout.addWidget(part)

    def _connect(self) -> None:
        self.score.clicked.connect(self.start)
        self.cancel.clicked.connect(self._stop)
        self.best.clicked.connect(self._make_labels)
        self.save.clicked.connect(self._save)
        self.table.chosen.connect(self._draw)
        self.which.currentTextChanged.connect(self._draw)
        self._work.advanced.connect(self._advance)
        self._work.done.connect(self._take)
        self._labels.done.connect(self._viewer.add_layer)
        self._files.done.connect(lambda path: self._say(f"Saved {path}."))
        for work in (self._work, self._labels, self._files):
            work.failed.connect(self._fail)

    def set_truth(self, truth: Labels | None) -> None:
        """Compare with another truth."""
        if truth is not self._truth:
            self._truth = truth
            self._guess()

    @property
    def chosen(self) -> list[tuple[Image, int]]:
        """The maps that are checked, and the label of each."""
        found = []
        for row, layer in enumerate(self._layers):
            item, spin = self.maps.item(row, 0), self.maps.cellWidget(row, 1)
            if item is not None and item.checkState() == Qt.CheckState.Checked and isinstance(spin, QSpinBox):
                found.append((layer, spin.value()))
        return found

    def start(self) -> None:
        """Score the checked maps."""
        try:
            request = ProbabilityRequest.of(self._truth, self.chosen)
        except FcnSegError as error:
            self._fail(error)
            return
        self.score.setEnabled(False)
        self.cancel.setEnabled(True)
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.bar.show()
        self._say("Scoring…")
        self._work.ask(request.scores)

    def _guess(self) -> None:
        """Guess anew which label each map is about, where the user did not say."""
        for row, layer in enumerate(self._layers):
            spin = self.maps.cellWidget(row, 1)
            if isinstance(spin, QSpinBox) and not spin.property(_BY_HAND):
                with QSignalBlocker(spin):
                    spin.setValue(label_of(layer, self._truth, self._layers))

    def _offer(self) -> None:
        """Offer the viewer's maps; check marks and labels are kept."""
        before = dict(zip(map(id, self._layers), range(len(self._layers)), strict=True))
        states = {key: (self.maps.item(row, 0), self.maps.cellWidget(row, 1)) for key, row in before.items()}
        kept = {
            key: (item.checkState(), spin.value(), bool(spin.property(_BY_HAND)))
            for key, (item, spin) in states.items() if item is not None and isinstance(spin, QSpinBox)
        }  # fmt: skip
        layers = maps_among(self._viewer.layers)
        if [id(layer) for layer in layers] == [id(layer) for layer in self._layers] and layers:
            self._name()
            return
        self._layers = layers
        with QSignalBlocker(self.maps):
            self.maps.setRowCount(len(layers))
            for row, layer in enumerate(layers):
                first = Qt.CheckState.Checked if is_likely(layer) else Qt.CheckState.Unchecked
                checked, label, by_hand = kept.get(id(layer), (first, label_of(layer, self._truth, layers), False))
                item = QTableWidgetItem()
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(checked)
                self.maps.setItem(row, 0, item)
                self.maps.setCellWidget(row, 1, _label_box(label, by_hand))
        self._name()
        if not layers:
            self._say(_EMPTY)
        elif self.message.text() == _EMPTY:
            self._say("")
        self.score.setEnabled(bool(layers) and not self._work.busy)

    def _name(self) -> None:
        """Update the names of the layers."""
        with QSignalBlocker(self.maps):
            for row, layer in enumerate(self._layers):
                item, spin = self.maps.item(row, 0), self.maps.cellWidget(row, 1)
                if item is not None and spin is not None:
                    item.setText(layer.name)
                    item.setToolTip(layer.name)
                    spin.setAccessibleName(f"Label of {layer.name}")

    def _advance(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _take(self, result: tuple[ProbabilityRequest, tuple[ProbabilityScores, ...], tuple[str, ...]]) -> None:
        self._request, self._found, notes = result
        self.scores.show(probabilities(self._found))
        self._say(" ".join(notes))
        self._ready()
        self.table.selectRow(0)
        self._draw()

    def _draw(self, _: object = None) -> None:
        """Draw all maps; if there are too many to tell apart, the one in the chosen line alone."""
        name = "precision_recall" if self.which.currentIndex() == 0 else "reliability"
        shown = self._found if len(self._found) <= _MOST_CURVES else (self._found[self._row()],)
        self.plot.show_drawing(partial(_curves, name, shown) if shown else None)

    def _row(self) -> int:
        index: QModelIndex = self.table.currentIndex()
        return self.scores.source_row(index.row()) if index.isValid() else 0

    def _make_labels(self) -> None:
        assert self._request is not None, "the button is off without"
        row = self._row()
        if self._found[row].best_threshold is None:
            self._say(f"A has no pixel with label {self._found[row].label}: there is no best threshold.", ERROR_STYLE)
            return
        layer, found = self._request.layers[row], self._found[row]
        self._labels.ask(lambda _: thresholded(layer, found))

    def _save(self) -> None:
        if chosen := ask_save_name(self, "probabilities.csv", "Tables (*.csv);;JSON (*.json)"):
            path, asked = chosen
            found, truth = self._found, self._request.truth.name if self._request is not None else ""
            plan = Plan((path,), in_use(), overwrite=asked, advice="")
            self._files.ask(lambda _: write_scores(plan, found, truth))

    def _stop(self) -> None:
        self._work.give_up()
        self._say("Stopped.")
        self._ready()

    def _fail(self, error: Exception) -> None:
        self._say(error_sentence(error), ERROR_STYLE)
        self._ready()

    def _ready(self) -> None:
        self.score.setEnabled(bool(self._layers))
        self.cancel.setEnabled(False)
        self.bar.hide()
        for part in (self.table, self.which, self.plot):
            part.setVisible(bool(self._found))
        for each in (self.best, self.save):
            each.setEnabled(bool(self._found))

    def _say(self, text: str, style: str = "") -> None:
        self.message.setStyleSheet(style)
        self.message.setText(text)
        self.message.setVisible(bool(text))


def _label_box(label: int, by_hand: bool) -> QSpinBox:
    spin = QSpinBox()
    spin.setRange(-_MOST_LABEL, _MOST_LABEL)
    spin.setValue(label)
    spin.setProperty(_BY_HAND, by_hand)
    spin.setToolTip("<p>The label in A that this map is about.</p>")
    spin.valueChanged.connect(lambda _: spin.setProperty(_BY_HAND, True))
    return spin


def _curves(name: str, found: Sequence[ProbabilityScores], figure: Figure, ink: str) -> None:
    from napari_fcnseg.comparison.report import plots

    getattr(plots, name)(figure, ink, found)
