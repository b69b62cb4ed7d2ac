"""The gallery's list: models of the folder and of the collection, under a heading each."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_fcnseg.gallery import Entry

_ENTRY = Qt.ItemDataRole.UserRole
_HERE = " ✓"
_NONE = "No model has these words."


class ModelList(QListWidget):
    """Lists models, and says which of a collection are here already."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Models")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    @property
    def current(self) -> Entry | None:
        """The model that is chosen."""
        item = self.currentItem()
        entry: Entry | None = item.data(_ENTRY) if item is not None else None
        return entry

    def show_models(self, groups: Iterable[tuple[str, tuple[Entry, ...]]], words: str, here: set[Entry]) -> None:
        """List the models that have some words; what was chosen stays so where it is among them.

        Parameters
        ----------
        groups : iterable of (str, tuple of Entry)
            Headings, and the models under each.
        words : str
            What somebody looks for.
        here : set of Entry
            Those of a collection that are in the folder, too.
        """
        before = self.current
        self.blockSignals(True)
        self.clear()
        for title, entries in groups:
            found = [entry for entry in entries if entry.matches(words)]
            if found:
                self._add_text(title, bold=True)
            names = [entry.name for entry in found]
            for entry in found:
                name = entry.name if names.count(entry.name) == 1 else f"{entry.name} ({entry.key})"
                item = QListWidgetItem(name + _HERE * (entry in here))
                there = "<br>In your folder already." if entry in here else ""
                item.setToolTip(f"<p>{escape(entry.name)}<br>{escape(entry.key)}{there}</p>")
                item.setData(_ENTRY, entry)
                self.addItem(item)
                if entry == before:
                    self.setCurrentItem(item)
        if not self.count() and words.strip():
            self._add_text(_NONE)
        self.blockSignals(False)

    def choose(self, entry: Entry) -> None:
        """Choose a model, where it is listed."""
        for row in range(self.count()):
            item = self.item(row)
            if item is not None and item.data(_ENTRY) == entry:
                self.setCurrentRow(row)

    def _add_text(self, text: str, bold: bool = False) -> None:
        item = QListWidgetItem(text)
        item.setFlags(Qt.ItemFlag.ItemIsEnabled)  # to be read, not to be chosen
        font = item.font()
        font.setBold(bold)
        item.setFont(font)
        self.addItem(item)
