"""Foresee that results do not fit on a disk, before anything is computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_fcnseg.run.output_kinds import LABELS
from napari_fcnseg.system.saving import grows
from napari_fcnseg.system.saving.names import growing_at
from napari_fcnseg.system.saving.room import check_room, size_on_disk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.run.output_kinds import OutputKind

#: Share of its numbers' bytes that a compressed result takes at the least: labels are nearly all alike.
_LABELS, _NUMBERS = 1 / 200, 1 / 5


def check_results(
    plan: RunPlan, kinds: Sequence[OutputKind], paths: Mapping[str, Path], whole: tuple[int, ...] | None = None
) -> None:
    """Find out whether the results of a run can fit on their disks, less what an earlier run has left of them.

    Parameters
    ----------
    plan : RunPlan
        The run.
    kinds : sequence of OutputKind
        What it gives.
    paths : mapping of str to Path
        The results, as far as they are files.
    whole : tuple of int, optional
        Shape of the labels, where it is another than the plan's.

    Raises
    ------
    OutputError
        If they cannot.
    """
    wanted = []
    for kind in kinds:
        path = paths.get(kind.name)
        if path is None:
            continue
        size: float = math.prod(kind.shape(plan, whole)) * kind.dtype(plan).itemsize
        if path.suffix.lower() != ".npy":  # all others are compressed, or may be
            size *= _LABELS if kind is LABELS else _NUMBERS
        if grows(path) and growing_at(path).is_dir():
            size -= size_on_disk(growing_at(path))
        wanted.append((path, size))
    check_room(wanted)
