"""Steps that prepare a whole image for a model, once, never per tile.

A step is written ``name`` or ``name:argument,argument``. Where the bioimage.io specification has a step, its name and
its formula are used. Every step works on each channel alone, in float32, on an image ``(*spatial, channel)``;
``scale_range@all`` and ``zero_mean_unit_variance@all`` take their statistics over all channels together. Where a fixed
number differs between channels it is written ``1/2/3``, one for each.
"""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Image: TypeAlias = npt.NDArray[np.float32]
#: One number, or one per channel.
Argument: TypeAlias = float | tuple[float, ...]

_EPSILON = 1e-6  # the default of the bioimage.io specification


@dataclass(frozen=True)
class Step:
    """One step with its arguments; ``str(step)`` is the text it was parsed from.

    Attributes
    ----------
    name : str
        One of :data:`STEPS`.
    arguments : tuple of float or tuple of float
        In the order of the step's parameters; a tuple holds one number per channel.
    joint : bool
        Whether its statistics are those of all channels together.
    """

    name: str
    arguments: tuple[Argument, ...] = ()
    joint: bool = False

    def __str__(self) -> str:
        arguments = ",".join("/".join(map(_written, a if isinstance(a, tuple) else (a,))) for a in self.arguments)
        return self.name + (_JOINT if self.joint else "") + (":" + arguments if arguments else "")


def _written(number: float) -> str:
    return repr(number).removesuffix(".0")


def binarize(channel: Image, threshold: float) -> Image:
    """1 above the threshold, 0 elsewhere (bioimage.io)."""
    return (channel > np.float32(threshold)).astype(np.float32)


def scale_linear(channel: Image, gain: float = 1.0, offset: float = 0.0) -> Image:
    """``gain * x + offset`` (bioimage.io)."""
    return channel * np.float32(gain) + np.float32(offset)


def sigmoid(channel: Image) -> Image:
    """``1 / (1 + exp(-x))`` (bioimage.io)."""
    from scipy import special  # late: a window that opens would wait for it

    result: Image = special.expit(channel)
    return result


def fixed_zero_mean_unit_variance(channel: Image, mean: float, std: float) -> Image:
    """``(x - mean) / (std + 1e-6)`` with the training set's numbers, as ``103.5,13.7`` or per channel (bioimage.io)."""
    if not std >= _EPSILON:
        raise SettingsError(f"fixed_zero_mean_unit_variance needs a standard deviation of at least 1e-6, not {std:g}.")
    return (channel - np.float32(mean)) / np.float32(std + _EPSILON)


def zero_mean_unit_variance(channel: Image, eps: float = _EPSILON) -> Image:
    """``(x - mean) / (std + eps)``; with ``@all`` those of all channels together (bioimage.io)."""
    return (channel - np.float32(channel.mean(dtype=np.float64))) / np.float32(channel.std(dtype=np.float64) + eps)


def scale_range(
    channel: Image, min_percentile: float = 0.0, max_percentile: float = 100.0, eps: float = _EPSILON
) -> Image:
    """``(x - low) / (high - low + eps)`` of two percentiles; with ``@all`` of all channels together (bioimage.io)."""
    if not 0 <= min_percentile < max_percentile <= 100:
        raise SettingsError(
            f"scale_range needs two percentiles 0 ≤ low < high ≤ 100, not {min_percentile:g} and {max_percentile:g}, "
            "for example scale_range:1,99.8."
        )
    low, high = np.percentile(channel, (min_percentile, max_percentile))
    return (channel - np.float32(low)) / np.float32(high - low + eps)


def clip(channel: Image, min: float, max: float) -> Image:
    """Limit the values to a range; ``-inf`` or ``inf`` leaves a side open (bioimage.io)."""
    return np.clip(channel, np.float32(min), np.float32(max))


def divide_by_median(channel: Image) -> Image:
    """Divide by the channel's median.

    Raises
    ------
    SettingsError
        If the median is zero.
    """
    median = np.float32(np.median(channel))
    if median == 0:
        raise SettingsError(
            "divide_by_median cannot be used: a channel's median is 0 (more than half of it is empty). Take the step "
            "out, or choose another one such as zero_mean_unit_variance."
        )
    return channel / median


def subtract_local_mean(channel: Image, size: float) -> Image:
    """Subtract the mean over a box of ``size`` pixels per axis; the border is reflected (``d c b a | a b c d``)."""
    if size < 1 or size != int(size):
        raise SettingsError(
            f"subtract_local_mean needs a whole number of pixels, not {size:g}: subtract_local_mean:61."
        )
    from scipy import ndimage  # late: a window that opens would wait for it

    mean: Image = ndimage.uniform_filter(channel, int(size), mode="reflect")
    return channel - mean


