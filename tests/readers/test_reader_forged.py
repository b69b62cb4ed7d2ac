"""Notations that the installed Keras no longer writes, and everything that is refused with a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from readers.reader_forge import (
    BIAS,
    CONV,
    KERNEL,
    arrays_file,
    entry,
    functional,
    h5_file,
    keras_file,
    sequential,
)

from napari_fcnseg.errors import ConversionError, ModelFileError, UnsupportedLayerError
from napari_fcnseg.graph.ops import Activation, BatchNorm, Conv
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.keras_layers import LAYERS
from napari_fcnseg.readers.keras_refused import REFUSED

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
    assert not LAYERS.keys() & REFUSED.keys()


def test_every_layer_of_keras_is_either_read_or_refused(keras_child: Callable[..., Any]) -> None:
    from readers.reader_keras_files import layer_classes

    assert set(keras_child(layer_classes)) - LAYERS.keys() - REFUSED.keys() == {"InputLayer", "Layer"}


@pytest.mark.parametrize(
    "layer",
    [
        entry("MyLayer", "mine"),
        {**entry("Conv2D", "mine"), "module": "my_package.layers"},
        {**entry("Conv2D", "mine"), "module": "keras.layers", "registered_name": "my_package>Conv2D"},
        {**entry("Add", "mine"), "module": "keras.src.ops.numpy"},
    ],
)
def test_custom_layers_and_operations_are_refused(tmp_path: Path, layer: dict[str, Any]) -> None:
    assert refusal(keras_file(tmp_path / "m.keras", sequential(layer))).layer == "mine"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"data_format": "channels_first"}, "channels_first"),
        ({"padding": "causal"}, "causal"),
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
def test_topologies_that_are_no_single_path(tmp_path: Path, keras: int) -> None:
    relu, flatten = entry("ReLU"), entry("Flatten")
    path = tmp_path / "m.keras"

    def error(model: dict[str, Any]) -> UnsupportedLayerError:
        return refusal(keras_file(path, model))

    branched = functional((relu, ["input"]), (flatten, ["input"]), outputs=["relu"], keras=keras)
    assert "branches" in error(branched).reason
    assert "2 outputs" in error({**functional((relu, ["input"]), outputs=["relu", "input"], keras=keras)}).reason
    joined = functional((relu, ["input"]), (flatten, ["input", "relu"]), outputs=["flatten"], keras=keras)
    assert error(joined).layer == "flatten"
    shared = functional((relu, ["input"]), outputs=["relu"], keras=keras)
    shared["config"]["layers"][1]["inbound_nodes"] *= 2
    assert "shared" in error(shared).reason
    training = functional((relu, ["input"]), outputs=["relu"], keras=keras)
    (node,) = training["config"]["layers"][1]["inbound_nodes"]
    (node["kwargs"] if keras == 3 else node[0][3])["training"] = True
    assert "training=True" in error(training).reason
    inputs = functional((relu, ["input"]), outputs=["relu"], inputs=["input", "relu"], keras=keras)
    assert "2 inputs" in error(inputs).reason


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
        {**CONV, "use_bias": 1},
        {**CONV, "activation": 3},
        {**CONV, "strides": None, "dilation_rate": 4},
    ],
)
def test_settings_are_checked(tmp_path: Path, config: dict[str, Any]) -> None:
    assert "conv2d" in problem(keras_file(tmp_path / "m.keras", sequential(entry("Conv2D", "conv2d", **config))))


def test_subclassed_and_keras_1_models(tmp_path: Path) -> None:
    assert "Python code" in problem(keras_file(tmp_path / "m.keras", {"class_name": "MyModel", "config": {}}))
    old = entry("Convolution2D", nb_filter=2, nb_row=3, nb_col=3, batch_input_shape=[None, 1, 7, 7])
    assert "Keras 1" in problem(h5_file(tmp_path / "m.h5", {"class_name": "Sequential", "config": [old]}))


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
    ],
)
def test_other_files_are_named(tmp_path: Path, head: bytes, reason: str) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(head)
    assert reason in problem(path)


def test_other_archives_folders_and_missing_files(tmp_path: Path) -> None:
    import zipfile

    for member, reason in (("archive/data.pkl", "PyTorch"), ("m/saved_model.pb", "SavedModel"), ("a.txt", "no Keras")):
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
