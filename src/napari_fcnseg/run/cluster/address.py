"""Connect to a cluster: a scheduler's address, a client, or processes on this computer."""

from __future__ import annotations

import contextlib
import logging
import re
import tempfile
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import ClusterError, SettingsError
from napari_fcnseg.system.background import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LOCAL: Final = re.compile(r"local:(\d+)")
_SCHEDULER: Final = re.compile(r"((tcp|tls)://)?[^\s/:]+:\d+/?|(?!tcp:|tls:)[a-z]+://\S+")
_MOST_LOCAL: Final = 256
_LOGGERS: Final = ("distributed", "distributed.client", "distributed.core", "distributed.comm", "distributed.utils",
                   "distributed.utils_comm", "distributed.batched", "tornado.application")  # fmt: skip
_AT_START: Final = "napari_fcnseg.run.cluster.local_worker"
_SECONDS: Final = 10  # to reach a scheduler
#: Blocks that a worker has at once: one is computed while the next is read and the last written.
PER_WORKER: Final = 2


@dataclass(frozen=True)
class Cluster:
    """A cluster that is connected.

    Attributes
    ----------
    client : distributed.Client
        The connection.
    local : int
        How many workers were started here for this run; 0 of somebody else's cluster.
    """

    client: Any
    local: int = 0

    @property
    def name(self) -> str:
        """Where it is, as people say it."""
        return "this computer" if self.local else str(self.client.scheduler.address)


def check_address(where: str) -> str:
    """Return what names a cluster, found to be well-formed; nothing is connected.

    Raises
    ------
    SettingsError
        If it is no address, or ``local:N`` without a good number.
    """
    found = _LOCAL.fullmatch(where)
    if (found and 1 <= int(found[1]) <= _MOST_LOCAL) or (not where.startswith("local") and _SCHEDULER.fullmatch(where)):
        return where
    raise SettingsError(
        f"{where!r} names no cluster. Give the address that dask scheduler prints, tcp://HOST:8786, or local:N for N "
        f"processes on this computer (N from 1 to {_MOST_LOCAL})."
    )


@contextlib.contextmanager
def ahead(where: str | None) -> Iterator[Any]:
    """Begin to start a cluster of this computer, while something else is done; yield what :func:`connected` takes."""
    if where is None or not _LOCAL.fullmatch(where):
        yield where
        return
    with contextlib.ExitStack() as open_till_then:
        start = in_background(lambda: open_till_then.enter_context(connected(where)), "napari-fcnseg-cluster")
        try:
            yield start
        finally:
            wait([start])


@contextlib.contextmanager
def connected(where: Any) -> Iterator[Cluster]:
    """Connect to a cluster for as long as it is needed; one of this computer is started and ended.

    Parameters
    ----------
    where : str, distributed.Client or concurrent.futures.Future
        A scheduler's address, ``"local:N"``, a client, which stays open, or what is begun (:func:`ahead`).

    Raises
    ------
    SettingsError
        If it is neither.
    ClusterError
        If dask.distributed is not installed, or nobody answers there.
    """
    if isinstance(where, Future):
        yield where.result()
        return
    if not isinstance(where, str):
        if not all(hasattr(where, name) for name in ("submit", "scheduler", "nthreads")):
            raise SettingsError(f"A cluster is a distributed.Client or an address, not {where!r}.")
        if getattr(where, "asynchronous", False):
            raise SettingsError("The client is asynchronous. Give one that is not: Client(address).")
        yield Cluster(where)
        return
    local = _LOCAL.fullmatch(check_address(where))
    distributed = _distributed()
    if local is None:
        with _client(distributed, where) as client:
            yield Cluster(client)
        return
    with (
        tempfile.TemporaryDirectory(prefix="fcnseg-dask-") as folder,
        _started(lambda: distributed.LocalCluster(
            n_workers=int(local[1]), threads_per_worker=PER_WORKER, host="127.0.0.1", dashboard_address=None,
            memory_limit=0, local_directory=folder, silence_logs=50,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # or it warns where its usual port is taken
            preload=[_AT_START],
        )) as here,
        _client(distributed, here.scheduler_address) as client,
    ):  # fmt: skip
        yield Cluster(client, int(local[1]))


@contextlib.contextmanager
def _started(make: Callable[[], Any]) -> Iterator[Any]:
    """Start a cluster of this computer; one that is interrupted before it has started could not be ended any more."""
    start = in_background(make, "napari-fcnseg-cluster")
    try:
        wait([start])
    except BaseException:
        with contextlib.suppress(Exception):
            start.result().close()
        raise
    with start.result() as here:
        yield here


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ClusterError(
            'A cluster takes dask.distributed, which is not installed here. Run: pip install "napari-fcnseg'
            '[distributed]".'
        ) from None
    return distributed


@contextlib.contextmanager
def _client(distributed: Any, address: str) -> Iterator[Any]:
    try:
        client = distributed.Client(address, timeout=_SECONDS, set_as_default=False, name="napari-fcnseg")
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"No scheduler answers at {address} ({reason_of(error)}). Start one with dask scheduler, and give the "
            "address that it prints."
        ) from None
    with _quiet():
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):  # a scheduler that is gone cannot be told
                client.close(timeout=2)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Have Dask log nothing of lost connections: what that means for a run is said in a sentence."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def reason_of(error: BaseException) -> str:
    """Return why a connection failed, in a few words."""
    text = str(error).strip().splitlines()
    return text[-1][:120].rstrip(".") if text else type(error).__name__
