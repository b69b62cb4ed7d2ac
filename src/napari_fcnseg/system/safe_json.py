"""JSON from a stranger: bounded, without duplicate keys, NaN or huge numbers; every value type-checked on use."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeGuard

from napari_fcnseg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import KeysView, Mapping

MAX_BYTES: Final = 32 * 2**20
MAX_DEPTH: Final = 64
#: Objects and lists in one text: a network of 2,000 layers has fewer than 100,000.
MAX_BRACKETS: Final = 500_000
#: Sizes, strides and axes above this are no honest network, and would only cost memory.
MAX_WHOLE: Final = 2**24

#: Strings (a missing end quote runs to the end of the text, so that the scan stays linear) and brackets.
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_REQUIRED: Final = object()


def parse(text: bytes, what: str) -> JsonFields:
    """Read one JSON object.

    Parameters
    ----------
    text : bytes
        UTF-8.
    what : str
        What the text is, for the error's sentence.

    Returns
    -------
    JsonFields
        The object, with typed access.

    Raises
    ------
    UnreadableError
        It is too large, too deep, malformed, no object, or has duplicate keys or numbers out of range.
    """
    if len(text) > MAX_BYTES:
        raise UnreadableError(f"{what} is larger than {MAX_BYTES // 2**20} MiB")
    if text.count(b"{") + text.count(b"[") > MAX_BRACKETS or text.count(b'"') > 4 * MAX_BRACKETS:
        raise UnreadableError(f"{what} has more than {MAX_BRACKETS:,} parts")
    try:
        decoded = text.decode("utf-8")
        _check_depth(decoded, what)
        value = json.loads(
            decoded,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_number,
            parse_float=_finite,
            parse_int=_bounded,
        )
        if "\\ud" in decoded.lower():
            # JSON can spell half a character, which could be neither printed nor looked up: this raises on it.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{what} is no valid JSON ({_brief(error)})") from None
    if not isinstance(value, dict):
        raise UnreadableError(f"{what} is no JSON object")
    return JsonFields(value)


def _brief(error: Exception) -> str:
    return str(error).split("\n")[0][:120]


def _check_depth(text: str, what: str) -> None:
    depth = 0
    for token in _TOKENS.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise UnreadableError(f"{what} is nested more than {MAX_DEPTH} levels deep")
            case "]" | "}":
                depth -= 1


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("the same key appears twice")
    return values


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not allowed")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_number(text[:20])


def _bounded(text: str) -> int:
    if len(text) > 20:
        _refuse_number(text[:20] + "…")
    return int(text)


class JsonFields:
    """One JSON object whose values are type-checked when they are asked for.

    Every method raises :class:`UnreadableError` naming the key where the value is missing or of the wrong kind.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def raw(self, key: str) -> Any:
        """Give the value as it is, or None."""
        return self._values.get(key)

    def keys(self) -> KeysView[str]:
        """Give all keys, in the file's order."""
        return self._values.keys()

    def text(self, key: str, default: object = _REQUIRED) -> str:
        """Give a string."""
        value = self._get(key, default)
        return value if isinstance(value, str) else self._wrong(key, "a text")

    def flag(self, key: str, default: object = _REQUIRED) -> bool:
        """Give true or false."""
        value = self._get(key, default)
        return value if isinstance(value, bool) else self._wrong(key, "true or false")

    def whole(self, key: str, default: object = _REQUIRED) -> int:
        """Give a whole number of at least 1."""
        value = self._get(key, default)
        return value if is_whole(value) and 1 <= value <= MAX_WHOLE else self._wrong(key, "a whole number above 0")

    def number(self, key: str, default: object = _REQUIRED) -> float:
        """Give a number."""
        value = self._get(key, default)
        return float(value) if is_number(value) else self._wrong(key, "a number")

    def wholes(self, key: str, count: int, default: object = _REQUIRED) -> tuple[int, ...]:
        """Give ``count`` whole numbers of at least 1; a single one stands for all."""
        value = self._get(key, default)
        values: Any = [value] * count if is_whole(value) else value
        if isinstance(values, list | tuple) and len(values) == count:
            if all(is_whole(v) and 1 <= v <= MAX_WHOLE for v in values):
                return tuple(values)
        self._wrong(key, f"{count} whole numbers above 0")

    def counts(self, key: str, count: int) -> tuple[int, ...]:
        """Give ``count`` whole numbers of at least 0; a single one stands for all."""
        value = self._get(key, _REQUIRED)
        values: Any = [value] * count if is_whole(value) else value
        if isinstance(values, list | tuple) and len(values) == count:
            if all(is_whole(v) and 0 <= v <= MAX_WHOLE for v in values):
                return tuple(values)
        self._wrong(key, f"{count} whole numbers")

    def axes(self, key: str, default: object = _REQUIRED) -> tuple[int, ...]:
        """Give axis numbers; a single one stands for itself."""
        value = self._get(key, default)
        values: Any = [value] if is_whole(value) else value
        if isinstance(values, list | tuple) and len(values) <= 8 and all(is_whole(v) and abs(v) <= 8 for v in values):
            return tuple(values)
        self._wrong(key, "a list of axis numbers")

    def fields(self, key: str) -> JsonFields:
        """Give a nested object."""
        value = self._get(key, _REQUIRED)
        return JsonFields(value) if isinstance(value, dict) else self._wrong(key, "an object")

    def items(self, key: str, default: object = _REQUIRED) -> list[Any]:
        """Give a list."""
        value = self._get(key, default)
        return value if isinstance(value, list) else self._wrong(key, "a list")

    def _get(self, key: str, default: object) -> Any:
        value = self._values.get(key)
        if value is not None:
            return value
        if default is _REQUIRED:
            raise UnreadableError(f"its setting {key!r} is missing")
        return default

    def _wrong(self, key: str, expected: str) -> NoReturn:
        raise UnreadableError(f"its setting {key!r} is {str(self._values.get(key))[:60]!r} instead of {expected}")


def is_whole(value: object) -> TypeGuard[int]:
    """Say whether a JSON value is an integer (true and false are not)."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether a JSON value is a number (true and false are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)
