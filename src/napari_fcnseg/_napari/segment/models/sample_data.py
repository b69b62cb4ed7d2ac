"""napari's sample data: an image with, in its metadata, the model that fits it."""

from __future__ import annotations

from typing import Any, TypeAlias

from napari_fcnseg._napari.layers.class_colors import class_look
from napari_fcnseg._napari.segment.models.hints import sample_hints
from napari_fcnseg.samples.catalogue import SAMPLES

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]

#: Colormaps for the channels of a sample that is not RGB, in order.
_COLORMAPS = ("blue", "green", "red")


def tissue() -> list[LayerData]:
    """Return the stained tissue that comes with scikit-image, as an RGB layer."""
    return sample_layers("tissue")


def cells() -> list[LayerData]:
    """Return the synthetic fluorescent cells, a layer per channel."""
    return sample_layers("cells")


def cells_to_compare() -> list[LayerData]:
    """Return the synthetic cells with two label maps over them: the truth, and a mask without a network."""
    from napari_fcnseg.samples.classical import threshold_labels

    sample = SAMPLES["cells"]
    assert sample.truth is not None, "the cells are drawn from it"
    look = class_look(sample.class_names, sample.class_colors)
    place = {"scale": sample.pixel_size, "units": (sample.units, sample.units)}
    truth = (sample.truth(), {"name": "cells truth", **look, **place}, "labels")
    mask = (threshold_labels(sample.image()), {"name": "cells threshold", **look, **place, "visible": False}, "labels")
    return [*sample_layers("cells"), mask, truth]


def sample_layers(name: str) -> list[LayerData]:
    """Return a sample's image as layers.

    Parameters
    ----------
    name : str
        Key in :data:`napari_fcnseg.samples.SAMPLES`.
    """
    sample = SAMPLES[name]
    image = sample.image()
    common: dict[str, Any] = {"metadata": sample_hints(sample).metadata()}
    if sample.pixel_size is not None:
        common |= {"scale": sample.pixel_size, "units": (sample.units,) * len(sample.pixel_size)}
    if sample.channel_names == ("red", "green", "blue"):
        return [(image, {"name": sample.name, "rgb": True, **common}, "image")]
    if sample.channel_axis is None:
        return [(image, {"name": sample.name, **common}, "image")]
    channels = [image.take(c, axis=sample.channel_axis) for c in range(len(sample.channel_names))]
    return [
        (
            channel,
            {
                "name": f"{sample.name} {called}",
                "colormap": _COLORMAPS[c % len(_COLORMAPS)],
                "blending": "additive",
                "contrast_limits": (float(channel.min()), float(channel.max())),
                **common,
            },
            "image",
        )
        for c, (channel, called) in enumerate(zip(channels, sample.channel_names, strict=True))
    ]