#: The steps there are. Each takes a channel ``(*spatial)`` in float32 and its arguments, and returns the same shape.
STEPS: dict[str, Callable[..., Image]] = {
    step.__name__: step
    for step in (
        binarize, clip, divide_by_median, fixed_zero_mean_unit_variance, scale_linear, scale_range, sigmoid,
        subtract_local_mean, zero_mean_unit_variance,
    )
}  # fmt: skip
#: Those that can take their statistics over all channels together; they work on ``(*spatial, channel)`` too.
JOINT_STEPS = frozenset({"scale_range", "zero_mean_unit_variance"})
#: Those whose numbers may differ between channels.
PER_CHANNEL_STEPS = frozenset({"binarize", "fixed_zero_mean_unit_variance", "scale_linear"})
_JOINT = "@all"


def parse(text: str | Iterable[str]) -> tuple[Step, ...]:
    """Parse steps.

    Parameters
    ----------
    text : str or iterable of str
        Steps such as ``"divide_by_median"`` and ``"subtract_local_mean:61"``; several in one text are separated by
        commas, semicolons or white space.

    Raises
    ------
    SettingsError
        If a step is unknown or its arguments do not fit; the error lists what there is.
    """
    texts = (text,) if isinstance(text, str) else tuple(text)
    words = [word for t in texts for word in re.split(r"[;\s]+|,(?=\s*(?!inf\b)[A-Za-z_])", str(t)) if word]
    return tuple(_parse_one(word) for word in words)


def _parse_one(word: str) -> Step:
    name, colon, arguments = word.partition(":")
    joint, name = name.endswith(_JOINT), name.removesuffix(_JOINT)
    if name not in STEPS:
        raise SettingsError(f"There is no preprocessing step {name!r}. Choose from: {', '.join(map(usage, STEPS))}.")
    try:
        return checked(Step(name, tuple(map(_argument, arguments.split(","))) if colon else (), joint))
    except ValueError:
        raise SettingsError(f"{word!r} does not fit: write the preprocessing step as {usage(name)}.") from None


def _argument(text: str) -> Argument:
    numbers = tuple(float(number) for number in text.split("/"))
    return numbers if len(numbers) > 1 else numbers[0]


def checked(step: Step) -> Step:
    """Return a step whose arguments fit; where one has a number per channel, all have.

    Raises
    ------
    ValueError
        If they do not fit: in number, in kind, or because they are no finite numbers.
    """
    try:
        inspect.signature(STEPS[step.name]).bind(None, *step.arguments)
    except TypeError as error:
        raise ValueError(str(error)) from None
    numbers = [n for argument in step.arguments for n in (argument if isinstance(argument, tuple) else (argument,))]
    if any(math.isnan(n) for n in numbers) or (step.name != "clip" and not all(map(math.isfinite, numbers))):
        raise ValueError("its arguments are finite numbers")
    if step.name == "clip" and all(map(math.isinf, numbers)):
        raise ValueError("a range without ends clips nothing")
    if len(numbers) > len(step.arguments) and step.name not in PER_CHANNEL_STEPS:
        raise ValueError("its arguments are single numbers")
    if step.joint and step.name not in JOINT_STEPS:
        raise ValueError("it takes each channel alone")
    lengths = {len(argument) for argument in step.arguments if isinstance(argument, tuple)}
    if len(lengths) > 1:
        raise ValueError("its arguments are for different numbers of channels")
    spread = tuple(a if isinstance(a, tuple) else (a,) * length for length in lengths for a in step.arguments)
    return replace(step, arguments=spread) if lengths else step


def usage(name: str) -> str:
    """Return how a step is written, for example ``"scale_linear:gain,offset"``."""
    parameters = parameters_of(name)
    return name + (":" + ",".join(parameters) if parameters else "")


def parameters_of(name: str) -> tuple[str, ...]:
    """Return the names of a step's arguments, in order."""
    return tuple(inspect.signature(STEPS[name]).parameters)[1:]


def apply(image: Image, steps: Iterable[Step]) -> Image:
    """Apply steps in order to each channel of a whole image ``(*spatial, channel)`` in float32.

    Raises
    ------
    SettingsError
        If a step's arguments do not fit the image.
    """
    channels = [image[..., c] for c in range(image.shape[-1])]
    for step in steps:
        function = STEPS[step.name]
        if step.joint:
            channels = list(np.moveaxis(function(np.stack(channels, axis=-1), *step.arguments), -1, 0))
        else:
            arguments = _per_channel(step, len(channels))
            channels = [function(channel, *a) for channel, a in zip(channels, arguments, strict=True)]
    return np.stack(channels, axis=-1, dtype=np.float32)


def _per_channel(step: Step, channels: int) -> Iterator[tuple[float, ...]]:
    for argument in step.arguments:
        if isinstance(argument, tuple) and len(argument) != channels:
            raise SettingsError(
                f"The preprocessing step {str(step)!r} has numbers for {len(argument)} channels, and the image "
                f"{channels}: write one number for each channel, or a single one for all."
            )
    for c in range(channels):
        yield tuple(a[c] if isinstance(a, tuple) else a for a in step.arguments)
