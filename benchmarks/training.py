"""One step of training all layers: the dense network's gradient against patch by patch in its best batches.

    python benchmarks/training.py MODEL [--tile 256] [--rounds 2] [--json FILE]

All pixels of a tile are labelled; then 4,000 pixels of strokes, where the way that is chosen is held against the other.
Both ways in one process, in turns, on the processor; patch by patch is Keras's own network too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

os.environ["KERAS_BACKEND"] = "tensorflow"

from napari_fcnseg import load_model
from napari_fcnseg.conversion.strided import subsampled
from napari_fcnseg.conversion.trained_numbers import TrainedNumbers
from napari_fcnseg.teaching.cover import cover
from napari_fcnseg.teaching.examples import Example, Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.engine.layer_training import LayerTrainer

BATCHES = (16, 64, 256)
STROKES, LENGTH = 100, 40
SIDE = 1_000  # pixels of the image that the strokes are on


def best(function: Callable[[], object], rounds: int) -> float:
    """Return the seconds of the quickest call, the first not counted."""
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def keras_step(network: Any, classes: int) -> Callable[[np.ndarray], object]:
    """Return a step of plain Keras on a batch of patches."""
    import tensorflow as tf

    from napari_fcnseg.engine.patch_network import patch_model

    model = patch_model(network)
    variables = [v.value for v in model.trainable_variables]

    @tf.function(reduce_retracing=True)
    def step(patches: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            chances = model(patches, training=False)
            loss = -tf.reduce_sum(tf.math.log(tf.gather(chances, labels, axis=1, batch_dims=1)))
        return tape.gradient(loss, variables)

    def run(patches: np.ndarray) -> object:
        labels = np.arange(len(patches), dtype=np.int32) % classes
        return [np.asarray(g) for g in step(tf.constant(patches), tf.constant(labels))]

    return run


def strokes(reach: tuple[int, ...], channels: int, random: np.random.Generator) -> list[Example]:
    """Return the regions of some strokes, straight lines across an image of noise."""
    starts, angles = random.uniform(0, SIDE - LENGTH, (STROKES, 2)), random.uniform(0, np.pi / 2, STROKES)
    steps = np.arange(LENGTH)[None, :, None] * np.stack([np.sin(angles), np.cos(angles)], 1)[:, None]
    points = np.unique((starts[:, None] + steps).astype(int).reshape(-1, 2), axis=0)
    found = []
    for region, part in cover(points, reach, (128, 128)):
        size = tuple(stop - start for start, stop in region)
        window = random.standard_normal((*(n + r - 1 for n, r in zip(size, reach, strict=True)), channels))
        first = np.array([start for start, _ in region])
        found.append(Example(window.astype(np.float32), points[part] - first, part, size))
    return found


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not chosen.model.is_file():
        print(f"{chosen.model} is not on this machine: nothing to measure.")
        return 0
    from napari_fcnseg.engine.layer_training import LayerTrainer

    network = load_model(chosen.model).network
    numbers = TrainedNumbers.of(network)
    assert numbers is not None, "a model whose layers can be taught"
    dense, random = numbers.dense, np.random.default_rng(0)
    tile = (chosen.tile,) * len(dense.patch_shape)
    trainers = LayerTrainer(dense), LayerTrainer(subsampled(dense, dense.strides))
    window = random.standard_normal((1, *dense.window(tile), dense.channels)).astype(np.float32)
    labels = random.integers(0, dense.outputs, (1, *tile)).astype(np.int32)
    whole = best(lambda: trainers[0].gradient(window, labels, np.ones((1, *tile), np.float32)), chosen.rounds)
    step = keras_step(network, dense.outputs)
    each = {n: best(lambda n=n: step(_patches(random, n, network.input_shape)), chosen.rounds) / n for n in BATCHES}
    patchwise = min(each.values()) * labels.size
    print(f"all {labels.size:,} pixels: dense {whole:.2f} s, patch by patch {patchwise:.0f} s (the best of batches of "
          f"{BATCHES}): {patchwise / whole:.0f} times")  # fmt: skip
    ways = _on_strokes(dense, trainers, random, chosen.rounds)
    print(f"{ways['pixels']:,} pixels of strokes: regions {ways['regions']:.2f} s, patches {ways['patches']:.2f} s; "
          f"chosen: {ways['chosen']}")  # fmt: skip
    if chosen.json is not None:
        found = {"dense": whole, "patchwise": patchwise, "ratio": patchwise / whole, "strokes": ways}
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _patches(random: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    return random.standard_normal((count, *shape)).astype(np.float32)


def _on_strokes(
    dense: Any, trainers: tuple[LayerTrainer, LayerTrainer], random: np.random.Generator, rounds: int
) -> dict[str, Any]:
    examples = strokes(dense.reach, dense.channels, random)
    count = sum(len(example.points) for example in examples)
    labels, weight = random.integers(0, dense.outputs, count), np.ones(count, np.float32)

    def whole(trainer: LayerTrainer, way: Way) -> None:
        for example in examples:
            for question in way.asked(example, labels, weight):
                trainer.gradient(*question)

    regions = best(lambda: whole(trainers[0], Way(dense, 0)), rounds)
    thin = Way(subsampled(dense, dense.strides), 64)
    patches = best(lambda: whole(trainers[1], thin), rounds)
    way = Way.chosen(dense, examples, np.arange(count))
    return {
        "pixels": count,
        "regions": regions,
        "patches": patches,
        "chosen": "patches" if way.patches else "regions",
    }


if __name__ == "__main__":
    sys.exit(main())
