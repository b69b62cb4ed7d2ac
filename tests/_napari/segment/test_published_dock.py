"""The published case through the window: five networks from their files, two layers, the authors' maps."""

from __future__ import annotations

import numpy as np
import tifffile
from napari_helpers import run

STEPS = "divide_by_median, subtract_local_mean:61"
INSIDE = (slice(30, 470), slice(30, 470))


def test_the_dock_gives_the_published_maps(qtbot, viewer, dock, shared_data) -> None:
    case = shared_data / "deepcell-3t3"
    for name in ("phase", "dapi"):
        viewer.add_image(tifffile.imread(case / f"{name}.tif"), name=name)
    dock.choose_models(sorted(map(str, case.glob("patch61_*.keras"))))
    qtbot.waitUntil(lambda: bool(dock.models), timeout=60_000)
    dock.settings.preprocess.value = STEPS
    dock.settings.probabilities.value = True
    assert run(qtbot, dock).startswith("Done: 500 × 500")
    *maps, labels = list(viewer.layers)[2:]
    ours = np.stack([layer.data for layer in maps], axis=-1)[INSIDE]
    published = np.stack([tifffile.imread(case / f"published_probability_{i}.tif") for i in range(3)], axis=-1)[INSIDE]
    assert np.abs(ours - published).max() <= 1e-5
    np.testing.assert_array_equal(labels.data[INSIDE], published.argmax(-1) + 1)
