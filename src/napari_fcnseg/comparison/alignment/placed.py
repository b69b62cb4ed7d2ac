"""An array with its position in the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence


Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placed:
    """An array and where it lies.

    Attributes
    ----------
    name : str
        For sentences.
    data : array_like
        Labels, or numbers of another kind: NumPy, dask, zarr or anything that can be sliced.
    affine : ndarray, shape (n + 1, n + 1)
        From its pixels to the world; the middle of the first pixel is the origin of the former.
    """

    name: str
    data: Any
    affine: Floats


def placed(name: str, data: Any, spacing: Sequence[float] | None = None) -> Placed:
    """Return an array whose first pixel lies in the world's origin.

    Parameters
    ----------
    name : str
        For sentences.
    data : array_like
        The array.
    spacing : sequence of float, optional
        Length of a pixel along each axis.

    Raises
    ------
    SettingsError
        If there is not one length per axis.
    """
    array = data if hasattr(data, "shape") and hasattr(data, "dtype") else np.asarray(data)
    axes = len(array.shape)
    lengths = (1.0,) * axes if spacing is None else tuple(map(float, spacing))
    if len(lengths) != axes:
        raise SettingsError(f"The spacing of {name!r} is one length per axis, {axes} in all, not {spacing!r}.")
    return Placed(name, array, np.diag([*lengths, 1.0]))
