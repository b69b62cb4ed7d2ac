"""Teach with strokes on one image and score on others: pixels right, and mean Dice of the classes.

    python benchmarks/teach.py IMAGES --strokes STROKES [--model MODEL] [--all-layers] [--seeds 0 1 2 3 4]

IMAGES is a folder with a folder per image: ``phase.png``, ``nuclear.png`` and ``labels.png``, of which the first is
taught on and the others are scored. STROKES is a Python file with a function ``strokes(labels, seed)``. Without a model
it teaches from nothing. Where the data is absent, it says so and ends well.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_fcnseg as fcn
from napari_fcnseg.imagefile import read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PREPROCESS = ("divide_by_median", "subtract_local_mean:61")


def scores(labels: np.ndarray, truth: np.ndarray) -> tuple[float, float, list[float]]:
    """Return the share of pixels right, the mean Dice, and the Dice of each class."""
    classes = range(1, int(truth.max()) + 1)
    dice = [
        2
        * np.count_nonzero((labels == c) & (truth == c))
        / (np.count_nonzero(labels == c) + np.count_nonzero(truth == c))
        for c in classes
    ]
    return float((labels == truth).mean()), float(np.mean(dice)), dice


def images_in(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each image, channels last, with its truth."""
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        channels = [np.squeeze(np.asarray(read_image([place / name]).data)) for name in ("phase.png", "nuclear.png")]
        truth = np.squeeze(np.asarray(read_image([place / "labels.png"], indices=True).data))
        found.append((np.stack(channels, axis=-1), truth))
    return found


def run(
    folder: Path, painter: Callable[..., Any], model: Path | None, seeds: Sequence[int], every: int, all_layers: bool
) -> dict[str, Any]:
    """Teach and score for each seed, and print a line for each."""
    (image, truth), *others = images_in(folder)
    rows = []
    for seed in seeds:
        start = time.perf_counter()
        taught = fcn.teach(image, painter(truth, seed), model, preprocess=PREPROCESS, all_layers=all_layers)
        seconds = time.perf_counter() - start
        row = []
        for other, right in others:
            said = fcn.segment(other, taught, preprocess=PREPROCESS, every=every).labels
            row.append(scores(said, right[::every, ::every]))
        rows.append([[pixels, dice] for pixels, dice, _ in row])
        shown = "   ".join(f"{p:.3f} / {d:.3f} ({', '.join(f'{c:.2f}' for c in each)})" for p, d, each in row)
        print(f"seed {seed}: {shown}   {seconds:.1f} s", flush=True)
    mean = np.mean(rows, axis=0)
    print("mean:   " + "   ".join(f"{pixels:.3f} / {dice:.3f}" for pixels, dice in mean))
    return {"seeds": list(seeds), "rows": rows, "mean": mean.tolist()}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--strokes", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--every", type=int, default=1, help="score every Nth pixel along each axis alone")
    parser.add_argument("--all-layers", action="store_true", help="train the model's own layers too")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not chosen.images.is_dir() or not chosen.strokes.is_file():
        print(f"{chosen.images} or {chosen.strokes} is not on this machine: nothing to measure.")
        return 0
    spec = importlib.util.spec_from_file_location("painter", chosen.strokes)
    assert spec is not None
    assert spec.loader is not None
    painter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(painter)
    found = run(chosen.images, painter.strokes, chosen.model, chosen.seeds, chosen.every, chosen.all_layers)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
