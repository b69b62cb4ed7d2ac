"""Settings for instances, and a summary of those that were found."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_fcnseg.arrays.frame_source import chunk_shape_of
from napari_fcnseg.arrays.lazy import parts_of, read_box
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.instances.class_names import class_numbers
from napari_fcnseg.system.serialization import PlainSettings

if TYPE_CHECKING:
    import numpy.typing as npt

COMPONENTS, WATERSHED = "components", "watershed"
METHODS = (COMPONENTS, WATERSHED)
#: What classes are called that instances are made of, that lie between them, and around them.
_INTERIOR = re.compile(r"interior|inside|inner|nucle|cell|body|core|cent(er|re)|foreground|object", re.IGNORECASE)
_EDGE = re.compile(r"edge|border|boundar|membrane|outline|contour", re.IGNORECASE)
_AROUND = re.compile(
    r"background|outside|exterior|empty|nothing|other|not labelled|not predicted|not computed", re.IGNORECASE
)
_MOST_CLASSES = 20  # of which a sentence names all
_UNNAMED = re.compile(r"class \d+")
#: Numbers of pixels among the settings, what they are called, and the least.
_WHOLE = (
    ("minimum_size", "The smallest size", 0),
    ("fill_holes", "The largest hole", 0),
    ("connectivity", "The connectivity", 1),
)


@dataclass(frozen=True)
class InstanceSettings(PlainSettings):
    """How single instances are found among the labels of a class.

    Attributes
    ----------
    interior : int or tuple of int
        The class, or classes, that the instances are made of, as the labels number them: from 1.
    edge : int or None
        The class between instances that touch, for the watershed; None if the model has none.
    method : {"components", "watershed"}, or None
        ``"components"``: connected regions. ``"watershed"``: instances that touch are cut apart,
        by the edge class where there is one, and by their necks otherwise. None for watershed if there is an edge
        class.
    minimum_size : int
        Smaller instances are left out; 0 to keep all.
    fill_holes : int
        Holes of at most so many pixels are filled; 0 for none.
    connectivity : int
        Steps along an axis that two pixels of one instance may be apart: 1 for sides that touch, 2 for corners too,
        in a volume 3.
    separation : float or None
        In pixels; higher means fewer cuts between touching objects: a neck is cut where its half width is less by this
        than that of either part. Automatic (None) is 1 without an edge class; with one, only that class cuts.

    Raises
    ------
    SettingsError
        If a value is not one of the possible ones.
    """

    _of = " of instances"

    interior: int | tuple[int, ...]
    edge: int | None = None
    method: str | None = None
    minimum_size: int = 0
    fill_holes: int = 0
    connectivity: int = 1
    separation: float | None = None

    def __post_init__(self) -> None:
        several = isinstance(self.interior, Sequence) and not isinstance(self.interior, str)
        given: Sequence[object] = self.interior if several else (self.interior,)  # type: ignore[assignment]
        interior = tuple(checked_integer(number, "The interior class", 1) for number in given)
        if not interior:
            raise SettingsError("No interior class was chosen. Choose the class that the objects are made of.")
        object.__setattr__(self, "interior", interior)
        if self.edge is not None:
            object.__setattr__(self, "edge", checked_integer(self.edge, "The edge class", 1))
            if self.edge in interior:
                raise SettingsError(f"Class {self.edge} cannot be interior and edge at once. Choose two classes.")
        if self.method is None:
            object.__setattr__(self, "method", COMPONENTS if self.edge is None else WATERSHED)
        if self.method not in METHODS:
            raise SettingsError(f"There is no method {self.method!r}. Choose one of: {', '.join(METHODS)}.")
        if self.method == COMPONENTS and not (self.edge is None and self.separation is None):
            raise SettingsError("Edge class and separation are for the watershed. Choose it, or leave them out.")
        for name, what, least in _WHOLE:
            object.__setattr__(self, name, checked_integer(getattr(self, name), what, least))
        if self.separation is not None:
            if not _is_length(self.separation):
                raise SettingsError(f"The separation is a number of pixels above 0, not {self.separation!r}.")
            object.__setattr__(self, "separation", float(self.separation))

    @property
    def classes(self) -> tuple[int, ...]:
        """The interior classes."""
        assert isinstance(self.interior, tuple), "made one at the start"
        return self.interior

    @classmethod
    def named(
        cls,
        interior: str | int | Sequence[str | int],
        names: Sequence[str],
        edge: str | int | None = None,
        **others: Any,
    ) -> Self:
        """Return settings for classes that are chosen by name.

        Parameters
        ----------
        interior : str or int, or a sequence of them
            The class, or classes, that the instances are made of: names, or numbers from 1.
        names : sequence of str
            What the classes are called, class 1 first: ``model.class_names``, or ``result.provenance["classes"]``.
        edge : str or int, optional
            The class between instances that touch.
        **others
            The other settings.

        Raises
        ------
        SettingsError
            No class is called so, or a value is not one of the possible ones.
        """
        called = dict(enumerate(names, start=1))
        chosen = [interior] if isinstance(interior, str | int) else list(interior)
        between = class_numbers([edge], called)[0] if edge is not None else None
        return cls(class_numbers(chosen, called), between, **others)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return settings from what :meth:`as_dict` gave; without an interior class they are refused."""
        return super().from_dict({"interior": (), **data})


