"""The computing processes of this session: started when needed, warm, reused, replaced when they die."""

from __future__ import annotations

import atexit
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from napari_fcnseg.engine import hardware
from napari_fcnseg.engine.device import BACKENDS, PROCESSOR, REFERENCE, Device, DeviceRequest
from napari_fcnseg.engine.environment import ProcessPurpose
from napari_fcnseg.engine.placing import reference, runs_on, with_precision
from napari_fcnseg.engine.process import KEPT, EngineProcess
from napari_fcnseg.engine.trainer import Trainer
from napari_fcnseg.errors import EngineError, FcnSegError, SettingsError
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.pixel_network import PixelNetwork

_EXTRAS = {"tensorflow": "", "jax": "[jax]", "torch": "[torch]", "onnx": ""}


class Engine:
    """Runs networks in child processes; safe to use from several threads.

    A child that has died is replaced at the next call. What a caller was waiting for when it died ends with an
    :class:`~napari_fcnseg.errors.EngineError`. Calls for different devices run at the same time, those for one device
    in order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[ProcessPurpose, EngineProcess] = {}
        self._first: ProcessPurpose | None = None  # of the device that is taken where none was chosen
        self._found: Future[tuple[Device, ...]] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child that computes where no device was chosen, None before the first start."""
        with self._lock:
            host = self._hosts.get(self._first) if self._first is not None else None
        return host.child.pid if host is not None else None

    @property
    def warm(self) -> bool:
        """Whether the framework is imported and a network could run at once."""
        with self._lock:
            host = self._hosts.get(self._first) if self._first is not None else None
            found = self._found
        return host is not None and host.warm and found is not None and found.done() and found.exception() is None

    def start(self) -> Future[tuple[Device, ...]]:
        """Start a child if there is none and have it import its framework; return at once.

        Where an accelerator may be found by another framework than the first, they are asked one after the other.

        Returns
        -------
        concurrent.futures.Future
            The devices of the framework with the fastest one, the fastest first.
        """
        with self._lock:
            host = self._hosts.get(self._first) if self._first is not None else None
            if self._found is None or (host is not None and not host.child.alive):
                names = hardware.order_of_looking()
                if not names:
                    raise EngineError('ONNX Runtime is not installed here. Run: pip install "napari-fcnseg".')
                self._first = ProcessPurpose(names[0])
                if len(names) == 1:
                    self._found = self._host(self._first).devices
                else:
                    self._found = Future()
                    threading.Thread(target=self._look, args=(names, self._found), daemon=True).start()
            return self._found

    def _look(self, names: Sequence[str], found: Future[tuple[Device, ...]]) -> None:
        """Ask one framework after the other until one has an accelerator; the last will do without."""
        for name in names:
            with self._lock:
                self._first = ProcessPurpose(name)
                host = self._host(self._first)
            failure = host.devices.exception()
            if failure is None and (name == names[-1] or not host.devices.result()[0].is_cpu):
                found.set_result(host.devices.result())
                return
            if name != names[-1]:
                self._end(ProcessPurpose(name))
        found.set_exception(failure or EngineError("No framework is installed."))

    def _host(self, place: ProcessPurpose) -> EngineProcess:
        """Return the child for a place, started if there is none; the lock is held."""
        host = self._hosts.get(place)
        if host is None or not host.child.alive:
            host = self._hosts[place] = EngineProcess(place)
        return host

    def _host_of(self, device: Device) -> EngineProcess:
        with self._lock:
            return self._host(ProcessPurpose.of(device))

    def _end(self, place: ProcessPurpose) -> None:
        with self._lock:
            host = self._hosts.pop(place, None)
        if host is not None:
            host.child.kill()

    def stop(self) -> None:
        """End the children; the next call starts new ones."""
        with self._lock:
            hosts = list(self._hosts.values())
            self._hosts, self._first, self._found = {}, None, None
        for host in hosts:
            host.child.kill()

    def end_all_but(self, device: Device) -> None:
        """End the children but one, for the memory they take."""
        for place in set(self._hosts) - {ProcessPurpose.of(device)}:
            self._end(place)

    def device(self, key: str | None = None, precision: str = "float32") -> Device:
        """Return the device a user chose, or the fastest (see :meth:`devices_for`)."""
        return self.devices_for(key, precision)[0]

    def devices_for(self, setting: str | None, precision: str = "float32") -> tuple[Device, ...]:
        """Return the devices a user chose, as :mod:`napari_fcnseg.engine.device` writes them.

        Parameters
        ----------
        setting : str or None
            ``"GPU"``, ``"torch:GPU:0"``, ``"GPU:0,GPU:1"``, ``"all"``; None for the fastest.
        precision : str
            Arithmetic to ask for. A device without TF32 computes float32 instead, which is exact.

        Raises
        ------
        SettingsError
            If there is no such device; the error lists those there are.
        """
        if setting is None:
            chosen: tuple[Device, ...] = self.start().result()[:1]
        else:
            chosen = tuple(dict.fromkeys(d for wanted in DeviceRequest.all_of(setting) for d in self._chosen(wanted)))
        return tuple(with_precision(device, precision) for device in chosen)

    def choose(self, setting: str | None, precision: str = "float32") -> Future[tuple[Device, ...]]:
        """Begin to find the devices a user chose, whose frameworks may take seconds to start; return at once.

        Returns
        -------
        concurrent.futures.Future
            What :meth:`devices_for` returns or raises.
        """
        return in_background(lambda: self.devices_for(setting, precision), "napari-fcnseg-devices")

    def _chosen(self, wanted: DeviceRequest) -> tuple[Device, ...]:
        if wanted.backend is not None and not hardware.installed(wanted.backend):
            raise SettingsError(
                f"There is no device {wanted.text!r} here: {wanted.backend} is not installed. "
                f'Run: pip install "napari-fcnseg{_EXTRAS[wanted.backend]}".'
            )
        if wanted.backend is None:
            processor = wanted.kind == "CPU" and hardware.installed(PROCESSOR)
            devices = self.devices_of(PROCESSOR) if processor else self.start().result()
            if chosen := wanted.among(devices):
                return chosen
        before, seen = set(self._hosts), list[Device]()
        for backend in (wanted.backend,) if wanted.backend is not None else BACKENDS:
            devices = self._tried(backend, wanted)
            if chosen := wanted.among(devices):
                return chosen
            seen += devices
        for place in set(self._hosts) - before:  # started in vain
            self._end(place)
        names = ", ".join(sorted(map(str, seen), key=lambda name: name.split(" (")[0].count(":")))  # the short first
        raise SettingsError(
            f"There is no device {wanted.text!r} here. Choose one of: {names}, or none for the "
            "fastest; napari-fcnseg doctor says why there is no other."
        )

    def _tried(self, backend: str, wanted: DeviceRequest) -> tuple[Device, ...]:
        if backend == REFERENCE != wanted.backend and not hardware.may_have_accelerator(backend):
            return (reference(),) if hardware.installed(backend) else ()  # its start takes seconds, all in vain
        try:
            return self.devices_of(backend)
        except EngineError:
            if wanted.backend is not None:
                raise
            return ()  # a framework that is broken is no answer to another question

    def devices_of(self, backend: str) -> tuple[Device, ...]:
        """Return the devices of a framework, the fastest first; none where it is not installed.

        Raises
        ------
        EngineError
            If the framework cannot be imported.
        """
        if not hardware.installed(backend):
            return ()
        with self._lock:
            host = self._host(ProcessPurpose(backend))
        return host.devices.result()

    @property
    def reference_backend(self) -> str:
        """The framework that runs patch networks where no device was chosen."""
        device = self.device()
        return device.backend if device.runs_patches else REFERENCE

    def expect(self, networks: Sequence[Network]) -> None:
        """Begin to load patch networks where they will be run; return at once."""

        def begin() -> None:
            with suppress(FcnSegError):  # it is said when they are run
                device = self.device()
                for network in networks:
                    self.load(network, device)

        threading.Thread(target=begin, daemon=True).start()

    def load(self, network: DenseNetwork | Network | PixelNetwork, device: Device) -> Future[float]:
        """Have the child compile a network, once; return the seconds it took."""
        device = runs_on(network, device)
        return self._host_of(device).load(network, device)

    def run(self, network: DenseNetwork | Network, device: Device, x: np.ndarray) -> Future[np.ndarray]:
        """Apply a network to ``x``: ``(1, *spatial, channel)`` for a dense one, ``(n, *patch, channel)`` else."""
        device = runs_on(network, device)
        return self._host_of(device).call("run", network, device, x)

    def run_strip(
        self, network: DenseNetwork, device: Device, x: np.ndarray, number: int, follows: int | None
    ) -> Future[np.ndarray]:
        """Apply a dense network to a strip of an image (:func:`napari_fcnseg.engine.worker.run_strip`)."""
        return self._host_of(device).call("run_strip", network, device, x, number, follows)

    def forget_strip(self, network: DenseNetwork, device: Device, number: int) -> None:
        """Have the child give up what it keeps of a strip for one that would follow; return at once."""
        with self._lock:
            host = self._hosts.get(ProcessPurpose.of(device))
        if host is not None:  # a new process would have nothing to give up
            host.forget_strip(network, device, number)

    def run_patches(
        self, network: Network, device: Device, window: np.ndarray, every: int, batch: int
    ) -> Future[np.ndarray]:
        """Apply a patch network to every ``every``-th patch of a window ``(*spatial, channel)``."""
        device = runs_on(network, device)
        return self._host_of(device).call("run_patches", network, device, window, network.patch_shape, every, batch)

    def run_window(
        self, network: PixelNetwork, device: Device, image: np.ndarray, kept: Sequence[tuple[int, int]], every: int
    ) -> Future[np.ndarray]:
        """Apply a network as it is (:meth:`napari_fcnseg.engine.backends.onnx_pixels.PixelProgram.window`)."""
        device = runs_on(network, device)
        return self._host_of(device).call("run_window", network, device, image, list(kept), every)

    def save(self, network: DenseNetwork | Network, path: Path) -> None:
        """Write a network as a ``.keras`` file.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        self._host_of(reference()).child.call("save", network, str(path)).result()

    def fit_head(self, *data: np.ndarray, **options: int) -> Future[tuple[list[np.ndarray], dict[str, float]]]:
        """Have TensorFlow's process fit a head (:func:`napari_fcnseg.engine.head_training.fit`)."""
        return self._host_of(reference()).child.call("fit_head", *data, options)

    def trainer(self, network: DenseNetwork) -> Trainer:
        """Have TensorFlow's process keep a dense network whose arrays can be changed."""
        return Trainer(self._host_of(reference()).child, network)

    def start_reference(self) -> None:
        """Begin to start the process that has TensorFlow, where there is none; return at once."""
        self._host_of(reference())

    def measure_peak(self, device: Device | None = None, size: int = 4096, repeat: int = 3) -> float:
        """Return the measured peak of a device in its precision, in FLOP/s: a product of ``size`` × ``size`` matrices.

        Parameters
        ----------
        device : Device, optional
            The fastest otherwise.
        size, repeat : int
            Of the matrices, and of the trials; the best counts.
        """
        device = device if device is not None else self.device()
        call = self._host_of(device).child.call
        return float(call("measure_peak", device.address, device.precision, size, repeat).result())

    def free_memory(self, device: Device) -> int | None:
        """Return the bytes of a device's own memory that may still be taken; None where it has none or nobody knows."""
        free: int | None = self._host_of(device).child.call("free_memory", device.address).result()
        return free

    def release(self, kept: int = KEPT) -> tuple[Future[None], ...]:
        """Have the children give memory back; return at once. As many networks stay compiled, those used last."""
        with self._lock:
            hosts = [host for host in self._hosts.values() if host.child.alive]
        return tuple(host.release(kept) for host in hosts)


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
