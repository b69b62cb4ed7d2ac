"""Whole models of Keras 1: the network computes what Keras 1 computed, written down once more in Keras 1's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from readers.reader_evaluate import evaluate

from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.options import ReadOptions

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray
Layer = tuple[str, dict[str, Any], dict[str, Array]]


def draw(*shape: int, seed: int = 0, scale: float = 0.5) -> Array:
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * scale).astype(np.float32)


def conv(name: str, shape: tuple[int, ...], order: str = "th", **settings: Any) -> Layer:
    """Describe a Convolution2D; ``shape`` is that of its kernel in the file."""
    out, rows, cols = (shape[0], *shape[2:]) if order == "th" else (shape[3], *shape[:2])
    config = {
        "nb_filter": out, "nb_row": rows, "nb_col": cols, "border_mode": "valid", "subsample": [1, 1], "bias": True,
        "dim_ordering": order, "activation": "linear", **settings,
    }  # fmt: skip
    return "Convolution2D", {"name": name, **config}, {"W": draw(*shape), "b": draw(out)}


def norm(name: str, width: int, axis: int = 1, **settings: Any) -> Layer:
    arrays = {"gamma": draw(width, seed=1), "beta": draw(width, seed=2), "running_mean": draw(width, seed=3)}
    arrays["running_std"] = np.abs(draw(width, seed=4)) + np.float32(0.5)
    return "BatchNormalization", {"name": name, "axis": axis, "mode": 0, "epsilon": 1e-3, **settings}, arrays


def dense(name: str, inputs: int, out: int, **settings: Any) -> Layer:
    config = {"name": name, "output_dim": out, "bias": True, "activation": "linear", **settings}
    return "Dense", config, {"W": draw(inputs, out), "b": draw(out)}


def plain(kind: str, name: str, **settings: Any) -> Layer:
    return kind, {"name": name, **settings}, {}


def pool(name: str, size: int, stride: int, mode: str = "valid", order: str = "th", kind: str = "Max") -> Layer:
    settings = {"pool_size": [size, size], "strides": [stride, stride], "border_mode": mode, "dim_ordering": order}
    return plain(f"{kind}Pooling2D", name, **settings)


def write(path: Path, shape: list[int | None], layers: list[Layer], version: str | None = "1.0.7") -> Path:
    """Write a Sequential model as Keras 1 did."""
    entries = [{"class_name": kind, "config": {"trainable": True, **config}} for kind, config, _ in layers]
    entries[0]["config"]["batch_input_shape"] = shape
    return save(path, {"class_name": "Sequential", "config": entries}, layers, version)


def save(path: Path, model: dict[str, Any], layers: list[Layer], version: str | None = "1.0.7") -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model).encode()
        if version is not None:
            file.attrs["keras_version"] = version.encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [config["name"].encode() for _, config, _ in layers]
        for _, config, arrays in layers:
            own = group.create_group(config["name"])
            names = [f"{config['name']}_{key}" for key in arrays]
            own.attrs["weight_names"] = [name.encode() for name in names]
            for name, values in zip(names, arrays.values(), strict=True):
                own[name] = values
    return path


def run(layers: list[Layer], x: Array, *, flipped: bool = True, variances: bool = True) -> Array:
    """Apply layers to patches in the file's own order of the axes."""
    for kind, config, arrays in layers:
        w = {key: values.astype(np.float64) for key, values in arrays.items()}
        first = config.get("dim_ordering", "th") == "th"
        if kind in ("Convolution2D", "MaxPooling2D", "AveragePooling2D") and not first:
            x = np.moveaxis(x, -1, 1)
        if kind == "Convolution2D":
            kernel = w["W"] if first else w["W"].transpose(3, 2, 0, 1)
            kernel = kernel[:, :, ::-1, ::-1] if flipped else kernel
            size = kernel.shape[2:]
            x = windows(x, size, config["subsample"], config["border_mode"] == "same", flipped, 0.0)
            x = np.einsum("ncijuv,ocuv->noij", x, kernel) + w["b"][:, None, None]
        elif kind.endswith("Pooling2D"):
            padded = config["border_mode"] == "same"
            x = windows(x, config["pool_size"], config["strides"], padded, flipped, np.nan, pool=True)
            x = (np.nanmax if kind[0] == "M" else np.nanmean)(x, axis=(-2, -1))
        elif kind == "BatchNormalization":
            shape = [1] * x.ndim
            shape[config["axis"]] = -1
            gamma, beta, mean, std = (w[k].reshape(shape) for k in ("gamma", "beta", "running_mean", "running_std"))
            spread = np.sqrt(std + config["epsilon"]) if variances else std + config["epsilon"]
            x = gamma * (x - mean) / spread + beta
        elif kind == "Flatten":
            x = x.reshape(len(x), -1)
        elif kind == "Dense":
            x = x @ w["W"] + w["b"]
        elif kind == "MaxoutDense":
            x = (np.einsum("ni,kio->nko", x, w["W"]) + w["b"]).max(1)
        elif kind == "Highway":
            gate = 1 / (1 + np.exp(-(x @ w["W_carry"] + w["b_carry"])))
            x = np.tanh(x @ w["W"] + w["b"]) * gate + (1 - gate) * x
        if kind in ("Convolution2D", "MaxPooling2D", "AveragePooling2D") and not first:
            x = np.moveaxis(x, 1, -1)
        activation = config.get("activation")
        if activation == "relu":
            x = np.maximum(x, 0)
        elif activation == "softmax":
            x = np.exp(x - x.max(-1, keepdims=True)) / np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)
    return x


