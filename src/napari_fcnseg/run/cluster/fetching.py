"""A run that a cluster computes, for arrays in this process: what the workers have written is read and handed on."""

from __future__ import annotations

import contextlib
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import ClusterError
from napari_fcnseg.imagefile import GrowingZarr
from napari_fcnseg.plan.blocks import chunk_shape
from napari_fcnseg.run.cluster.address import check_address, connected
from napari_fcnseg.run.cluster.head import ClusterRun
from napari_fcnseg.run.cluster.order import folder_of, make_order, place_of
from napari_fcnseg.run.cluster.session import placed
from napari_fcnseg.run.cluster.team import Team
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.run.run import Run, Tile
from napari_fcnseg.system.saving.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from concurrent.futures import Future

    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.plan.schedule import Skip


class FetchingRun(Run):
    """A run that a cluster computes, whose tiles have their numbers.

    They go through a folder beside the image, which the workers see; it is removed at the end.

    Parameters
    ----------
    plan : RunPlan
        What to compute.
    where : str
        The cluster (:func:`napari_fcnseg.run.cluster.address.connected`).

    Raises
    ------
    SettingsError
        If the image is only in memory, or there is no such cluster.
    """

    def __init__(self, plan: RunPlan, where: str) -> None:
        schedule = replace(plan.schedule, early=None)  # which is for one who waits for a single device
        super().__init__(replace(plan, schedule=schedule))
        self._where = check_address(where)
        self._cluster: Mapping[str, Any] = {}
        self._name = ""
        if not where.startswith("local:"):
            place_of(plan.image)

    @property
    def device(self) -> str | None:
        """What computes."""
        return self._name or super().device

    def provenance(self) -> dict[str, Any]:
        """Return the provenance of the result, as plain data for JSON."""
        return {**super().provenance(), **self._cluster}

    def execute(
        self, poll: float | None = None, skip: Skip | None = None, hold: Future[None] | None = None
    ) -> Generator[Tile | None, None, None]:
        """Have tile after tile computed (:meth:`napari_fcnseg.run.run.Run.execute`)."""
        self.doing = f"Connecting to {self._where}"
        yield None
        with placed(self._where, self.plan.image, "image") as image, _beside(image) as folder:
            plan = replace(self.plan, settings=replace(self.plan.settings, probabilities=True))
            mask = self._mask_in(folder) if plan.mask is not None else None
            with connected(self._where) as cluster:
                team = Team(cluster, make_order(plan, image, mask, plan.image), plan.models)
                team.tell = self.tell
                self.doing = f"Getting the workers at {cluster.name} ready"
                for _ in team.gather():
                    yield None
                inner = ClusterRun(plan, team, team.choose({}))
                inner.notes, inner.spent, inner.done = self.notes, self.spent, self._done_before(skip)
                inner.writes_into(*_begun(plan, folder))
                yield from self._fetch(inner, poll, skip)

    def _fetch(self, inner: ClusterRun, poll: float | None, skip: Skip | None) -> Generator[Tile | None, None, None]:
        self.devices, self.in_part = inner.devices, skip is not None
        with closing(inner.execute(poll, skip)) as tiles:
            for tile in tiles:
                self._name, self.spent = inner.team.name, inner.spent
                self.doing = f"On {self._name}: computing"
                self._cluster = {name: inner.provenance()[name] for name in ("versions", "cluster")}
                if tile is None:
                    yield None
                    continue
                self.done, self.doubtful = tile.done, inner.doubtful
                yield Tile(
                    tile.where, tile.labels, tile.scores, tile.done, tile.total, tile.notes,
                    confidence=tile.confidence, disagreement=tile.disagreement,
                )  # fmt: skip

    def _done_before(self, skip: Skip | None) -> int:
        return sum(skip(*tile) for tile in self.plan.schedule) if skip is not None else 0

    def _mask_in(self, folder: Path) -> dict[str, Any]:
        """Write the mask where the workers see it."""
        import zarr

        assert self.plan.mask is not None, "there is one"
        pixels = self.plan.mask.pixels()
        array = zarr.create_array(folder / "mask.zarr", shape=pixels.shape, chunks=pixels.shape, dtype=bool)
        array[...] = pixels
        return place_of(array)


def _begun(plan: RunPlan, folder: Path) -> tuple[dict[str, Any], dict[str, GrowingZarr]]:
    """Return the arrays that the workers write into."""
    growing = {}
    for kind in kept_outputs(plan.settings):
        shape, path = kind.shape(plan), folder / f"{kind.name}.zarr"
        growing[kind.name] = GrowingZarr(path, shape, chunk_shape(plan, shape), kind.dtype(plan))
    return {name: one.array for name, one in growing.items()}, growing


@contextlib.contextmanager
def _beside(image: Mapping[str, Any]) -> Iterator[Path]:
    """Make a folder beside an image, and remove it at the end; for one on another computer, among temporary files."""
    folder = folder_of(image) or Path(tempfile.gettempdir())
    try:
        made = tempfile.TemporaryDirectory(prefix=".fcnseg-", dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        raise ClusterError(
            f"The workers' results go through a folder beside the image, and {folder} cannot be written: "
            f"{reason(error)}. Copy the image to a folder that can."
        ) from None
    with made as name:
        yield Path(name)
