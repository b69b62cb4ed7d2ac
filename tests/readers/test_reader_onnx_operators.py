"""Each ONNX operator, alone, against the reference that comes with the ONNX package."""

from __future__ import annotations

import numpy as np
import pytest
from _versions import since
from onnx.reference import ReferenceEvaluator
from readers.onnx_files import difference, model, node, write
from readers.reader_evaluate import evaluate

from napari_fcnseg.graph import ops
from napari_fcnseg.readers import read_model

R = np.random.default_rng(7)


def f(*shape: int) -> np.ndarray:
    return R.standard_normal(shape).astype(np.float32)


def i(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


POSITIVE = (np.abs(f(4)) + 0.5).astype(np.float32)
NORM = {"g": f(4), "b": f(4), "m": f(4), "v": POSITIVE}
LINE = ("n", 4, 9)
CUBE = (2, 2, 5, 4, 6)

CASES = {
    # windows
    "conv": (
        node("Conv", "x w b", strides=[2, 1], dilations=[1, 2], pads=[0, 1, 2, 0]),
        {"w": f(3, 4, 3, 2), "b": f(3)},
    ),
    "conv upper": (node("Conv", "x w", strides=[2, 2], auto_pad="SAME_UPPER"), {"w": f(3, 4, 3, 2)}),
    "conv lower": (node("Conv", "x w", strides=[2, 2], auto_pad="SAME_LOWER"), {"w": f(3, 4, 3, 2)}),
    "conv valid": (node("Conv", "x w", auto_pad="VALID"), {"w": f(3, 4, 3, 2)}),
    "conv groups": (node("Conv", "x w", group=2), {"w": f(6, 2, 3, 3)}),
    "depthwise": (node("Conv", "x w b", group=4), {"w": f(8, 1, 3, 2), "b": f(8)}),
    "conv 1d": (node("Conv", "x w", strides=[2]), {"w": f(3, 4, 3)}, LINE),
    "depthwise 3d": (node("Conv", "x w", group=2), {"w": f(4, 1, 3, 2, 2)}, CUBE),
    "conv 3d": (node("Conv", "x w", strides=[2, 1, 1]), {"w": f(3, 2, 3, 2, 2)}, CUBE),
    "transpose": (
        node("ConvTranspose", "x w b", strides=[2, 3], pads=[1, 0, 2, 1], output_padding=[1, 0]),
        {"w": f(4, 3, 3, 4), "b": f(3)},
    ),
    "max": (node("MaxPool", "x", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]), {}),
    "max ceil": (node("MaxPool", "x", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1), {}),
    "mean": (node("AveragePool", "x", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]), {}),
    "mean counted": (node("AveragePool", "x", kernel_shape=[3, 2], pads=[1, 0, 1, 1], count_include_pad=1), {}),
    "global mean": (node("GlobalAveragePool", "x"), {}),
    "global max": (node("GlobalMaxPool", "x"), {}),
    "pad": (node("Pad", "x p"), {"p": i(0, 0, 1, 2, 0, 0, 3, 1)}),
    "pad value": (node("Pad", "x p v"), {"p": i(0, 0, 1, 0, 0, 0, 0, 1), "v": np.float32(0.7)}),
    "pad axes": (node("Pad", "x p - a"), {"p": i(1, 2), "a": i(-1)}),
    "pad old": (node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 0, 0]), {}, ("n", 4, 6, 5), 10),
    "resize": (node("Resize", "x - s", mode="nearest"), {"s": np.array([1, 1, 2, 3], np.float32)}),
    "resize sizes": (
        node("Resize", "x - - s", nearest_mode="floor", coordinate_transformation_mode="asymmetric"),
        {"s": i(2, 4, 12, 5)},
        (2, 4, 6, 5),
    ),
    # shapes
    "flatten": (node("Flatten", "x"), {}),
    "reshape": (node("Reshape", "x s"), {"s": i(-1, 120)}),
    "reshape zero": (node("Reshape", "x s"), {"s": i(0, -1)}),
    "reshape one": (node("Reshape", "x s"), {"s": i(1, -1)}, (1, 4, 6, 5)),
    "crop": (node("Slice", "x a b c"), {"a": i(1, -4), "b": i(2**31 - 1, -1), "c": i(2, 3)}),
    "stride": (node("Slice", "x a b c d"), {"a": i(1), "b": i(2**63 - 1), "c": i(2), "d": i(2)}),
    "channels": (node("Slice", "x a b c"), {"a": i(1), "b": i(3), "c": i(1)}),
    "reversed": (node("Slice", "x a b c d"), {"a": i(-1), "b": i(-(2**63)), "c": i(1), "d": i(-1)}),
    "gather one": (node("Gather", "x k", axis=1), {"k": np.int64(-2)}, LINE),
    "gather order": (node("Gather", "x k", axis=1), {"k": i(2, 0, 0)}),
    "expand": (node("Expand", "x s"), {"s": i(1, 4, 6, 5)}, ("n", 1, 1, 5)),
    # arithmetic
    "add channel": (node("Add", "x c"), {"c": f(4, 1, 1)}),
    "add row": (node("Add", "x c"), {"c": f(5)}),
    "add map": (node("Add", "c x"), {"c": f(1, 4, 6, 5)}),
    "from one": (node("Sub", "c x"), {"c": np.float32(1)}),
    "subtract": (node("Sub", "x c"), {"c": f(4, 1, 1)}),
    "divide": (node("Div", "x c"), {"c": POSITIVE.reshape(4, 1, 1)}),
    "double": (node("Add", "x x"), {}),
    "power": (node("Pow", "x c"), {"c": np.float32(3)}),
    "negative": (node("Neg", "x"), {}),
    "absolute": ([node("Abs", "x", "a"), node("Flatten", "a")], {}),
    "sum": (node("Sum", "x c x"), {"c": f(4, 1, 1)}),
    "mean of": ([node("Neg", "x", "a"), node("Exp", "x", "b"), node("Mean", "a b x")], {}),
    "maximum": (node("Max", "x c"), {"c": np.float32(0.4)}),
    "minimum": (node("Min", "c x"), {"c": np.float32(0.4)}),
    "clip": (node("Clip", "x a b"), {"a": np.float32(-0.3), "b": np.float32(0.9)}),
    "clip relu6": (node("Clip", "x", min=0.0, max=6.0), {}, ("n", 4, 6, 5), 10),
    "clip low": (node("Clip", "x a"), {"a": np.float32(0.2)}),
    "clip zero": (node("Clip", "x a b"), {"a": np.float32(0), "b": np.float32(1.5)}),
    # activations
    **{name: (node(name, "x"), {}) for name in "Relu Sigmoid Tanh Exp Softplus Softsign Mish HardSwish".split()},
    **{name: (node(name, "x"), {}) for name in "LeakyRelu Elu Selu Celu Gelu HardSigmoid ThresholdedRelu".split()},
    "leaky": (node("LeakyRelu", "x", alpha=0.3), {}),
    "elu": (node("Elu", "x", alpha=0.3), {}),
    "celu": (node("Celu", "x", alpha=0.3), {}),
    "selu other": (node("Selu", "x", alpha=1.2, gamma=0.8), {}),
    "gelu tanh": (node("Gelu", "x", approximate="tanh"), {}),
    "hard sigmoid": (node("HardSigmoid", "x", alpha=1 / 6, beta=0.5), {}),
    "hard sigmoid other": (node("HardSigmoid", "x", alpha=0.3, beta=0.4), {}),
    "prelu": (node("PRelu", "x c"), {"c": f(4, 1, 1)}),
    "prelu one": (node("PRelu", "x c"), {"c": f(1)}),
    "soft shrink": (node("Shrink", "x", bias=0.4, lambd=0.4), {}),
    "hard shrink": (node("Shrink", "x", lambd=0.4), {}),
    "softmax": (node("Softmax", "x", axis=1), {}),
    "softmax rows": (node("Softmax", "x", axis=2), {}),
    "log softmax": (node("LogSoftmax", "x", axis=-3), {}),
    # statistics
    "batch norm": (node("BatchNormalization", "x g b m v", epsilon=0.01), NORM),
    "instance norm": (node("InstanceNormalization", "x g b", epsilon=0.01), NORM),
    "group norm": (node("GroupNormalization", "x g b", num_groups=2), {"g": f(4), "b": f(4)}, ("n", 4, 6, 5), 21),
    "layer norm": (node("LayerNormalization", "x g b", axis=1), {"g": f(4, 6, 5), "b": f(4, 6, 5)}),
    "layer norm row": (node("LayerNormalization", "x g"), {"g": f(5)}),
    "reduce": (node("ReduceMean", "x a", keepdims=0), {"a": i(2, 3)}),
    "reduce old": (node("ReduceMean", "x", axes=[-1, -2], keepdims=1), {}, ("n", 4, 6, 5), 13),
    "reduce rows": (node("ReduceMax", "x a", keepdims=1), {"a": i(2)}),
    "reduce channels": (node("ReduceMean", "x a", keepdims=1), {"a": i(1)}),
    "reduce max channels": (node("ReduceMax", "x a", keepdims=1), {"a": i(1)}),
    "reduce sum": (node("ReduceSum", "x a", keepdims=0), {"a": i(1, 2, 3)}),
    # rows of numbers
    "gemm": (
        [node("Flatten", "x", "f"), node("Gemm", "f w b", transB=1, alpha=0.5, beta=2.0)],
        {"w": f(3, 120), "b": f(3)},
    ),
    "matmul": (
        [node("Flatten", "x", "f"), node("MatMul", "f w", "d"), node("Add", "d b")],
        {"w": f(120, 3), "b": f(3)},
    ),
}


