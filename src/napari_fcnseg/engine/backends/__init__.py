"""What differs between the frameworks that can run a network: a module for each, with the same functions.

All of it runs in a computing process, whose framework is that of the environment variable ``KERAS_BACKEND``. No other
one is imported there.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from napari_fcnseg.engine.device import Device

    #: A network on a device: float32 in, float32 out.
    Compiled: TypeAlias = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
    #: How many answers a dense network has per axis, for the spatial shape of an image.
    Places: TypeAlias = Callable[[tuple[int, ...]], tuple[int, ...]]


class Backend(Protocol):
    """The functions of such a module."""

    def start(self, tf32: bool) -> tuple[Device, ...]:
        """Import the framework, set its float32 arithmetic exact (or to TF32), return its devices, the fastest first.

        TF32 is a switch of the whole process, and what a library found fastest under one setting it may use under the
        other: a process has one setting for all its life.
        """

    def compiled(
        self,
        make: Callable[[], Callable[[Any], Any]],
        address: str,
        shape: tuple[int | None, ...],
        places: Places | None,
    ) -> Compiled:
        """Return a network as a function of arrays, ready to run on a device.

        Parameters
        ----------
        make : callable
            Returns the network as a function of tensors; called where its arrays shall be.
        address : str
            The device.
        shape : tuple of int or None
            Of its input in float32; None where any length will do.
        places : callable or None
            Returns the number of answers per axis for the spatial shape of an image; None for a patch network.
        """

    def free_memory(self, address: str) -> int | None:
        """Return the bytes that this process may still take of a device's own memory; None where it has none."""

    def product(self, address: str, size: int, dtype: str) -> Callable[[], object]:
        """Return a function that multiplies two ``size`` × ``size`` matrices and waits for the result."""

    def release(self) -> None:
        """Give memory that is not in use back to the system."""


def present() -> Backend:
    """Return the backend of this process."""
    name = os.environ["KERAS_BACKEND"]
    return cast("Backend", importlib.import_module(f"{__name__}.{name}"))
