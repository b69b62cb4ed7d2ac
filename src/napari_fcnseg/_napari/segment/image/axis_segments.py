"""Contents of the strip of axes: texts and choices for each axis. Free of Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_fcnseg._napari.layers.axes import AxisChoice, Role, find_axes, possible_roles, roles, with_role
from napari_fcnseg._napari.layers.axis_names import guessed_letters, letters_of
from napari_fcnseg._napari.layers.channels import axes_of, full_resolution, works_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image

    from napari_fcnseg._napari.layers.axes import Axes
    from napari_fcnseg._napari.layers.channels import InputSpec

_WORDS = {
    Role.FRAMES: "frames, each segmented alone",
    Role.CHANNELS: "the model's channels",
    Role.COLOURS: "colours, which are the model's channels",
    Role.PLANES: "the model's planes",
    Role.ROWS: "the model's rows",
    Role.COLUMNS: "the model's columns",
    Role.PERHAPS: "perhaps the model's channels",
    Role.UNKNOWN: "choose a model to see what it is taken for",
}
SEPARATE, AUTOMATIC = "one layer per channel", "find it by itself"


@dataclass(frozen=True)
class RoleOption:
    """Something that an axis can be made.

    Attributes
    ----------
    text : str
        In words.
    choice : AxisChoice
        What it means.
    chosen : bool
        Whether it is so now.
    """

    text: str
    choice: AxisChoice
    chosen: bool = False


@dataclass(frozen=True)
class AxisSegment:
    """One axis in the strip.

    Attributes
    ----------
    letter : str
        Such as ``T``.
    length : int
        Pixels, frames or channels.
    role : Role
        For the model.
    words : str
        All of this in a sentence.
    layers : int
        How many layers make this axis; 0 where it is one of the layer's own.
    options : tuple of RoleOption
        What it can be made; empty where it is certain.
    """

    letter: str
    length: int
    role: Role
    words: str
    layers: int = 0
    options: tuple[RoleOption, ...] = ()


def segments_of(layer: Image, need: InputSpec | None, choice: AxisChoice, *, separate: bool) -> tuple[AxisSegment, ...]:
    """Return the segments for a layer.

    Parameters
    ----------
    layer : Image
        The layer, the first one of several.
    need : InputSpec or None
        What the model takes, once there is one.
    choice : AxisChoice
        What the user chose.
    separate : bool
        Whether each channel is a layer of its own.
    """
    labels, rgb = layer.axis_labels, layer.rgb
    letters, timed = letters_of(labels), [axis for axis, unit in enumerate(layer.units) if _is_time(unit)]
    if need is None:
        shape = full_resolution(layer).shape
        axes = find_axes(shape, 1, min(2, len(shape) - rgb), None, letters, rgb=rgb, separate=not rgb)
        shown = guessed_letters(axes, letters, rgb=rgb, timed=timed)
        return tuple(_segment(axes, axis, shown, labels, Role.UNKNOWN, ()) for axis in range(len(axes.shape)))
    axes = axes_of(layer, need, choice, separate=separate)
    shown = guessed_letters(axes, letters, rgb=rgb, timed=timed)
    found = []
    for axis, role in enumerate(roles(axes, rgb=rgb)):
        options = _options(axes, axis, role, need, choice, rgb=rgb, separate=separate)
        found.append(_segment(axes, axis, shown, labels, role, options))
    if separate:
        found.insert(0, _stacked(need, choice, alone=works_alone(layer, need)))
    return tuple(found)


def _segment(
    axes: Axes,
    axis: int,
    shown: Sequence[str],
    labels: Sequence[str],
    role: Role,
    options: tuple[RoleOption, ...],
) -> AxisSegment:
    name = labels[axis] if axis < len(labels) and not labels[axis].lstrip("-").isdigit() else ""
    called = f", called {name!r}" if name else ""
    return AxisSegment(
        shown[axis], axes.shape[axis], role, _words(f"Axis {axis}{called}", axes.shape[axis], role, options), 0, options
    )


def _words(what: str, length: int, role: Role, options: tuple[RoleOption, ...]) -> str:
    return f"{what}, {length} long: {_WORDS[role]}.{' Click to change it.' * bool(options)}"


def _options(
    axes: Axes, axis: int, role: Role, need: InputSpec, choice: AxisChoice, *, rgb: bool, separate: bool
) -> tuple[RoleOption, ...]:
    found = [
        RoleOption(_WORDS[other], with_role(axes, axis, other, need.channels, separate=separate), other is role)
        for other in possible_roles(axes, axis, need.channels, rgb=rgb)
    ]
    if need.channels > 1 and not rgb and not separate:
        found.append(RoleOption(SEPARATE, AxisChoice(None, choice.model, True)))
    if found and choice != AxisChoice():
        found.append(RoleOption(AUTOMATIC, AxisChoice()))
    return tuple(found)


def _stacked(need: InputSpec, choice: AxisChoice, *, alone: bool) -> AxisSegment:
    """Return the segment of the channels that are layers of their own."""
    options: tuple[RoleOption, ...] = ()
    if alone or choice.model:
        options = (
            RoleOption(SEPARATE, AxisChoice(None, choice.model, True), True),
            RoleOption(AUTOMATIC, AxisChoice()),
        )
    words = _words("One layer per channel", need.channels, Role.CHANNELS, options)
    return AxisSegment("C", need.channels, Role.CHANNELS, words, need.channels, options)


def _is_time(unit: object) -> bool:
    return bool(getattr(unit, "dimensionality", None) == {"[time]": 1})
