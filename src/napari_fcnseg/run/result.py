"""The result of a run: arrays in memory, or on disk, that tiles are written into as they are finished."""

from __future__ import annotations

import math
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile import ZARR, GrowingZarr, check_output
from napari_fcnseg.plan.blocks import chunk_shape
from napari_fcnseg.run.continuation import Continuation
from napari_fcnseg.run.output_kinds import OUTPUT_KINDS, kept_outputs
from napari_fcnseg.run.preview import execute_with_preview
from napari_fcnseg.run.rescaling import result_shape
from napari_fcnseg.run.stand_ins import StandIns
from napari_fcnseg.system.formatting import format_bytes, format_shape
from napari_fcnseg.system.memory import free_memory
from napari_fcnseg.system.saving.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    from napari_fcnseg.plan.schedule import Skip
    from napari_fcnseg.run.rescaling import Rescaling
    from napari_fcnseg.run.run import Run, Tile

_BEHIND = 2  # tiles in memory that wait to be written


@dataclass(frozen=True)
class Segmentation:
    """A segmented image.

    Attributes
    ----------
    labels : array_like of unsigned integer, shape (*spatial)
        Class index + 1; 0 where nothing was predicted. An ndarray, or what was given as ``out``.
    probabilities : array_like of float32, shape (*spatial, class), or None
        The network's own numbers, averaged over an ensemble; zero where nothing was predicted.
    provenance : dict
        What another person needs to get the same result, as plain data for JSON.
    confidence, disagreement : array_like of float32, shape (*spatial), or None
        The number of the class that wins, and the share of an ensemble's members that say another class; zero where
        nothing was predicted.
    """

    labels: Any
    probabilities: Any
    provenance: dict[str, Any] = field(repr=False)
    confidence: Any = None
    disagreement: Any = None


