"""Layers that show a comparison: the map of agreement, and the highlighted pixels of a cell or an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_fcnseg._napari.compare.placing import geometry_over
from napari_fcnseg._napari.layers.metadata import METADATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_fcnseg._napari.compare.differences import Differences, Highlight
    from napari_fcnseg.comparison import Study

_OPACITY = 0.85
_FAINT = "59"  # how opaque agreement is, as hexadecimal digits: what differs stands out
#: Colours of highlights: of Okabe and Ito (2008), other than those of agreement.
_LIGHT = "#cc79a7"


class ComparisonLayers:
    """Keeps a layer for the agreement and one for highlights; a layer that the user removed is added again on demand.

    Parameters
    ----------
    viewer : Viewer
        Where they appear.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.agreement: Labels | None = None
        self.light: Labels | None = None
        self._veiled: list[Labels] | None = None  # layers that are hidden temporarily

    def show_agreement(self, truth: Labels, view: Differences) -> None:
        """Show how a mask agrees with the truth; in the same layer as long as it lies in the same place."""
        from napari_fcnseg.comparison import AGREEMENT, BOTH

        study = view.study
        names = {kind: name for kind, (name, _) in AGREEMENT.items()}
        look: dict[str, Any] = {
            "name": f"{study.truth} ≠ {study.entries[view.index].name}",
            "features": {"index": [0, *names], "agreement": ["neither", *names.values()]},
            "colormap": _colormap({k: color + _FAINT * (k == BOTH) for k, (_, color) in AGREEMENT.items()}),
        }
        self.agreement = self._put(self.agreement, truth, view.agreement, study, look)

    def show_highlight(self, truth: Labels, study: Study, lit: Highlight) -> None:
        """Highlight pixels."""
        features = {"index": [0, 1], "pixels": ["other pixels", lit.name]}
        look = {"name": lit.name, "features": features, "colormap": _colormap({1: _LIGHT})}
        self.light = self._put(self.light, truth, lit.pixels, study, look, lit.start)
        self.light.contour = int(lit.outline)

    def hide_temporarily(self, on: bool) -> None:
        """Hide what is shown for as long as A and B themselves are looked at, or show it again."""
        veiled, self._veiled = self._veiled, None
        for layer in veiled or ():
            layer.visible = True
        if on:
            own = (self.agreement, self.light)
            self._veiled = [layer for layer in own if layer is not None and layer.visible]
            for layer in self._veiled:
                layer.visible = False

    def hide(self, *layers: Labels | None) -> None:
        """Remove layers from the viewer, if present."""
        for layer in layers:
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _put(
        self, layer: Labels | None, truth: Labels, data: Any, study: Study, look: dict[str, Any],
        start: Sequence[int] | None = None,
    ) -> Labels:  # fmt: skip
        affine, origin = study.aligned.affine.copy(), study.aligned.origin
        if start is not None:
            affine[:-1, -1] += affine[:-1, :-1] @ np.asarray(start, float)
            origin = tuple(map(sum, zip(origin, start, strict=True)))
        place = geometry_over(truth, affine, origin)
        if layer is not None and layer in self._viewer.layers and _lies(layer, data, place):
            layer.data = data
            for name, value in look.items():
                setattr(layer, name, value)
            return layer
        self.hide(layer)
        about = {"program": "napari-fcnseg", "comparison": {"truth": study.truth, "settings": study.settings.as_dict()}}
        veiled = self._veiled is not None
        made = Labels(_array(data), opacity=_OPACITY, visible=not veiled, metadata={METADATA: about}, **look, **place)
        if self._veiled is not None:
            self._veiled.append(made)
        made.editable = False  # it says what was counted; a stroke of the brush would make it say something else
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(made)
        self._viewer.layers.selection.active = active  # else the next stroke would be on it
        return made


def _colormap(colors: dict[int, str]) -> DirectLabelColormap:
    table: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    table.update(colors.items())
    return DirectLabelColormap(color_dict=table)


def _array(data: Any) -> Any:
    """Return what napari can slice: it knows dask's arrays well, and others less so."""
    if isinstance(data, np.ndarray):
        return data
    import dask.array  # napari's own dependency

    chunks = (*(1,) * (data.ndim - 2), *data.shape[-2:])
    return dask.array.from_array(data, chunks=chunks, name=False, asarray=True)  # type: ignore[no-untyped-call]


def _lies(layer: Layer, data: Any, place: dict[str, Any]) -> bool:
    """Whether a layer has the shape of some data and the same place in the world."""
    same = ("scale", "translate", "rotate", "affine")
    parts: Sequence[str] = [name for name in same if name in place]
    return tuple(layer.data.shape) == tuple(data.shape) and all(
        np.allclose(np.asarray(getattr(layer, name)), np.asarray(place[name])) for name in parts
    )
