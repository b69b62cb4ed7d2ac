"""Preprocessing steps as the bioimage.io model description 0.5 writes them: ``{"id": …, "kwargs": {…}}``.

Two of its conventions differ from the text form in :mod:`napari_fcnseg.preprocess`: statistics are those of all
channels together unless ``axes`` leaves the channel out, and numbers per channel are lists beside ``axis: channel``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from napari_fcnseg.preprocess import (
    JOINT_STEPS,
    PER_CHANNEL_STEPS,
    STEPS,
    Argument,
    Step,
    checked,
    parameters_of,
)
from napari_fcnseg.system.safe_json import is_number

_EXACT = 2**53
_CHANNEL = ("channel", "c")
_BATCH = ("batch", "b")


def described(step: Step, axes: Sequence[str]) -> dict[str, Any]:
    """Return a step as the specification writes it.

    Parameters
    ----------
    step : Step
        The step.
    axes : sequence of str
        Names of the image's spatial axes, for example ``("y", "x")``.
    """
    kwargs: dict[str, Any] = {}
    for name, argument in zip(parameters_of(step.name), step.arguments, strict=False):
        if isinstance(argument, tuple):
            kwargs[name] = list(map(_short, argument))
        elif math.isfinite(argument):
            kwargs[name] = _short(argument)
    if any(isinstance(argument, tuple) for argument in step.arguments):
        kwargs["axis"] = "channel"
    if step.name in JOINT_STEPS:
        kwargs["axes"] = [*(["channel"] if step.joint else []), *axes]
    return {"id": step.name, "kwargs": kwargs} if kwargs else {"id": step.name}


def _short(number: float) -> float:
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def understood(entry: Any, axes: Sequence[str]) -> Step | None:
    """Return the step that an entry describes, or None for one that changes nothing here.

    Parameters
    ----------
    entry : object
        What a file holds, of any type.
    axes : sequence of str
        Names of the image's spatial axes.

    Raises
    ------
    ValueError
        If this program has no such step; a clause says what is wrong.
    """
    if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), str):
        raise ValueError('is no step such as {"id": "scale_range", "kwargs": {"min_percentile": 1}}')
    name, kwargs = entry["id"], entry.get("kwargs", {})
    if unknown := sorted(set(entry) - {"id", "kwargs"}):
        raise ValueError(f"has a field {unknown[0]!r}; a step has an id and kwargs")
    if not isinstance(kwargs, Mapping):
        raise ValueError("has kwargs that are no object")
    if name == "ensure_dtype" and dict(kwargs) == {"dtype": "float32"}:
        return None  # everything is computed in float32
    if name not in STEPS:
        raise ValueError(f"is {name[:60]!r}, which this program does not have; it has {', '.join(STEPS)}")
    parameters = parameters_of(name)
    extra = ("axes",) * (name in JOINT_STEPS) + ("axis",) * (name in PER_CHANNEL_STEPS)
    if unknown := sorted(set(kwargs) - {*parameters, *extra}):
        allowed = ", ".join((*parameters, *extra)) or "no argument"
        raise ValueError(f"({name}) has an argument {unknown[0][:60]!r}; it can have {allowed}")
    arguments = _arguments(name, kwargs)
    joint = name in JOINT_STEPS and _is_joint(name, kwargs.get("axes"), axes)
    try:
        return checked(Step(name, arguments, joint))
    except ValueError as error:
        raise ValueError(f"({name}) does not fit: {error}") from None


def _arguments(name: str, kwargs: Mapping[str, Any]) -> tuple[Argument, ...]:
    """Return the arguments in order; those left out before one that is given get their defaults."""
    parameters = parameters_of(name)
    given = [n for n, parameter in enumerate(parameters) if kwargs.get(parameter) is not None]
    open_ends = {"min": -math.inf, "max": math.inf} if name == "clip" else {}
    count = len(parameters) if open_ends else max(given, default=-1) + 1
    arguments: list[Argument] = []
    for parameter in parameters[:count]:
        value = kwargs.get(parameter)
        if value is None:
            arguments.append(open_ends[parameter] if open_ends else _default(name, parameter))
        elif is_number(value):
            arguments.append(float(value))
        elif isinstance(value, list) and value and all(map(is_number, value)) and kwargs.get("axis") in _CHANNEL:
            arguments.append(tuple(map(float, value)) if len(value) > 1 else float(value[0]))
        else:
            lists = ', or a list of them beside "axis": "channel"' if name in PER_CHANNEL_STEPS else ""
            raise ValueError(f"({name}) has {parameter} {str(value)[:60]!r} instead of a number{lists}")
    return tuple(arguments)


def _default(name: str, parameter: str) -> float:
    default = inspect.signature(STEPS[name]).parameters[parameter].default
    if default is inspect.Parameter.empty:
        raise ValueError(f"({name}) lacks the argument {parameter}")
    return float(default)


def _is_joint(name: str, given: Any, axes: Sequence[str]) -> bool:
    """Whether statistics are those of all channels together, as they are unless ``axes`` says otherwise."""
    if given is None:
        return True
    if not isinstance(given, list) or not all(isinstance(axis, str) for axis in given):
        raise ValueError(f"({name}) has axes that are no list of names")
    if any(axis in _BATCH for axis in given):
        raise ValueError(f"({name}) takes its statistics over a whole batch, and here every image stands alone")
    joint = any(axis in _CHANNEL for axis in given)
    if {axis for axis in given if axis not in _CHANNEL} != set(axes):
        raise ValueError(
            f"({name}) has the axes {', '.join(given)[:60] or 'none'}; this program takes statistics over "
            f"{', '.join(axes)}, with or without channel"
        )
    return joint
