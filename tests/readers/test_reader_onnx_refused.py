"""ONNX models that are understood and cannot be used: each refusal names the node, the reason, and what helps."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from readers.onnx_files import model, node, write
from readers.unet_files import unet

from napari_fcnseg.errors import ConversionError, ModelFileError, PatchSizeError, UnsupportedLayerError
from napari_fcnseg.model.patch_model import load_model
from napari_fcnseg.readers import read_model


def f(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def i(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


NORM = {"g": f(4), "b": f(4), "m": f(4), "v": f(4)}
LAYERS = {
    "LSTM": (node("LSTM", "x w r"), {"w": f(1, 4, 4), "r": f(1, 4, 1)}, "recurrent"),
    "ArgMax": (node("ArgMax", "x", axis=1), {}, "number of a class instead of scores"),
    "DepthToSpace": (node("DepthToSpace", "x", blocksize=2), {}, "moves values"),
    "LRN": (node("LRN", "x", size=3), {}, "normalisation"),
    "QLinearConv": (node("QLinearConv", "x"), {}, "quantised"),
    "Erf": ([node("Erf", "x", "e"), node("Relu", "e")], {}, "only read as a part of certain activations"),
    "Div": (node("Div", "c x"), {"c": f(1)}, "divides by what it computes"),
    "MatMul": (node("MatMul", "x x"), {}, "computed from the patch"),
    "Pad": (node("Pad", "x p", mode="reflect"), {"p": i(0, 0, 1, 1, 0, 0, 1, 1)}, "mode 'reflect'"),
    "Resize": (node("Resize", "x - s", mode="linear"), {"s": np.array([1, 1, 2, 2], np.float32)}, "interpolation"),
    "MaxPool": (node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 2]), {}, "dilated"),
    "AveragePool": (
        node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, count_include_pad=1),
        {},
        "hangs over the edge",
    ),
    "Transpose": (node("Transpose", "x", perm=[1, 0, 2, 3]), {}, "batch axis"),
    "Reshape": (node("Reshape", "x s"), {"s": i(2, 2, -1)}, "between the patches of a batch"),
    "Reshape mixing": (node("Reshape", "x s"), {"s": i(0, 8, 3, 5)}, "reorders the numbers of a patch"),
    "Conv": (
        [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("Conv", "t w")],
        {"w": f(2, 6, 1, 1)},
        "another order",
    ),
    "Conv of integers": (node("Conv", "x w"), {"w": np.ones((2, 4, 3, 3), np.int8)}, "quantised"),
    "Softmax": (node("Softmax", "x", axis=0), {}, "mixes the patches of a batch"),
    "ReduceMean": (node("ReduceMean", "x a"), {"a": i(0)}, "mixes the patches of a batch"),
    "BatchNormalization": (node("BatchNormalization", "x g b m v", training_mode=1), NORM, r"model\.eval\(\)"),
    "Dropout": (node("Dropout", "x r t"), {"r": np.float32(0.5), "t": np.array(True)}, r"model\.eval\(\)"),
    "Add": (node("Add", "x c"), {"c": f(3, 4, 6, 5)}, "enlarges it"),
    "Add mixing": ([node("Flatten", "x", "f"), node("Add", "f x")], {}, "do not lie over each other"),
    "Concat": (node("Concat", "x c", axis=1), {"c": f(1, 1, 6, 5)}, "constants"),
    "Cast": (node("Cast", "x", to=7), {}, "rounds"),
    "Pow": (node("Pow", "x c"), {"c": np.float32(0.5)}, "power"),
    "NonZero": (node("NonZero", "x"), {}, "does not read the operator 'NonZero'"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_node_the_reason_and_the_advice_are_named(name: str, tmp_path) -> None:
    nodes, arrays, reason = LAYERS[name]
    nodes = nodes if isinstance(nodes, list) else [nodes]
    with pytest.raises(UnsupportedLayerError, match=reason) as caught:
        read_model(write(tmp_path / "m.onnx", model(nodes, arrays)))
    assert caught.value.layer_type == name.split()[0]
    assert caught.value.layer.startswith(f"the_{name.split()[0]}")
    assert caught.value.advice.endswith(".")


def test_what_another_answer_needs_is_not_held_against_this_one(tmp_path) -> None:
    path = write(tmp_path / "m.onnx", model([node("Relu", "x"), node("ArgMax", "x", "z", axis=1)], outputs=("y", "z")))
    assert read_model(path).nodes
    with pytest.raises(UnsupportedLayerError, match="ArgMax"):
        read_model(path, "z")


def test_a_model_without_a_fixed_patch_says_how_to_export_one(tmp_path) -> None:
    for shape in (("n", 4, "h", "w"), ("n", "c", 6, 5)):
        with pytest.raises(ConversionError, match=r"no fixed patch size.*torch\.zeros\(1, channels, height, width\)"):
            read_model(write(tmp_path / "m.onnx", model([node("Relu", "x")], shape=shape)))


@pytest.mark.parametrize("kind", ["U-Net", "convolutions alone", "U-Net of one size"])
def test_a_network_for_whole_images_is_told_from_a_patch_model_of_any_size(tmp_path, kind) -> None:
    whole = unet()
    if kind == "convolutions alone":
        nodes = [node("Conv", "x w", "a", pads=[1] * 4), node("Relu", "a")]
        whole = model(nodes, {"w": np.ones((3, 4, 3, 3), np.float32)}, ("n", 4, "h", "w"))
    path = write(tmp_path / "m.onnx", whole)
    sentence = "image-to-image network.*runs as it is from a bioimage.io package with ONNX weights"
    with pytest.raises(ConversionError, match=sentence) as caught:
        load_model(path, patch_size=(64, 64) if kind == "U-Net of one size" else None).fcn  # noqa: B018
    assert "--patch-size" not in str(caught.value)


def test_a_patch_model_of_any_size_is_not_taken_for_one_of_whole_images(tmp_path) -> None:
    """Not even one that enlarges maps on the way, or is convolutions alone, of which one takes the whole patch."""
    arrays = {"w": np.ones((4, 4, 3, 3), np.float32), "u": np.ones((4, 4, 2, 2), np.float32)}
    start = [node("Conv", "x w", "a", pads=[1] * 4), node("ConvTranspose", "a u", "b", strides=[2, 2])]
    for nodes in (
        [*start, node("GlobalAveragePool", "b", "c"), node("Flatten", "c")],
        [node("Conv", "x w", "a", pads=[1] * 4), node("Relu", "a", "b"), node("Conv", "b w")],
    ):
        for number, each in enumerate(nodes):
            each.name = f"n{number}"
        with pytest.raises(PatchSizeError, match=r"no fixed patch size.*--patch-size") as caught:
            read_model(write(tmp_path / "m.onnx", model(nodes, arrays, ("n", 4, "h", "w"))))
        assert "--patch-size" not in caught.value.in_window
        assert caught.value.in_window.endswith("trained on below.")


def test_a_model_of_vectors_is_no_patch_network(tmp_path) -> None:
    for shape in (("n", 4), ("n",), ()):
        with pytest.raises(ConversionError, match="does not take image patches"):
            read_model(write(tmp_path / "m.onnx", model([node("Relu", "x")], shape=shape)))


def test_inputs_of_different_sizes_are_both_named(tmp_path) -> None:
    composed = model([node("Relu", "x")])
    composed.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 1, 6, 7]))
    with pytest.raises(ConversionError, match=r"'x' and 'z'.*different sizes"):
        read_model(write(tmp_path / "m.onnx", composed))


def test_a_version_that_is_not_known_says_which_to_use(tmp_path) -> None:
    for opset in (6, 99):
        with pytest.raises(ModelFileError, match=f"version {opset}.*opset_version=18"):
            read_model(write(tmp_path / "m.onnx", model([node("Relu", "x")], opset=opset)))


def test_weights_that_are_not_finite_are_refused(tmp_path) -> None:
    for bad in (np.nan, np.inf):
        with pytest.raises(ModelFileError, match="'w' holds values that are not finite"):
            read_model(write(tmp_path / "m.onnx", model([node("Conv", "x w")], {"w": f(2, 4, 3, 3) * bad})))


def test_an_answer_that_does_not_depend_on_the_patch_is_none(tmp_path) -> None:
    with pytest.raises(ModelFileError, match="the same for every patch"):
        read_model(write(tmp_path / "m.onnx", model([node("Neg", "c")], {"c": f(3)})))


def test_other_protocol_buffers_are_told_apart(tmp_path) -> None:
    for content in (b"\x08\x01\x12\x90\x4e\x0a", b"\x0a\x20\x0a\x01x\x12\x0bPlaceholder*"):
        with pytest.raises(ModelFileError, match="TensorFlow graph"):
            read_model(write(tmp_path / "graph.pb", content))
