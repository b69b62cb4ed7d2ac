"""The computing process of this session: started once, warm, reused, replaced when it dies."""

from __future__ import annotations

import atexit
import hashlib
import os
import pickle
import threading
from typing import TYPE_CHECKING, Any

from napari_fcnseg.child import Child
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    import numpy as np

    from napari_fcnseg.conversion.fcn import DenseNetwork
    from napari_fcnseg.engine.device import Device
    from napari_fcnseg.graph.network import Network

_ENV = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3")}


class Engine:
    """Runs networks in a child process; safe to use from several threads.

    A child that has died is replaced at the next call. What a caller was waiting for when it died ends with an
    :class:`~napari_fcnseg.errors.EngineError`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._devices: Future[tuple[Device, ...]] | None = None
        self._loaded: dict[tuple[str, str], Future[float]] = {}

    @property
    def pid(self) -> int | None:
        """Process id of the child, None before the first start."""
        return self._child.pid if self._child is not None else None

    @property
    def warm(self) -> bool:
        """Whether the framework is imported and a network could run at once."""
        return (
            self._child is not None and self._child.alive and self._devices is not None and self._devices.done()
            and self._devices.exception() is None
        )  # fmt: skip

    def start(self) -> Future[tuple[Device, ...]]:
        """Start the child if there is none and have it import the framework; return at once.

        Returns
        -------
        concurrent.futures.Future
            The devices, the fastest first.
        """
        with self._lock:
            if self._child is None or not self._child.alive or self._devices is None:
                self._child = Child("napari_fcnseg.engine.worker", _ENV)
                self._loaded = {}
                self._devices = self._child.call("warm_up")
            return self._devices

    def stop(self) -> None:
        """End the child; the next call starts a new one."""
        with self._lock:
            if self._child is not None:
                self._child.kill()
            self._child = None

    def device(self, key: str | None = None) -> Device:
        """Return the device a user chose, or the fastest.

        Raises
        ------
        SettingsError
            If there is no such device; the error lists those there are.
        """
        devices = self.start().result()
        if key is None:
            return devices[0]
        wanted = key.upper() if ":" in key else f"{key.upper()}:0"
        for device in devices:
            if device.key == wanted:
                return device
        raise SettingsError(
            f"There is no device {key!r} here. Choose one of: {', '.join(map(str, devices))}, or none for the first."
        )

    def load(self, network: DenseNetwork | Network, device: Device) -> Future[float]:
        """Have the child compile a network, once; return the seconds it took."""
        self.start()
        key = network_key(network)
        with self._lock:
            assert self._child is not None, "start() made one"
            place = (key, device.address)
            if place not in self._loaded:
                self._loaded[place] = self._child.call("load", key, network, device.address)
            return self._loaded[place]

    def run(self, network: DenseNetwork | Network, device: Device, x: np.ndarray) -> Future[np.ndarray]:
        """Apply a network to ``x``: ``(1, *spatial, channel)`` for a dense one, ``(n, *patch, channel)`` else."""
        self.load(network, device)
        return self._call("run", network_key(network), device.address, x)

    def run_patches(
        self, network: Network, device: Device, window: np.ndarray, every: int, batch: int
    ) -> Future[np.ndarray]:
        """Apply a patch network to every ``every``-th patch of a window ``(*spatial, channel)``."""
        self.load(network, device)
        key = network_key(network)
        return self._call("run_patches", key, device.address, window, network.patch_shape, every, batch)

    def save(self, network: DenseNetwork, path: Path) -> None:
        """Write a dense network as a ``.keras`` file.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        self.start()
        self._call("save_dense", network, str(path)).result()

    def measure_peak(self) -> float:
        """Return the measured peak of the child's fastest device, in FLOP/s."""
        self.start()
        return float(self._call("measure_peak").result())

    def _call(self, function: str, *args: object) -> Future[Any]:
        with self._lock:
            assert self._child is not None, "start() made one"
            return self._child.call(function, *args)


def network_key(network: DenseNetwork | Network) -> str:
    """Return a name for a network's contents; it is computed once per object."""
    key: str | None = network.__dict__.get("_key")
    if key is None:
        key = hashlib.sha256(pickle.dumps(network, 5)).hexdigest()
        network.__dict__["_key"] = key  # frozen for users; this is a memo and no part of the value
    return key


_engine: Engine | None = None
_engine_lock = threading.Lock()


def engine() -> Engine:
    """Return the session's engine; nothing is started yet."""
    global _engine
    with _engine_lock:
        if _engine is None:
            _engine = Engine()
            atexit.register(_engine.stop)
        return _engine
