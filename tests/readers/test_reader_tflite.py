"""TensorFlow Lite models: what we read computes what TensorFlow computed; a forged file is a sentence."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from _versions import since
from readers.onnx_files import answer
from readers.tflite_files import (
    BIAS,
    CONV,
    FLOAT,
    HEAD,
    INT,
    INT8,
    KERNEL,
    NAMES,
    OPERATORS,
    PAD,
    TENSORS,
    WHILE,
    bomb,
    can_convert,
    compose,
    convert,
)

from napari_fcnseg.errors import FcnSegError, ModelFileError, UnsupportedLayerError
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATCHES = np.random.default_rng(0).standard_normal((3, 2, 5, 5)).astype(np.float32)


def expected() -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(PATCHES.astype(float), (3, 3), (2, 3))
    maps = np.maximum(np.einsum("ncyxij,fijc->nyxf", windows, KERNEL.astype(float)) + BIAS, 0)
    exponents = np.exp(maps.reshape(3, -1) @ HEAD.T.astype(float))
    result: np.ndarray = exponents / exponents.sum(1, keepdims=True)
    return result


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_it_computes_what_its_graph_says_and_keeps_the_names_of_layers(tmp_path: Path) -> None:
    network = read_model(write(tmp_path / "cells.tflite", compose()))
    assert network.input_shape == (5, 5, 2)
    assert [(node.name, node.layer_type) for node in network.nodes] == [
        ("first/Relu", "Conv"),
        ("flat/Reshape", "Reshape"),
        ("head/MatMul", "Gemm"),
        ("softmax", "Softmax"),
    ]
    assert np.abs(answer(network, PATCHES) - expected()).max() < 1e-6


#: Earlier converters cannot take models of Keras 3.
CONVERTER = since("tensorflow", "2.18", "converts no model of Keras 3")


@CONVERTER
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.timeout(120)
def test_it_computes_what_keras_computed(name: str, keras_child: Callable[..., Any], tmp_path: Path) -> None:
    if not keras_child(can_convert):
        pytest.skip("this TensorFlow has no converter any more")
    keras_child(convert, name, tmp_path)
    options = ReadOptions(patch_shape=(9, 9)) if name == "any_size" else ReadOptions()
    network = read_model(tmp_path / f"{name}.tflite", options=options)
    with np.load(tmp_path / f"{name}.npz") as arrays:
        ours = answer(network, np.moveaxis(arrays["x"], -1, 1))
        assert np.abs(ours.reshape(arrays["y"].shape) - arrays["y"]).max() <= 1e-5
    if name == "any_size":
        with pytest.raises(FcnSegError, match="--patch-size 61 61"):
            read_model(tmp_path / f"{name}.tflite")


@CONVERTER
@pytest.mark.timeout(120)
def test_half_precision_is_exact_and_fewer_bits_are_refused(keras_child: Callable[..., Any], tmp_path: Path) -> None:
    if not keras_child(can_convert):
        pytest.skip("this TensorFlow has no converter any more")
    keras_child(convert, "residual", tmp_path, half=True)
    network = read_model(tmp_path / "residual.tflite")
    with np.load(tmp_path / "residual.npz") as arrays:
        assert np.abs(answer(network, np.moveaxis(arrays["x"], -1, 1)) - arrays["y"]).max() <= 2e-3
    assert "half precision (float16)" in network.notes[0]
    keras_child(convert, "chain", tmp_path, quantised=True)
    with pytest.raises(ModelFileError, match=r"dynamic-range quantisation.*without converter.optimizations"):
        read_model(tmp_path / "chain.tflite")


def _tensors(**changed: tuple[tuple[int, ...], int, Any]) -> dict[str, Any]:
    return {**TENSORS, **changed}


def _operators(number: int, *operator: Any) -> list[Any]:
    return [operator if i == number else known for i, known in enumerate(OPERATORS)]


FORGED: dict[str, tuple[bytes, str]] = {
    "another version": (compose(version=4), "of a version"),
    "a quantised patch": (compose(_tensors(patch=((-1, 5, 5, 2), INT8, None))), "it is quantised"),
    "whole numbers for a patch": (compose(_tensors(patch=((-1, 5, 5, 2), INT, None))), "floating-point numbers"),
    "a tensor that is not there": (compose(operators=_operators(0, CONV, [0, 99, 2], [3], 1, [])), "does not have"),
    "a huge shape": (compose(_tensors(kernel=((2**30, 2**30, 3, 2), FLOAT, KERNEL))), "do not fit its shape"),
    "a huge border": (
        compose(
            {**_tensors(shape=((4, 2), INT, np.array([[0, 0], [2**30, 0], [0, 0], [0, 0]])))},
            _operators(1, PAD, [3, 4], [5], 22, []),
        ),
        "border is malformed",
    ),
    "a loop": (compose(operators=_operators(1, WHILE, [3, 4], [5], 93, [])), "repeats a part of the network"),
    "an operator of no kind": (compose(operators=_operators(1, 99999, [3], [5], 0, [])), "does not read the operator"),
    "a ring": (compose(operators=_operators(1, 0, [7, 7], [5], 11, [])), "before anything makes it"),
    "a window of weights computed from the patch": (
        compose(operators=_operators(0, CONV, [0, 0, 2], [3], 1, [])),
        "computed from the patch",
    ),
    "no number": (compose(_tensors(bias=((4,), FLOAT, BIAS * np.nan))), "not finite"),
    "nothing but its name": (b"\x10\0\0\0TFL3", "cut off or damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_file_is_a_sentence(name: str, tmp_path: Path) -> None:
    content, reason = FORGED[name]
    with pytest.raises((ModelFileError, UnsupportedLayerError), match=reason):
        read_model(write(tmp_path / "m.tflite", content))


def test_a_bomb_of_entries_that_are_one_is_counted(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="more than 500,000 entries"):
        read_model(write(tmp_path / "m.tflite", bomb()))


@pytest.mark.timeout(120)
def test_cut_and_changed_files_are_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    content = compose()
    for size in range(8, len(content), 61):
        with pytest.raises(FcnSegError):
            read_model(write(tmp_path / "m.tflite", content[:size]))
    draw, arrays = random.Random(5), (content.find(KERNEL.tobytes()), content.find(HEAD.tobytes()))
    skeleton = [i for i in range(len(content)) if not any(a <= i < a + 288 for a in arrays)]
    for _ in range(600):
        mutated = bytearray(content)
        for _ in range(draw.choice((1, 2, 6))):
            mutated[draw.choice(skeleton)] = draw.choice((0, 1, 4, 127, 128, 255))
        try:
            network = read_model(write(tmp_path / "m.tflite", bytes(mutated)))
            said = f"a network of {len(network.nodes)} nodes, which is as good an answer"
        except FcnSegError as error:
            said = str(error)
        assert len(said) > 30
