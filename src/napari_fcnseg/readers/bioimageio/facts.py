"""What a package's description says, in the terms of a sidecar.

Of version 0.5 of the specification, and of 0.4 as far as it says the same in other words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NoReturn

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.system.safe_json import is_number, is_whole

_ADVICE: Final = "Open the model's own file, and say the rest in a sidecar."
_UPDATE: Final = "Update it with bioimageio.core (bioimageio update-format), or open the model's own file."
_MOST_TENSORS: Final = 16
_MOST_AXES: Final = 8
_LONGEST: Final = 100_000  # pixels of an axis, or of a halo
_ONE_IMAGE: Final = ("z", "y", "x")
#: Axes that 0.4 writes as letters.
_LETTERS: Final = {"b": "batch", "c": "channel", "t": "time", "i": "index"}
#: What no pixel's label depends on.
_HARMLESS: Final = ("ensure_dtype", "softmax", "sigmoid")


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor: ``kind`` is batch, channel, space, time or index; ``size`` is None where it may vary.

    Where it may, it is ``least`` or longer by a multiple of ``step``, if anybody says so. Of an output, ``halo``
    entries at either end are not to be used.
    """

    name: str
    kind: str
    size: int | None
    names: tuple[str, ...] = ()
    scale: float | None = None
    unit: str = ""
    least: int | None = None
    step: int | None = None
    halo: int | None = None


@dataclass(frozen=True)
class Tensor:
    """An input or an output."""

    name: str
    axes: tuple[Axis, ...]
    steps: tuple[Any, ...]

    @property
    def space(self) -> tuple[Axis, ...]:
        """Its axes that are those of an image."""
        return tuple(axis for axis in self.axes if axis.kind in ("space", "time", "index"))

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its channels."""
        return next((axis.names for axis in self.axes if axis.kind == "channel"), ())


@dataclass(frozen=True)
class Facts:
    """What a description says of a model."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    said: dict[str, Any]

    @property
    def labels_every_pixel(self) -> bool:
        """Whether an output is as an image is, and not one answer for a patch."""
        return any(axis.size != 1 for output in self.outputs for axis in output.space)

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """Sizes of the first input's axes, where all of them are fixed."""
        sizes = [axis.size for axis in self.inputs[0].space]
        return tuple(n for n in sizes if n is not None) if None not in sizes else ()


def facts_of(data: dict[str, Any]) -> Facts:
    """Read a description.

    Parameters
    ----------
    data : dict
        As parsed.

    Raises
    ------
    UnreadableError
        If it is of another version, describes no model, or something that this program does not do.
    """
    version = str(data.get("format_version"))
    if data.get("type", "model") != "model":
        _refuse(f"it describes a {str(data['type'])[:30]!r} and no model")
    if not version.startswith(("0.4.", "0.5.")):
        raise UnreadableError(
            f"its description is of version {version[:20]!r}, and those of 0.4 and 0.5 are read", _UPDATE
        )
    inputs, outputs = (
        tuple(_tensor(entry, steps) for entry in _tensors(data, kind))
        for kind, steps in (("inputs", "preprocessing"), ("outputs", "postprocessing"))
    )
    return Facts(inputs, outputs, _said(data, inputs, outputs))


def _refuse(reason: str) -> NoReturn:
    raise UnreadableError(reason, _ADVICE)


