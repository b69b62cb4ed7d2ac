"""What differs between the frameworks that can run a network: a module for each, with the same functions.

All of it runs in a computing process, whose framework is that of the environment variable ``FCNSEG_BACKEND``. No
other one is imported there.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.engine.device import Device
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.pixel_network import PixelNetwork

    #: A network on a device: float32 in, float32 out.
    Compiled: TypeAlias = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

#: Environment variable that names a computing process's framework.
BACKEND: Final = "FCNSEG_BACKEND"


class Backend(Protocol):
    """The functions of such a module."""

    def start(self, tf32: bool) -> tuple[Device, ...]:
        """Import the framework, set its float32 arithmetic exact (or to TF32), return its devices, the fastest first.

        TF32 is a switch of the whole process, and what a library found fastest under one setting it may use under the
        other: a process has one setting for all its life.
        """

    def compiled(self, network: DenseNetwork | Network | PixelNetwork, address: str, dtype: str) -> Compiled:
        """Return a network as a function of arrays, ready to run on a device.

        Parameters
        ----------
        network : DenseNetwork, Network or PixelNetwork
            A dense network takes ``(1, *spatial, channel)``, a patch network ``(n, *patch, channel)``.
        address : str
            The device.
        dtype : str
            Of a dense network's maps and weights. A patch network has float32.
        """

    def free_memory(self, address: str) -> int | None:
        """Return the bytes that this process may still take of a device's own memory; None where it has none."""

    def product(self, address: str, size: int, dtype: str) -> Callable[[], object]:
        """Return a function that multiplies two ``size`` × ``size`` matrices and waits for the result."""

    def release(self, empty: bool) -> None:
        """Give memory that is not in use back to the system; ``empty`` says that no network is left."""


def present() -> Backend:
    """Return the backend of this process."""
    name = os.environ[BACKEND]
    return cast("Backend", importlib.import_module(f"{__name__}.{name}"))
