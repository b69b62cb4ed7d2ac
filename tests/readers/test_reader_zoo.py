"""Every whole model of the zoo (tf.keras 2.15, Keras 3.6): the framework's own output and arrays, or a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from readers.reader_evaluate import evaluate

from napari_fcnseg.errors import ModelFileError, UnsupportedLayerError
from napari_fcnseg.graph.ops import Affine
from napari_fcnseg.readers import read_model

if TYPE_CHECKING:
    from pathlib import Path

#: What cannot be read, and the layer that says so.
REFUSED = {"m16": "time_distributed", "m18": "vec"}
#: tf.keras 2.15 itself wrote the wrong caller of a shared layer into this one.
BROKEN = "tf215/m7.h5"
FILES = [
    f"{folder}/m{number}.{end}"
    for folder in ("k36", "tf215")
    for number in (*range(1, 13), *range(14, 21))
    for end in ("keras", "h5")
]


@pytest.mark.parametrize("name", FILES)
def test_the_framework_s_own_output_and_arrays(shared_data: Path, name: str) -> None:
    path = shared_data / "model-zoo" / name
    model = path.name.split(".")[0]
    if name == BROKEN:
        with pytest.raises(ModelFileError, match=r"'input_14', which is none of the layers.*save"):
            read_model(path)
        return
    if model in REFUSED:
        with pytest.raises(UnsupportedLayerError) as caught:
            read_model(path)
        assert caught.value.layer == REFUSED[model]
        return
    network, io = read_model(path), np.load(path.with_name(f"{model}.io.npz"))
    expected = io["y"][0] if network.outputs else io["y"]
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(evaluate(network, io["x"]) / scale, expected / scale, rtol=0, atol=1e-6)
    _compare_arrays(network, np.load(path.with_name(f"{model}.truth.npz")))


def _compare_arrays(network, truth) -> None:
    """Compare every array of a leaf with the one that the framework gave under that leaf's path."""
    for node in network.nodes:
        path = re.sub(r" \(\d+\)", "", node.name)
        found = [
            v for op in node.ops if not isinstance(op, Affine) for v in vars(op).values() if isinstance(v, np.ndarray)
        ]
        if node.layer_type == "Normalization":
            continue
        for array in (truth[key] for key in truth.files if key.rpartition("|")[0] == path):
            # Settings of old activation layers are among them, as bare numbers.
            assert not array.ndim or any(
                array.shape == other.shape and np.array_equal(array, other) for other in found
            ), node.name


def test_both_outputs_of_a_model_of_two(shared_data: Path) -> None:
    for folder in ("k36", "tf215"):
        path = shared_data / "model-zoo" / folder / "m19.keras"
        io = np.load(path.with_name("m19.io.npz"))
        for output, expected in zip(("seq19", "inner19"), io["y"], strict=True):
            network = read_model(path, output)
            assert network.outputs == ("seq19", "inner19")
            scale = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(evaluate(network, io["x"]) / scale, expected / scale, rtol=0, atol=1e-6)


def test_weights_alone_are_no_model(shared_data: Path) -> None:
    for path in (shared_data / "model-zoo").glob("*/m*.weights.h5"):
        with pytest.raises(ModelFileError, match="weights of a model only"):
            read_model(path)
