"""Networks that are no single path, as Keras 3 writes them: the graph computes what Keras computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from readers import reader_channels_first, reader_graph_files
from readers.reader_evaluate import evaluate

from napari_fcnseg.errors import ModelFileError
from napari_fcnseg.graph.network import INPUT
from napari_fcnseg.graph.ops import Channels, Conv, Crop, Expand, Flatten, Merge
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.guard.hdf5 import Hdf5
from napari_fcnseg.readers.sandbox import read_models

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENDS = ("keras", "h5")


@pytest.fixture(scope="session")
def graph_files(keras_child: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graph_files")
    for name in reader_graph_files.NAMES:
        if not reader_graph_files.cannot(name):
            keras_child(reader_graph_files.write_one, name, folder)
    return folder


@pytest.fixture(scope="session")
def channels_first_files(keras_child: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("channels_first_files")
    for number, name in enumerate(reader_channels_first.NAMES):
        keras_child(reader_channels_first.write_one, name, number, folder)
    return folder


def compare(result: np.ndarray, expected: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(expected).max()))
    assert result.size == expected.size
    np.testing.assert_allclose(result.reshape(expected.shape) / scale, expected / scale, rtol=0, atol=2e-6)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", reader_graph_files.NAMES)
def test_network_computes_what_keras_computed(graph_files: Path, name: str, end: str) -> None:
    if reader_graph_files.cannot(name):
        pytest.skip(reader_graph_files.cannot(name))
    network, truth = read_model(graph_files / f"{name}.{end}"), np.load(graph_files / f"{name}.npz")
    assert network.input_shape == truth["x"].shape[1:]
    compare(evaluate(network, truth["x"]), truth["y0"])
    names = [node.name for node in network.nodes]
    assert len(set(names)) == len(names)
    known = {INPUT}
    for node in network.nodes:
        assert known.issuperset(node.inputs)
        assert len(node.inputs) == 1 or isinstance(node.ops[0], Merge)
        known.add(node.name)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", reader_channels_first.NAMES)
def test_channels_first_computes_what_its_twin_computes(channels_first_files: Path, name: str, end: str) -> None:
    network = read_model(channels_first_files / f"{name}.{end}")
    truth = np.load(channels_first_files / f"{name}.npz")
    assert network.input_shape == truth["x"].shape[1:]
    compare(evaluate(network, truth["x"]), truth["y"])


def test_flattening_with_the_channels_first_keeps_the_order(channels_first_files: Path) -> None:
    def order(name: str) -> tuple[int, ...] | None:
        nodes = read_model(channels_first_files / name).nodes
        (op,) = [op for node in nodes for op in node.ops if isinstance(op, Flatten)]
        return op.order

    assert order("network.keras") == (2, 0, 1)
    assert order("flatten_as_last.keras") is None


@pytest.mark.parametrize("end", ENDS)
def test_several_inputs_are_channels_of_one_patch(graph_files: Path, end: str) -> None:
    network = read_model(graph_files / f"two_inputs.{end}")
    assert network.input_names == ("phase", "dapi", "dapi")
    assert [(n.name, n.ops, n.inputs) for n in network.nodes[:2]] == [
        ("phase", (Channels(0, 1),), (INPUT,)),
        ("dapi", (Channels(1, 3),), (INPUT,)),
    ]


@pytest.mark.parametrize("end", ENDS)
def test_one_of_several_outputs_is_taken(graph_files: Path, end: str) -> None:
    path, truth = graph_files / f"two_outputs.{end}", np.load(graph_files / "two_outputs.npz")
    for number, output in enumerate(("cells", "edges")):
        network = read_model(path, output)
        assert network.outputs == ("cells", "edges")
        assert network.output == output
        assert repr(output) in network.notes[0]
        compare(evaluate(network, truth["x"]), truth[f"y{number}"])
        assert "edges" in [n.name for n in network.nodes] or output == "cells"
    assert read_model(path).output == "cells"
    with pytest.raises(ModelFileError, match=r"no output 'nuclei'.*'cells', 'edges'"):
        read_model(path, "nuclei")


def test_an_output_is_chosen_apart_too(graph_files: Path) -> None:
    path = graph_files / "two_outputs.keras"
    assert [network.output for network in read_models([path, path], ["edges", None])] == ["edges", "cells"]


def test_what_the_output_does_not_need_is_left_out_unseen(graph_files: Path) -> None:
    network = read_model(graph_files / "dead_branch.keras", "cells")
    assert [node.layer_type for node in network.nodes] == ["Conv2D", "Flatten", "Dense"]


@pytest.mark.parametrize("end", ENDS)
def test_shared_layers_have_one_set_of_arrays(graph_files: Path, end: str) -> None:
    network = read_model(graph_files / f"shared_layer.{end}")
    kernels = {n.name: n.ops[0].kernel for n in network.nodes if isinstance(n.ops[0], Conv)}
    assert sorted(kernels) == ["again", "again (2)", "again (3)", "again (4)", "again (5)"]
    assert len({id(kernel) for kernel in kernels.values()}) == 1


def test_models_inside_models_are_opened(graph_files: Path) -> None:
    names = [node.name for node in read_model(graph_files / "nested_twice.keras").nodes]
    assert len([name for name in names if name.startswith("block/")]) == 4
    assert len([name for name in names if name.startswith("block (2)/")]) == 4


def test_a_vector_beside_a_map_becomes_a_map_of_one_position(graph_files: Path) -> None:
    nodes = {node.name: node for node in read_model(graph_files / "squeeze_excite.keras").nodes}
    assert nodes["multiply/expand"].ops == (Expand(),)
    assert nodes["multiply"].inputs == ("conv2d", "multiply/expand")


def test_settings_follow_the_axes_they_are_about(graph_files: Path) -> None:
    nodes = read_model(graph_files / "permute_spatial.keras").nodes
    assert nodes[1].ops[0].kernel.shape == (2, 3, 2, 3)
    assert nodes[1].ops[0].strides == (1, 2)
    assert nodes[2].ops[0].width == ((2, 3), (0, 1))
    assert nodes[3].ops[0].size == (2, 1)
    assert nodes[4].ops == (Flatten((1, 0, 2)),)
    crops = [n.ops[0].width for n in read_model(graph_files / "multi_resolution.keras").nodes if type(n.ops[0]) is Crop]
    assert ((1, 2), (2, 1)) in crops


def save_deep_base(path: str, layers: int) -> None:
    """Write a Sequential model around a base of many layers, as a pretrained one is."""
    import keras
    from keras import layers as kl

    i = x = keras.Input((9, 9, 2))
    for _ in range(layers):
        x = kl.BatchNormalization()(kl.Conv2D(2, 1, use_bias=False)(x))
    base = keras.Model(i, x)
    base.trainable = False
    whole = [keras.Input((9, 9, 2)), base, kl.GlobalAveragePooling2D(), kl.Dense(2)]  # Keras 3.4 builds none without
    keras.Sequential(whole).save(path)


def test_the_list_of_a_model_inside_is_read_once(
    keras_child: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read, found = tmp_path / "deep.h5", list[str](), Hdf5.array
    keras_child(save_deep_base, str(path), 30)

    def counted(self: Hdf5, name: str | None, *where: str) -> Any:
        read.append("/".join(where))
        return found(self, name, *where)

    monkeypatch.setattr(Hdf5, "array", counted)
    assert len(read_model(path).nodes) == 62
    assert len(read) == len(set(read)) == 30 * 5 + 2
