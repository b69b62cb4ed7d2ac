"""A progress bar on standard error."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FEW = 8  # blocks that need no bar


@contextmanager
def progress_bar(title: str, quiet: bool, unit: str = "tiles") -> Iterator[Callable[[int, int], None]]:
    """Show a bar; what it yields is called with how much is finished, and how much there is."""
    amount = (MofNCompleteColumn(), TextColumn(unit))
    with _shown(title, quiet, amount) as progress:
        yield progress


@contextmanager
def bytes_bar(title: str, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar of bytes as soon as there are some; what it yields is called as that of :func:`progress_bar`."""
    with _late(title, quiet, (DownloadColumn(binary_units=True),), 0) as progress:
        yield progress


@contextmanager
def blocks_bar(title: str, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar of blocks if there are more than a few; what it yields is called as that of :func:`progress_bar`."""
    with _late(title, quiet, (MofNCompleteColumn(), TextColumn("blocks")), _FEW) as progress:
        yield progress


@contextmanager
def _late(
    title: str, quiet: bool, amount: tuple[ProgressColumn, ...], few: int
) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar as soon as there is something to show, and more than a few in all."""
    with ExitStack() as stack:
        bars: list[Callable[[int, int | None], None]] = []

        def progress(done: int, total: int | None) -> None:
            if not bars and (total is None or total > few):
                bars.append(stack.enter_context(_shown(title, quiet, amount)))
            for bar in bars:
                bar(done, total)

        yield progress


@contextmanager
def _shown(title: str, quiet: bool, amount: tuple[ProgressColumn, ...]) -> Iterator[Callable[[int, int | None], None]]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), *amount, TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
