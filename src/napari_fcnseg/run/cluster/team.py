"""The workers that take part in a run: all of one kind, so that each computes the same bits."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from napari_fcnseg.engine import Device
from napari_fcnseg.errors import ClusterError, FcnSegError
from napari_fcnseg.run.cluster.job import Job, Words
from napari_fcnseg.run.cluster.order import files_of, key_of
from napari_fcnseg.run.cluster.window import Window
from napari_fcnseg.run.cluster.worker import greet, stop
from napari_fcnseg.run.continuation import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.run.cluster.address import Cluster

_log = logging.getLogger("napari_fcnseg")


class Team:
    """The workers that take part in a run.

    Parameters
    ----------
    cluster : Cluster
        Where they are.
    order : mapping
        What there is to do.
    models : sequence of PatchModel
        Whose files are sent to a worker that does not see them.
    greet : callable
        What makes a worker ready for the order (:func:`napari_fcnseg.run.cluster.worker.greet`).
    words : Words
        What is said of an early end.

    Attributes
    ----------
    machine : Machine or None
        What they compute with, once that is decided.
    tell : callable
        Called with a sentence whenever something happens that the user should know; before there is a run they are
        logged, and put into ``notes``.
    window : Window
        What hands out their jobs.
    key : str
        Of the order.
    """

    def __init__(
        self, cluster: Cluster, order: Mapping[str, Any], models: Sequence[PatchModel],
        greet: Callable[..., dict[str, Any]] = greet, words: Words = Words(),  # noqa: B008  # it cannot be changed
    ) -> None:  # fmt: skip
        self.cluster, self.order, self.key = cluster, order, key_of(order)
        self.machine: Machine | None = None
        self.notes: list[str] = []
        self.tell: Callable[[str], object] = self._note
        self._models, self._greet = models, greet
        self._gathered = False
        self._kinds: dict[str, str] = {}  # of workers that are ready, as JSON
        self._kind = ""  # of those that take part; empty before it is decided
        self._troubles: list[str] = []
        self._slots: dict[str, int] = {}  # which share of this computer's cores a worker has
        self.window = Window(cluster.client, self._greeting, self._admit, lambda note: self.tell(note), words)

    @property
    def name(self) -> str:
        """The workers, as people say it: ``"4 workers at tcp://10.0.0.1:8786"``."""
        number = len(self.window.in_use)
        return f"{number} worker{'s' * (number != 1)} {'on' if self.cluster.local else 'at'} {self.cluster.name}"

    def _note(self, note: str) -> None:
        self.notes.append(note)
        _log.warning(note)

    def gather(self) -> Iterator[None]:
        """Wait for the workers that there are; yield None meanwhile, so that the caller can stop."""
        if not self._gathered:
            yield from self.window.gather()
            self._gathered = True

    def choose(self, earlier: Mapping[str, Any]) -> Machine:
        """Wait for the workers, decide of which kind those are that take part, and return what they compute with.

        Parameters
        ----------
        earlier : mapping
            The facts of the run that is gone on with: workers of its kind are taken, if there are any. Otherwise those
            of the most frequent kind are.

        Raises
        ------
        ClusterError
            If none can take part.
        """
        for _ in self.gather():
            pass
        if not self._kinds:
            raise ClusterError(
                f"None of the workers at {self.cluster.name} can take part. {' '.join(self._troubles[:1])}"
            )
        frequent = [kind for kind, _ in Counter(self._kinds.values()).most_common()]
        self._kind = next((kind for kind in frequent if _is_of(kind, earlier)), frequent[0])
        for address, kind in self._kinds.items():
            if kind != self._kind:
                self.window.refuse(address)
                self._refused(address, self._difference(kind))
        self.machine = machine_of(json.loads(self._kind))
        return self.machine

    def dismiss(self) -> None:
        """Have the workers end what they are at; return at once."""
        if self.cluster.client.status == "running":
            self.cluster.client.run(stop, self.key, wait=False, on_error="ignore")

    def _greeting(self, address: str) -> Job:
        return Job(self._greet, (self.order, {}, self._cores(address)), f"Greeting the worker at {address}")

    def _admit(self, address: str, answer: dict[str, Any]) -> bool | Job:
        if missing := answer.get("missing"):
            try:
                files = {number: files_of(self._models[number]) for number in missing}
            except (FcnSegError, OSError) as error:
                answer = {"trouble": str(error)}
            else:
                return Job(self._greet, (self.order, files, self._cores(address)), f"Sending models to {address}")
        if trouble := str(answer.get("trouble", "")):
            self._refused(address, trouble)
            return False
        kind = json.dumps(answer["kind"], sort_keys=True)
        self._kinds[address] = kind
        if self._kind and kind != self._kind:
            self._refused(address, self._difference(kind))
            return False
        return True

    def _refused(self, address: str, why: str) -> None:
        self._troubles.append(f"The worker at {address} takes no part: {why.rstrip('.')}.")
        self.tell(self._troubles[-1])

    def _difference(self, kind: str) -> str:
        """Return why a worker of another kind does not take part."""
        here, there = json.loads(self._kind), json.loads(kind)
        if here["devices"] != there["devices"]:
            own = " and ".join(", ".join(map(str, machine_of(one).devices)) for one in (there, here))
            return f"it computes on another device than the others ({own}), and the last bits would differ"
        names = sorted({*here["versions"], *there["versions"]})
        name = next(name for name in names if there["versions"].get(name) != here["versions"].get(name))
        its, ours = (versions.get(name, "none") for versions in (there["versions"], here["versions"]))
        return f"it has {name} {its}, the others {ours}, and the last bits would differ"

    def _cores(self, address: str) -> list[int]:
        """Return which of this computer's cores a worker has that was started here for this run."""
        number = self.cluster.local
        if number < 2 or not hasattr(os, "sched_getaffinity"):
            return []
        cores = sorted(os.sched_getaffinity(0))
        alive = set(self.cluster.client.nthreads())
        self._slots = {other: slot for other, slot in self._slots.items() if other in alive}
        if address not in self._slots:
            free = set(range(number)) - set(self._slots.values())
            self._slots[address] = min(free, default=0)
        slot = self._slots[address]
        return cores[slot::number] or [cores[slot % len(cores)]]


def machine_of(kind: Mapping[str, Any]) -> Machine:
    """Return what a kind of worker computes with."""
    devices = tuple(Device(**{**data, "precisions": tuple(data["precisions"])}) for data in kind["devices"])
    return Machine(devices, dict(kind["versions"]))


def _is_of(kind: str, earlier: Mapping[str, Any]) -> bool:
    """Whether a kind of worker is that of an earlier run."""
    machine = machine_of(json.loads(kind))
    devices = [[device.key, str(device)] for device in machine.devices]
    return bool(devices == earlier.get("device") and machine.versions == earlier.get("versions"))
