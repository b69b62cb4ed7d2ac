"""Ask for the name of a file to save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


def ask_save_name(parent: QWidget, proposed: str, kinds: str) -> tuple[Path, bool] | None:
    """Ask where to save; a name without an ending gets that of the proposed one.

    Parameters
    ----------
    parent : QWidget
        The window.
    proposed : str
        A name, with an ending.
    kinds : str
        The kinds of files, as Qt's filters.

    Returns
    -------
    (Path, bool) or None
        The file, and whether the user was asked whether one of that name is to be replaced: the dialog asks about the
        name as it was typed. None if there is none.
    """
    chosen, _ = QFileDialog.getSaveFileName(parent, "Save", proposed, kinds)
    if not chosen:
        return None
    path = Path(chosen)
    whole = path if path.suffix else path.with_suffix(Path(proposed).suffix)
    return whole, whole == path
