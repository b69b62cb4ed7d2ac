"""What classes are called and how they are coloured where nobody has said so."""

from __future__ import annotations

import colorsys
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Told apart by colour-blind readers (Okabe and Ito 2008), the first for background.
_COLORS = ("#999999", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
_BACKGROUND = re.compile(r"^(background|backgr\.?|bg|outside|exterior|empty|nothing|none|glass)$", re.IGNORECASE)


def default_names(what: str, count: int) -> tuple[str, ...]:
    """Return ``("class 1", "class 2", …)``."""
    return tuple(f"{what} {n + 1}" for n in range(count))


def palette(count: int, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Return so many colours as ``#rrggbb``, the first eight colour-blind safe.

    Parameters
    ----------
    count : int
        Of the classes.
    names : sequence of str
        What they are called. Grey is for the one called background, or for the first as long as no class has a name.
    """
    known = len(names) == count and tuple(names) != default_names("class", count)
    background = likely_background(names) if known else 1
    if not background:
        return palette(count + 1)[1:]
    more = (colorsys.hsv_to_rgb(n * 0.618034 % 1, 0.55 + 0.4 * (n % 2), 0.9) for n in range(len(_COLORS), count))
    colors = [*_COLORS[:count], *("#" + "".join(f"{round(255 * c):02x}" for c in rgb) for rgb in more)]
    if background <= count:
        colors.insert(background - 1, colors.pop(0))
    return tuple(colors)


def likely_background(names: Sequence[str]) -> int:
    """Return the label of the class whose name says that it is background; 0 if none does."""
    return next((label for label, name in enumerate(names, 1) if _BACKGROUND.match(name.strip())), 0)