def _tensors(data: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found = data.get(kind)
    if not isinstance(found, list) or not found or not all(isinstance(entry, dict) for entry in found):
        _refuse(f"its description has no {kind}")
    if len(found) > _MOST_TENSORS:
        _refuse(f"its description has {len(found):,} {kind}, and at most {_MOST_TENSORS} are read")
    return found


def _tensor(entry: dict[str, Any], steps: str) -> Tensor:
    name = str(entry.get("id", entry.get("name", "")))[:80]
    axes, done = entry.get("axes"), entry.get(steps) or []
    if not isinstance(done, list):
        _refuse(f"the {steps} of its tensor {name!r} is no list")
    if isinstance(axes, str):
        return Tensor(
            name, _old_axes(axes, entry.get("shape"), entry.get("halo")), tuple(_old_step(step, axes) for step in done)
        )
    if not isinstance(axes, list) or not axes or len(axes) > _MOST_AXES:
        _refuse(f"its description does not say the axes of the tensor {name!r}")
    return Tensor(name, tuple(map(_axis, axes)), tuple(done))


def _axis(entry: Any) -> Axis:
    if not isinstance(entry, dict):
        _refuse("an axis of its description is no mapping")
    kind, size, names = entry.get("type"), entry.get("size"), entry.get("channel_names")
    if kind not in ("batch", "channel", "space", "time", "index"):
        _refuse(f"its description has an axis of the kind {str(kind)[:30]!r}")
    default = {"space": "x", "batch": "batch"}.get(str(kind), str(kind))
    scale = entry.get("scale")
    return Axis(
        str(entry.get("id", default))[:20],
        str(kind),
        size if is_whole(size) else None,
        tuple(map(str, names)) if isinstance(names, list) else (),
        float(scale) if is_number(scale) and scale > 0 else None,
        str(entry.get("unit") or ""),
        *_range(size if isinstance(size, dict) else {}),
        _pixels(entry.get("halo")),
    )


def _range(size: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the least size of an axis and the step to larger ones, where both are said."""
    least, step = _pixels(size.get("min")), _pixels(size.get("step"))
    return (least, step) if least and step is not None else (None, None)


def _pixels(value: Any) -> int | None:
    return value if is_whole(value) and 0 <= value <= _LONGEST else None


def _old_axes(letters: str, shape: Any, halo: Any) -> tuple[Axis, ...]:
    sizes: list[Any] = shape if isinstance(shape, list) else [None] * len(letters)
    ranges: list[Any] = [{}] * len(letters)
    if isinstance(shape, dict) and all(isinstance(shape.get(key), list) for key in ("min", "step")):
        ranges = [{"min": least, "step": step} for least, step in zip(shape["min"], shape["step"], strict=False)]
    halos = halo if isinstance(halo, list) else [None] * len(letters)
    if not 0 < len(letters) == len(sizes) == len(ranges) == len(halos) <= _MOST_AXES:
        _refuse("its description has other numbers of axes and of sizes")
    return tuple(
        Axis(
            letter,
            _LETTERS.get(letter, "space"),
            size if is_whole(size) else None,
            (),
            None,
            "",
            *_range(spans),
            _pixels(edge),
        )
        for letter, size, spans, edge in zip(letters, sizes, ranges, halos, strict=True)
    )


def _old_step(step: Any, axes: str) -> Any:
    """Return a step of 0.4 as 0.5 writes it."""
    if not isinstance(step, dict):
        return step
    kwargs = dict(step.get("kwargs") or {}) if isinstance(step.get("kwargs") or {}, dict) else {}
    name, mode, over = step.get("name"), kwargs.pop("mode", "per_sample"), kwargs.pop("axes", None)
    if mode == "per_dataset":
        _refuse(f"its step {name!r} takes numbers of a whole data set, which the package does not hold")
    if name == "zero_mean_unit_variance" and mode == "fixed":
        name = "fixed_zero_mean_unit_variance"
        kwargs.pop("eps", None)
    if isinstance(over, str) and name in ("zero_mean_unit_variance", "scale_range"):
        kwargs["axes"] = ["channel" if letter == "c" else letter for letter in over if letter != "b"]
    elif isinstance(over, str) and "c" in axes and "c" not in over:
        kwargs["axis"] = "channel"
    return {"id": name, "kwargs": kwargs}


def _said(data: dict[str, Any], inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> dict[str, Any]:
    first = inputs[0]
    axes = tuple(axis.name for axis in first.space)
    if axes != _ONE_IMAGE[-len(axes) :]:
        _refuse(f"the axes of its image are {', '.join(axes) or 'none'}, and this program gives rows, then columns")
    steps = [_without_cast(tensor.steps) for tensor in inputs]
    if any(each != steps[0] for each in steps):
        _refuse("its inputs are prepared in different ways")
    channels = [name for tensor in inputs for name in tensor.channels]
    named = [tensor.channels for tensor in outputs if len(tensor.channels) > 1]
    said: dict[str, Any] = {
        "name": data.get("name"),
        "description": data.get("description"),
        "axes": list(axes),
        "preprocessing": steps[0],
        "channel_names": channels if all(tensor.channels for tensor in inputs) else None,
        "class_names": list(named[0]) if len(outputs) == 1 and named else None,
        "cite": [entry for entry in data.get("cite") or [] if isinstance(entry, dict)],
    }
    if all(axis.scale is not None and axis.unit for axis in first.space):
        said |= {"pixel_size": {axis.name: axis.scale for axis in first.space}, "unit": first.space[0].unit}
    return {key: value for key, value in said.items() if value}


def _without_cast(steps: tuple[Any, ...]) -> list[Any]:
    """Leave out what only says of which type the image's numbers are."""
    found = list(steps)
    if found and isinstance(found[0], dict) and found[0].get("id") == "ensure_dtype":
        found = found[1:]
    return found


def left_out(facts: Facts) -> tuple[str, ...]:
    """Return the names of what is to be done to a model's answer, and is not done here."""
    steps = (step for output in facts.outputs for step in output.steps)
    names = (str(step.get("id"))[:60] if isinstance(step, dict) else "?" for step in steps)
    return tuple(name for name in names if name not in _HARMLESS)
