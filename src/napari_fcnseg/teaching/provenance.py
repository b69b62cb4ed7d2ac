"""What a taught model was taught on, as plain data for its sidecar."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.proof.certificate import image_sha256
from napari_fcnseg.run.provenance import framework_versions, version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.plan.layout import Layout
    from napari_fcnseg.teaching.settings import TeachSettings
    from napari_fcnseg.teaching.strokes import Strokes


def taught_on(
    base: PatchModel | None, images: Sequence[Any], layouts: Sequence[Layout], painted: Strokes,
    settings: TeachSettings, scores: Mapping[str, float], hashes: Sequence[str | None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the base model, the images and the strokes by their hashes, the settings, the versions, and the score.

    Nothing of it depends on the day or on how long it took: the same teaching gives the same file.

    Parameters
    ----------
    base : PatchModel or None
        The model that it began with.
    images : sequence of array_like
        The images.
    layouts : sequence of Layout
        Their axes.
    painted : Strokes
        What was painted.
    settings : TeachSettings
        What the user chose.
    scores : mapping of str to float
        On strokes that were held out.
    hashes : sequence of str or None, optional
        Of the images, where they are known.
    """
    known = hashes if hashes is not None else [image_sha256(image) for image in images]
    counts = np.bincount(painted.labels, minlength=painted.classes + 1)[1:]
    return {
        "model": {"name": base.name, "sha256": base.sha256, "output": base.output} if base is not None else None,
        "images": [
            {
                "shape": [int(n) for n in image.shape],
                "dtype": str(image.dtype),
                "channel_axis": layout.channel_axis,
                "sha256": sha256,
            }
            for image, layout, sha256 in zip(images, layouts, known, strict=True)
        ],
        "strokes": {
            "sha256": painted.sha256,
            "pixels": len(painted.labels),
            "pixels_per_class": counts.tolist(),
            "count": len(np.unique(painted.stroke)),
        },
        "settings": settings.as_dict(),
        "held_out": {name: round(value, 6) for name, value in scores.items() if np.isfinite(value)},
        "versions": {
            "python": platform.python_version(),
            "napari-fcnseg": version("napari-fcnseg"),
            **framework_versions(["tensorflow"]),
            "numpy": version("numpy"),
        },
    }
