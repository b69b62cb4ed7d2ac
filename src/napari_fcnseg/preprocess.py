"""Steps that prepare a whole image for a model, once, never per tile.

A step is written ``name`` or ``name:argument,argument``. Where the bioimage.io specification has a step, its name and
its formula are used. Every step works on each channel alone, in float32, on an image ``(*spatial, channel)``.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Image: TypeAlias = npt.NDArray[np.float32]

_EPSILON = 1e-6  # the default of the bioimage.io specification


@dataclass(frozen=True)
class Step:
    """One step with its arguments; ``str(step)`` is the text it was parsed from."""

    name: str
    arguments: tuple[float, ...] = ()

    def __str__(self) -> str:
        numbers = (repr(a).removesuffix(".0") for a in self.arguments)
        return self.name + (":" + ",".join(numbers) if self.arguments else "")


def scale_linear(channel: Image, gain: float = 1.0, offset: float = 0.0) -> Image:
    """``gain * x + offset`` (bioimage.io)."""
    return channel * np.float32(gain) + np.float32(offset)


def zero_mean_unit_variance(channel: Image) -> Image:
    """``(x - mean) / (std + 1e-6)`` (bioimage.io)."""
    return (channel - np.float32(channel.mean(dtype=np.float64))) / np.float32(channel.std(dtype=np.float64) + _EPSILON)


def scale_range(channel: Image, min_percentile: float = 0.0, max_percentile: float = 100.0) -> Image:
    """``(x - low) / (high - low + 1e-6)`` between two percentiles (bioimage.io)."""
    if not 0 <= min_percentile < max_percentile <= 100:
        raise SettingsError(
            f"scale_range needs two percentiles 0 ≤ low < high ≤ 100, not {min_percentile:g} and {max_percentile:g}, "
            "for example scale_range:1,99.8."
        )
    low, high = np.percentile(channel, (min_percentile, max_percentile))
    return (channel - np.float32(low)) / np.float32(high - low + _EPSILON)


def clip(channel: Image, minimum: float, maximum: float) -> Image:
    """Limit the values to a range (bioimage.io)."""
    return np.clip(channel, np.float32(minimum), np.float32(maximum))


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
        clip, divide_by_median, scale_linear, scale_range, subtract_local_mean, zero_mean_unit_variance,
    )
}  # fmt: skip


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
    words = [word for t in texts for word in re.split(r"[;\s]+|,(?=\s*[A-Za-z_])", str(t)) if word]
    return tuple(_parse_one(word) for word in words)


def _parse_one(word: str) -> Step:
    name, colon, arguments = word.partition(":")
    if name not in STEPS:
        raise SettingsError(f"There is no preprocessing step {name!r}. Choose from: {', '.join(map(usage, STEPS))}.")
    try:
        numbers = tuple(float(a) for a in arguments.split(",")) if colon else ()
        inspect.signature(STEPS[name]).bind(None, *numbers)
    except (ValueError, TypeError):
        raise SettingsError(f"{word!r} does not fit: write the preprocessing step as {usage(name)}.") from None
    return Step(name, numbers)


def usage(name: str) -> str:
    """Return how a step is written, for example ``"scale_linear:gain,offset"``."""
    parameters = list(inspect.signature(STEPS[name]).parameters)[1:]
    return name + (":" + ",".join(parameters) if parameters else "")


def apply(image: Image, steps: Iterable[Step]) -> Image:
    """Apply steps in order to each channel of a whole image ``(*spatial, channel)`` in float32."""
    channels = [image[..., c] for c in range(image.shape[-1])]
    for step in steps:
        channels = [STEPS[step.name](channel, *step.arguments) for channel in channels]
    return np.stack(channels, axis=-1, dtype=np.float32)
