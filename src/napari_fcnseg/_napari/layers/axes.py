"""The role of each axis of a layer for a model, found or chosen. Free of Qt and napari."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from napari_fcnseg.errors import ImageError
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Letters of the model's axes, the last one first.
SPATIAL = "XYZ"


class Role(Enum):
    """What an axis is for the model; the value is what it is called."""

    FRAMES = "frames"
    CHANNELS = "channels"
    COLOURS = "colours"
    PLANES = "planes"
    ROWS = "rows"
    COLUMNS = "columns"
    PERHAPS = "channels?"
    UNKNOWN = ""


#: Roles of the model's axes, the last one first.
_MODEL_ROLES = (Role.COLUMNS, Role.ROWS, Role.PLANES)


@dataclass(frozen=True)
class AxisChoice:
    """What the user chose; nothing, and it is found.

    Attributes
    ----------
    channel : int or None
        The axis with the model's channels.
    model : tuple of int
        The model's axes, in the model's order; empty to find them.
    separate : bool
        Whether each channel is a layer of its own.
    """

    channel: int | None = None
    model: tuple[int, ...] = ()
    separate: bool = False


@dataclass(frozen=True)
class Axes:
    """What each axis of a layer's data is.

    Attributes
    ----------
    shape : tuple of int
        Of the data.
    channel : int or None
        The axis with the channels, or the colours.
    model : tuple of int
        The model's axes, in the model's order.
    perhaps : tuple of int
        Axes of which one has to be said to hold the channels.
    problem : str
        Why this does not fit the model; empty if it does.
    """

    shape: tuple[int, ...]
    channel: int | None
    model: tuple[int, ...]
    perhaps: tuple[int, ...] = ()
    problem: str = ""

    @property
    def stack(self) -> tuple[int, ...]:
        """The axes along which each frame is segmented alone."""
        return tuple(axis for axis in range(len(self.shape)) if axis != self.channel and axis not in self.model)

    @property
    def result(self) -> tuple[int, ...]:
        """The axes that labels have, in the order in which they are computed."""
        return (*self.stack, *self.model)

    @property
    def order(self) -> tuple[int, ...]:
        """The order of the axes in the image that is segmented: as they are where that does, else the channels last."""
        if self.result == tuple(sorted(self.result)):
            return tuple(range(len(self.shape)))
        return self.result if self.channel is None else (*self.result, self.channel)

    def check(self) -> None:
        """Raise an :class:`~napari_fcnseg.errors.ImageError` if this does not fit the model."""
        if self.problem:
            raise ImageError(self.problem)


def find_axes(
    shape: Sequence[int],
    channels: int,
    spatial: int,
    choice: AxisChoice | None = None,
    letters: Sequence[str] = (),
    *,
    rgb: bool = False,
    separate: bool = False,
) -> Axes:
    """Return what each axis is: as chosen, as named, and otherwise by its length and its place.

    Parameters
    ----------
    shape : sequence of int
        Of the layer's data.
    channels, spatial : int
        What the model takes.
    choice : AxisChoice, optional
        What the user chose; what a layer has no axis for counts as not chosen.
    letters : sequence of str
        From :func:`letters_of`.
    rgb : bool
        Whether the last axis has colours.
    separate : bool
        Whether each channel is a layer of its own.
    """
    choice, shape = _valid(choice or AxisChoice(), len(shape) - rgb, spatial), tuple(shape)
    free = list(range(len(shape) - rgb))
    named = tuple(letters.index(letter) for letter in reversed(SPATIAL[:spatial]) if letter in letters)
    taken = choice.model or (named if len(named) == spatial else ())
    channel, perhaps = choice.channel, tuple[int, ...]()
    if rgb:
        channel = len(shape) - 1
    elif separate or choice.separate:
        channel = None
    elif channel is None:
        channel, perhaps = _find_channel(shape, channels, spatial, taken, letters)
        if channels > 1 and channel is None and not perhaps and not choice.model:
            # What the axes are called does not fit.
            taken = ()
            channel, perhaps = _find_channel(shape, channels, spatial, taken, letters)
    if channel in taken:
        taken = ()
    rest = [axis for axis in free if axis != channel]
    model = taken or tuple(rest[max(len(rest) - spatial, 0) :])
    axes = Axes(shape, channel, model, perhaps)
    problem = _problem(axes, channels, spatial, separate=separate or choice.separate, rgb=rgb)
    return replace(axes, problem=problem)


def _valid(choice: AxisChoice, ndim: int, spatial: int) -> AxisChoice:
    """Return a choice without what a layer of so many axes cannot have."""
    model = choice.model
    if len(model) != spatial or len(set(model)) != spatial or not all(0 <= axis < ndim for axis in model):
        model = ()
    channel = choice.channel
    if channel is not None and (not 0 <= channel < ndim or channel in model or ndim <= spatial):
        channel = None
    return AxisChoice(channel, model, choice.separate)


def _find_channel(
    shape: tuple[int, ...], channels: int, spatial: int, taken: tuple[int, ...], letters: Sequence[str]
) -> tuple[int | None, tuple[int, ...]]:
    """Return the axis of the channels, and if that cannot be told, those that it may be."""
    last = len(shape) - 1
    if channels == 1:
        return (last if len(shape) == spatial + 1 and shape[-1] == 1 and last not in taken else None), ()
    if len(shape) <= spatial:
        return None, ()
    others = [axis for axis, n in enumerate(shape) if n == channels and axis not in taken]
    called = [axis for axis in others if axis < len(letters) and letters[axis] == "C"]
    unnamed = [axis for axis in others if axis >= len(letters) or letters[axis] not in (*SPATIAL, "T")]
    for found in (called, others, unnamed):
        if len(found) == 1:
            return found[0], ()
    return None, tuple(others)


def _problem(axes: Axes, channels: int, spatial: int, *, separate: bool, rgb: bool) -> str:
    """Return why axes do not fit a model."""
    text, shape = format_shape(axes.shape), axes.shape
    if 0 in shape:
        return f"The image is empty: its shape is {text}. Choose an image with pixels."
    if axes.perhaps:
        return (
            f"The image ({text}) has {len(axes.perhaps)} axes as long as the model has channels ({channels}). Click "
            f"the one that holds them in the strip under Image (they are marked {Role.PERHAPS.value!r})."
        )
    if axes.channel is None and channels > 1 and not separate:
        return (
            f"The model takes {channels} channels and the image ({text}) has no axis of that length. Choose a "
            "layer for each channel, in the order it was trained with."
        )
    transparency = rgb and channels == 3 and shape[-1] == 4  # which is left out
    if axes.channel is not None and shape[axes.channel] != channels and not transparency:
        return (
            f"The image ({text}) has {shape[axes.channel]} channels along axis {axes.channel}; the model takes "
            f"{channels}. Choose the model's channels, in the order it was trained with."
        )
    if len(axes.model) < spatial:
        have = "one axis" if len(axes.model) == 1 else f"{len(axes.model)} axes"
        kind = "a stack of planes" if spatial == len(_MODEL_ROLES) else "an image with more axes"
        return (
            f"The image ({text}) has {have} of pixels and the model looks along {spatial}. Open {kind}, or choose a "
            "model for images like this one."
        )
    return ""


def roles(axes: Axes, *, rgb: bool = False) -> tuple[Role, ...]:
    """Return what each axis of the data is for the model."""
    found = []
    for axis in range(len(axes.shape)):
        if axis == axes.channel:
            found.append(Role.COLOURS if rgb else Role.CHANNELS)
        elif axis in axes.perhaps:
            found.append(Role.PERHAPS)
        elif axis in axes.model:
            found.append(_MODEL_ROLES[len(axes.model) - 1 - axes.model.index(axis)])
        else:
            found.append(Role.FRAMES)
    return tuple(found)


def with_role(axes: Axes, axis: int, role: Role, channels: int, *, separate: bool = False) -> AxisChoice:
    """Return the choice that gives an axis another role; the axis that had it takes the other's place.

    Parameters
    ----------
    axes : Axes
        What the axes are now.
    axis : int
        The axis.
    role : Role
        One of those that :func:`possible_roles` offers.
    channels : int
        What the model takes.
    separate : bool
        Whether each channel is a layer of its own.
    """
    model, channel = list(axes.model), axes.channel
    if role in _MODEL_ROLES:
        place = len(model) - 1 - _MODEL_ROLES.index(role)
        former = model[place]
        if axis in model:
            model[model.index(axis)] = former
        elif axis == channel:
            channel = former if axes.shape[former] == channels else None
        model[place] = axis
        return AxisChoice(channel, tuple(model), separate)
    if axis in model:
        ordered = model == sorted(model)
        replaced = channel if role is Role.CHANNELS and channel is not None else axes.stack[-1]
        model[model.index(axis)] = replaced
        model = sorted(model) if ordered else model
    if role is Role.CHANNELS:
        return AxisChoice(axis, tuple(model))
    return AxisChoice(channel, tuple(model), separate)


def possible_roles(axes: Axes, axis: int, channels: int, *, rgb: bool = False) -> tuple[Role, ...]:
    """Return the roles that an axis can be given; empty for one whose role is certain.

    Parameters
    ----------
    axes : Axes
        What the axes are now.
    axis : int
        The axis.
    channels : int
        What the model takes.
    rgb : bool
        Whether the last axis has colours.
    """
    shape = axes.shape
    if (rgb and axis == len(shape) - 1) or len(shape) - rgb < 2:
        return ()
    found: list[Role] = []
    if axis != axes.channel and axes.stack and not axes.perhaps:  # first the channels have to be found
        found.append(Role.FRAMES)
    spare = axis not in axes.model or bool(axes.stack) or axes.channel is not None
    if shape[axis] == channels and not rgb and spare and len(shape) > len(axes.model):
        found.append(Role.CHANNELS)
    model: list[Role] = []
    for role, former in zip(_MODEL_ROLES, reversed(axes.model), strict=False):
        others = (former, *axes.stack)  # which may have the channels instead
        if axis != axes.channel or channels == 1 or any(shape[other] == channels for other in others):
            model.append(role)
    found += reversed(model)
    return tuple(found) if len(found) > 1 else ()
