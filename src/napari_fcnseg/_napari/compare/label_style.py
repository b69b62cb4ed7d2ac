"""Colours of the labels in the viewer, for tables and pictures. Free of Qt."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_fcnseg._napari.compare.placing import placed_layer
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.viewer import Viewer

    from napari_fcnseg._napari.compare.request import CompareRequest
    from napari_fcnseg.comparison import Placed, Study
    from napari_fcnseg.comparison.report.pictures import LabelStyle


def colors_of(request: CompareRequest, study: Study) -> dict[int, str]:
    """Return the colours that the truth's layer gives the classes, those that it does not show left out."""
    colors = {}
    for label in study.entries[0].comparison.labels:
        color = request.truth.get_color(label)
        if color is not None and color[3] > 0:
            red, green, blue = np.round(np.asarray(color[:3]) * 255).astype(int).tolist()
            colors[label] = f"#{red:02x}{green:02x}{blue:02x}"
    return colors


def look_of(request: CompareRequest, study: Study, viewer: Viewer) -> Callable[[], LabelStyle]:
    """Return what makes a look for pictures of a study: the colours of the labels over the visible image.

    What is in the viewer is noted now; the image is read when the look is made, which may take its time.
    """
    colors = {} if study.single else colors_of(request, study)
    images = [layer for layer in viewer.layers if isinstance(layer, Image) and layer.visible]
    under = placed_layer(images[-1], request.truth.units) if images else None
    if under is not None and images[-1].rgb:
        under = replace(under, data=under.data[..., 1]) if isinstance(under.data, np.ndarray) else None  # green
    return partial(_look, colors, under, study)


def _look(colors: dict[int, str], under: Placed | None, study: Study) -> LabelStyle:
    from napari_fcnseg.comparison import Placed, align
    from napari_fcnseg.comparison.report.pictures import LabelStyle

    if under is None:
        return LabelStyle(colors)
    shape = tuple(study.aligned.maps[0].shape)
    grid = Placed("the labels", np.broadcast_to(np.uint8(0), shape), study.aligned.affine)
    try:
        found = align([grid, under])
    except FcnSegError:  # the image lies elsewhere or has more axes: show the labels alone
        return LabelStyle(colors)
    image = found.maps[1]
    return LabelStyle(colors, image if tuple(image.shape) == shape and found.inside is None else None)
