"""What a worker keeps for an order of any kind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import ClusterError
from napari_fcnseg.run.cluster.address import PER_WORKER
from napari_fcnseg.run.cluster.order import FORMAT
from napari_fcnseg.run.provenance import version

if TYPE_CHECKING:
    from collections.abc import Mapping


class StoppedError(Exception):
    """The work was stopped."""


class OrderBench:
    """What a worker keeps for an order.

    Parameters
    ----------
    order : mapping
        What there is to do (:func:`napari_fcnseg.run.cluster.order.order_of`).

    Attributes
    ----------
    turn : Semaphore
        So many jobs may be in work at once: one computes while another is read or written.
    stopped : Event
        Set to have jobs end early.

    Raises
    ------
    ClusterError
        If it has another version of this program.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        here = version("napari-fcnseg")
        if (order["format"], order["program"]) != (FORMAT, here):
            raise ClusterError(f"It has napari-fcnseg {here}, and the head {order['program']}. Install the same there.")
        self.order = order
        self.turn, self.stopped = threading.BoundedSemaphore(PER_WORKER), threading.Event()

    def kind(self) -> dict[str, Any]:
        """Return what the numbers of this worker depend on, to the last bit, as plain data."""
        raise NotImplementedError

    def check_stopped(self) -> None:
        """Raise StoppedError if what is in work is to end."""
        if self.stopped.is_set():
            raise StoppedError("The run was stopped.")

    def close(self) -> None:
        """Remove what was sent."""
