"""The memory that a tile may take: the limit, corrected by measurements of earlier tiles and by failures."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg.conversion.network_key import network_key
from napari_fcnseg.plan.smaller_tile import halve, shrink_to_fit
from napari_fcnseg.system.cache import recall, remember
from napari_fcnseg.system.memory import free_memory, total_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_fcnseg.plan.method import AnyMethod
    from napari_fcnseg.settings import RunSettings
    from napari_fcnseg.system.memory import MemoryUsage

#: Bytes that the computing process takes before it computes anything: ONNX Runtime and Numba, on Linux.
FRAMEWORK = 200 * 2**20

_LEAST_SHARE = 4  # share of the limit that a tile gets at least, however much the framework takes
_TELLING = 2**26  # bytes; measurements of smaller tiles say nothing about large ones
_MARGIN = 1.1  # on what was measured
#: Bytes taken per byte counted, as long as nothing was measured: the allocator has holes, and kernels work on copies.
#: Seven networks on TensorFlow's processor took 1.5 to 2.9, tiles of 200 MiB and more 2.1 as the median.
_USUAL = 2.5
_CORRECTIONS = 0.25, 8.0  # more than that was not taken by the tile
_DEVICE_SHARE = 0.8  # of a device's free memory: its allocator leaves gaps
_KIND, _DAYS = "memory", 7  # factor by which a failed size is tried again in the next run


@dataclass
class MemoryBudget:
    """What one tile may take on one device.

    Parameters
    ----------
    predict : callable
        Gives the bytes that a tile takes by the memory model, from its output pixels per axis; infinite for one
        that the framework cannot compute at all.
    limit : int or None
        Bytes that the user allows the computing process in all.
    budget : float
        Bytes for a tile.
    correction : float
        Bytes that a tile takes per byte that the model says.
    ceiling : float
        Bytes, as the model says; larger tiles did not fit.
    measured : float
        As ``correction``, from this run alone; 0 if nothing was measured.
    base : int or None
        Bytes that the computing process takes without a tile, once they are known.
    largest : float
        Bytes of the largest finished tile by the model.
    """

    predict: Callable[[tuple[int, ...]], float]
    limit: int | None
    budget: float
    correction: float = 1.0
    ceiling: float = math.inf
    measured: float = 0.0
    base: int | None = None
    largest: float = 0.0

    @property
    def bytes(self) -> float:
        """Bytes that a tile may take, by the memory model."""
        return min(self.budget / self.correction, self.ceiling)

    def expected(self, size: tuple[int, ...]) -> float:
        """Return the bytes that a tile will take."""
        return self.predict(size) * self.correction

    def tile(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Return the tile to try: the given one, halved along its longest axis until it fits by the model."""
        return shrink_to_fit(size, lambda tile: self.predict(tile) <= self.bytes)

    def shrink(self, size: tuple[int, ...], part: int) -> tuple[int, ...] | None:
        """Record that a tile did not fit; return one of a ``part`` of its bytes, or None if there is no smaller."""
        if halve(size) is None:
            return None
        self.ceiling = min(self.ceiling, self.predict(size) / part)
        return self.tile(size)

    def learn(self, size: tuple[int, ...], usages: Iterable[MemoryUsage | None]) -> None:
        """Record what a tile took of the computing process's memory."""
        self.largest = max(self.largest, self.predict(size))  # whose memory the process may have kept
        for usage in filter(None, usages):
            if self.base is None:
                self.base = usage.before
                if self.limit is not None:
                    self.budget = min(self.budget, _beside(usage.before, self.limit))
            if self.largest >= _TELLING:
                taken = _MARGIN * (usage.peak - self.base) / self.largest
                self.measured = min(max(self.measured, taken, _CORRECTIONS[0]), _CORRECTIONS[1])
                self.correction = max(self.correction, self.measured)

    def shared(self, share: int) -> MemoryBudget:
        """Return the budget of each of ``share`` devices that take of the computer's own memory at once."""
        return replace(self, budget=self.budget / share)

    def of_device(self, free: int | None) -> MemoryBudget:
        """Return the budget on a device with memory of its own, of which so many bytes are free, if anybody knows."""
        budget = math.inf if free is None else free * _DEVICE_SHARE
        return replace(self, budget=budget if self.limit is None else min(budget, self.limit), limit=None)


def memory_budget_for(methods: Sequence[AnyMethod], settings: RunSettings) -> MemoryBudget:
    """Return what the settings, the memory of the system and earlier runs allow a tile."""

    @functools.cache
    def predict(size: tuple[int, ...]) -> float:
        return max(method.bytes(size) for method in methods)

    limit, free = settings.memory_limit, free_memory()
    if limit is not None:
        budget = _beside(FRAMEWORK, limit)
    else:  # a tile that the user chose is used as it is
        budget = free if settings.tile is not None else free / 2
    known = recall(_KIND, _key(methods, settings), _DAYS)
    known = known if isinstance(known, dict) else {}
    correction = _number(known.get("correction"), *_CORRECTIONS, _USUAL)
    return MemoryBudget(predict, limit, budget, correction, _number(known.get("ceiling"), 1, math.inf, math.inf))


def remember_budgets(
    memory_budgets: Sequence[MemoryBudget], methods: Sequence[AnyMethod], settings: RunSettings
) -> None:
    """Remember what a run's devices have learned, for the next run."""
    ceiling = min(memory_budget.ceiling for memory_budget in memory_budgets)
    measured = max(memory_budget.measured for memory_budget in memory_budgets)
    # So small a tile did not fail for want of memory: the process was ended from outside, or has a bug.
    value: dict[str, float] = {"ceiling": ceiling} if _TELLING / 4 <= ceiling < math.inf else {}
    if measured:
        value["correction"] = round(measured, 3)
    if value:
        remember(_KIND, _key(methods, settings), value)


def _key(methods: Sequence[AnyMethod], settings: RunSettings) -> str:
    """Return what experience with memory depends on: the models, the device, the arithmetic, and how much there is."""
    models = "+".join(
        f"{(method.model.sha256 or network_key(method.model.source))[:16]}:{method.name}" for method in methods
    )
    most = settings.memory_limit or total_memory()
    return f"{models} {settings.device or 'first'} {settings.precision} {settings.every} 2^{round(math.log2(most))}"


def _beside(framework: int, limit: int) -> float:
    """Return what is left of a limit beside the framework."""
    return max(limit - framework, limit / _LEAST_SHARE)


def _number(value: Any, low: float, high: float, otherwise: float) -> float:
    good = isinstance(value, int | float) and low <= value <= high
    return float(value) if good else otherwise