def case(name: str):
    """Return one of the cases, skipped where the reference itself is wrong."""
    padded = name in ("conv upper", "conv lower", "conv valid")
    return pytest.param(name, marks=since("onnx", "1.23", "pads auto_pad of Conv wrongly") if padded else ())


@pytest.mark.parametrize("name", map(case, CASES))
def test_an_operator_computes_what_the_reference_computes(name: str, tmp_path) -> None:
    nodes, arrays, *rest = CASES[name]
    nodes = nodes if isinstance(nodes, list) else [nodes]
    assert difference(tmp_path / "m.onnx", model(nodes, arrays, *rest)) <= 1e-5


def test_a_transposed_convolution_in_groups_is_one_for_each_group(tmp_path) -> None:
    w = f(4, 3, 3, 2)
    grouped = model([node("ConvTranspose", "x w", group=2, dilations=[2, 1])], {"w": w})
    parts = [node("ConvTranspose", f"{part} w{part}", f"y{part}", dilations=[2, 1]) for part in "ab"]
    apart = [node("Split", "x", "a b", axis=1, num_outputs=2), *parts, node("Concat", "ya yb", axis=1)]
    assert difference(tmp_path / "m.onnx", grouped, model(apart, {"wa": w[:2], "wb": w[2:]})) <= 1e-5


