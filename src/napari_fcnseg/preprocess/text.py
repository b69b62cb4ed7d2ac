"""Steps as text and as data: which there are, what their arguments are."""

from __future__ import annotations

import difflib
import inspect
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.preprocess import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: One number, or one per channel.
Argument: TypeAlias = float | tuple[float, ...]

#: The steps there are. Each takes the statistics of a channel and its arguments, and returns what is done to pixels.
STEPS: dict[str, Callable[..., Any]] = {
    step.__name__: step
    for step in (
        steps.binarize, steps.clip, steps.divide_by_median, steps.fixed_zero_mean_unit_variance,
        steps.scale_linear, steps.scale_range, steps.sigmoid, steps.subtract_local_mean, steps.zero_mean_unit_variance,
    )
}  # fmt: skip
#: Those that can take their statistics over all channels together.
JOINT_STEPS = frozenset({"scale_range", "zero_mean_unit_variance"})
#: Those whose numbers may differ between channels.
PER_CHANNEL_STEPS = frozenset({"binarize", "fixed_zero_mean_unit_variance", "scale_linear"})
_JOINT = "@all"
#: What makes 0 to 1 of whole numbers of 8 and of 16 bits.
BYTES = f"scale_linear:{1 / 255!r},0"
WORDS = f"scale_linear:{1 / 65535!r},0"
#: What people write for steps, in other programs and in papers.
_ALIASES = {
    "standardise": "zero_mean_unit_variance", "standardize": "zero_mean_unit_variance",
    "zscore": "zero_mean_unit_variance", "z-score": "zero_mean_unit_variance",
    "normalise": "scale_range", "normalize": "scale_range", "minmax": "scale_range", "min-max": "scale_range",
    "rescale": "scale_range", "percentile": "scale_range:1,99.8", "percentiles": "scale_range:1,99.8",
    "median": "divide_by_median", "/median": "divide_by_median",
}  # fmt: skip
#: The same of steps that take numbers.
_SHORT = dict.fromkeys(("localmean", "local_mean", "local-mean"), "subtract_local_mean")


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


def parse(text: str | Iterable[str]) -> tuple[Step, ...]:
    """Parse steps.

    Parameters
    ----------
    text : str or iterable of str
        Steps such as ``"divide_by_median"`` and ``"subtract_local_mean:61"``; several in one text are separated by
        commas, semicolons or white space. ``/255`` divides; ``zscore``, ``normalize`` and their like are understood.

    Raises
    ------
    SettingsError
        If a step is unknown or its arguments do not fit; the error lists what there is.
    """
    texts = (text,) if isinstance(text, str) else tuple(text)
    words = [
        word
        for t in map(_joined, map(str, texts))
        for word in re.split(r"[;\s]+|,(?=\s*(?!inf\b)[A-Za-z_])", t)
        if word
    ]
    return tuple(_parse_one(word) for word in words)


def _joined(text: str) -> str:
    """Return a text in which steps written as words, ``subtract local mean 61``, are written as we write them."""
    for name in STEPS:
        text = re.sub(rf"(?i)\b{name.replace('_', '[ _-]+')}\b(?:[ ]+(?=[\d.]))?", _as_step(name), text)
    return text


def _as_step(name: str) -> Callable[[re.Match[str]], str]:
    return lambda found: f"{name}:" if found[0].endswith(" ") else name


def _alias(word: str) -> str:
    """Return a step by our name, where another is usual."""
    name, colon, arguments = word.partition(":")
    return _ALIASES.get(word.lower(), _SHORT.get(name.lower(), name) + colon + arguments)


def _like(name: str) -> list[str]:
    """Return the steps that somebody may mean: those with a word of the name, or spelled nearly so."""
    words = set(re.findall(r"[a-z]{3,}", name.lower())) - {"divide", "subtract", "the", "and"}
    holding = [step for step in STEPS if any(part in step for part in words)]
    close = difflib.get_close_matches(name.lower(), [*STEPS, *_ALIASES], 2, 0.6)
    return holding or list(dict.fromkeys(_ALIASES.get(step, step).partition(":")[0] for step in close))


def _parse_one(word: str) -> Step:
    word = _alias(word)
    if (divisor := re.fullmatch(r"[/÷](\d+(?:\.\d*)?)", word)) and float(divisor[1]):
        word = f"scale_linear:{1 / float(divisor[1])!r},0"
    if word.lower() == "none":
        raise SettingsError("No preprocessing is an empty text, not 'none'.")
    name, colon, arguments = word.partition(":")
    joint, name = name.endswith(_JOINT), name.removesuffix(_JOINT)
    if name not in STEPS:
        like = _like(name)
        meant = f" Did you mean {' or '.join(map(usage, like))}?" if like else ""
        choice = f"Choose from: {', '.join(map(usage, STEPS))}."
        raise SettingsError(f"There is no preprocessing step {name!r}.{meant} {choice}")
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
