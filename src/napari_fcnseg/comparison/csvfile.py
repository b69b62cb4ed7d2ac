"""Tables as CSV files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence


def write_csv(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    """Write a table; None is an empty cell.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        with Path(path).open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            csv.writer(file).writerows(rows)
    except OSError as error:
        raise OutputError(f"{path} could not be written ({error.strerror}). Choose another folder or name.") from None
