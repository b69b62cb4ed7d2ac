"""What ``segment`` has read of one image, and the run that is made of it: here, or on a cluster."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_fcnseg.cli.arguments import mask_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.run.continuation import Continuation
    from napari_fcnseg.run.rescaling import Rescaling
    from napari_fcnseg.run.run import Run
    from napari_fcnseg.settings import RunSettings


@dataclass(frozen=True)
class Begun:
    """What is read of an image that is going to be segmented.

    Attributes
    ----------
    chosen : Namespace
        The command line.
    image : ImageFile
        The image.
    models : tuple of PatchModel
        The models.
    settings : RunSettings
        What the command line says of the run.
    outputs : dict of str to Path
        The results, by their kinds.
    scaling : Rescaling or None
        How the image is rescaled.
    cluster : str, concurrent.futures.Future or None
        Where it is segmented (:func:`napari_fcnseg.run.cluster.address.connected`); None for here.
    """

    chosen: argparse.Namespace
    image: ImageFile
    models: tuple[PatchModel, ...]
    settings: RunSettings
    outputs: dict[str, Path]
    scaling: Rescaling | None
    cluster: Any = None

    @contextmanager
    def run(self) -> Iterator[tuple[Run, Continuation]]:
        """Plan the run, and find out whether it was begun already."""
        if self.cluster is None:
            yield self._here()
        else:
            with self._on_cluster() as found:
                yield found

    def _here(self) -> tuple[Run, Continuation]:
        from napari_fcnseg.run.continuation import continue_run
        from napari_fcnseg.run.run import Run

        maker, scaling = self._maker(), self.scaling
        continuation = continue_run(maker, self.settings, self.outputs, self._identity, scaling=scaling)
        run = Run(continuation.plan)
        run.notes += filter(None, [continuation.note])
        return run, continuation

    @contextmanager
    def _on_cluster(self) -> Iterator[tuple[Run, Continuation]]:
        from napari_fcnseg.run.cluster.order import place_of_files
        from napari_fcnseg.run.cluster.session import run_on

        chosen = self.chosen
        image = place_of_files(chosen.image, chosen.series, self.models[0].channels)
        mask = place_of_files([chosen.mask], None, None, indices=True) if chosen.mask is not None else None
        with run_on(
            self.cluster, self._maker(), self.settings, self.outputs, self._identity, image, mask, self.scaling
        ) as found:  # fmt: skip
            yield found

    def _maker(self) -> Callable[[RunSettings], RunPlan]:
        from napari_fcnseg.plan.run_plan import make_plan

        data, mask = self.scaling.image if self.scaling else self.image.data, mask_of(self.chosen)
        return lambda settings: make_plan(data, self.models, settings, mask=mask)

    def _identity(self) -> dict[str, Any]:
        from napari_fcnseg.imagefile.identity import identity_of

        return {**(identity_of(self.image.data, self.chosen.image) or {}), "series": self.chosen.series}
