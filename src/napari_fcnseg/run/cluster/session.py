"""Bring a run and a cluster together."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.run.cluster.address import connected
from napari_fcnseg.run.cluster.head import ClusterRun, check_for_cluster
from napari_fcnseg.run.cluster.order import make_order, place_of
from napari_fcnseg.run.cluster.team import Team
from napari_fcnseg.run.continuation import as_earlier, continue_run, growing_places, left_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.run.continuation import Continuation
    from napari_fcnseg.run.rescaling import Rescaling
    from napari_fcnseg.settings import RunSettings


@contextlib.contextmanager
def run_on(
    where: Any,
    make: Callable[[RunSettings], RunPlan],
    settings: RunSettings,
    outputs: Mapping[str, Path],
    identity: Callable[[], Mapping[str, Any] | None],
    image: Mapping[str, Any],
    mask: Mapping[str, Any] | None = None,
    scaling: Rescaling | None = None,
) -> Iterator[tuple[ClusterRun, Continuation]]:
    """Connect to a cluster, and plan a run for it or find out how it goes on.

    Parameters
    ----------
    where : str, distributed.Client or concurrent.futures.Future
        The cluster (:func:`napari_fcnseg.run.cluster.address.connected`).
    make, settings, outputs, identity
        As for :func:`napari_fcnseg.run.continuation.continue_run`.
    image, mask : mapping
        Where they lie (:func:`napari_fcnseg.run.cluster.order.place_of`).
    scaling : Rescaling, optional
        How the image is rescaled for the run; where it lies is said of the image itself.

    Yields
    ------
    (ClusterRun, Continuation)
        The run, as long as the cluster is connected.

    Raises
    ------
    ClusterError, SettingsError
        If the run is not possible there.
    """
    plan = make(settings)
    check_for_cluster(plan, outputs)
    earlier = left_behind(growing_places(outputs, scaled=scaling is not None))
    pinned = as_earlier(plan, settings, earlier).ways or plan.ways  # those of all workers
    if any(pinned):
        with contextlib.suppress(SettingsError):  # ways that this version does not know
            plan, settings = make(replace(settings, ways=pinned)), replace(settings, ways=pinned)
    order = make_order(plan, image if scaling is None else scaling.place(image), mask, plan.image)
    with connected(where) as cluster:
        team = Team(cluster, order, plan.models)
        continuation = continue_run(make, settings, outputs, identity, team.choose, scaling)
        machine = team.machine if team.machine is not None else team.choose({})
        run = ClusterRun(continuation.plan, team, machine)
        run.notes += filter(None, [continuation.note])
        team.tell = run.tell
        yield run, continuation


@contextlib.contextmanager
def placed(where: Any, array: Any, what: str) -> Iterator[dict[str, Any]]:
    """Find out where an array lies; one in memory is put into a file for workers of this computer alone.

    Raises
    ------
    SettingsError
        If it is only in memory and the cluster is not one of this run's own.
    """
    try:
        place = place_of(array, what)
    except SettingsError:
        if not (isinstance(where, str) and where.startswith("local:") and isinstance(array, np.ndarray)):
            raise
    else:
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="fcnseg-image-") as folder:
        path = Path(folder) / "array.npy"
        np.save(path, array, allow_pickle=False)
        yield place_of(np.load(path, mmap_mode="r", allow_pickle=False), what)
