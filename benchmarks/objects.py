"""What people wait for at a table of objects and at the threshold: ``python benchmarks/objects.py``.

8,000 objects of 2,048 × 2,048 pixels in two channels are measured, beside scikit-image's own table of the same
properties; the window's table of them is sorted and filtered; and a threshold of 4,096 × 4,096 labels is moved, for two
classes and for three. In turns, in one process; the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
from skimage.measure import regionprops_table

from napari_fcnseg._napari.segment.results.object_model import ObjectModel
from napari_fcnseg.instances.measuring import measure_objects
from napari_fcnseg.run.threshold import Threshold

if TYPE_CHECKING:
    from collections.abc import Callable

_SIDE, _STEP = 2048, 22
_SHOWN = 4096


def objects() -> np.ndarray:
    """Return labels ``(row, col)`` with more than 8,000 rectangles."""
    labels = np.zeros((_SIDE, _SIDE), np.int32)
    places = [(row, col) for row in range(0, _SIDE, _STEP) for col in range(0, _SIDE, _STEP)]
    for number, (row, col) in enumerate(places, 1):
        labels[row : row + 15, col : col + 17] = number
    return labels


def ways() -> dict[str, Callable[[], object]]:
    """Return what is measured, by name; the data is made here."""
    labels, random = objects(), np.random.default_rng(0)
    image = random.integers(0, 4000, (_SIDE, _SIDE, 2), np.uint16)
    table = measure_objects(labels, image=image)
    names = (
        "label", "area", "centroid", "bbox", "equivalent_diameter_area", "axis_major_length", "axis_minor_length",
        "eccentricity", "intensity_mean",
    )  # fmt: skip
    model = ObjectModel()
    model.show_table(table)
    sure = random.random((_SHOWN, _SHOWN), np.float32)

    def threshold(classes: int) -> Callable[[], object]:
        own = random.integers(1, classes + 1, (_SHOWN, _SHOWN), np.uint8)
        shown = own.copy()

        def move() -> None:
            shown[...] = Threshold(random.uniform(0.4, 0.6), classes).apply(own, sure)

        return move

    return {
        f"table of {len(table):,} objects": lambda: measure_objects(labels, image=image),
        "the same in scikit-image": lambda: regionprops_table(labels, image, properties=names),
        "sort it": lambda: model.sort(2, _order()),
        "filter it": lambda: model.filter("label > 100"),
        "threshold of 2 classes, 4,096²": threshold(2),
        "threshold of 3 classes, 4,096²": threshold(3),
    }


def _order() -> object:
    from qtpy.QtCore import Qt

    return Qt.SortOrder.DescendingOrder


def main() -> None:
    """Give each its turns and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, way in measured.items():
            start = time.perf_counter()
            way()
            seconds.setdefault(name, []).append(time.perf_counter() - start)
    print("| what | ms |\n|---|---:|")
    for name, values in seconds.items():
        print(f"| {name} | {1000 * statistics.median(values):.0f} |")


if __name__ == "__main__":
    from qtpy.QtWidgets import QApplication

    application = QApplication([])
    measured = ways()
    main()
