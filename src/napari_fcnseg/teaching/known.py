"""The network's numbers at painted pixels, kept from one fit to the next: only those at new strokes are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.teaching.features import features_at, views

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.plan.run_plan import RunPlan

_SPARE: Final = 2_000  # pixels that are kept beside those that are asked for: what is undone may be done again


class KnownNumbers:
    """Numbers at pixels of one image.

    Parameters
    ----------
    plan : RunPlan
        Of the image with the network that gives the numbers.
    turned : bool
        Whether the image is seen turned and mirrored, too.
    """

    def __init__(self, plan: RunPlan, *, turned: bool) -> None:
        self._plan, self._turned = plan, turned
        count = len(views(len(plan.layout.frame_shape), turned=turned))
        self._keys = np.zeros(0, np.int64)  # sorted
        self._numbers = np.zeros((count, 0, plan.outputs), np.float32)

    @property
    def pixels(self) -> int:
        """How many pixels are known."""
        return len(self._keys)

    def at(
        self, points: npt.NDArray[np.intp], progress: Callable[[float], object] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the numbers at some pixels, ``(view, n, number)``; what is not known is computed.

        Parameters
        ----------
        points : ndarray of int, shape (n, axes of the labels)
            The pixels, none of them twice.
        progress : callable, optional
            Called with the share that is done.

        Raises
        ------
        FcnSegError
            As :func:`features_at`.
        """
        if not len(points):
            return self._numbers[:, :0]
        keys = np.ravel_multi_index(tuple(points.T), self._plan.layout.result_shape)
        new = ~np.isin(keys, self._keys)
        if new.any():
            found = features_at(self._plan, points[new], turned=self._turned, progress=progress)
            every, numbers = np.append(self._keys, keys[new]), np.concatenate([self._numbers, found], axis=1)
            order = np.argsort(every)
            self._keys, self._numbers = every[order], numbers[:, order]
        place = np.searchsorted(self._keys, keys)
        wanted = self._numbers[:, place]
        if len(self._keys) > len(keys) + _SPARE:
            place = np.sort(place)
            self._keys, self._numbers = self._keys[place], self._numbers[:, place]
        return wanted
