"""How a result looks that was stopped, and where the run is that can go on with it: as long as the layer exists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_fcnseg._napari.layers.metadata import METADATA, real
from napari_fcnseg._napari.segment.models.naming import split_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

    from napari_fcnseg._napari.segment.run.request import RunResult

#: Over what is not computed; half of it shows, as labels lie half transparent over an image.
_VEIL = (0.5, 0.5, 0.5, 1.0)
_NOT_COMPUTED = "not computed"
_ATTRIBUTE = "_napari_fcnseg_run"  # of the layer: the run lives as long, and no longer


def belong_to(layers: Sequence[Layer], segmented: RunResult) -> None:
    """Have the layers of a run know it, so that any dock can go on with it."""
    for layer in layers:
        setattr(real(layer), _ATTRIBUTE, segmented)


def run_of(layer: Layer | None) -> RunResult | None:
    """Return the run that a layer shows, in this session; None if it shows none."""
    return getattr(real(layer), _ATTRIBUTE, None)


def show_progress(layers: Sequence[Layer], done: int, total: int) -> None:
    """Have the layers of a run that ended say how much of it is done, and veil the rest of the labels.

    Parameters
    ----------
    layers : sequence of Layer
        Of one run.
    done, total : int
        Tiles; where all are done, name and colours are those of any other result again.
    """
    stopped = done < total
    for layer in layers:
        layer.name = split_name(layer.name)[0] + (f" ({done:,} of {total:,} tiles)" if stopped else "")
        entry = layer.metadata.get(METADATA)
        if isinstance(entry, dict):
            layer.metadata[METADATA] = {**entry, "tiles": [done, total]}
        if isinstance(layer, Labels):
            _veil(layer, stopped)


def _veil(layer: Labels, stopped: bool) -> None:
    colormap = layer.colormap
    if not isinstance(colormap, DirectLabelColormap) or _is_veiled(layer) == stopped:
        return
    colors: dict[int | None, Any] = dict(colormap.color_dict)
    colors[0] = _VEIL if stopped else "transparent"
    layer.colormap = DirectLabelColormap(color_dict=colors)
    features = layer.features.copy()
    if "class" in features and len(features):
        features.loc[features["index"] == 0, "class"] = _NOT_COMPUTED if stopped else "not labelled"
        layer.features = features


def _is_veiled(layer: Labels) -> bool:
    color = layer.colormap.color_dict.get(0)
    return color is not None and float(color[-1]) > 0
