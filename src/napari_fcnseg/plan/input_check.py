"""Whether an image reaches a model as it was probably trained: its range after preprocessing, the first layer's answer.

A patch model gives labels for any numbers, and a conversion check compares two computations of the same wrong ones. So
this looks at what goes in. It only doubts; what is right, the user knows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.frame_source import MemorySource
from napari_fcnseg.errors import FcnSegError, ModelFileError
from napari_fcnseg.plan.first_layer import leading, rescaled, saturation

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from napari_fcnseg.arrays.frame_source import FrameSource, Region
    from napari_fcnseg.model.patch_model import PatchModel

#: Networks are trained on numbers around 0 with a spread around 1, or from 0 to 1.
_LARGEST: Final = 10.0
_LEAST_SPREAD: Final = 0.01
_MOST_SATURATED: Final = 0.9
_NEARLY_ALL: Final = 0.999
_FEW: Final = 1000  # pixels of which a single class says nothing
_SIDE, _PLACES = 128, 3  # pixels and number of the blocks that are looked at, per axis
_LOOKS: Final = 9  # tiles of a run that are looked at
_BINS = 48  # of a histogram
#: Steps whose result does not depend on how bright an image is.
_ADAPTIVE: Final = {"divide_by_median", "scale_range", "zero_mean_unit_variance", "sigmoid", "binarize"}
STANDARDISED: Final = "zero_mean_unit_variance"


@dataclass(frozen=True)
class InputDoubt:
    """Why an image may not be prepared as a model was trained.

    Attributes
    ----------
    reason : str
        In a sentence.
    suggestion : tuple of str or None
        Steps that make it plausible; empty for none at all, None where nothing was found that does.
    """

    reason: str
    suggestion: tuple[str, ...] | None = None

    def __str__(self) -> str:
        if self.suggestion is None:
            return f"{self.reason} Check the normalisation."
        steps = ", ".join(self.suggestion) or "no preprocessing"
        return f"{self.reason} Try {steps}, a guess: only who trained the model knows."


@dataclass(frozen=True)
class InputLook:
    """What reaches a model from a part of an image.

    Attributes
    ----------
    low, high : float
        The smallest and the largest value.
    counts : tuple of int
        Values in equal steps from the one to the other.
    doubt : InputDoubt or None
        Why that may be wrong.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    doubt: InputDoubt | None = None

    def ends_in_words(self) -> tuple[str, str]:
        """Return the two ends as people read them."""
        return _number(self.low), _number(self.high)

    def range_in_words(self) -> str:
        """Return the range as people read it."""
        return " to ".join(self.ends_in_words())


def sample_of(source: FrameSource) -> npt.NDArray[np.float32]:
    """Return a part of a frame: corners, edges and middle side by side, or all of a small one.

    Parameters
    ----------
    source : FrameSource
        The frame, prepared or not.

    Returns
    -------
    ndarray of float32, shape (*spatial, channel)

    Raises
    ------
    ImageError
        If it holds values that are not finite.
    """
    blocks: Callable[[Any], Any] = source.read
    for axis, n in reversed(list(enumerate(source.shape[:-1]))):
        side = _SIDE if axis >= len(source.shape) - 3 else 1  # of a volume few planes
        blocks = _sampled(blocks, axis, n, side)
    return np.asarray(blocks(source.everything()), np.float32)


