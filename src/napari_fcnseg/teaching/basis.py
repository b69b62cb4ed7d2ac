"""What teaching stands on: the model to begin with or none, how images are prepared, and the model that comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.graph.network import Network, Node
from napari_fcnseg.graph.ops import Activation, Dense
from napari_fcnseg.model.patch_model import PatchModel
from napari_fcnseg.model.pixel_form import not_converted
from napari_fcnseg.model.sidecar import Sidecar, default_names, palette
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.teaching.starter import starter_network
from napari_fcnseg.teaching.taps import FEATURES, feature_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from napari_fcnseg.plan.layout import Layout
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.teaching.settings import TeachSettings

_FROM_NOTHING: Final = ("zero_mean_unit_variance",)


@dataclass(frozen=True)
class Basis:
    """What teaching stands on.

    Attributes
    ----------
    base : PatchModel or None
        The model to begin with.
    settings : TeachSettings
        What the user chose.
    channels : int
        Of the images, where there is no model.
    """

    base: PatchModel | None
    settings: TeachSettings
    channels: int = 1

    @cached_property
    def network(self) -> Network:
        """The network whose numbers a head is taught on."""
        if self.base is not None and self.base.labels_every_pixel:
            raise not_converted(self.base.name, "teach")
        return feature_network(self.base.network) if self.base is not None else starter_network(self.channels)

    @cached_property
    def reading(self) -> PatchModel:
        """The same as a model."""
        return PatchModel(self.network, outputs_are_classes=True)

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        return len(self.base.patch_shape) if self.base is not None else 2

    @property
    def steps(self) -> tuple[str, ...]:
        """What each whole image goes through first."""
        if self.settings.preprocess is not None:
            return self.settings.preprocess
        if self.base is None:
            return _FROM_NOTHING
        return self.base.sidecar.preprocess if self.base.sidecar is not None else ()

    def plan(self, image: Any, layout: Layout) -> RunPlan:
        """Return how the network's numbers of an image are computed."""
        settings = RunSettings(layout.channel_axis, self.steps, self.settings.border, device=self.settings.device,
                               memory_limit=self.settings.memory_limit)  # fmt: skip
        return make_plan(image, [self.reading], settings, separate=True)

    def model(
        self, network: Network, classes: int, names: tuple[str, ...], colors: tuple[str, ...],
        facts: dict[str, Any],
    ) -> PatchModel:  # fmt: skip
        """Return the taught model.

        Parameters
        ----------
        network : Network
            With its head (:func:`with_head`).
        classes : int
            Their number.
        names, colors : tuple of str
            Of the classes; empty for those of the model to begin with, if it has as many.
        facts : dict
            What it was taught on.

        Raises
        ------
        SettingsError
            If there are not as many names or colours as classes.
        """
        taught = PatchModel(network, outputs_are_classes=True)
        taught.sidecar = self._sidecar(classes, names, colors, facts)
        return taught

    def _sidecar(self, classes: int, names: tuple[str, ...], colors: tuple[str, ...], facts: dict[str, Any]) -> Sidecar:
        known = self.base.sidecar if self.base is not None else None
        for what, given in (("names", names), ("colours", colors)):
            if given and len(given) != classes:
                raise SettingsError(f"There are {len(given)} {what} for {classes} classes. Give one for each.")
        kept = known if known is not None else Sidecar(axes=("z", "y", "x")[-self.axes :])
        fits = len(kept.class_names) == classes
        called = names or (kept.class_names if fits else default_names("class", classes))
        return replace(
            kept,
            class_names=called,
            class_colors=colors or (kept.class_colors if fits and kept.class_colors else palette(classes, called)),
            preprocess=self.steps,
            outputs={},
            outputs_are="",
            patch_size=(),
            keras_1_backend="",
            bands_axis=None,
            other={**kept.other, "taught": facts},
        )


def with_head(network: Network, head: Sequence[np.ndarray]) -> Network:
    """Return the network that gives classes, from the one that gives what the head reads.

    Parameters
    ----------
    network : Network
        Ends with :data:`FEATURES`.
    head : sequence of ndarray
        Kernel and bias of the hidden layer, and of the scores.
    """
    hidden, bias, kernel, last = head
    nodes = (
        Node("taught_hidden", "Dense", (Dense(hidden, bias), Activation("relu")), (FEATURES,)),
        Node("taught_classes", "Dense", (Dense(kernel, last), Activation("softmax", {"axis": -1})), ("taught_hidden",)),
    )
    return replace(network, name="taught", nodes=(*network.nodes, *nodes), output="taught_classes")
