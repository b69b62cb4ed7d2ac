"""Whether an image reaches a model as it was probably trained: its range after preprocessing, the first layer's answer.

A patch model gives labels for any numbers, and a conversion check compares two computations of the same wrong ones. So
this looks at what goes in. It only doubts; what is right, the user knows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.frame_source import MemorySource
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.graph.network import INPUT
from napari_fcnseg.graph.ops import Activation, Affine, BatchNorm, Conv

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from napari_fcnseg.arrays.frame_source import FrameSource
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.ops import Op
    from napari_fcnseg.model.patch_model import PatchModel

#: Networks are trained on numbers around 0 with a spread around 1, or from 0 to 1.
_LARGEST: Final = 10.0
_LEAST_SPREAD: Final = 0.01
_SATURATED: Final = {"tanh": 3.8, "softsign": 999.0, "sigmoid": 6.9, "hard_sigmoid": 3.0}  # within 0.1 % of the end
_MOST_SATURATED: Final = 0.9
_NEARLY_ALL: Final = 0.999
_FEW: Final = 1000  # pixels of which a single class says nothing
_SIDE, _PLACES = 128, 3  # pixels and number of the blocks that are looked at, per axis
_WINDOWS = 4096
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
        return f"{self.reason} Likely normalisation: {steps}."


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


def check_prepared(prepared: FrameSource, models: Sequence[PatchModel], steps: Sequence[preprocess.Step]) -> str:
    """Return why a frame that is prepared may be so wrongly, as a sentence; empty if it looks right."""
    sample = sample_of(prepared)
    return next((found for model in models if (found := _seen(sample, model, steps)) is not None), "")


def one_class(counts: Counter[int], name: Callable[[int], str]) -> str:
    """Return a sentence if one class takes nearly all pixels, and is more than a few; empty otherwise.

    Parameters
    ----------
    counts : Counter
        Pixels by label; 0 is none.
    name : callable
        Returns what a label is called.
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
    return f"{much} pixels are {name(label)}. If that is unexpected, check the normalisation."


def _candidates(dtype: np.dtype[Any], models: Sequence[PatchModel]) -> Iterator[tuple[str, ...]]:
    """Yield preprocessing in the order in which it is likely."""
    for model in models:
        if model.sidecar is not None and model.sidecar.preprocess:
            yield model.sidecar.preprocess
    yield ()
    if dtype == np.uint8:
        yield (preprocess.BYTES,)
    yield (STANDARDISED,)


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
    entering, own = _after(leading(model.network), sample)
    advised = model.sidecar.preprocess if model.sidecar is not None else ()
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
    if saturation(entering, model.network) > _MOST_SATURATED:
        return f"The model gets values of {shown}, which saturate its first layer."
    return None


def leading(network: Network) -> tuple[Affine | BatchNorm, ...]:
    """Return the rescaling that a network begins with, before anything that was trained to see patterns."""
    return tuple(op for op in itertools.takewhile(_rescales, _first_ops(network)) if _rescales(op))  # type: ignore[misc]


def saturation(entering: npt.NDArray[np.float32], network: Network) -> float:
    """Return the share of the first layer's answers at the end of its activation, 0 to 1; 0 where it has none.

    Parameters
    ----------
    entering : ndarray of float32, shape (*spatial, channel)
        What reaches the first layer after the network's own rescaling.
    network : Network
        The network.
    """
    ops = list(itertools.islice(itertools.dropwhile(_rescales, _first_ops(network)), 2))
    if len(ops) < 2 or not isinstance(ops[0], Conv) or not isinstance(ops[1], Activation):
        return 0.0
    conv, end = ops[0], _SATURATED.get(ops[1].name)
    window = conv.kernel.shape[:-2]
    if (
        end is None
        or conv.groups > 1
        or set(conv.dilation) != {1}
        or any(k > n for k, n in zip(window, entering.shape, strict=False))
    ):
        return 0.0
    views = np.lib.stride_tricks.sliding_window_view(entering, window, axis=tuple(range(len(window))))
    grid = tuple(slice(None, None, max(1, int(n / _WINDOWS ** (1 / len(window))))) for n in views.shape[: len(window)])
    picked = views[grid].reshape(-1, entering.shape[-1], *window)
    kernel = np.moveaxis(conv.kernel, -2, 0).reshape(-1, conv.kernel.shape[-1])
    answers = picked.reshape(len(picked), -1) @ kernel
    answers = answers + (conv.bias if conv.bias is not None else 0)
    return float(np.mean(np.abs(answers) > end))


def _first_ops(network: Network) -> Iterator[Op]:
    """Yield the operations from the input on, as far as they follow each other without a branch."""
    name = INPUT
    while True:
        readers = [node for node in network.nodes if name in node.inputs]
        if len(readers) != 1 or len(readers[0].inputs) != 1:
            return
        yield from readers[0].ops
        name = readers[0].name


def _rescales(op: Op) -> bool:
    return isinstance(op, Affine | BatchNorm)


def _after(ops: Sequence[Affine | BatchNorm], sample: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], bool]:
    """Return a sample after a network's own rescaling, and whether there was any."""
    values, channels = np.asarray(sample, np.float64), sample.shape[-1]
    for op in ops:
        if isinstance(op, Affine):
            center, scale, offset = (_per_channel(part, channels) for part in (op.center, op.scale, op.offset))
            values = (values - center) * scale + offset
        else:
            parts = [np.asarray(part, np.float64) for part in (op.gamma, op.beta, op.mean, op.variance)]
            if any(part.size not in (1, channels) for part in parts):  # along another axis than the channels
                return sample, False
            gamma, beta, mean, variance = (part.reshape(-1) for part in parts)
            values = gamma * (values - mean) / np.sqrt(variance + op.epsilon) + beta
    return values.astype(np.float32), bool(ops)


def _per_channel(part: Any, channels: int) -> npt.NDArray[np.float64]:
    """Return a number of an affine step per channel: the mean where it varies over the patch."""
    part = np.asarray(part, np.float64)
    if part.ndim > 1:
        part = part.mean(axis=tuple(range(part.ndim - 1)))
    return part if part.size in (1, channels) else np.asarray(part.mean())


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
