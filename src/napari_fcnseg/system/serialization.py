"""Frozen dataclasses to plain data for JSON, and back with every value checked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, ClassVar, Final, Self, TypeAlias

import numpy as np

from napari_fcnseg.errors import SettingsError

_ATOMS = (int, str, bool, type(None))  # most of what there is, and JSON has it as it is
#: Takes what JSON holds and returns a field's value; raises TypeError for another kind.
Reader: TypeAlias = Callable[[Any], Any]


class PlainSettings:
    """What the user chose, as plain data: a frozen dataclass that checks its own values, JSON in and out."""

    #: What the settings are of, for a sentence.
    _of: ClassVar[str] = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain data for JSON."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def to_json(self) -> str:
        """Return the settings as JSON text."""
        return json.dumps(self.as_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return settings from what :meth:`as_dict` gave.

        Raises
        ------
        SettingsError
            If there is a key or a value it does not know.
        """
        known = sorted(field.name for field in fields(cls))  # type: ignore[arg-type]
        if unknown := sorted(set(data) - set(known)):
            raise SettingsError(f"There is no setting {unknown[0]!r}{cls._of}. Choose from: {', '.join(known)}.")
        return cls(**data)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return settings from JSON text."""
        return cls.from_dict(json.loads(text))


def to_plain(value: Any) -> Any:
    """Return data as JSON has it: objects for dataclasses, lists, and None for a number that is none."""
    if type(value) in _ATOMS:
        return value
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def checked(kind: type, data: Mapping[str, Any], readers: Mapping[str, Reader], what: str) -> dict[str, Any]:
    """Return the fields of a dataclass from plain data, each found to be of its kind.

    Parameters
    ----------
    kind : type
        The dataclass.
    data : mapping
        The data.
    readers : mapping of str to callable
        How a field of each type, as it is written in the dataclass, is read.
    what : str
        What the data is, for the error's sentence.

    Raises
    ------
    SettingsError
        If a field is missing or of another kind.
    """
    values = {}
    for field in fields(kind):
        try:
            values[field.name] = readers[str(field.type)](data[field.name])
        except (KeyError, TypeError):
            raise SettingsError(
                f"The {what}'s field {field.name!r} is missing or of another kind: the file was changed or cut off."
            ) from None
    return values


def of(*kinds: type) -> Reader:
    """Return a reader of values of some types; true and false are no numbers."""

    def read(value: Any) -> Any:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise TypeError
        return value

    return read


def many(read: Reader) -> Reader:
    """Return a reader of lists, as tuples."""
    return lambda value: tuple(map(read, of(list)(value)))


def table(read: Reader) -> Reader:
    """Return a reader of objects whose values are of one kind."""
    return lambda value: {str(key): read(entry) for key, entry in of(dict)(value).items()}


def _number(value: Any) -> float:
    return math.nan if value is None else float(of(int, float)(value))


#: How a field of each type is read from JSON.
READ: Final[Mapping[str, Reader]] = {
    "str": of(str),
    "int": of(int),
    "int | None": of(int, type(None)),
    "float": _number,
    "tuple[int, ...]": many(of(int)),
    "tuple[str, ...]": many(of(str)),
    "tuple[Mapping[str, Any], ...]": many(of(dict)),
    "Mapping[str, float]": table(_number),
    "Mapping[str, str]": table(of(str)),
}
