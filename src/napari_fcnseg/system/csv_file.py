"""Tables as CSV files."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.system.saving import save_text
from napari_fcnseg.system.saving.texts import TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.system.saving.texts import TextKind


def write_csv(path: Path, rows: Sequence[Sequence[Any]], *, overwrite: bool = False, kind: TextKind = TABLE) -> None:
    """Write a table; None is an empty cell.

    Raises
    ------
    OutputError
        If it cannot be written, or is there already and not to be replaced, or is no such table.
    """
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    save_text(Path(path), text.getvalue(), overwrite=overwrite, newline="", kind=kind)