def test_a_negative_border_is_cut_off(tmp_path) -> None:
    padded = model([node("Pad", "x p")], {"p": i(0, 0, 1, -2, 0, 0, -3, 1)})
    cut = [node("Slice", "x a b c", "s"), node("Pad", "s p")]
    arrays = {"a": i(0, 2), "b": i(-3, 99), "c": i(2, 3), "p": i(0, 0, 1, 0, 0, 0, 0, 1)}
    assert difference(tmp_path / "m.onnx", padded, model(cut, arrays)) <= 1e-5


CHAINS = {
    "channels last for a while": (
        [
            node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
            node("MatMul", "t w", "d"),
            node("LayerNormalization", "d g", "l"),
            node("Transpose", "l", "y", perm=[0, 3, 1, 2]),
        ],
        {"w": f(4, 3), "g": f(3)},
    ),
    "flattened rows first": ([node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Flatten", "t")], {}),
    "a gate": (
        [
            node("ReduceMean", "x two", "m", keepdims=0),
            node("MatMul", "m w", "d"),
            node("Sigmoid", "d", "s"),
            node("Unsqueeze", "s two", "u"),
            node("Mul", "u x"),
        ],
        {"two": i(2, 3), "w": f(4, 4)},
    ),
    "a shape computed from the input's": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "n"),
            node("Unsqueeze", "n first", "u"),
            node("Concat", "u minus", "c", axis=0),
            node("Reshape", "x c"),
        ],
        {"zero": np.int64(0), "first": i(0), "minus": i(-1)},
    ),
    "mean of flattened maps": (
        [node("Reshape", "x s", "f"), node("ReduceMean", "f a", keepdims=0)],
        {"s": i(0, 4, -1), "a": i(2)},
    ),
    "group norm of old": (
        [
            node("Reshape", "x s", "r"),
            node("InstanceNormalization", "r g b", "i"),
            node("Shape", "x", "shape"),
            node("Reshape", "i shape", "n"),
            node("Mul", "n scale"),
        ],
        {"s": i(0, 2, -1), "g": np.ones(2, np.float32), "b": np.zeros(2, np.float32), "scale": f(4, 1, 1)},
    ),
    "silu": ([node("Sigmoid", "x", "s"), node("Mul", "s x")], {}),
    "mish": ([node("Softplus", "x", "p"), node("Tanh", "p", "t"), node("Mul", "x t")], {}),
    "gelu": (
        [
            node("Div", "x root", "d"),
            node("Erf", "d", "e"),
            node("Add", "e one", "p"),
            node("Mul", "x p", "q"),
            node("Mul", "q half"),
        ],
        {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    ),
    "gelu, the half first": (
        [
            node("Div", "x root", "d"),
            node("Erf", "d", "e"),
            node("Add", "e one", "p"),
            node("Mul", "half x", "h"),
            node("Mul", "p h"),
        ],
        {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    ),
    "softsign": ([node("Abs", "x", "a"), node("Add", "a one", "p"), node("Div", "x p")], {"one": np.float32(1)}),
    "log sigmoid": ([node("Sigmoid", "x", "s"), node("Log", "s")], {}),
    "threshold": (
        [node("LessOrEqual", "x t", "c"), node("Where", "c v x")],
        {"t": np.float32(0.1), "v": np.float32(-2)},
    ),
    "layer norm of old": (
        [
            node("Flatten", "x", "f"),
            node("ReduceMean", "f a", "m"),
            node("Sub", "f m", "d"),
            node("Pow", "d two", "q"),
            node("ReduceMean", "q a", "v"),
            node("Add", "v eps", "w"),
            node("Sqrt", "w", "r"),
            node("Div", "d r"),
        ],
        {"a": i(-1), "two": np.float32(2), "eps": np.float32(1e-3)},
    ),
    "channels shuffled": (
        [
            node("Reshape", "x s", "r"),
            node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]),
            node("Reshape", "t b", "back"),
            node("Mul", "back scale"),
        ],
        {"s": i(0, 2, 2, 6, 5), "b": i(0, 4, 6, 5), "scale": f(4, 1, 1)},
    ),
    "channels shuffled and flattened": (
        [
            node("Reshape", "x s", "r"),
            node("Transpose", "r", "t", perm=[0, 2, 1, 3, 4]),
            node("Reshape", "t b", "back"),
            node("Gemm", "back w", transB=1),
        ],
        {"s": i(-1, 2, 2, 6, 5), "b": i(0, -1), "w": f(3, 120)},
    ),
    "channels last, split and joined again": (
        [
            node("Transpose", "x", "l", perm=[0, 2, 3, 1]),
            node("Reshape", "l s", "r"),
            node("Transpose", "r", "t", perm=[0, 1, 2, 4, 3]),
            node("Reshape", "t b", "back"),
            node("Transpose", "back", perm=[0, 3, 1, 2]),
        ],
        {"s": i(0, 6, 5, 2, 2), "b": i(0, 6, 5, 4)},
    ),
    **{
        f"{kind} of channels along axis {axis}": (
            [node("Reshape", "x s", "r"), node(kind, "r a", "m", keepdims=0), node("Conv", "m w")],
            {"s": i(0, 2, 2, 6, 5), "a": i(axis), "w": f(3, 2, 2, 2)},
        )
        for kind in ("ReduceMax", "ReduceMean", "ReduceSum")
        for axis in (1, 2)
    },
    "softplus by its formula": (
        [node("Exp", "x", "e"), node("Add", "e one", "p"), node("Log", "p")],
        {"one": np.float32(1)},
    ),
    "pieces exchanged": ([node("Split", "x k", "a b", axis=1), node("Concat", "b a", axis=1)], {"k": i(1, 3)}),
    "rows joined": ([node("Split", "x", "a b", axis=2, num_outputs=2), node("Concat", "b a b", axis=2)], {}),
    "scaled weights": (
        [
            node("ReduceL2", "w a", "n"),
            node("Div", "w n", "u"),
            node("Conv", "x u"),
        ],
        {"w": f(3, 4, 2, 2), "a": i(1, 2, 3)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_operators_together_compute_what_the_reference_computes(name: str, tmp_path) -> None:
    nodes, arrays = CHAINS[name]
    assert difference(tmp_path / "m.onnx", model(nodes, arrays)) <= 1e-5


@pytest.mark.parametrize(
    ("name", "activation"),
    [("silu", "silu"), ("mish", "mish"), ("gelu", "gelu"), ("softsign", "softsign"), ("log sigmoid", "log_sigmoid")],
)
def test_formulas_become_the_activation_that_they_are(name: str, activation: str, tmp_path) -> None:
    network = read_model(write(tmp_path / "m.onnx", model(*CHAINS[name])))
    assert network.nodes[0].ops[0].name == activation


def test_a_patch_may_have_its_channels_last_at_first(tmp_path) -> None:
    composed = model(
        [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w")], {"w": f(3, 4, 2, 2)}, (2, 6, 5, 4)
    )
    network = read_model(write(tmp_path / "m.onnx", composed))
    assert network.input_shape == (6, 5, 4)
    x = f(2, 6, 5, 4)
    (expected,) = ReferenceEvaluator(composed).run(None, {"x": x})
    assert np.abs(np.moveaxis(evaluate(network, x), -1, 1) - expected).max() <= 1e-5


def test_moving_axes_costs_nothing(tmp_path) -> None:
    network = read_model(write(tmp_path / "m.onnx", model(*CHAINS["channels last for a while"])))
    assert [type(op) for n in network.nodes for op in n.ops] == [ops.Dense, ops.LayerNorm]


def test_half_and_double_precision_are_read_with_a_note(tmp_path) -> None:
    for dtype, word in ((np.float16, "half"), (np.float64, "double")):
        composed = model([node("Cast", "x", "c", to=1), node("Conv", "c w")], {"w": f(3, 4, 2, 2).astype(dtype)})
        network = read_model(write(tmp_path / "m.onnx", composed))
        assert network.nodes[0].ops[0].kernel.dtype == np.float32
        assert word in network.notes[0]


def test_numbers_may_be_listed_instead_of_packed(tmp_path) -> None:
    composed = model([node("Conv", "x w")], {"w": f(3, 4, 2, 2)})
    stored = composed.graph.initializer[0]
    values = np.frombuffer(stored.raw_data, np.float32)
    stored.ClearField("raw_data")
    stored.float_data.extend(values.tolist())
    assert difference(tmp_path / "m.onnx", composed) <= 1e-5
