"""The layers that show a run: labels, and the network's numbers when asked for."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_fcnseg._napari.layers.class_colors import class_look
from napari_fcnseg._napari.layers.edits import keep_own, note_edits, pixels_in
from napari_fcnseg._napari.layers.metadata import METADATA
from napari_fcnseg._napari.segment.models.naming import models_name
from napari_fcnseg._napari.segment.run.older import hide_older, rename_older
from napari_fcnseg.run.output_kinds import EXTRA_OUTPUTS
from napari_fcnseg.settings import EXACT

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.segment.run.live_result import LiveResult
    from napari_fcnseg._napari.segment.run.request import RunProgress, RunRequest

_SHARES = tuple(f"· {kind.name}" for kind in EXTRA_OUTPUTS if kind.is_share)  # ends of layers' names
_REFRESH_SECONDS = 0.25
_REFRESH_SHARE = 0.05  # of a processor core that drawing may take from what is computed, at most


class ResultLayers:
    """The layers of one run; they appear with its first tile and follow the others.

    Parameters
    ----------
    viewer : Viewer
        Where they appear.
    layers : tuple of Layer
        Those of a run that goes on, which have appeared.

    Attributes
    ----------
    drew : bool
        Whether the last call of :meth:`take` has the canvas drawn anew.
    """

    def __init__(self, viewer: Viewer, layers: tuple[Layer, ...] = ()) -> None:
        self._viewer = viewer
        self._layers = layers
        self._added = len(layers)
        self._refreshed = -math.inf  # when it was
        self._worked = 0.0  # processor time of this program until then
        self._pause = _REFRESH_SECONDS
        self._shown = 0  # tiles
        self.drew = False

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All of them that have appeared."""
        return self._layers[: self._added]

    @property
    def labels(self) -> Layer | None:
        """The labels; None before they appear."""
        return self._layers[-1] if self._layers and self._added == len(self._layers) else None

    def take(self, progress: RunProgress, at_once: bool = False) -> bool:
        """Show the tiles finished so far; return whether all of that is done.

        One layer is added at a time, since adding one takes napari a fifth of a second in which the window stands
        still; and the layers are not redrawn more often than the window can bear, unless it is to be ``at_once``.
        """
        self.drew = False
        if not progress.done or not progress.layers:
            return True
        self._layers = progress.layers
        if self._added < len(self._layers):
            layer = self._layers[self._added]
            self._added += 1
            self.drew = True
            rename_older(list(self._viewer.layers), layer)
            self._viewer.add_layer(layer)
            if self.labels is not None:
                hide_older(self._viewer.layers, layer)
            self._shown = 0  # tiles have come since it was made: redraw it, in another turn
            return False
        now = time.monotonic()
        if self._worked:  # by now the window is drawn, by whichever threads
            self._pause = max(_REFRESH_SECONDS, (time.process_time() - self._worked) / _REFRESH_SHARE)
            self._worked = 0.0
        if progress.written != self._shown and (at_once or now >= self._refreshed + self._pause):
            self._shown, self.drew = progress.written, True
            self._refreshed, self._worked = now, time.process_time()
            self._refresh(thumbnail=at_once)
        return progress.written == self._shown

    def finish(self, progress: RunProgress | None, provenance: dict[str, Any] | None) -> None:
        """Note where the result comes from, and what its numbers turned out to be."""
        for layer in self._layers:
            if provenance is not None:
                edited = pixels_in(layer.metadata.get(METADATA, {}))
                layer.metadata[METADATA] = provenance
                note_edits(layer, edited)
            unbounded = isinstance(layer, Image) and not layer.name.endswith(_SHARES)
            if unbounded and progress is not None and progress.result.limits != (0, 1):
                layer.contrast_limits_range = layer.contrast_limits = progress.result.limits

    def _refresh(self, thumbnail: bool) -> None:
        for layer in self._layers:
            layer.refresh(extent=False, highlight=False, thumbnail=thumbnail)


def result_name(request: RunRequest) -> str:
    """Return ``"<image layer> · <model>"``, and what is unusual of the run."""
    chosen = request.settings
    parts = [request.source.layers[0].name, models_name(request.models)]
    if request.inside is not None:
        parts.append(f"inside {request.inside.name}")
    if chosen.every > 1:
        parts.append(f"every {chosen.every} px")
    if chosen.method == "patchwise":
        parts.append("patch by patch")
    if chosen.precision != EXACT:
        parts.append(chosen.precision)
    return " · ".join(parts)


def class_names(request: RunRequest, classes: int) -> tuple[str, ...]:
    """Return what the classes are called, or their numbers, which are those of the labels."""
    names = request.hints.class_names
    return names if len(names) == classes else tuple(f"class {index + 1}" for index in range(classes))


def in_layer_axes(array: npt.NDArray[Any], request: RunRequest) -> npt.NDArray[Any]:
    """Return a view with the layer's order of axes, and with the axis that lies over the image's channels."""
    array = request.source.to_layer_axes(array)
    return array if request.spanned_axis is None else np.expand_dims(array, request.spanned_axis)


def result_layers(request: RunRequest, result: LiveResult, provenance: dict[str, Any]) -> list[Layer]:
    """Return the layers of a run, the labels last so that they lie on top."""
    classes = result.run.plan.networks[0].classes
    names = class_names(request, classes)
    common: dict[str, Any] = {"metadata": {METADATA: provenance}, **request.geometry}
    title = result_name(request)
    layers: list[Layer] = []
    if result.maps is not None:
        shown = names if len(result.maps) == len(names) else names[-1:]  # one number speaks for the second class
        layers += [
            Image(
                in_layer_axes(scores, request),
                name=f"{title} · {name}",
                contrast_limits=result.limits,
                rgb=False,
                visible=False,  # else they would hide the image
                **common,
            )
            for scores, name in zip(result.maps, shown, strict=True)
        ]
    for kind in EXTRA_OUTPUTS:
        if kind.name in result.arrays and not kind.per_class:
            limits = (0, 1) if kind.is_share else result.limits
            data, name = in_layer_axes(result.arrays[kind.name], request), f"{title} · {kind.name}"
            layers.append(Image(data, name=name, contrast_limits=limits, rgb=False, visible=False, **common))
    look = class_look(names, request.hints.class_colors, request.hints.hidden)
    labels = Labels(in_layer_axes(result.labels, request), name=title, **look, **common)
    keep_own(labels, lambda: in_layer_axes(result.own.array(), request))
    return [*layers, labels]
