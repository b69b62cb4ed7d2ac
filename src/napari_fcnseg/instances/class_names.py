"""Classes by their names, as people know them, or by their numbers."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST = 12  # classes that are listed


def class_numbers(chosen: Sequence[str | int], names: Mapping[int, str]) -> tuple[int, ...]:
    """Return the numbers of classes.

    Parameters
    ----------
    chosen : sequence of str or int
        Names, in small or capital letters, or numbers, as text or not.
    names : mapping of int to str
        What each class is called; empty where nobody knows.

    Raises
    ------
    SettingsError
        No class, or several, are called so.
    """
    return tuple(_number(one, names) for one in chosen)


def _number(chosen: str | int, names: Mapping[int, str]) -> int:
    if isinstance(chosen, int):
        return chosen
    word = chosen.strip()
    exact = [number for number, name in names.items() if name == word]
    found = exact or [number for number, name in names.items() if name.casefold() == word.casefold()]
    if len(found) == 1:
        return found[0]
    if word.lstrip("-").isdecimal():
        return int(word)
    if not names:
        raise SettingsError(
            f"The labels do not say what their classes are called, so that {word!r} is not known. Give the number of "
            "the class: 1, 2, …"
        )
    if found:
        raise SettingsError(
            f"Classes {' and '.join(map(str, found))} are both called {word!r}. Give the number of the one you mean."
        )
    raise SettingsError(f"There is no class {word!r}.{_meant(word, names)} {_listed(names)}")


def _meant(word: str, names: Mapping[int, str]) -> str:
    folded = {name.casefold(): name for name in names.values()}
    close = difflib.get_close_matches(word.casefold(), folded, 1, 0.6)
    close = close or [name for name in folded if word and (word.casefold() in name or name in word.casefold())][:1]
    return f" Did you mean {folded[close[0]]!r}?" if close else ""


def _listed(names: Mapping[int, str]) -> str:
    shown = [f"{number} {name!r}" for number, name in list(names.items())[:_MOST]]
    return f"The classes are {', '.join(shown)}{', …' if len(names) > _MOST else ''}."
