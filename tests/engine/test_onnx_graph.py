"""The dense network as an ONNX graph: valid by ONNX's own checker, and each operation what Keras makes of it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from napari_fcnseg.engine.onnx_graph.activations import activation
from napari_fcnseg.engine.onnx_graph.builder import Builder
from napari_fcnseg.engine.onnx_graph.model_bytes import Node, Port, model_bytes
from napari_fcnseg.graph.ops import AXIS_ACTIVATIONS, ELEMENTWISE_ACTIVATIONS, Activation
from napari_fcnseg.readers.keras.activations import KERAS_3

if TYPE_CHECKING:
    from collections.abc import Mapping

ALL = sorted(ELEMENTWISE_ACTIVATIONS | AXIS_ACTIVATIONS)
OTHER_PARAMS: list[tuple[str, Mapping[str, Any]]] = [
    ("relu", {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5}),
    ("relu", {"negative_slope": 0.3, "max_value": None, "threshold": 0.0}),
    ("relu", {"negative_slope": 0.0, "max_value": 6.0, "threshold": 0.0}),
    ("relu", {"negative_slope": 0.2, "max_value": None, "threshold": -0.5}),
    ("gelu", {"approximate": True}),
    ("celu", {"alpha": 2.5}),
    ("elu", {"alpha": 0.3}),
    ("leaky_relu", {"negative_slope": 0.7}),
    ("hard_shrink", {"threshold": 1.5}),
    ("soft_shrink", {"threshold": 0.25}),
    ("squareplus", {"b": 0.5}),
    ("rms_norm", {"axis": -1, "epsilon": 0.5}),
    ("threshold", {"threshold": -0.3, "default_value": 4.0}),
    ("unit_norm", {"axis": -1, "epsilon": 2.0}),
]
#: Which have no default: a reader always gives them.
GIVEN: dict[str, dict[str, Any]] = {"rms_norm": {"epsilon": 1e-6}, "unit_norm": {"epsilon": 1e-12}}
NOT_NEGATIVE = frozenset({"log", "rsqrt", "sqrt"})


def graph_of(name: str, params: Mapping[str, Any], shape: tuple[int | None, ...]) -> bytes:
    build = Builder()
    result = activation(build, "x", Activation(name, params), shape)
    nodes = [*build.parts, Node("Identity", (result,), ("y",), {})]
    free = tuple(n or f"n{axis}" for axis, n in enumerate(shape))
    ports = [Port("x", free)], [Port("y", tuple(f"m{n}" for n in range(len(shape))))]
    return model_bytes(nodes, build.constants, *ports)


def keras_answer(name: str, params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Return what Keras says. Runs where Keras is."""
    from napari_fcnseg.engine.activations import activation as keras_activation

    return np.asarray(keras_activation(name, dict(params))(x))


@pytest.mark.parametrize(
    ("name", "params"),
    [*((name, KERAS_3.get(name, {})) for name in ALL if name not in ("threshold", *GIVEN)), *OTHER_PARAMS],
)
def test_an_activation_is_keras_s(keras_child, name, params) -> None:
    import onnxruntime

    x = np.concatenate([np.linspace(-9, 9, 600), np.random.default_rng(0).standard_normal(600)]).astype(np.float32)
    x = (np.abs(x) + 1e-3 if name in NOT_NEGATIVE else x).reshape(1, 10, 20, 6)
    model = graph_of(name, params, (1, None, None, 6))
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    found = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    wanted = keras_child(keras_answer, name, params, x)
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-6)
    assert wanted.std() > 0.01


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2])
@pytest.mark.parametrize("name", sorted(AXIS_ACTIVATIONS))
def test_an_axis_may_be_any(keras_child, name, axis) -> None:
    import onnxruntime

    x = np.random.default_rng(1).standard_normal((7, 4, 6, 8)).astype(np.float32)
    params = {"axis": axis, **GIVEN.get(name, {})}
    model = graph_of(name, params, (None, 4, 6, 8))
    found = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    np.testing.assert_allclose(found, keras_child(keras_answer, name, params, x), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("value", [0, 1, -1, 2**40, -(2**40), 0.25, "text", (1, -2, 2**35), ()])
def test_an_attribute_arrives_as_it_was(value) -> None:
    odd = Node("Odd", ("x",), ("y",), {"a": value})
    model = onnx.load_from_string(model_bytes([odd], {}, [], [], notes={"k": "é"}))
    [attribute] = model.graph.node[0].attribute
    found = onnx.helper.get_attribute_value(attribute)
    assert (found.decode() if isinstance(value, str) else tuple(found) if isinstance(value, tuple) else found) == value
    assert [(p.key, p.value) for p in model.metadata_props] == [("k", "é")]


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_a_constant_arrives_as_it_was(dtype) -> None:
    for shape in itertools.chain([(), (0,), (3,)], [(2, 300, 1)]):
        array = (np.arange(np.prod(shape)).reshape(shape) - 5).astype(dtype)
        [tensor] = onnx.load_from_string(model_bytes([], {"c": array}, [], [])).graph.initializer
        found = onnx.numpy_helper.to_array(tensor)
        np.testing.assert_array_equal(found, array)
        assert found.dtype == dtype
