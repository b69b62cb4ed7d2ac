"""A dense network on a device, given an image whole or strip by strip. Runs in a computing process alone."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    Function = Callable[..., list[Any]]

_RUNS = 8  # at once with one network


class Strips:
    """A dense network that keeps of each strip what the next one needs.

    Parameters
    ----------
    first : callable
        From an image to its answer and what is kept of it.
    make_more : callable
        Returns, from what is kept of a strip, the function of the rows that follow it and of what is kept.
    """

    def __init__(self, first: Function, make_more: Callable[[Sequence[Any]], Function]) -> None:
        self._first, self._make_more = first, make_more
        self._more: Function | None = None
        self._kept: OrderedDict[int, list[Any]] = OrderedDict()  # of each run's last strip, by its number

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the answer to an image."""
        answer: np.ndarray = self._first(x)[0]
        return answer

    def strip(self, x: np.ndarray, number: int, follows: int | None) -> np.ndarray:
        """Return the answer to a strip: to a whole window, or to the rows that follow the strip of that number.

        Raises
        ------
        EngineError
            If nothing is kept of that strip.
        """
        above = self._kept.pop(follows, None) if follows is not None else None
        if follows is not None and above is None:
            raise EngineError("A strip of the image came without the one above it; run again.")
        if above is None:
            answer, *kept = self._first(x)
        else:
            if self._more is None:
                self._more = self._make_more(above)
            answer, *kept = self._more(x, *above)
        self._kept[number] = kept
        if len(self._kept) > _RUNS:
            self._kept.popitem(last=False)
        result: np.ndarray = answer
        return result

    def forget(self, number: int) -> None:
        """Give up what is kept of a strip."""
        self._kept.pop(number, None)