def _sampled(read: Callable[[Any], Any], axis: int, n: int, side: int) -> Callable[[Any], Any]:
    if n <= side * _PLACES:
        return read
    starts = [(n - side) * k // (_PLACES - 1) for k in range(_PLACES)]

    def sample(region: Any) -> Any:
        parts = [read((*region[:axis], (start, start + side), *region[axis + 1 :])) for start in starts]
        return np.concatenate(parts, axis=axis)

    return sample


def look_at_input(
    source: FrameSource, dtype: np.dtype[Any], models: Sequence[PatchModel], steps: Sequence[preprocess.Step]
) -> InputLook:
    """Look at a frame, before preprocessing: what reaches the models, and whether that is plausible.

    Parameters
    ----------
    source, dtype, models, steps
        As for :func:`check_image`.

    Raises
    ------
    FcnSegError
        If it holds values that are not finite, or the steps do not fit.
    """
    raw = MemorySource(sample_of(source))
    prepared = preprocess.prepare(raw, steps)
    values = prepared.read(prepared.everything())
    counts, edges = np.histogram(values, _BINS)
    return InputLook(
        float(edges[0] if np.ptp(values) else values.flat[0]),
        float(edges[-1] if np.ptp(values) else values.flat[0]),
        tuple(counts.tolist()),
        check_image(raw, dtype, models, steps),
    )


def check_image(
    source: FrameSource, dtype: np.dtype[Any], models: Sequence[PatchModel], steps: Sequence[preprocess.Step]
) -> InputDoubt | None:
    """Look at a frame, before preprocessing, and return why it may be prepared wrongly; None if it looks right.

    Parameters
    ----------
    source : FrameSource
        The frame as it is.
    dtype : dtype
        Of the image.
    models : sequence of PatchModel
        The ensemble.
    steps : sequence of Step
        The preprocessing that is chosen.
    """
    raw = sample_of(source)
    doubt = next((found for model in models if (found := _doubt(raw, model, steps)) is not None), None)
    if doubt is None:
        return None
    for candidate in _candidates(dtype, models):
        parsed = preprocess.parse(candidate)
        if parsed != tuple(steps) and all(_doubt(raw, model, parsed) is None for model in models):
            return InputDoubt(doubt, candidate)
    return InputDoubt(doubt)


def check_prepared(
    prepared: FrameSource, models: Sequence[PatchModel], steps: Sequence[preprocess.Step], tiles: Sequence[Region]
) -> str:
    """Return why a frame that is prepared may be so wrongly, as a sentence; empty if it looks right.

    Parameters
    ----------
    prepared : FrameSource
        The frame as the models get it.
    models : sequence of PatchModel
        The ensemble.
    steps : sequence of Step
        Its preprocessing.
    tiles : sequence of Region
        What a run reads of it, in pixels of the image. Nothing else is looked at, and of each no more than it holds.
    """
    sizes = [tuple(high - low for low, high in region) for region in tiles]
    size = max(sizes, key=math.prod)
    alike = [region for region, other in zip(tiles, sizes, strict=True) if other == size]
    picked = [alike[len(alike) * k // _LOOKS] for k in range(_LOOKS)] if len(alike) > _LOOKS else alike
    middles = [tuple(_middle(low, high) for low, high in region) for region in picked]
    try:
        sample = np.concatenate([prepared.read(region) for region in middles]).astype(np.float32, copy=False)
    except FcnSegError:  # the run comes to it, and says so
        return ""
    return next((found for model in models if (found := _seen(sample, model, steps)) is not None), "")


def _middle(low: int, high: int) -> tuple[int, int]:
    """Return the middle of a range, as far as it is looked at."""
    start = low + max(0, high - low - _SIDE) // 2
    return start, min(high, start + _SIDE)


def one_class(counts: Counter[int], name: Callable[[int], str], *, doubted: bool = False) -> str:
    """Return a sentence if one class takes nearly all pixels, and is more than a few; empty otherwise.

    Parameters
    ----------
    counts : Counter
        Pixels by label; 0 is none.
    name : callable
        Returns what a label is called.
    doubted : bool
        Whether the normalisation was doubted already.
    """
    labelled = {label: count for label, count in counts.items() if label > 0}
    total = sum(labelled.values())
    if total < _FEW:
        return ""
    label = max(labelled, key=labelled.__getitem__)
    share = labelled[label] / total
    if share < _NEARLY_ALL:
        return ""
    much = "All" if share == 1 else f"{np.floor(share * 1e4) / 100:.2f} % of"
    return f"{much} pixels are {name(label)}.{' If that is unexpected, check the normalisation.' * (not doubted)}"


def _candidates(dtype: np.dtype[Any], models: Sequence[PatchModel]) -> Iterator[tuple[str, ...]]:
    """Yield preprocessing in the order in which it is likely."""
    yield from filter(None, map(_advised, models))
    yield ()
    if dtype == np.uint8:
        yield (preprocess.BYTES,)
    yield (STANDARDISED,)


def _advised(model: PatchModel) -> tuple[str, ...]:
    """Return the preprocessing that the model's sidecar names; none where that is not there or cannot be read."""
    try:
        return model.sidecar.preprocess if model.sidecar is not None else ()
    except ModelFileError:  # a run that needs the sidecar says so
        return ()


def _doubt(raw: npt.NDArray[np.float32], model: PatchModel, steps: Sequence[preprocess.Step]) -> str | None:
    try:
        source = preprocess.prepare(MemorySource(raw), steps)
        return _seen(source.read(source.everything()), model, steps)
    except FcnSegError:  # these steps do not fit at all, which a run says
        return None if not steps else f"{', '.join(map(str, steps))} cannot be applied to this image."


def _seen(sample: npt.NDArray[np.float32], model: PatchModel, steps: Sequence[preprocess.Step]) -> str | None:
    """Return what is wrong with a prepared sample."""
    if not sample.size or sample.shape[-1] != model.channels:
        return None
    if model.labels_every_pixel:  # what its layers do is not known
        entering, own = sample, False
    else:
        entering, own = rescaled(leading(model.network), sample)
    advised = _advised(model)
    trusted = bool(advised) and tuple(map(str, steps)) == tuple(advised)
    low, high = (float(n) for n in np.percentile(entering, (1, 99)))
    before = " after the model's own normalisation" * own
    shown = f"{_number(low)} to {_number(high)}{before}"
    adaptive = trusted and any(step.name in _ADAPTIVE for step in steps)
    if max(-low, high) > _LARGEST and not adaptive:
        return f"The model gets values of {shown}; networks are usually trained on about -3 to 3."
    spread = float(entering.std(axis=tuple(range(entering.ndim - 1)), dtype=np.float64).max())
    if spread < _LEAST_SPREAD and not trusted and float(np.ptp(sample)) > 0:
        return f"The model gets values of {shown}, nearly the same everywhere."
    if not model.labels_every_pixel and saturation(entering, model.network) > _MOST_SATURATED:
        return f"The model gets values of {shown}, which saturate its first layer."
    return None


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
