"""What a run's tiles are written into: arrays in memory, or on disk while the run goes on."""

from __future__ import annotations

import math
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_fcnseg.errors import FcnSegError, OutputError
from napari_fcnseg.imagefile import ZARR, GrowingZarr, check_output
from napari_fcnseg.run.preview import execute_with_preview
from napari_fcnseg.system.formatting import format_bytes, format_shape
from napari_fcnseg.system.memory import free_memory
from napari_fcnseg.system.saving.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.run.rescaling import Rescaling
    from napari_fcnseg.run.run import Run, Tile

_BEHIND = 2  # tiles that wait to be written while the next ones are computed
#: Pixels along an axis of a stored chunk. Whole chunks make a tile, or whole tiles a chunk, so that few are rewritten.
_LEAST, _MOST = 256, 2048


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
    """The arrays that a run's tiles are written into; what is in them stays when the run ends early.

    Arrays on disk are written by a thread of their own, while the next tiles are computed.

    Parameters
    ----------
    run : Run
        The run.
    out, probabilities_out, confidence_out, disagreement_out : array_like, path or GrowingZarr, optional
        Where labels, scores, confidence and disagreement go: anything with ``shape``, ``dtype`` and slice assignment,
        or the name of a new Zarr array; memory otherwise.
    overwrite : bool
        Whether Zarr arrays of these names are replaced.
    scaling : Rescaling, optional
        How the run's image was rescaled; the arrays are on the pixels that it had before.

    Attributes
    ----------
    labels : array_like, shape (*spatial)
        Zero where no tile has come yet.
    scores : array_like of float32, shape (*spatial, class), or None
        If the settings ask for probabilities.
    confidence, disagreement : array_like of float32, shape (*spatial), or None
        If the settings ask for them.
    done : int
        Tiles taken over.

    Raises
    ------
    OutputError
        If they cannot be written into, or do not fit into memory.
    """

    def __init__(
        self, run: Run, out: Any = None, probabilities_out: Any = None, confidence_out: Any = None,
        disagreement_out: Any = None, *, overwrite: bool = False, scaling: Rescaling | None = None,
    ) -> None:  # fmt: skip
        self.run, self.scaling = run, scaling
        self._overwrite = overwrite
        self.done = 0
        self._growing: list[tuple[str, GrowingZarr]] = []
        self._needed = 0
        self.labels: Any = None
        self.scores: Any = None
        self.confidence: Any = None
        self.disagreement: Any = None
        given = (out, probabilities_out, confidence_out, disagreement_out)
        self._targets: dict[str, Any] = {}
        for target, (name, (shape, dtype)) in zip(given, output_arrays(run, scaling).items(), strict=True):
            if shape is not None:
                array = self._opened(name, target, shape, dtype)
                setattr(self, name, array)
                self._targets[name] = array if scaling is None else scaling.target(array, run.plan)
        on_disk = any(type(array) is not np.ndarray for array in self._arrays().values())
        self._writer = ThreadPoolExecutor(1, "napari-fcnseg-writer") if on_disk else None
        self._writing: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abandon()

    def write(self, tile: Tile) -> None:
        """Take over a finished tile.

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
        execute_into(self.run, self.write, progress=progress)
        self.finish()
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
                setattr(self, name, growing.finish())
            except OutputError as error:  # the others are complete all the same
                problems.append(str(error))
        if problems:
            raise OutputError(" ".join(problems))

    def settle(self) -> dict[str, Path]:
        """Wait until everything is written; return where new files lie until :meth:`finish`, by the names they get.

        Raises
        ------
        OutputError
            If something could not be written.
        """
        self._written(0)
        self._stop()
        return {growing.path.name: growing.part for _, growing in self._growing}

    def abandon(self) -> list[Path]:
        """Write what has come so far, after a run that ended early; return where new files keep it."""
        with suppress(FcnSegError):
            self._written(0)
        self._stop()
        kept = []
        while self._growing:
            _, growing = self._growing.pop()
            if self.done:
                kept.append(growing.keep())
            else:
                growing.discard()
        return kept[::-1]

    def segmentation(self) -> Segmentation:
        """Return what is there."""
        provenance = self.run.provenance() | (self.scaling.as_dict() if self.scaling is not None else {})
        return Segmentation(self.labels, self.scores, provenance, self.confidence, self.disagreement)

    def _arrays(self) -> dict[str, Any]:
        """Return the arrays that there are, by their names; a tile has what goes into them under the same."""
        return {name: array for name in output_arrays(self.run) if (array := getattr(self, name)) is not None}

    def _put(self, tile: Tile) -> None:
        try:
            for name, array in self._targets.items():
                array[tile.where] = getattr(tile, name)
        except OSError as error:
            kept = "".join(f" What is finished is kept in {growing.part}." for _, growing in self._growing)
            raise OutputError(f"A tile could not be written: {reason(error)}.{kept} Make room and run again.") from None

    def _written(self, behind: int) -> None:
        """Wait until no more than so many tiles are still to be written."""
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
            if path.suffix.lower() != ZARR:
                raise OutputError(f"{path} cannot be written while a run goes on. Give a name that ends with {ZARR}.")
            check_output(path, overwrite=self._overwrite)
            out = GrowingZarr(path, shape, chunk_shape(self.run.plan, shape), dtype, overwrite=self._overwrite)
        if isinstance(out, GrowingZarr):
            self._growing.append((name, out))
            return out.array
        _check_array(name, out, shape, dtype)
        return out


def iter_tiles(run: Run, preview: bool = False) -> Iterator[Tile]:
    """Execute a run, with a preview or not, and yield its tiles; closing the generator stops the run."""
    with closing(execute_with_preview(run) if preview else run.execute()) as steps:
        for tile in steps:
            if tile is not None:
                yield tile


def execute_into(
    run: Run, *sinks: Callable[[Tile], object], progress: Callable[[int, int], object] | None = None
) -> None:
    """Execute a run to its end; give each tile to each sink in turn, then progress the tiles done and all tiles."""
    for tile in iter_tiles(run):
        for sink in sinks:
            sink(tile)
        if progress is not None:
            progress(tile.done, tile.total)


def output_arrays(
    run: Run, scaling: Rescaling | None = None
) -> dict[str, tuple[tuple[int, ...] | None, np.dtype[Any]]]:
    """Return shape and type of each array that a run can fill, by its name; None for a shape that it does not."""
    plan, real = run.plan, np.dtype(np.float32)
    chosen, shape = plan.settings, plan.result_shape
    if scaling is not None:
        shape = scaling.result_shape(plan)
    return {
        "labels": (shape, plan.label_dtype),
        "scores": ((*shape, plan.outputs) if chosen.probabilities else None, real),
        "confidence": (shape if chosen.confidence else None, real),
        "disagreement": (shape if chosen.disagreement else None, real),
    }


def chunk_shape(plan: RunPlan, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the chunk shape that a run's labels, or its scores with the classes last, are best stored with."""
    sizes = []
    stack = len(plan.layout.stack_shape)
    for tile, n in zip(plan.tile, shape[stack : stack + len(plan.tile)], strict=True):
        chunk = tile * -(-_LEAST // tile) if tile < _LEAST else min(tile, _MOST)
        sizes.append(min(chunk, n))
    return (*(1,) * stack, *sizes, *(1,) * (len(shape) - stack - len(sizes)))


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