class ResultArrays:
    """Arrays that a run's tiles are written into; finished tiles are kept when the run ends early.

    Arrays on disk are written by a thread of their own, while the next tiles are computed.

    Parameters
    ----------
    run : Run
        The run.
    targets : mapping of str to array_like, path or GrowingZarr, optional
        Where arrays go, by the names of their kinds (:data:`~napari_fcnseg.run.output_kinds.OUTPUT_KINDS`): anything
        with ``shape``, ``dtype`` and slice assignment, or the name of a new Zarr array; memory otherwise.
    overwrite : bool
        Whether Zarr arrays of these names are replaced.
    batch : bool
        As for :class:`napari_fcnseg.imagefile.GrowingZarr`.
    scaling : Rescaling, optional
        How the run's image was rescaled; the arrays are on the pixels that it had before.
    continuation : Continuation, optional
        What the run takes over from an earlier one, and where finished tiles are noted.

    Attributes
    ----------
    arrays : dict of str to array_like
        What the run gives, by the names of the kinds; zero where no tile has come yet.
    done : int
        Tiles taken over.
    skip : callable or None
        Which tiles are there already (:meth:`napari_fcnseg.run.run.Run.execute`).

    Raises
    ------
    OutputError
        If they cannot be written into, or do not fit into memory.
    """

    def __init__(
        self,
        run: Run,
        targets: Mapping[str, Any] = MappingProxyType({}),
        *,
        overwrite: bool = False,
        batch: bool = False,
        scaling: Rescaling | None = None,
        continuation: Continuation | None = None,
    ) -> None:
        self.run, self.scaling = run, scaling
        self._earlier = continuation if continuation is not None else Continuation(run.plan)
        self._ledger = self._earlier.ledger
        self.skip: Skip | None = None
        self.arrays: dict[str, Any] = {}
        self._overwrite = overwrite
        self.done = 0
        self._growing: list[tuple[str, GrowingZarr]] = []
        self._needed, self._settled = 0, False
        self._kinds = kept_outputs(run.plan.settings)
        self._targets: dict[str, Any] = {}
        whole = result_shape(scaling, run.plan)
        for kind in self._kinds:
            shape, dtype = kind.shape(run.plan, whole), kind.dtype(run.plan)
            array = self.arrays[kind.name] = self._opened(kind.name, targets.get(kind.name), shape, dtype)
            self._targets[kind.name] = array if scaling is None else scaling.target(array, run.plan)
        self._stand_ins = StandIns(self._earlier, overwrite=overwrite, batch=batch)
        self._written_into = {**self._targets, **self._stand_ins.arrays}
        self._take_over()
        run.writes_into(self._written_into, {**dict(self._growing), **self._stand_ins.growing})
        on_disk = any(type(array) is not np.ndarray for array in self._written_into.values())
        self._writer = ThreadPoolExecutor(1, "napari-fcnseg-writer") if on_disk else None
        self._writing: deque[Future[None]] = deque()

    @property
    def labels(self) -> Any:
        """The labels: array_like, shape (*spatial)."""
        return self.arrays["labels"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abandon()

    def write(self, tile: Tile) -> None:
        """Accept a finished tile.

        Raises
        ------
        OutputError
            If this tile, or one before it, cannot be written.
        """
        if self._writer is None:
            self._put(tile)
        else:
            self._writing.append(self._writer.submit(self._put, tile))
            self._written(_BEHIND)
        self.done = tile.done

    def fill(self, progress: Callable[[int, int], object] | None = None) -> Segmentation:
        """Execute the run to its end."""
        execute_into(self.run, self.write, progress=progress, skip=self.skip)
        self.finish()
        self.forget()
        return self.segmentation()

    def finish(self) -> None:
        """Wait until everything is written, and give new files their names.

        Raises
        ------
        OutputError
            If something could not be written.
        """
        self.settle()
        problems = []
        while self._growing:
            name, growing = self._growing.pop(0)
            try:
                self.arrays[name] = growing.finish()
            except OutputError as error:  # finish the others
                problems.append(str(error))
        if problems:
            raise OutputError(" ".join(problems))

    def forget(self) -> None:
        """Remove what stands for results that are written, and the notes of what is finished."""
        self._stand_ins.forget()
        if self._ledger is not None:
            self._ledger.forget()

    def settle(self) -> dict[str, Path]:
        """Wait until everything is written; return where new files lie until :meth:`finish`, by the names they get.

        Raises
        ------
        OutputError
            If something could not be written.
        """
        if not self._settled:
            self._written(0)
            self._stop()
            self._stand_ins.fill(self._targets, self.run.plan)
            self._settled = True
        for _, growing in self._growing:
            growing.complete()
        return {growing.path.name: growing.part for _, growing in self._growing}

    def abandon(self) -> list[Path]:
        """Write what has come so far, after a run that ended early; return where new files keep it."""
        with suppress(FcnSegError):
            self._written(0)
        self._stop()
        keep = bool(self.done) or self._earlier.goes_on
        kept = self._stand_ins.keep() if keep else self._stand_ins.discard()
        scaled = self.scaling is not None
        while self._growing:
            _, growing = self._growing.pop(0)
            if keep and not (scaled and self._stand_ins.arrays):
                kept.append(growing.keep())
            else:
                growing.discard()
        return kept

    def segmentation(self) -> Segmentation:
        """Return the result so far."""
        arrays = {kind.name: self.arrays.get(kind.name) for kind in OUTPUT_KINDS}
        provenance = self.run.provenance() | (self.scaling.as_dict() if self.scaling is not None else {})
        return Segmentation(provenance=provenance, **arrays)

    def _take_over(self) -> None:
        """Find out what is there already, or begin to note it."""
        if self._ledger is None:
            return
        self.run.on_taken = self._ledger.note_numbers
        if not self._earlier.goes_on:
            self._ledger.begin({name: growing.mark for name, growing in self._growing} | self._stand_ins.marks)
            return
        self.done = self._ledger.go_on(self._written_into, clear=not self.run.writes)
        self.skip, self.run.done, self.run.taken = self._ledger.skip, self.done, self._ledger.numbers
        self.run.devices = self._earlier.devices  # should there be nothing left to compute
        self.run.notes.append(f"{self.done:,} of {self.run.total:,} tiles were there already.")

    def _put(self, tile: Tile) -> None:
        try:
            for kind in self._kinds if tile.sums is None else ():
                self._written_into[kind.name][tile.where] = getattr(tile, kind.array)
            if self._ledger is not None:
                self._ledger.note(tile)
        except OSError as error:
            kept = "".join(f" What is finished is kept in {growing.part}." for _, growing in self._growing)
            raise OutputError(f"A tile could not be written: {reason(error)}.{kept} Make room and run again.") from None

    def _written(self, behind: int) -> None:
        """Wait until at most ``behind`` tiles are unwritten."""
        while len(self._writing) > behind:
            self._writing.popleft().result()

    def _stop(self) -> None:
        self._writing.clear()
        if self._writer is not None:
            self._writer.shutdown(cancel_futures=True)

    def _opened(self, name: str, out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        if out is None:
            self._needed += math.prod(shape) * dtype.itemsize
            free = free_memory()
            if self._needed > free:
                raise OutputError(
                    f"The result takes {format_bytes(self._needed)} of memory and {format_bytes(free)} are free. Have "
                    f"it written to disk while it is computed: give a name that ends with {ZARR}."
                )
            return np.zeros(shape, dtype)
        if isinstance(out, str | os.PathLike):
            path = Path(out)
            check_grows(path)
            check_output(path, overwrite=self._overwrite)
            how: dict[str, Any] = {"overwrite": self._overwrite, **self._earlier.opening_of(name)}
            out = GrowingZarr(path, shape, chunk_shape(self.run.plan, shape), dtype, **how)
        if isinstance(out, GrowingZarr):
            self._growing.append((name, out))
            return out.array
        _check_array(name, out, shape, dtype)
        return out


def iter_tiles(run: Run, preview: bool = False, skip: Skip | None = None) -> Iterator[Tile]:
    """Execute a run, with a preview or not, and yield its tiles; closing the generator stops the run."""
    with closing(execute_with_preview(run) if preview else run.execute(skip=skip)) as steps:
        for tile in steps:
            if tile is not None:
                yield tile


def execute_into(
    run: Run,
    *sinks: Callable[[Tile], object],
    progress: Callable[[int, int], object] | None = None,
    skip: Skip | None = None,
) -> None:
    """Execute a run to its end: call each sink with each tile, then ``progress`` with finished and all tiles."""
    for tile in iter_tiles(run, skip=skip):
        for sink in sinks:
            sink(tile)
        if progress is not None:
            progress(tile.done, tile.total)


def check_grows(path: Path) -> None:
    """Raise an error unless a file can be written while a run goes on."""
    if path.suffix.lower() != ZARR:
        raise OutputError(f"{path} cannot be written while a run goes on. Give a name that ends with {ZARR}.")


def _check_array(name: str, out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise an error unless an array can take a result."""
    if not all(hasattr(out, needed) for needed in ("shape", "dtype", "__setitem__")) or hasattr(out, "dask"):
        raise OutputError(
            f"The {name} cannot be written into a {type(out).__name__}. Give a zarr array, an ndarray, or the name of "
            f"a new file that ends with {ZARR}."
        )
    if tuple(out.shape) != shape:
        raise OutputError(
            f"The array for the {name} has the shape {format_shape(tuple(out.shape))}; it has to be "
            f"{format_shape(shape)}."
        )
    if not np.can_cast(dtype, out.dtype, "safe"):
        raise OutputError(f"The array for the {name} has the type {out.dtype}, which cannot hold {dtype}.")
    flags = getattr(out, "flags", None)
    if getattr(out, "read_only", False) or (isinstance(out, np.ndarray) and flags is not None and not flags.writeable):
        raise OutputError(f"The array for the {name} is open for reading only. Open it for writing.")
