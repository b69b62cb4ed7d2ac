"""ONNX files as PyTorch writes them: what we read computes what PyTorch computed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from readers.onnx_files import FOLDER, SAMPLES, answer

from napari_fcnseg.errors import ModelFileError
from napari_fcnseg.model.patch_model import load_model
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.sandbox import read_models


def stored(name: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Give patches, the channels of all inputs one after the other, and PyTorch's answers."""
    with np.load(FOLDER / f"{name.partition('.')[0]}.npz") as arrays:
        inputs = [arrays[key] for key in sorted(arrays) if key.startswith("x")]
        return np.concatenate(inputs, 1), [arrays[key] for key in sorted(arrays) if key.startswith("y")]


@pytest.mark.parametrize("name", SAMPLES)
def test_it_computes_what_pytorch_computed(name: str) -> None:
    x, answers = stored(name)
    for number, expected in enumerate(answers):
        network = read_model(FOLDER / name, f"scores{number}")
        assert network.input_shape == (*x.shape[2:], x.shape[1])
        ours = answer(network, x)
        assert np.abs(ours.reshape(expected.shape) - expected).max() <= 1e-5


def test_both_exporters_and_all_kinds_are_among_the_samples() -> None:
    assert {name.split(".")[1] for name in SAMPLES} == {"ts", "dynamo"}
    assert len(SAMPLES) == 11
    assert sum((FOLDER / f"{name}.data").exists() for name in SAMPLES) == 3


def test_the_user_recognises_the_layers() -> None:
    chain = read_model(FOLDER / "chain2d.dynamo.onnx")
    assert [(node.name, node.layer_type) for node in chain.nodes[:3]] == [
        ("Conv_13", "Conv"),
        ("relu", "Relu"),
        ("max_pool2d", "MaxPool"),
    ]
    assert [node.name for node in read_model(FOLDER / "residual.ts.onnx").nodes][:2] == ["/first/Conv", "/Mul"]
    assert chain.name == "chain2d.dynamo"  # both exporters call every graph main_graph


def test_several_inputs_are_read_from_the_channels_and_an_answer_is_chosen() -> None:
    first, second = (read_model(FOLDER / "two.ts.onnx", name) for name in (None, "scores1"))
    assert first.input_names == ("patch0", "patch1", "patch1")
    assert first.outputs == second.outputs == ("scores0", "scores1")
    assert first.output != second.output
    assert "scores0" in first.notes[0]
    with pytest.raises(ModelFileError, match="Choose one of 'scores0', 'scores1'"):
        read_model(FOLDER / "two.ts.onnx", "scores2")


def test_it_is_read_apart_too() -> None:
    (apart,), here = read_models([FOLDER / "multi.dynamo.onnx"]), read_model(FOLDER / "multi.dynamo.onnx")
    assert [node.name for node in apart.nodes] == [node.name for node in here.nodes]


def test_a_model_without_its_file_of_arrays_says_which_is_missing(tmp_path) -> None:
    shutil.copy(FOLDER / "chain2d.dynamo.onnx", tmp_path)
    with pytest.raises(ModelFileError, match=r"second file, 'chain2d\.dynamo\.onnx\.data', which is not beside it"):
        read_model(tmp_path / "chain2d.dynamo.onnx")
    shutil.copy(FOLDER / "chain2d.dynamo.onnx.data", tmp_path)
    assert read_model(tmp_path / "chain2d.dynamo.onnx").files == ("chain2d.dynamo.onnx.data",)
    before = load_model(tmp_path / "chain2d.dynamo.onnx")
    assert tmp_path / "chain2d.dynamo.onnx.data" in before.files
    arrays = bytearray((tmp_path / "chain2d.dynamo.onnx.data").read_bytes())
    arrays[3] ^= 1
    (tmp_path / "chain2d.dynamo.onnx.data").write_bytes(arrays)
    assert load_model(tmp_path / "chain2d.dynamo.onnx").sha256 != before.sha256, "other weights are another model"
    (tmp_path / "chain2d.dynamo.onnx").rename(tmp_path / "mine.onnx")
    (tmp_path / "chain2d.dynamo.onnx.data").rename(tmp_path / "mine.onnx.data")
    with pytest.raises(ModelFileError, match="under the names with which they were exported"):
        read_model(tmp_path / "mine.onnx")