def windows(x: Array, size: Any, strides: Any, same: bool, theano: bool, fill: float, *, pool: bool = False) -> Array:
    """Cut ``(n, c, i, j, *size)`` out: with Theano's ``same`` the windows begin half their length before."""
    counts = [-(-n // s) if same else (n - k) // s + 1 for n, k, s in zip(x.shape[2:], size, strides, strict=True)]
    pads = []
    for n, k, s, count in zip(x.shape[2:], size, strides, counts, strict=True):
        total = max((count - 1) * s + k - n, 0)
        before = ((k - 2 if k % 2 else k - 1) if pool else k // 2) if theano else total // 2
        pads.append((before, max(total - before, 0)) if same else (0, 0))
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, tuple(size), axis=(2, 3))
    view = view[:, :, :: strides[0], :: strides[1]]
    return view[:, :, : counts[0], : counts[1]]


def check(path: Path, layers: list[Layer], x: Array, options: ReadOptions = ReadOptions(), **how: bool) -> Any:  # noqa: B008
    network = read_model(path, None, options)
    first = layers[0][1].get("dim_ordering", "th") == "th"
    ours = evaluate(network, np.moveaxis(x, 1, -1) if first else x)
    np.testing.assert_allclose(ours, run(layers, x, **how), rtol=0, atol=1e-6)
    return network


PLAIN = [
    conv("convolution2d_1", (4, 2, 3, 2)), norm("batchnormalization_1", 4), plain("Activation", "a", activation="relu"),
    pool("maxpooling2d_1", 2, 2), plain("Dropout", "dropout_1", p=0.5), plain("Flatten", "flatten_1"),
    dense("dense_1", 4 * 3 * 3, 3, activation="softmax"),
]  # fmt: skip


def test_theano_s_kernels_are_turned_round_and_said_so(tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", [None, 2, 8, 7], PLAIN)
    network = check(path, PLAIN, draw(3, 2, 8, 7, seed=9))
    assert network.input_shape == (8, 7, 2)
    (note,) = network.notes
    assert "Keras 1.0.7" in note
    assert "Theano's (turned round), because its axes are in Theano's order" in note
    assert '"keras_1_backend": "tensorflow"' in note


def test_the_user_may_say_that_tensorflow_computed(tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", [None, 2, 8, 7], PLAIN)
    options = ReadOptions(keras_1_backend="tensorflow")
    network = check(path, PLAIN, draw(3, 2, 8, 7, seed=9), options, flipped=False)
    assert "as you chose" in network.notes[0]


def test_tensorflow_s_order_tells_tensorflow(tmp_path: Path) -> None:
    layers = [
        conv("c1", (3, 2, 2, 4), "tf", activation="relu", border_mode="same", subsample=[2, 2]),
        norm("n1", 4, axis=-1), pool("p1", 2, 2, "same", "tf"), plain("Flatten", "f"), dense("d1", 4 * 2 * 2, 3),
    ]  # fmt: skip
    path = write(tmp_path / "m.h5", [None, 8, 7, 2], layers, "1.2.2")
    network = check(path, layers, draw(3, 8, 7, 2, seed=9), flipped=False)
    assert "TensorFlow's (as they are in the file)" in network.notes[0]


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (3, 3), (2, 1)])
def test_same_is_theano_s_own(tmp_path: Path, kind: str, size: int, stride: int) -> None:
    layers = [
        conv("c1", (3, 1, size, 3), border_mode="same", subsample=[stride, 1], activation="relu"),
        conv("c2", (2, 3, 4, 2), border_mode="same"), pool("p1", size, stride, "same", kind=kind),
        plain("Flatten", "f"),
    ]  # fmt: skip
    x = draw(2, 1, 8, 7, seed=5)
    features = run(layers, x).shape[1]
    layers.append(dense("d1", features, 2))
    check(write(tmp_path / "m.h5", [None, 1, 8, 7], layers), layers, x)


def test_before_1_0_7_running_std_are_standard_deviations(tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", [None, 2, 8, 7], PLAIN, "1.0.6")
    check(path, PLAIN, draw(3, 2, 8, 7, seed=9), variances=False)


def test_a_file_without_a_version_says_what_is_assumed(tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", [None, 2, 8, 7], PLAIN, None)
    network = check(path, PLAIN, draw(3, 2, 8, 7, seed=9), variances=False)
    assert any("does not say which Keras 1" in note for note in network.notes)


def test_dense_layers_of_keras_1_s_own(tmp_path: Path) -> None:
    maxout = {"name": "maxoutdense_1", "output_dim": 5, "nb_feature": 3, "bias": True}
    gates = ("W", "W_carry", "b", "b_carry")
    highway = {"name": "highway_1", "activation": "tanh", "bias": True}
    layers = [
        conv("c1", (2, 1, 3, 3), activation="relu"), plain("Flatten", "f"),
        ("MaxoutDense", maxout, {"W": draw(3, 18, 5), "b": draw(3, 5)}),
        ("Highway", highway, {k: draw(*[5] * (1 + (k[0] == "W")), seed=len(k)) for k in gates}),
        dense("d1", 5, 3, activation="softmax"),
    ]  # fmt: skip
    check(write(tmp_path / "m.h5", [None, 1, 5, 5], layers), layers, draw(4, 1, 5, 5, seed=3))


def test_branches_of_a_sequential_model_are_merged(tmp_path: Path) -> None:
    left = [conv("c1", (3, 1, 3, 3), activation="relu"), plain("Flatten", "f1")]
    right = [conv("c2", (2, 2, 2, 2)), plain("Flatten", "f2")]
    head = [dense("d1", 3 * 9 + 2 * 16, 2, activation="softmax")]

    def chain(layers: list[Layer], shape: list[int | None]) -> dict[str, Any]:
        entries = [{"class_name": kind, "config": config} for kind, config, _ in layers]
        entries[0] = {**entries[0], "config": {**entries[0]["config"], "batch_input_shape": shape}}
        return {"class_name": "Sequential", "config": entries}

    branches = [chain(left, [None, 1, 5, 5]), chain(right, [None, 2, 5, 5])]
    merge = {"name": "merge_1", "mode": "concat", "concat_axis": -1, "layers": branches}
    trunk = [{"class_name": "Merge", "config": merge}, *({"class_name": k, "config": c} for k, c, _ in head)]
    path = save(tmp_path / "m.h5", {"class_name": "Sequential", "config": trunk}, [*left, *right, *head])
    network, x = read_model(path), draw(3, 3, 5, 5, seed=3)
    joined = np.concatenate([run(left, x[:, :1]), run(right, x[:, 1:])], axis=-1)
    np.testing.assert_allclose(evaluate(network, np.moveaxis(x, 1, -1)), run(head, joined), rtol=0, atol=1e-6)


def test_a_graph_of_keras_1(tmp_path: Path) -> None:
    c1, c2 = conv("c1", (3, 1, 3, 3), border_mode="same"), conv("c2", (3, 1, 1, 1))
    end = dense("d1", 75, 2, activation="softmax")
    inputs = {"batch_input_shape": [None, 1, 5, 5], "name": "in", "input_dtype": "float32", "sparse": False}

    def entry(kind: str, config: dict[str, Any], *sources: str) -> dict[str, Any]:
        nodes = [[[source, 0, 0] for source in sources]] if sources else []
        return {"class_name": kind, "config": config, "name": config["name"], "inbound_nodes": nodes}

    merge = {"name": "merge_1", "mode": "sum", "concat_axis": -1, "mode_type": "raw"}
    layers = [
        entry("InputLayer", inputs), entry(*c1[:2], "in"), entry(*c2[:2], "in"), entry("Merge", merge, "c1", "c2"),
        entry("Flatten", {"name": "f"}, "merge_1"), entry(*end[:2], "f"),
    ]  # fmt: skip
    config = {"name": "model_1", "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["d1", 0, 0]]}
    path = save(tmp_path / "m.h5", {"class_name": "Model", "config": config}, [c1, c2, end], None)
    network, x = read_model(path), draw(3, 1, 5, 5, seed=3)
    both = run([c1], x) + run([c2], x)
    expected = run([plain("Flatten", "f"), end], both)
    np.testing.assert_allclose(evaluate(network, np.moveaxis(x, 1, -1)), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (norm("n1", 2, mode=2), "'n1' \\(BatchNormalization\\).*mode=2"),
        (plain("Lambda", "l1"), "'l1' \\(Lambda\\).*Python code"),
        (plain("SReLU", "s1"), "'s1' \\(SReLU\\).*old version"),
    ],
)
def test_what_cannot_be_converted_is_named(tmp_path: Path, layer: Layer, says: str) -> None:
    layers = [conv("c1", (2, 1, 3, 3)), layer, plain("Flatten", "f"), dense("d1", 18, 2)]
    with pytest.raises(FcnSegError, match=says):
        read_model(write(tmp_path / "m.h5", [None, 1, 5, 5], layers))


def test_a_layer_with_a_setting_output_dim_is_not_keras_1(tmp_path: Path) -> None:
    layers = [plain("MyProduct", "p1", output_dim=3)]
    with pytest.raises(FcnSegError, match=r"'p1' \(MyProduct\).*may be a custom layer"):
        read_model(write(tmp_path / "m.h5", [None, 5, 5, 1], layers, None))


def test_published_whole_models(shared_data: Path) -> None:
    for path in sorted((shared_data.parent / "cases" / "models").glob("keras1_whole_*.h5")):
        with h5py.File(path) as file:
            entries = json.loads(file.attrs["model_config"])["config"]
            layers: list[Layer] = []
            for entry in entries:
                name = entry["config"]["name"]
                found = {k.removeprefix(f"{name}_"): v[()] for k, v in file["model_weights"][name].items()}
                layers.append((entry["class_name"], entry["config"], found))
        check(path, layers, draw(2, *entries[0]["config"]["batch_input_shape"][1:], seed=1))
