"""Notations that the installed Keras no longer writes, and everything that is refused with a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from readers.reader_evaluate import evaluate
from readers.reader_forge import (
    BIAS,
    CONV,
    KERNEL,
    arrays_file,
    entry,
    functional,
    h5_file,
    input_entry,
    keras_file,
    sequential,
)

from napari_fcnseg.errors import ConversionError, ModelFileError, UnsupportedLayerError
from napari_fcnseg.graph.ops import Activation, BatchNorm, Conv
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.keras.layers import LAYERS
from napari_fcnseg.readers.keras.merges import MERGE_LAYERS
from napari_fcnseg.readers.keras.unsupported import REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def refusal(path: Path) -> UnsupportedLayerError:
    with pytest.raises(UnsupportedLayerError) as caught:
        read_model(path)
    assert caught.value.advice.endswith(".")
    return caught.value


def problem(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_model(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def conv(**config: Any) -> dict[str, Any]:
    return entry("Conv2D", "conv2d", **CONV, **config)


def test_keras_2_names_mean_what_they_meant_in_keras_2(tmp_path: Path) -> None:
    model = sequential(
        conv(activation="hard_sigmoid"), entry("LeakyReLU", alpha=0.25), entry("ThresholdedReLU", theta=2.0), keras=2
    )
    for network in (read_model(h5_file(tmp_path / "m.h5", model)), read_model(keras_file(tmp_path / "m.keras", model))):
        ops = [op for node in network.nodes for op in node.ops]
        assert isinstance(ops[0], Conv)
        np.testing.assert_array_equal(ops[0].kernel, KERNEL)
        assert ops[1:] == [
            Activation("hard_sigmoid_keras2"),
            Activation("leaky_relu", {"negative_slope": 0.25}),
            Activation("threshold", {"threshold": 2.0, "default_value": 0.0}),
        ]


def test_hard_sigmoid_of_keras_3_is_another(tmp_path: Path) -> None:
    network = read_model(h5_file(tmp_path / "m.h5", sequential(conv(activation="hard_sigmoid"))))
    assert network.nodes[0].ops[1] == Activation("hard_sigmoid")


def test_activations_that_keras_2_did_not_have_are_refused_there(tmp_path: Path) -> None:
    assert "hard_silu" in refusal(h5_file(tmp_path / "m.h5", sequential(conv(activation="hard_silu"), keras=2))).reason


@pytest.mark.parametrize("bare", [False, True])
def test_old_sequential_models_have_no_input_layer(tmp_path: Path, bare: bool) -> None:
    layers = [conv(batch_input_shape=[None, 7, 7, 1])]
    model = {"class_name": "Sequential", "config": layers if bare else {"layers": layers}}
    network = read_model(h5_file(tmp_path / "m.h5", model))
    assert network.input_shape == (7, 7, 1)
    assert network.nodes[0].inputs == ("<input>",)


def test_names_split_over_several_attributes(tmp_path: Path) -> None:
    path = h5_file(tmp_path / "m.h5", sequential(conv(), keras=2))
    with h5py.File(path, "r+") as file:
        attributes = file["model_weights/conv2d"].attrs
        first, second = attributes["weight_names"]
        del attributes["weight_names"]
        attributes["weight_names0"], attributes["weight_names1"] = [first], [second]
    np.testing.assert_array_equal(read_model(path).nodes[0].ops[0].bias, BIAS)


def test_layout_of_tf_keras_2_13_counts_layers_with_arrays_twice(tmp_path: Path) -> None:
    names = ("conv2d", "relu", "conv2d_b", "relu_b")
    layers = [entry("Conv2D" if "conv" in n else "ReLU", n, **CONV) for n in names]
    second = np.ones((3, 3, 2, 2), np.float32)
    root = "_layer_checkpoint_dependencies"
    groups = {f"{root}/conv2d": [KERNEL, BIAS], f"{root}/conv2d_2": [second, BIAS], f"{root}/re_lu": []}
    network = read_model(keras_file(tmp_path / "m.keras", sequential(*layers, keras=2), groups))
    np.testing.assert_array_equal(network.nodes[2].ops[0].kernel, second)


def test_layers_are_put_in_the_order_of_the_data(tmp_path: Path) -> None:
    model = functional((entry("ReLU"), ["conv2d"]), (conv(), ["input"]), outputs=["relu"])
    network = read_model(keras_file(tmp_path / "m.keras", model))
    assert [node.name for node in network.nodes] == ["conv2d", "relu"]
    assert network.output == "relu"


def test_batch_renormalisation_is_read_past(tmp_path: Path) -> None:
    values = [np.full(1, v, np.float32) for v in range(1, 8)]
    model = sequential(entry("BatchNormalization", axis=[3], renorm=True, epsilon=0.5), keras=2)
    (op,) = read_model(keras_file(tmp_path / "m.keras", model, {"layers/batch_normalization": values})).nodes[0].ops
    assert isinstance(op, BatchNorm)
    assert (op.gamma, op.beta, op.mean, op.variance, op.axis, op.epsilon) == (1, 2, 3, 4, 3, 0.5)


@pytest.mark.parametrize("class_name", sorted(REFUSED))
def test_known_layers_are_refused_by_name(tmp_path: Path, class_name: str) -> None:
    error = refusal(keras_file(tmp_path / "m.keras", sequential(conv(), entry(class_name, "the layer"))))
    assert (error.layer, error.layer_type) == ("the layer", class_name)
    assert "does not know" not in error.reason


def test_no_layer_is_both_read_and_refused() -> None:
    assert not (LAYERS.keys() | MERGE_LAYERS.keys()) & REFUSED.keys()


def test_every_layer_of_keras_is_either_read_or_refused(keras_child: Callable[..., Any]) -> None:
    from readers.reader_keras_files import layer_classes

    known = LAYERS.keys() | MERGE_LAYERS.keys() | REFUSED.keys() | {"SpectralNormalization"}
    assert set(keras_child(layer_classes)) - known == {"InputLayer", "Layer"}


@pytest.mark.parametrize(
    "layer",
    [
        entry("MyLayer", "mine"),
        {**entry("Conv2D", "mine"), "module": "my_package.layers"},
        {**entry("Conv2D", "mine"), "module": "keras.layers", "registered_name": "my_package>Conv2D"},
        {**entry("Sort", "mine"), "module": "keras.src.ops.numpy"},
    ],
)
def test_custom_layers_and_operations_are_refused(tmp_path: Path, layer: dict[str, Any]) -> None:
    assert refusal(keras_file(tmp_path / "m.keras", sequential(layer))).layer == "mine"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"lora_rank": 4}, "LoRA"),
        ({"activation": "my_activation"}, "my_activation"),
        ({"activation": {"class_name": "function", "config": "evil", "module": "os"}}, "evil"),
        ({"activation": {"class_name": "Lambda", "config": {}}}, "Lambda"),
        ({"activation": {"class_name": "PReLU", "config": {}, "module": "keras.layers"}}, "PReLU"),
        ({"activation": {"class_name": "ReLU", "config": {}, "module": "mine"}}, "ReLU"),
        ({"activation": {"class_name": "ReLU", "config": {}, "registered_name": "a>ReLU"}}, "ReLU"),
        ({"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}}, "Quantized"),
        ({"dtype": "int8"}, "int8"),
    ],
)
def test_settings_that_are_refused(tmp_path: Path, config: dict[str, Any], reason: str) -> None:
    error = refusal(keras_file(tmp_path / "m.keras", sequential(conv(**config))))
    assert error.layer == "conv2d"
    assert reason in error.reason


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (entry("Conv3D", filters=2, kernel_size=3), "3 axes"),
        (entry("BatchNormalization", axis=[1, 2]), "several axes"),
        (entry("BatchNormalization", axis=0), "batch"),
        (entry("LayerNormalization", rms_scaling=True), "rms_scaling"),
        (entry("LayerNormalization", axis=[2, 1]), "order"),
        (entry("Softmax", axis=[1, 2]), "several axes"),
        (entry("Normalization", axis=0), "batch"),
    ],
)
def test_layers_whose_settings_are_refused(tmp_path: Path, layer: dict[str, Any], reason: str) -> None:
    assert reason in refusal(keras_file(tmp_path / "m.keras", sequential(layer))).reason


@pytest.mark.parametrize("keras", [2, 3])
def test_a_call_with_training_true_is_refused(tmp_path: Path, keras: int) -> None:
    model = functional((entry("ReLU"), ["input"]), outputs=["relu"], keras=keras)
    (node,) = model["config"]["layers"][1]["inbound_nodes"]
    (node["kwargs"] if keras == 3 else node[0][3])["training"] = True
    assert "training=True" in refusal(keras_file(tmp_path / "m.keras", model)).reason


@pytest.mark.parametrize("keras", [2, 3])
def test_an_input_that_is_no_input_layer(tmp_path: Path, keras: int) -> None:
    model = functional((entry("ReLU"), ["input"]), outputs=["relu"], inputs=["input", "relu"], keras=keras)
    assert "'relu' is no input layer" in problem(keras_file(tmp_path / "m.keras", model))


@pytest.mark.parametrize("keras", [2, 3])
def test_a_layer_of_one_input_that_is_called_with_two(tmp_path: Path, keras: int) -> None:
    model = functional(
        (entry("ReLU"), ["input"]), (entry("Flatten"), ["input", "relu"]), outputs=["flatten"], keras=keras
    )
    assert refusal(keras_file(tmp_path / "m.keras", model)).layer == "flatten"


@pytest.mark.parametrize(
    ("layers", "name", "reason"),
    [
        ([entry("Reshape", target_shape=[49, 1]), entry("Conv1D", filters=2, kernel_size=3)], "conv1d", "positions"),
        ([entry("Flatten"), entry("Reshape", target_shape=[7, 7])], "reshape", "result"),
        ([entry("Flatten"), entry("Reshape", target_shape=[7, 7, 1]), entry("Conv2D", **CONV)], "conv2d", "groups"),
        ([entry("UpSampling2D", size=2, interpolation="bicubic")], "upsampling2d", "interpolates"),
        ([entry("GroupNormalization", axis=1, groups=7)], "groupnormalization", "groups"),
        ([entry("Conv2DTranspose", filters=2, kernel_size=3, groups=2)], "conv2dtranspose", "groups"),
        ([entry("Rescaling", scale=1), entry("Permute", dims=[2, 1, 3])], "permute", "result"),
    ],
)
def test_what_would_mix_positions_is_refused_where_it_would(
    tmp_path: Path, layers: list[dict[str, Any]], name: str, reason: str
) -> None:
    error = refusal(keras_file(tmp_path / "m.keras", sequential(*layers), {}))
    assert error.layer == name
    assert reason in error.reason


@pytest.mark.parametrize("axes", [entry("Permute", dims=[3, 1, 2]), entry("Reshape", target_shape=[7, 7])])
def test_a_dense_layer_along_positions_makes_channels_of_them(tmp_path: Path, axes: dict[str, Any]) -> None:
    kernel, bias = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32), np.ones(2, np.float32)
    model = sequential(axes, entry("Dense", units=2), entry("Flatten"))
    network = read_model(keras_file(tmp_path / "m.keras", model, {"layers/dense": [kernel, bias]}))
    x = np.random.default_rng(1).normal(size=(3, 7, 7, 1))
    np.testing.assert_allclose(evaluate(network, x), (x[..., 0] @ kernel + bias).reshape(3, -1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (((7, 7, 1), (9, 9, 1)), r"\(9, 9\), but that of 'input' is \(7, 7\)"),
        (((7, 7, 1), (3,)), "no patch of an image"),
    ],
)
def test_inputs_that_are_no_channels_of_one_patch(tmp_path: Path, shapes: Any, reason: str) -> None:
    model = functional(
        (entry("Flatten"), ["input"]),
        (entry("Flatten", "f2"), ["second"]),
        (entry("Concatenate"), ["flatten", "f2"]),
        outputs=["concatenate"],
    )
    second = {**input_entry(*shapes[1], keras=2), "name": "second", "inbound_nodes": []}
    second["config"]["name"] = "second"
    model["config"]["layers"].append(second)
    model["config"]["input_layers"].append(["second", 0, 0])
    error = refusal(keras_file(tmp_path / "m.keras", model, {}))
    assert error.layer == "second"
    assert re.search(reason, error.reason)


def tf_function(name: str, function: str, *node: Any) -> tuple[dict[str, Any], list[Any]]:
    """Describe a bare operation of tf.keras and how it is called."""
    kind = "SlicingOpLambda" if "getitem" in function else "TFOpLambda"
    return {**entry(kind, name, function=function), "name": name}, list(node)


def test_tensorflow_functions_compute_what_their_names_say(tmp_path: Path) -> None:
    cut = [{"start": a, "stop": b, "step": None} for a, b in ((None, None), (1, -1), (0, 5))]
    operations = [
        tf_function("one", "math.subtract", "_CONSTANT_VALUE", -1, 1.0, {"y": ["input", 0, 0], "name": None}),
        tf_function("two", "math.truediv", "one", 0, 0, {"y": 4.0, "name": None}),
        tf_function("three", "math.maximum", "two", 0, 0, {"y": ["input", 0, 0], "name": None}),
        tf_function("four", "nn.leaky_relu", "three", 0, 0, {"alpha": 0.5}),
        tf_function("five", "concat", ["four", 0, 0, {"axis": -1}], ["two", 0, 0, {"axis": -1}]),
        tf_function("six", "__operators__.getitem", "five", 0, 0, {"slice_spec": cut}),
        tf_function("seven", "math.reduce_max", "six", 0, 0, {"axis": [1, 2], "keepdims": False}),
    ]
    model = functional(outputs=["seven"])
    for described, node in operations:
        model["config"]["layers"].append({**described, "inbound_nodes": [node]})
    x = np.random.default_rng(0).normal(0, 3, (2, 7, 7, 1))
    two = (1 - x) / 4
    three = np.maximum(two, x)
    four = np.concatenate([np.where(three > 0, three, three / 2), two], -1)
    expected = four[:, 1:-1, 0:5].max((1, 2))
    network = read_model(keras_file(tmp_path / "m.keras", model, {}))
    np.testing.assert_allclose(evaluate(network, x), expected, rtol=1e-6)


@pytest.mark.parametrize("function", ["math.cumsum", "image.resize", "os.system", "tile", "reshape"])
def test_other_tensorflow_functions_are_refused(tmp_path: Path, function: str) -> None:
    model = functional(outputs=["odd"])
    described, node = tf_function("odd", function, "input", 0, 0, {})
    model["config"]["layers"].append({**described, "inbound_nodes": [node]})
    assert refusal(keras_file(tmp_path / "m.keras", model, {})).layer == "odd"


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("math.cumsum", "it is the function 'math.cumsum', which is not read"),
        ("image.per_image_standardization", "normalises each patch by itself"),
    ],
)
def test_a_refused_function_is_called_by_its_name(tmp_path: Path, function: str, reason: str) -> None:
    model = functional(outputs=["odd"])
    described, node = tf_function("odd", function, "input", 0, 0, {})
    model["config"]["layers"].append({**described, "inbound_nodes": [node]})
    assert reason in refusal(keras_file(tmp_path / "m.keras", model, {})).reason


def test_two_twelve_counts_models_inside_models_twice(tmp_path: Path) -> None:
    root = "_layer_checkpoint_dependencies"
    block = {"class_name": "Sequential", "config": {"name": "a", "layers": [entry("Conv2D", "one", **CONV)]}}
    empty = {"class_name": "Sequential", "config": {"name": "b", "layers": [entry("ReLU", "two")]}}
    last = {"class_name": "Sequential", "config": {"name": "c", "layers": [entry("Conv2D", "three", **CONV)]}}
    model = sequential(block, empty, last, keras=2)
    second = np.ones((3, 3, 2, 2), np.float32)
    groups = {
        f"{root}/sequential/{root}/conv2d": [KERNEL, BIAS],
        f"{root}/sequential_2/{root}/re_lu": [],
        f"{root}/sequential_3/{root}/conv2d": [second, BIAS],
    }
    network = read_model(keras_file(tmp_path / "m.keras", model, groups))
    assert [node.name for node in network.nodes] == ["a/one", "b/two", "c/three"]
    np.testing.assert_array_equal(network.nodes[2].ops[0].kernel, second)


def test_patch_size_must_be_fixed(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"no fixed patch size.*\(None, None, 1\)"):
        read_model(keras_file(tmp_path / "m.keras", sequential(conv(), shape=(None, None, 1))))
    with pytest.raises(ConversionError, match="before it knew its input"):
        read_model(keras_file(tmp_path / "m.keras", {"class_name": "Sequential", "config": [conv()]}))
    assert "image patch" in problem(keras_file(tmp_path / "m.keras", sequential(entry("ReLU"), shape=(7,))))


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ([], "'kernel' is missing"),
        ([KERNEL], "'bias' is missing"),
        ([KERNEL, BIAS, BIAS], "1 more arrays"),
        ([KERNEL[..., :1], BIAS], "shape"),
        ([KERNEL * np.nan, BIAS], "not finite"),
        ([np.full(KERNEL.shape, 1e300), BIAS], "not finite"),
    ],
)
def test_arrays_are_checked(tmp_path: Path, arrays: list[np.ndarray], reason: str) -> None:
    message = problem(keras_file(tmp_path / "m.keras", sequential(conv()), {"layers/conv2d": arrays}))
    assert reason in message
    assert "'conv2d'" in message


def test_arrays_under_another_name_are_refused(tmp_path: Path) -> None:
    content = arrays_file({"layers/conv2d": [KERNEL, BIAS]}, {"layers/conv2d": "another"})
    assert "'another'" in problem(keras_file(tmp_path / "m.keras", sequential(conv()), content))
    swapped = {"conv2d": {"conv2d/bias:0": BIAS, "conv2d/kernel:0": KERNEL}}
    assert "where 'kernel' belongs" in problem(h5_file(tmp_path / "m.h5", sequential(conv()), swapped))


@pytest.mark.parametrize(
    "config",
    [
        {"filters": "many", "kernel_size": 3},
        {"filters": True, "kernel_size": 3},
        {"filters": -2, "kernel_size": 3},
        {"filters": 2, "kernel_size": [3]},
        {"filters": 2, "kernel_size": 0},
        {"filters": 2, "kernel_size": 10**9},
        {"filters": 2},
        {"filters": 3, "kernel_size": 3, "groups": 2},
        {**CONV, "padding": "sideways"},
        {**CONV, "padding": "causal"},
        {**CONV, "use_bias": 1},
        {**CONV, "activation": 3},
        {**CONV, "strides": None, "dilation_rate": 4},
    ],
)
def test_settings_are_checked(tmp_path: Path, config: dict[str, Any]) -> None:
    assert "conv2d" in problem(keras_file(tmp_path / "m.keras", sequential(entry("Conv2D", "conv2d", **config))))


def test_subclassed_and_keras_1_models(tmp_path: Path) -> None:
    assert "Python code" in problem(keras_file(tmp_path / "m.keras", {"class_name": "MyModel", "config": {}}))
    graph = {"class_name": "Graph", "config": {}, "keras_version": "1.0.0"}
    assert "Python code" in problem(h5_file(tmp_path / "m.h5", graph))


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(90), "PNG"),
        (b"\x80\x04\x95" + bytes(90), "pickle"),
        (b"\x08\x07\x12\x07pytorch" + bytes(range(128, 228)), "ONNX"),
        (b"dear model, how are you?\n" * 9, "text file"),
        ("größe × höhe\n".encode() * 20, "text file"),
        (b'{"class_name": "Sequential"}', "JSON"),
        (b"\x1f\x8b\x08" + bytes(90), "gzip"),
        (bytes(range(1, 200)), "neither"),
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90), "exportONNXNetwork"),
        (b"MATLAB 7.3 MAT-file, Platform: PCWIN64" + bytes(90), "MATLAB file"),
        (b"backend: tensorflow\nclass_name: Sequential\n", "model.to_json()"),
        (b'model_checkpoint_path: "ckpt-1"\n', "load_weights"),
        (b"<!DOCTYPE html>\n<html>", "web page"),
        (b'{"format": "layers-model", "modelTopology": {}, "weightsManifest": []}', "tensorflowjs_converter"),
    ],
)
def test_other_files_are_named(tmp_path: Path, head: bytes, reason: str) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(head)
    assert reason in problem(path)


def test_other_archives_folders_and_missing_files(tmp_path: Path) -> None:
    import zipfile

    for member, reason in (
        ("archive/data.pkl", "PyTorch"), ("m/saved_model.pb", "SavedModel"), ("a.txt", "no Keras"),
        ("m/archive_format", "with no model"), ("serialized_exported_program.json", "torch.export.load"),
    ):  # fmt: skip
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            archive.writestr(member, b"x")
        assert reason in problem(tmp_path / "m.keras")
    (tmp_path / "saved").mkdir()
    assert "folder" in problem(tmp_path / "saved")
    (tmp_path / "saved" / "saved_model.pb").touch()
    assert "model.save('my_model.keras')" in problem(tmp_path / "saved")
    assert "no such file" in problem(tmp_path / "missing.keras")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["image"] = [1, 2]
    assert "no Keras model" in problem(tmp_path / "data.h5")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = ["conv2d"]
    assert "weights of a model only" in problem(tmp_path / "weights.h5")


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = keras_file(tmp_path / "m.keras", sequential(conv()))
    monkeypatch.setattr("pathlib.Path.open", refuse)  # chmod does not bind root, as whom tests may run
    assert "permission" in problem(path)


def test_the_ending_of_the_name_does_not_matter(tmp_path: Path) -> None:
    assert read_model(str(h5_file(tmp_path / "model.keras", sequential(conv())))).nodes[0].name == "conv2d"
    assert read_model(keras_file(tmp_path / "model.h5", sequential(conv()))).nodes[0].name == "conv2d"
