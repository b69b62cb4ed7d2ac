"""Save a comparison: tables as files and on the clipboard, and a report with pictures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QMimeData, Qt, QUrl
from qtpy.QtGui import QDesktopServices, QGuiApplication
from qtpy.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from napari_fcnseg._napari.compare.latest_task import LatestTask
from napari_fcnseg._napari.files_in_use import in_use
from napari_fcnseg._napari.widgets.problems import error_sentence
from napari_fcnseg._napari.widgets.save_name import ask_save_name
from napari_fcnseg._napari.widgets.sentence import WrappingLabel
from napari_fcnseg._napari.widgets.style import ERROR_STYLE
from napari_fcnseg._napari.widgets.text_dialog import button
from napari_fcnseg.system.saving import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.comparison import Study
    from napari_fcnseg.comparison.report.pictures import LabelStyle

_NOTHING = "Press Compare first."
_TIPS = {
    "csv": "Every score in a line of its own, for a spreadsheet.",
    "json": "Every score, the confusion matrices, the objects, the settings and where the masks come from.",
    "copy": "Copy every score as a table, to paste into a spreadsheet or a text.",
    "report": "A page with the numbers, pictures of where they differ, the settings, and where both masks come from.",
}


class ExportBox(QWidget):
    """Saves and copies the scores of a study."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._study: Study | None = None
        self._index = 0
        self._look: Callable[[], LabelStyle] | None = None
        self._written = Path()
        self.csv, self.json = button("Save CSV…", _TIPS["csv"]), button("Save JSON…", _TIPS["json"])
        self.copy, self.report = button("Copy as table", _TIPS["copy"]), button("Report…", _TIPS["report"])
        self.message = WrappingLabel()
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.open = button("Open it", "Open the report in the browser.")
        grid = QGridLayout()
        for place, each in enumerate((self.report, self.copy, self.csv, self.json)):
            grid.addWidget(each, place // 2, place % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.message)
        layout.addWidget(self.open)
        self._work = LatestTask(self)
        self._work.done.connect(self._done)
        self._work.failed.connect(lambda error: self._say(error_sentence(error), ERROR_STYLE))
        self.csv.clicked.connect(lambda: self._save("scores.csv", "Tables (*.csv)"))
        self.json.clicked.connect(lambda: self._save("scores.json", "JSON (*.json)"))
        self.report.clicked.connect(lambda: self._save("report.html", "Web pages (*.html)"))
        self.copy.clicked.connect(self._copy)
        self.open.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written))))
        self.take(None)

    def take(self, study: Study | None, index: int = 0, look: Callable[[], LabelStyle] | None = None) -> None:
        """Set the study to save.

        Parameters
        ----------
        study : Study or None
            The study.
        index : int
            Which of its masks the report is about.
        look : callable, optional
            Returns how labels look; called in a worker.
        """
        self._study, self._index, self._look = study, index, look
        for name, each in (("csv", self.csv), ("json", self.json), ("copy", self.copy), ("report", self.report)):
            each.setEnabled(study is not None)
            each.setToolTip(f"<p>{_TIPS[name] if study is not None else _NOTHING}</p>")
        self._say("")

    def save(self, path: Path, *, replace: bool = False) -> None:
        """Write a CSV, JSON or HTML file, by the ending of its name.

        Parameters
        ----------
        path : Path
            The file.
        replace : bool
            Whether the user was asked whether a file of that name is to be replaced.
        """
        assert self._study is not None, "the buttons are off without"
        self._say("Writing…")
        plan = Plan((path,), in_use(), overwrite=replace, advice="")
        self._work.ask(partial(_write, plan, self._study, self._index, self._look))

    def _save(self, name: str, kinds: str) -> None:
        if chosen := ask_save_name(self, name, kinds):
            path, asked = chosen
            self.save(path, replace=asked)

    def _done(self, path: Path) -> None:
        self._written = path
        self._say(f"Saved {path}.")
        self.open.setVisible(path.suffix == ".html")

    def _copy(self) -> None:
        assert self._study is not None, "the button is off without"
        clipboard = QGuiApplication.clipboard()
        if clipboard is None:
            return
        rows = [("mask", "of", "score", "value"), *self._study.rows()]
        data = QMimeData()
        data.setText("\n".join("\t".join("" if cell is None else str(cell) for cell in row) for row in rows))
        data.setHtml(_html(rows))
        clipboard.setMimeData(data)
        self._say(f"Copied {len(rows) - 1:,} scores.")

    def _say(self, text: str, style: str = "") -> None:
        self.open.hide()
        self.message.setStyleSheet(style)
        self.message.setText(text)
        self.message.setVisible(bool(text))


def _write(
    plan: Plan, study: Study, index: int, look: Callable[[], LabelStyle] | None, progress: Callable[[int, int], None]
) -> Path:
    from napari_fcnseg.comparison.report.html import write_report

    (path,) = plan.outputs
    with plan.claim():
        if path.suffix.lower() == ".csv":
            study.save_csv(path, overwrite=plan.overwrite)
        elif path.suffix.lower() == ".json":
            study.save_json(path, overwrite=plan.overwrite)
        else:
            write_report(path, study, index, look() if look is not None else None, overwrite=plan.overwrite)
    return path


def _html(rows: list[tuple[str, ...]]) -> str:
    from html import escape

    lines = ("".join(f"<td>{escape('' if cell is None else str(cell))}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"
