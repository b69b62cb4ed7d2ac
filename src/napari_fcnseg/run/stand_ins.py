"""Zarr folders that stand for results which cannot be written tile by tile: a TIFF, or labels on other pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile import GrowingZarr
from napari_fcnseg.plan.blocks import chunk_shape
from napari_fcnseg.plan.tiles import as_slices
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.system.saving.reasons import reason
from napari_fcnseg.system.saving.renaming import remove

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.run.continuation import Continuation


class StandIns:
    """What a run writes its tiles into instead of results that are written as a whole once all tiles are there.

    Parameters
    ----------
    continuation : Continuation
        Names them, and says whether they were begun earlier.
    overwrite, batch : bool
        As for :class:`napari_fcnseg.imagefile.GrowingZarr`.

    Attributes
    ----------
    arrays : dict of str to array_like
        What tiles are written into, by the names of the kinds.

    Raises
    ------
    OutputError
        If one cannot be begun.
    """

    def __init__(self, continuation: Continuation, *, overwrite: bool = False, batch: bool = False) -> None:
        plan, names = continuation.plan, continuation.stand_ins
        self._growing: dict[str, GrowingZarr] = {}
        how: dict[str, Any] = {"overwrite": overwrite, "batch": batch, **continuation.opening}
        for kind in kept_outputs(plan.settings):
            if kind.name in names:
                shape = kind.shape(plan)
                one = GrowingZarr(names[kind.name], shape, chunk_shape(plan, shape), kind.dtype(plan), **how)
                self._growing[kind.name] = one
        self.arrays = {name: one.array for name, one in self._growing.items()}

    @property
    def growing(self) -> dict[str, GrowingZarr]:
        """The folders, by the names of the kinds."""
        return dict(self._growing)

    @property
    def marks(self) -> dict[str, str]:
        """What tells each from any other of its name."""
        return {name: one.mark for name, one in self._growing.items()}

    def fill(self, targets: Mapping[str, Any], plan: RunPlan) -> None:
        """Write all tiles into what they stand for.

        Raises
        ------
        OutputError
            If a disk cannot hold them.
        """
        try:
            for index, region in plan.schedule if self.arrays else ():
                where = (*index, *as_slices(region))
                for name, array in self.arrays.items():
                    targets[name][where] = array[where]
        except OSError as error:
            parts = " and ".join(str(one.part) for one in self._growing.values())
            raise OutputError(
                f"The result could not be written: {reason(error)}. What is finished is kept in {parts}. Make room and "
                "run again."
            ) from None

    def keep(self) -> list[Path]:
        """Leave them for the run to go on with; return where."""
        return [one.keep() for one in self._growing.values()]

    def discard(self) -> list[Path]:
        """Remove them; what an earlier run left gets its name again. Return none."""
        for one in self._growing.values():
            one.discard()
        return []

    def forget(self) -> None:
        """Remove them: the results are there."""
        for part in self.keep():
            remove(part)
        self._growing, self.arrays = {}, {}
