"""One computing process: what it is for, how it is started, which networks it holds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.system.child_process import ChildProcess

if TYPE_CHECKING:
    from concurrent.futures import Future

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.engine.device import Device
    from napari_fcnseg.engine.environment import ProcessPurpose
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.pixel_network import PixelNetwork

KEPT: Final = 4  # networks that stay compiled when a run ends
_MOST: Final = 32  # that are compiled at once: an ensemble is not to be compiled again at every tile


class EngineProcess:
    """A computing process; safe to use from several threads.

    Parameters
    ----------
    place : ProcessPurpose
        What it is for.

    Attributes
    ----------
    child : ChildProcess
        The process.
    devices : concurrent.futures.Future
        Its devices, the fastest first, once its framework is imported.
    """

    def __init__(self, place: ProcessPurpose) -> None:
        self.child = ChildProcess("napari_fcnseg.engine.worker", place.environment())
        self.devices: Future[tuple[Device, ...]] = self.child.call("warm_up", place.tf32)
        self._lock = threading.Lock()
        # In the order of their use. The child holds these and no others: it forgets when it is told to.
        self._loaded: OrderedDict[tuple[str, str, str], Future[float]] = OrderedDict()

    @property
    def warm(self) -> bool:
        """Whether its framework is imported and a network could run at once."""
        return self.child.alive and self.devices.done() and self.devices.exception() is None

    def load(self, network: DenseNetwork | Network | PixelNetwork, device: Device) -> Future[float]:
        """Have the child compile a network, once; return the seconds it took."""
        where = _where(network, device)
        with self._lock:
            future = self._loaded.get(where)
            if future is None or (future.done() and (future.cancelled() or future.exception() is not None)):
                self._forget_all_but(_MOST - 1)
                future = self._loaded[where] = self.child.call("load", network, *where)
            self._loaded.move_to_end(where)
        return future

    def call(
        self, function: str, network: DenseNetwork | Network | PixelNetwork, device: Device, *args: object
    ) -> Future[Any]:
        """Have the child compile a network if it has not, and call a function with it."""
        self.load(network, device)
        return self.child.call(function, *_where(network, device), *args)

    def forget_strip(self, network: DenseNetwork, device: Device, number: int) -> None:
        """Have the child give up what it keeps of a strip; return at once."""
        self.child.call("forget_strip", *_where(network, device), number)

    def release(self, kept: int = KEPT) -> Future[None]:
        """Have the child give memory back to the system, and all but the last used networks up."""
        with self._lock:
            self._forget_all_but(kept)
            return self.child.call("release")

    def _forget_all_but(self, kept: int) -> None:
        # Calls are answered in order: what still waits for these networks is answered before.
        while len(self._loaded) > kept:
            where, _ = self._loaded.popitem(last=False)
            self.child.call("forget", *where)


def _where(network: DenseNetwork | Network | PixelNetwork, device: Device) -> tuple[str, str, str]:
    """Return what a compiled network is known by. The patch network is the reference: always exact."""
    from napari_fcnseg.conversion.dense_network import DenseNetwork  # here, because the dock opens without it
    from napari_fcnseg.conversion.network_key import network_key

    precision = device.precision if isinstance(network, DenseNetwork) else "float32"
    return network_key(network), device.address, precision
