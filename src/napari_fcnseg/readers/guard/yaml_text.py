"""YAML from a stranger: plain data by the rules of YAML 1.2, bounded; no tag makes anything else of it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from napari_fcnseg.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 2**20
MAX_DEPTH: Final = 40
#: Values in one text, those that stand in several places counted each time.
MAX_VALUES: Final = 50_000
#: What only builds nodes of a text; the one in C is quicker, where there is one.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_COPY_AGAIN: Final = "Copy or download it again."
_PLAIN: Final = "tag:yaml.org,2002:"
_OWN_TAGS: Final = frozenset(
    _PLAIN + kind for kind in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq")
)
_WHOLE: Final = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: Final = {"": None, "~": None, "null": None, "true": True, "false": False, ".inf": math.inf, "-.inf": -math.inf}


def parse(text: bytes, what: str) -> dict[str, Any]:
    """Read one YAML mapping.

    Parameters
    ----------
    text : bytes
        UTF-8.
    what : str
        What the text is, for the error's sentence.

    Returns
    -------
    dict
        Of texts, numbers, truth values, None, lists and dicts with texts for keys.

    Raises
    ------
    UnreadableError
        It is too large, too deep, malformed, no mapping, or has tags of its own or duplicate keys.
    """
    if len(text) > MAX_BYTES:
        raise UnreadableError(f"{what} is larger than {MAX_BYTES // 2**20} MiB", _COPY_AGAIN)
    try:
        _check_depth(text.decode("utf-8"), what)
        node = yaml.compose(text.decode("utf-8"), Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = getattr(error, "problem", None) or "it is cut off or no text"
        raise UnreadableError(f"{what} is no valid YAML ({str(problem)[:80]})", _COPY_AGAIN) from None
    value = _Plain(what).of(node)
    if not isinstance(value, dict):
        raise UnreadableError(f"{what} describes nothing", _COPY_AGAIN)
    return value


def _check_depth(text: str, what: str) -> None:
    """Refuse a deep text before a parser that calls itself gets it."""
    depth = 0
    for event in _events(text):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise UnreadableError(f"{what} is nested more than {MAX_DEPTH} levels deep", _COPY_AGAIN)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _events(text: str) -> Iterator[yaml.Event]:
    for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if number > 4 * MAX_VALUES:
            raise UnreadableError(f"its description has more than {MAX_VALUES:,} values", _COPY_AGAIN)
        yield event


class _Plain:
    """Makes plain data of a composed text, and counts it."""

    def __init__(self, what: str) -> None:
        self._what, self._left = what, MAX_VALUES

    def of(self, node: yaml.Node | None, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:  # also where it refers to itself
            raise UnreadableError(f"{self._what} has more than {MAX_VALUES:,} values", _COPY_AGAIN)
        if node is None:
            return None
        if node.tag not in _OWN_TAGS:
            raise UnreadableError(f"{self._what} has the tag {str(node.tag)[:60]!r}, which is not read", _COPY_AGAIN)
        if isinstance(node, yaml.ScalarNode):
            return str(node.value) if node.style in ("'", '"', "|", ">") else _scalar(str(node.value))
        if isinstance(node, yaml.SequenceNode):
            return [self.of(entry, depth + 1) for entry in node.value]
        pairs = [(str(key.value), self.of(value, depth + 1)) for key, value in node.value]
        if len(dict(pairs)) != len(pairs):
            raise UnreadableError(f"{self._what} has the same key twice", _COPY_AGAIN)
        return dict(pairs)


def _scalar(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
