"""The menu of the models used last and of those in the user's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu

from napari_fcnseg._napari.recent_models import forget, in_folder, recent
from napari_fcnseg._napari.segment.models.preferences import preferred, settable

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_fcnseg._napari.recent_models import Recent

_NO_FOLDER = "No model folder yet: choose one in File, Preferences, FCNSeg"


class RecentMenu(QMenu):
    """Offers models again; it looks what there is whenever it is opened."""

    #: Emitted with a list of paths when the user chose an entry.
    chosen = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTipsVisible(True)
        self.aboutToShow.connect(self.fill)

    def fill(self) -> None:
        """Look what there is."""
        self.clear()
        last = recent()
        for each in last:
            self._add(each)
        if not last:
            self._say("No models yet: those you use are listed here")
        if settable():
            self.addSeparator()
            self._offer_folder(preferred().model_folder)
        if last:
            self.addSeparator()
            clear = self.addAction("Clear this list")
            if clear is not None:
                clear.triggered.connect(lambda _checked=False: forget())

    def _offer_folder(self, folder: str) -> None:
        inside = in_folder(folder)
        if not folder:
            self._say(_NO_FOLDER)
        else:
            self._say(f"In {folder}:" if inside else f"No models in {folder}")
        for each in inside:
            self._add(each)

    def _add(self, models: Recent) -> None:
        """Add an entry; one whose files are gone says so and cannot be chosen."""
        missing = models.missing
        action = QAction(models.name.replace("&", "&&") + " (not there any more)" * bool(missing), self)
        action.setToolTip("\n".join(missing or models.paths))
        action.setEnabled(not missing)
        action.triggered.connect(lambda _checked=False: self.chosen.emit(list(models.paths)))
        self.addAction(action)

    def _say(self, sentence: str) -> None:
        action = QAction(sentence.replace("&", "&&"), self)
        action.setEnabled(False)
        self.addAction(action)