def background_classes(names: Mapping[int, str]) -> tuple[int, ...]:
    """Return the classes that are called like what lies around instances, such as background."""
    return tuple(label for label, name in names.items() if label and _AROUND.fullmatch(name.strip()))


def _is_length(number: object) -> bool:
    return isinstance(number, Real) and not isinstance(number, bool | np.bool_) and 0 < float(number) < math.inf


def checked_integer(number: object, what: str, least: int) -> int:
    """Return a whole number; say what it is of if it is none, or too small."""
    try:
        value = operator.index(number)  # type: ignore[arg-type]
    except TypeError:
        value = least - 1
    if value < least or isinstance(number, bool):
        raise SettingsError(f"{what} is a whole number, at least {least}, not {number!r}.")
    return value


@dataclass(frozen=True, eq=False)
class InstanceSizes:
    """How large instances are.

    Attributes
    ----------
    pixels : ndarray of int, shape (instances,)
        Pixels of each instance, that of instance 1 first.
    pixel_size : float or None
        Area or volume of a pixel; None if unknown.
    unit : str
        Of that, for example ``"µm²"``.
    """

    pixels: npt.NDArray[np.integer[Any]]
    pixel_size: float | None = None
    unit: str = ""

    @classmethod
    def of(cls, instances: Any, pixel_size: float | None = None, unit: str = "") -> InstanceSizes:
        """Return the sizes of what :func:`~napari_fcnseg.find_instances` found."""
        sizes = getattr(instances, "sizes", None)  # of what was found block by block
        return cls(np.bincount(instances.ravel())[1:] if sizes is None else sizes, pixel_size if unit else None, unit)

    @property
    def count(self) -> int:
        """How many instances there are."""
        return len(self.pixels)

    def __str__(self) -> str:
        if not self.count:
            return "No objects"
        median = float(np.median(self.pixels))
        size = f" ({_three_digits(median * self.pixel_size)} {self.unit})" if self.pixel_size is not None else ""
        what = "1 object," if self.count == 1 else f"{self.count:,} objects, median"
        return f"{what} {median:,.10g} px{size}"


def _three_digits(number: float) -> str:
    return f"{float(f'{number:.3g}'):,.10g}"


def absent(labels: Any, settings: InstanceSettings) -> str:
    """Return which of the classes that were asked for no pixel has, as a sentence; empty if each has some."""
    held = _held(labels)
    wanted = (*settings.classes, *([settings.edge] if settings.edge is not None else []))
    missing = [str(number) for number in wanted if number not in held]
    return f"No pixel of the labels is of class {' or '.join(missing)}, which you asked for." if missing else ""


def why_none(labels: Any, settings: InstanceSettings, names: Mapping[int, str] | None = None) -> str:
    """Return why no instance was found, and what to do, in a few sentences.

    Parameters
    ----------
    labels : array_like
        What was searched.
    settings : InstanceSettings
        For what.
    names : mapping of int to str, optional
        What the classes are called.
    """
    called = {number: f"{number} ({name})" for number, name in (names or {}).items() if name != f"class {number}"}

    def spoken(numbers: Sequence[int], joint: str) -> str:
        return joint.join(called.get(int(number), str(number)) for number in numbers)

    held = _held(labels)
    if held.intersection(settings.classes):
        least = settings.minimum_size
        return f"No objects: none has {least:,} pixels or more. Choose a smaller minimum size."
    rest = sorted(held - {0})
    there = f"The labels hold the classes {spoken(rest, ', ')}: choose one of them." if rest else "All labels are 0."
    if len(rest) > _MOST_CLASSES:
        there = (
            f"The labels hold {len(rest):,} numbers, from {rest[0]:,} to {rest[-1]:,}: these are objects or an image. "
            "Give the labels of a run."
        )
    return f"No objects: no pixel is of class {spoken(settings.classes, ' or ')}. {there}"


def _held(labels: Any) -> set[int]:
    """Return the numbers that labels hold."""
    shape = tuple(labels.shape)
    boxes = parts_of(shape, chunk_shape_of(labels) or (1,) * len(shape))
    return {int(number) for box in boxes for number in np.unique(read_box(labels, box))}


def suggested_classes(names: Mapping[int, str]) -> tuple[int | None, int | None]:
    """Return which classes are interior and edge, by their names.

    Parameters
    ----------
    names : mapping of int to str
        What the classes are called, by their numbers.

    Returns
    -------
    interior : int or None
        The class that is called so; otherwise the last that is neither edge nor background. None without classes, and
        where none of several has a name: the last may be the background.
    edge : int or None
        The class that is called so.
    """
    if len(names) > 1 and all(_UNNAMED.fullmatch(name) for name in names.values()):
        return None, None
    edge = next((number for number, name in names.items() if _EDGE.search(name)), None)
    others = [number for number in names if number != edge] or list(names)
    inside = [number for number in others if not _AROUND.search(names[number])] or others
    called = [number for number in inside if _INTERIOR.search(names[number])]
    interior = next(iter(called or inside[-1:]), None)
    return interior, edge if edge != interior else None
