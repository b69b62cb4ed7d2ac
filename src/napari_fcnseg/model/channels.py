"""Which of some images is which of a model's channels, by what they are called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def named_order(channels: Sequence[str], called: Sequence[str]) -> list[int] | None:
    """Return for each channel the image that has its name as a word in its own.

    Parameters
    ----------
    channels : sequence of str
        Names of a model's channels, in its order.
    called : sequence of str
        Names of images. Of several that fit, one that is called just so is taken, else the last.

    Returns
    -------
    list of int or None
        Indices of images, none of them twice; None unless there is one for each channel.
    """
    chosen: list[int] = []
    for name in channels:
        word = re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE)
        fitting = [i for i, text in enumerate(called) if i not in chosen and word.search(text)]
        if not fitting:
            return None
        exact = [i for i in fitting if called[i].casefold() == name.casefold()]
        chosen.append((exact or fitting)[-1])
    return chosen


def order_notes(channels: Sequence[str], called: Sequence[str]) -> tuple[str, str]:
    """Return which image is which channel, and a warning where their names say another order; each may be empty.

    Parameters
    ----------
    channels : sequence of str
        What a model's channels are called; empty if nobody said so.
    called : sequence of str
        What the images are called, in the order in which they were given.
    """
    if len(called) < 2:
        return "", ""
    known = channels if len(channels) == len(called) else [f"channel {i + 1}" for i in range(len(called))]
    pairs = ", ".join(f"{channel} = {name}" for channel, name in zip(known, called, strict=True))
    order = named_order(channels, called) if len(channels) == len(called) else None
    if order is None or order == list(range(len(called))):
        return f"{pairs}.", ""
    right = " ".join(called[i] for i in order)
    return f"{pairs}.", f"By their names the images are in another order than the model's channels: {right}."
