"""Files as Keras 3 writes them: the network computes what Keras computed, from the same arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from readers.reader_evaluate import evaluate
from readers.reader_keras_files import ACTIVATIONS, KERAS_ONLY, NAMES, cannot

from napari_fcnseg.graph.network import INPUT
from napari_fcnseg.graph.ops import (
    AXIS_ACTIVATIONS,
    ELEMENTWISE_ACTIVATIONS,
    Activation,
    Affine,
    Conv,
    DepthwiseConv,
    Identity,
)
from napari_fcnseg.readers import read_model

FILES = [
    pytest.param(f"{name}.{end}", marks=pytest.mark.skipif(bool(cannot(name)), reason=cannot(name)))
    for name in NAMES
    for end in ("keras", "h5")
    if end == "keras" or name not in KERAS_ONLY
]
#: Their own arithmetic is that coarse.
TOLERANCE = {"dtype_float16": 1e-2, "dtype_bfloat16": 5e-2, "dtype_mixed_float16": 1e-2}


@pytest.mark.parametrize("name", FILES)
def test_network_computes_what_keras_computed(keras_files: Path, name: str) -> None:
    network, truth = read_model(keras_files / name), np.load((keras_files / name).with_suffix(".npz"))
    result, expected = evaluate(network, truth["x"]), truth["y"]
    assert network.input_shape == truth["x"].shape[1:]
    assert result.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(result / scale, expected / scale, rtol=0, atol=TOLERANCE.get(Path(name).stem, 2e-6))


@pytest.mark.parametrize("name", FILES)
def test_arrays_are_those_of_keras_bit_for_bit(keras_files: Path, name: str) -> None:
    network, truth = read_model(keras_files / name), np.load((keras_files / name).with_suffix(".npz"))
    for node in network.nodes:
        if node.layer_type == "Normalization":
            continue
        read = [
            v for op in node.ops if not isinstance(op, Affine) for v in vars(op).values() if isinstance(v, np.ndarray)
        ]
        stored = [truth[key] for key in truth.files if key.rpartition("|")[0] == node.name]
        assert all(array.dtype == np.float32 for array in read)
        for array in stored:
            assert any(array.shape == other.shape and np.array_equal(array, other) for other in read)


@pytest.mark.parametrize("end", ["keras", "h5"])
def test_nodes_keep_names_classes_and_edges(keras_files: Path, end: str) -> None:
    network = read_model(keras_files / f"functional.{end}")
    assert network.name == "functional"
    assert network.nodes[0].name == "first conv"
    assert network.nodes[0].inputs == (INPUT,)
    assert [node.inputs[0] for node in network.nodes[1:]] == [node.name for node in network.nodes[:-1]]
    assert network.output == network.nodes[-1].name == "probs"
    assert [type(op).__name__ for op in network.nodes[0].ops] == ["Conv", "Activation"]
    assert network.notes == ()


def test_half_precision_is_noted(keras_files: Path) -> None:
    for policy in ("float16", "bfloat16", "mixed_float16", "float64"):
        (note,) = read_model(keras_files / f"dtype_{policy}.keras").notes
        assert policy in note
        assert "float32" in note


def test_separable_convolution_is_two_operations(keras_files: Path) -> None:
    ops = read_model(keras_files / "depthwise2d.keras").nodes[1].ops
    assert [type(op) for op in ops] == [DepthwiseConv, Conv]
    assert ops[0].bias is None
    assert ops[1].bias is not None


@pytest.mark.parametrize("name", ["inert", "augmentation"])
def test_what_acts_in_training_only_says_so(keras_files: Path, name: str) -> None:
    if cannot(name):
        pytest.skip(cannot(name))
    ops = [node.ops for node in read_model(keras_files / f"{name}.keras").nodes[:-1]]
    assert all(isinstance(op, Identity) and op.reason for (op,) in ops)


def test_activation_defaults_are_explicit(keras_files: Path) -> None:
    def params(name: str) -> dict[str, object]:
        return dict(read_model(keras_files / f"activation_{name}.keras").nodes[1].ops[0].params)

    assert params("leaky_relu") == {"negative_slope": 0.2}
    assert params("elu") == {"alpha": 1.0}
    assert params("gelu") == {"approximate": False}
    assert params("softmax") == {"axis": -1}
    assert params("relu") == {"negative_slope": 0.0, "max_value": None, "threshold": 0.0}
    layers = {node.layer_type: node.ops[0] for node in read_model(keras_files / "activation_layers.h5").nodes}
    assert layers["LeakyReLU"].params == {"negative_slope": 0.3}
    assert layers["Softmax"].params == {"axis": 1}


def test_every_activation_of_the_graph_can_be_read() -> None:
    names = {"swish": "silu", "hard_swish": "hard_silu"}
    keras_3 = {names.get(name, name) for name in ACTIVATIONS}
    # Both of these come from Keras 2 alone: see test_reader_refusals and test_reader_forged.
    operations = {"abs", "log", "rms_norm", "rsqrt", "sqrt", "square", "unit_norm"}  # see test_reader_more
    assert keras_3 | {"hard_sigmoid_keras2", "threshold"} | operations == ELEMENTWISE_ACTIVATIONS | AXIS_ACTIVATIONS


def test_linear_activation_layer_is_kept_as_a_node(keras_files: Path) -> None:
    assert read_model(keras_files / "activation_linear.keras").nodes[1].ops == (Activation("linear"),)


def test_deepcell_models(shared_data: Path) -> None:
    for path in sorted((shared_data / "deepcell-3t3").glob("patch61_*.keras")):
        network = read_model(path)
        assert network.input_shape == (61, 61, 2)
        assert len(network.nodes) == 30
