"""Training all layers: the gradient is Keras's own, by regions as by patches, and what comes out is a patch model."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from architectures import keras_model
from architectures.draw import draw_architecture
from architectures.gradient import TOLERANCE, gradient_difference, with_softmax

import napari_fcnseg as nf
from napari_fcnseg.conversion.trained_numbers import TrainedNumbers, arrays_of
from napari_fcnseg.engine import engine
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.options import ReadOptions
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.teaching import layers
from napari_fcnseg.teaching.examples import Example, Way
from napari_fcnseg.teaching.layers import held_out
from napari_fcnseg.teaching.strokes import Strokes

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fcnseg.graph.network import Network

pytestmark = pytest.mark.timeout(180)
SAMPLE = SAMPLES["cells"]
#: Numbers of random architectures with axes: a shared layer, transposed and depthwise convolutions, batch and layer
#: normalisation, PReLU, edge variants, three axes. `make prove` draws others each time.
DRAWN = [(18, 2), (24, 1), (33, 2), (6, 2), (13, 2), (19, 3)]


def drawn(keras_child, number: int, rank: int, folder: Path) -> Network:
    """Return a random network, whose Keras model is the newest one in the process that has Keras."""
    spec = draw_architecture(Random(number), rank)
    path = folder / f"model.{spec['file']}"
    output = keras_child(keras_model.make, spec, str(path))
    return read_model(path, output, ReadOptions(bands_axis=-1))


@pytest.mark.parametrize(("number", "rank"), DRAWN)
def test_the_dense_gradient_is_the_sum_of_the_patches_in_keras(keras_child, tmp_path, number: int, rank: int) -> None:
    network = drawn(keras_child, number, rank, tmp_path)
    difference = gradient_difference(network, partial(keras_child, keras_model.gradients), number)
    assert difference is not None
    assert difference <= TOLERANCE


def test_by_regions_and_by_patches_it_is_the_same_gradient() -> None:
    numbers = TrainedNumbers.of(with_softmax(nf.load_model(SAMPLE.model_path).network))
    assert numbers is not None
    dense = numbers.dense
    random, size = np.random.default_rng(0), (9, 13)
    window = random.standard_normal((*dense.window(size), dense.channels)).astype(np.float32)
    points = np.argwhere(random.random(size) < 0.3)
    example = Example(window, points, np.arange(len(points)), size)
    labels, weight = random.integers(0, 3, len(points)), random.uniform(0.5, 2, len(points)).astype(np.float32)
    few = Way.chosen(dense, [Example(window, points[:1], np.arange(1), (100, 100))], np.arange(1))
    assert few.patches, "one pixel of a large region is less work by its patch"
    arrays = [array for step in dense.steps for array in arrays_of(step.op)]
    found = []
    for way in (Way(dense, 0), Way(few.network, 16)):
        trainer, total = engine().trainer(way.network), 0.0
        sums = [np.zeros(array.shape) for array in arrays]
        for question in way.asked(example, labels, weight):
            loss, _, gradient = trainer.gradient(arrays, *question)
            total += loss
            sums = [a + b for a, b in zip(sums, gradient, strict=True)]
        trainer.close()
        found.append((total, np.concatenate([a.ravel() for a in sums])))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert np.abs(found[0][1] - found[1][1]).max() <= 1e-5 * np.abs(found[0][1]).max()


def test_a_network_with_other_numbers_is_the_same_network() -> None:
    network = nf.load_model(SAMPLE.model_path).network
    numbers = TrainedNumbers.of(network)
    assert numbers is not None
    patches = np.random.default_rng(0).normal(0, 1, (5, *network.input_shape)).astype(np.float32)

    def says(values: np.ndarray) -> np.ndarray:
        return nf.PatchModel(numbers.network_with(values)).predict(patches)

    np.testing.assert_array_equal(says(numbers.values), nf.PatchModel(network).predict(patches))
    changed = numbers.values * np.where(numbers.trained, 1.01, 1).astype(np.float32)
    assert np.abs(says(changed) - says(numbers.values)).max() > 1e-4


def test_strokes_are_held_out_whole_and_none_of_a_class_with_few() -> None:
    stroke = np.repeat(np.arange(12), 5)
    labels = np.where(stroke < 10, 1, 2)
    points = (np.zeros((60, 2), int),)
    held = held_out(Strokes(np.zeros(60, int), points, labels, stroke, 2, ""), 3)
    assert held.sum() == 10
    assert not held[labels == 2].any()
    assert all(held[stroke == s].all() or not held[stroke == s].any() for s in range(12))


def test_all_layers_are_taught_and_what_comes_out_is_verified(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(layers, "_PASSES", 6)
    image, truth = SAMPLE.image()[:110, :110], SAMPLE.truth()[:110, :110]
    flipped = image[..., ::-1]  # to the network another stain: its first layers have to learn
    strokes = np.zeros_like(truth)
    strokes[8:-8:12, 8:-8] = truth[8:-8:12, 8:-8]
    told: list[int] = []
    models = [
        nf.teach(
            flipped, strokes, SAMPLE.model_path, preprocess=SAMPLE.preprocess, turned=False, all_layers=all_layers,
            progress=lambda done, _: told.append(done),
        )
        for all_layers in (False, True)
    ]  # fmt: skip
    head, whole = ((nf.segment(flipped, model).labels == truth)[strokes == 0].mean() for model in models)
    assert whole > head
    assert told[-1] == 100
    facts = models[1].sidecar.other["taught"]
    assert facts["settings"]["all_layers"]
    assert facts["held_out"]["accuracy"] >= facts["held_out"]["accuracy_before"]
    again = nf.load_model(models[1].save(tmp_path / "taught.keras"))
    assert nf.verify(flipped, again, n=64).passed
