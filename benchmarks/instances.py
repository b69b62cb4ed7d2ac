"""Objects of a label image on disk, block by block, beside SciPy and scikit-image on the whole of it.

``python benchmarks/instances.py [--side 20000] [--blocks 1000 1777] [--scene confluent] [--folder FOLDER]`` makes an
image of cells that touch (about 250 to a million pixels; confluent ones are 1500, and all of an image are one piece),
finds them by either method in a process of its own per way, and prints time, peak memory, and whether all numbers are
the same. A watershed of the whole array by scikit-image decides what is as near to one core as to another by what else
there is in the image, so that some pixels differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import zarr

from napari_fcnseg import InstanceSettings, find_instances
from napari_fcnseg.samples.synthetic import fluorescence_cells

if TYPE_CHECKING:
    import numpy.typing as npt

_SCENE = 1010  # pixels; no multiple of it is one of a block
_SETTINGS = {
    "components": InstanceSettings(3),
    "watershed": InstanceSettings(3, 2),
    "necks": InstanceSettings((2, 3), method="watershed"),
}


def confluent(seed: int) -> npt.NDArray[np.uint8]:
    """Return cells that cover a scene: what is nearest to each of some points, with edges between."""
    from scipy import ndimage

    points = np.zeros((_SCENE, _SCENE), np.int32)
    places = np.random.default_rng(seed).choice(points.size, 1500, replace=False)
    points.ravel()[places] = np.arange(1, 1501)
    nearest = ndimage.distance_transform_edt(points == 0, return_distances=False, return_indices=True)
    edges = ndimage.binary_dilation(ndimage.morphological_gradient(points[tuple(nearest)], 3) > 0, iterations=2)
    return np.where(edges, 2, 3).astype(np.uint8)


_SCENES = {"cells": lambda seed: fluorescence_cells(seed, (_SCENE, _SCENE))[1], "confluent": confluent}


def make(path: Path, side: int, scene: str) -> None:
    """Write the labels: scenes in a changing order."""
    scenes = [_SCENES[scene](seed) for seed in range(8)]
    rng = np.random.default_rng(0)
    stored = zarr.create_array(path, shape=(side, side), chunks=(1000, 1000), dtype=np.uint8)
    for top in range(0, side, _SCENE):
        row = np.concatenate([scenes[rng.integers(8)] for _ in range(0, side, _SCENE)], axis=1)
        stored[top : top + _SCENE] = row[: side - top, :side]


def ours(labels: Path, method: str, block: int, target: Path) -> None:
    """Find the objects block by block."""
    find_instances(labels, _SETTINGS[method], block=block, output=target, overwrite=True)


def theirs(labels: Path, method: str, target: Path) -> None:
    """Find the objects in the whole array by SciPy and scikit-image alone."""
    from scipy import ndimage
    from skimage.measure import label
    from skimage.segmentation import watershed

    classes = zarr.open_array(labels, mode="r")[:]
    interior = classes == 3
    found = label(interior, connectivity=1)
    if method == "watershed":
        found = watershed(ndimage.distance_transform_edt(~interior), found, mask=classes >= 2)
    np.save(target, found)


def most_memory() -> int:
    """Return the most memory that this process has had, in KiB; what getrusage says holds for its parent, too."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def compared(one: Path, other: Path) -> tuple[int, int, int]:
    """Return the objects of one, the pixels of its objects, and those whose object is another in the other."""
    a, b = zarr.open_array(one / "0" if (one / "0").exists() else one, mode="r"), np.load(other, mmap_mode="r")
    names: dict[int, int] = {}
    count = differing = inside = 0
    for top in range(0, a.shape[0], 1000):  # the first pixel of an object tells what the other calls it
        mine, its = a[top : top + 1000], b[top : top + 1000]
        found, first = np.unique(mine, return_index=True)
        for number, place in zip(found.tolist(), first.tolist(), strict=True):
            names.setdefault(number, int(its.ravel()[place]))
        assert names.setdefault(0, 0) == 0
        table = np.array([names[n] for n in found.tolist()])
        differing += int(np.count_nonzero(table[np.searchsorted(found, mine)] != its))
        inside += int(np.count_nonzero(mine))
        count = max(count, int(found[-1]))
    return count, inside, differing


def main() -> None:
    """Measure, or be one way of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1000, 1777])
    parser.add_argument("--scene", default="cells", choices=list(_SCENES))
    parser.add_argument("--methods", nargs="+", default=["components", "watershed"], choices=list(_SETTINGS))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fcnseg-instances")
    parser.add_argument(
        "--no-reference", action="store_false", dest="reference", help="for want of memory: 50 bytes a pixel"
    )
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    labels = chosen.folder / f"{chosen.scene}-{chosen.side}.zarr"
    if chosen.one:
        way, method, target = chosen.one
        begin = time.perf_counter()
        if way == "theirs":
            theirs(labels, method, Path(target))
        else:
            ours(labels, method, int(way), Path(target))
        peak = most_memory() / 2**20
        print(json.dumps({"seconds": time.perf_counter() - begin, "GiB": peak}))
        return
    chosen.folder.mkdir(exist_ok=True, parents=True)
    if not labels.exists():
        make(labels, chosen.side, chosen.scene)
    for method in chosen.methods:
        ways = {str(block): chosen.folder / f"{method}-{block}.zarr" for block in chosen.blocks}
        if method != "necks" and chosen.reference:
            ways["theirs"] = chosen.folder / f"{method}.npy"
        for way, target in ways.items():
            command = [sys.executable, __file__, "--side", str(chosen.side), "--folder", str(chosen.folder)]
            command += ["--scene", chosen.scene]
            done = subprocess.run(
                [*command, "--one", way, method, str(target)], check=True, capture_output=True, text=True
            )
            cost = json.loads(done.stdout)
            print(f"{method}, {way}: {cost['seconds']:.0f} s, {cost['GiB']:.2f} GiB", flush=True)
        first, *others = [ways[str(block)] for block in chosen.blocks]
        for other in others:
            a, b = (zarr.open_array(path / "0", mode="r") for path in (first, other))
            same = all(np.array_equal(a[t : t + 1000], b[t : t + 1000]) for t in range(0, chosen.side, 1000))
            print(f"{method}: the blocks give {'the same numbers' if same else 'OTHER NUMBERS'}", flush=True)
        if "theirs" in ways:
            count, inside, differing = compared(first, ways["theirs"])
            print(
                f"{method}: {count:,} objects, {differing:,} of {inside:,} pixels differ from scikit-image", flush=True
            )


if __name__ == "__main__":
    main()
