"""Tables in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WIDE = 240  # columns if the output is no terminal


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str]) -> None:
    """Print a table and sentences below it; names that do not fit are folded, never cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else _WIDE, markup=False, highlight=False)
    table = Table(box=None)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for note in dict.fromkeys(notes):
        console.print(note, style="dim")


def short_names(names: Sequence[str]) -> list[str]:
    """Return files' names without their folders, as far as that tells them apart."""
    short = [Path(name).name for name in names]
    return [own if short.count(own) == 1 else name for own, name in zip(short, names, strict=True)]


def number(value: float | int | None) -> str:
    """Return a score as text."""
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
