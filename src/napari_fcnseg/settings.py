"""The settings of a run as plain data: one frozen snapshot per run, JSON in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.system.serialization import PlainSettings

EXACT = "float32"
PRECISIONS = (EXACT, "tf32", "bfloat16", "float16")
METHODS = ("auto", "dense", "patchwise")


@dataclass(frozen=True)
class RunSettings(PlainSettings):
    """The settings of a run.

    Attributes
    ----------
    channel_axis : int or None
        Axis of the image that holds the channels; None to find it.
    preprocess : tuple of str, or None
        Steps in order, for example ``("divide_by_median", "subtract_local_mean:61")``; None for those that the model's
        sidecar names.
    border : {"reflect", "edge", "constant", "valid"}
        What surrounds the image; ``"valid"`` leaves the frame without a full patch unlabelled.
    precision : {"float32", "tf32", "bfloat16", "float16"}
        Arithmetic; only ``"float32"`` is exact. ``"tf32"`` is faster and slightly less exact; NVIDIA cards since
        2020 only, other devices compute float32. The original model is always computed in float32.
    device : str or None
        ``"CPU"``, ``"GPU"``, ``"GPU:1"``, ``"torch:GPU"``, ``"jax:GPU:0"``; several with commas, or ``"all"``. Leave
        empty (None) for the fastest.
    tile : int, tuple of int, or None
        Largest tile in pixels, for all axes or per axis; automatic (None) goes by memory.
    memory_limit : int or None
        Bytes that the computing process may take in all, of which it takes about 200 MiB before any tile; on a
        card, bytes of its memory. None for half of what the system has free, and most of what a card has.
    probabilities : bool
        Whether to keep one layer of probabilities per class as well.
    method : {"auto", "dense", "patchwise"}
        Both are exact. ``"dense"`` is the converted network, ``"patchwise"`` the patch network at one pixel after the
        other; ``"auto"`` takes the one with less arithmetic.
    every : int
        Only every Nth pixel along each axis gets a label, and the result is smaller by that factor.
    region : tuple of (int, int) or None
        Only the pixels ``start <= i < stop`` along each of the model's axes get a label; None for all.
    frames : tuple of (int, int) or None
        Of a stack, only frames ``start <= i < stop`` along each of its axes get labels; the others stay 0.
    confidence : bool
        Whether to keep the winning class's probability at each pixel as well.
    disagreement : bool
        Whether to keep the share of an ensemble's members that disagree with it as well.
    ways : tuple of str, or None
        How a processor computes each model's convolutions and pools, one text for all models or one per model, as a
        result's provenance has it: ``"2 winograd, direct"``, or ``"plain"``. They differ in rounding alone. None for
        the quickest.

    Raises
    ------
    SettingsError
        If a value is not one of the possible ones.
    """

    channel_axis: int | None = None
    preprocess: tuple[str, ...] | None = None
    border: str = "reflect"
    precision: str = "float32"
    device: str | None = None
    tile: int | tuple[int, ...] | None = None
    memory_limit: int | None = None
    probabilities: bool = False
    method: str = "auto"
    every: int = 1
    region: tuple[tuple[int, int], ...] | None = None
    frames: tuple[tuple[int, int], ...] | None = None
    confidence: bool = False
    disagreement: bool = False
    ways: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.preprocess is not None:
            steps = (self.preprocess,) if isinstance(self.preprocess, str) else tuple(map(str, self.preprocess))
            object.__setattr__(self, "preprocess", steps)
        if self.ways is not None:
            ways = (self.ways,) if isinstance(self.ways, str) else tuple(map(str, self.ways))
            object.__setattr__(self, "ways", ways)
        if self.tile is not None:
            object.__setattr__(self, "tile", _tile(self.tile))
        if self.precision not in PRECISIONS:
            raise SettingsError(f"There is no precision {self.precision!r}. Choose one of: {', '.join(PRECISIONS)}.")
        if self.method not in METHODS:
            raise SettingsError(f"There is no method {self.method!r}. Choose one of: {', '.join(METHODS)}.")
        if not isinstance(self.every, int) or self.every < 1:
            raise SettingsError(f"every is a whole number of pixels, at least 1, not {self.every!r}.")
        if self.region is not None:
            object.__setattr__(self, "region", _spans(self.region, "A region", "pixels"))
        if self.frames is not None:
            object.__setattr__(self, "frames", _spans(self.frames, "A choice of frames", "frames"))
        if self.memory_limit is not None and not self.memory_limit > 0:
            raise SettingsError(f"The memory limit is a positive number of bytes, not {self.memory_limit!r}.")


def _spans(spans: object, what: str, unit: str) -> tuple[tuple[int, int], ...]:
    """Return a (start, stop) per axis, each found to hold something."""
    try:
        pairs = tuple((int(start), int(stop)) for start, stop in spans)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise SettingsError(f"{what} is one (start, stop) per axis, in {unit}, not {spans!r}.") from None
    for start, stop in pairs:
        if not 0 <= start < stop:
            raise SettingsError(f"{what} starts at 0 or later and stops after its start; {(start, stop)} does not.")
    return pairs


def _tile(tile: object) -> int | tuple[int, ...]:
    sizes = tuple(tile) if isinstance(tile, Sequence) else (tile,)
    try:
        numbers = tuple(int(n) for n in sizes)
        good = bool(numbers) and min(numbers) >= 1 and all(a == b for a, b in zip(numbers, sizes, strict=True))
    except (TypeError, ValueError):
        good = False
    if not good:
        raise SettingsError(f"A tile is a whole number of pixels, at least 1, or one per axis, not {tile!r}.")
    return numbers if isinstance(tile, Sequence) else numbers[0]
