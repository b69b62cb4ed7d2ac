"""Programs as ``torch.export.save`` writes them (PyTorch 2.13), composed by hand: no PyTorch is needed."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

FLOAT, INT = 7, 4
RANDOM = np.random.default_rng(3)
KERNEL = RANDOM.standard_normal((4, 2, 3, 3)).astype(np.float32)
BIAS = RANDOM.standard_normal(4).astype(np.float32)
HEAD = RANDOM.standard_normal((3, 36)).astype(np.float32)


def ref(name: str) -> dict[str, Any]:
    """Refer to a result or an input."""
    return {"as_tensor": {"name": name}}


def node(target: str, output: str, module: str = "", **arguments: Any) -> dict[str, Any]:
    """Compose a call; texts are names of tensors, everything else a setting."""
    kinds = {bool: "as_bool", int: "as_int", float: "as_float", str: "as_tensor", list: "as_ints"}
    inputs = []
    for name, value in arguments.items():
        kind = kinds.get(type(value))
        argument = value if kind is None else {kind: {"name": value} if isinstance(value, str) else value}
        inputs.append({"name": name, "arg": argument, "kind": 1})
    stack = f"L__self__,,mine.Net;L__self__{module},{module},torch.nn.modules.conv.Conv2d" if module else ""
    metadata = {"nn_module_stack": stack}
    return {
        "target": f"torch.ops.aten.{target}",
        "inputs": inputs,
        "outputs": [ref(output)],
        "metadata": metadata,
        "name": output,
    }


def meta(shape: tuple[Any, ...], dtype: int = FLOAT, **changed: Any) -> dict[str, Any]:
    """Describe a tensor; a text among the sizes is one that is not fixed."""
    fixed = [n if isinstance(n, int) else 1 for n in shape]
    strides = [int(np.prod(fixed[i + 1 :])) for i in range(len(shape))]
    sizes = [{"as_int": n} if isinstance(n, int) else {"as_expr": {"expr_str": n, "hint": None}} for n in shape]
    return {
        "dtype": dtype,
        "sizes": sizes,
        "strides": [{"as_int": n} for n in strides],
        "storage_offset": {"as_int": 0},
        "layout": 7,
        **changed,
    }


#: A convolution, a ReLU in place and a dense layer: ``conv`` and ``head`` are its modules.
NODES = [
    node("conv2d.default", "conv2d", "conv", input="x", weight="p_w", bias="p_b"),
    node("relu_.default", "relu_", self="conv2d"),
    node("flatten.using_ints", "flat", self="conv2d", start_dim=1),  # what was written over in place
    node("linear.default", "linear", "head", input="flat", weight="p_h"),
    node("softmax.int", "softmax", self="linear", dim=1),
]
ARRAYS = {"p_w": KERNEL, "p_b": BIAS, "p_h": HEAD}
SIZES = {
    **{"x": ("s0", 2, 5, 5), "conv2d": ("s0", 4, 3, 3), "relu_": ("s0", 4, 3, 3), "flat": ("s0", 36)},
    **{"linear": ("s0", 3), "softmax": ("s0", 3)},
}


def program(
    nodes: list[dict[str, Any]] = NODES, output: str = "softmax", inputs: int = 1, **sizes: Any
) -> dict[str, Any]:
    """Compose the graph of these calls."""
    values = {name: meta(shape) for name, shape in {**SIZES, **sizes}.items()}
    values |= {name: meta(array.shape) for name, array in ARRAYS.items()}
    stored = [{"parameter": {"arg": {"name": name}, "parameter_name": name}} for name in ARRAYS]
    return {
        "graph_module": {
            "graph": {"inputs": [], "outputs": [ref(output)], "nodes": nodes, "tensor_values": values},
            "signature": {
                "input_specs": [*stored, *[{"user_input": {"arg": ref("x")}}] * inputs],
                "output_specs": [{"user_output": {"arg": ref(output)}}],
            },
        },
        "schema_version": {"major": 8, "minor": 20},
    }


def payloads() -> dict[str, Any]:
    """Describe the arrays."""
    return {
        name: {"path_name": f"weight_{number}", "use_pickle": False, "tensor_meta": meta(array.shape)}
        for number, (name, array) in enumerate(ARRAYS.items())
    }


def write(
    path: Path, graph: dict[str, Any] | None = None, config: dict[str, Any] | None = None, **members: bytes | None
) -> Path:
    """Write an archive; ``members`` are put in place of its own, by the last part of their names."""
    files: dict[str, bytes] = {
        "archive_format": b"pt2",
        "byteorder": b"little",
        "models/model.json": json.dumps(graph or program()).encode(),
        "data/weights/model_weights_config.json": json.dumps({"config": config or payloads()}).encode(),
        "data/constants/model_constants_config.json": b'{"config": {}}',
        **{f"data/weights/weight_{number}": array.tobytes() for number, array in enumerate(ARRAYS.values())},
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            own = members.get(name.rpartition("/")[2], content)
            if own is not None:
                archive.writestr(f"{path.stem}/{name}", own)
    return path


def expected(x: np.ndarray) -> np.ndarray:
    """Compute what the network above computes, in double precision."""
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(float), (3, 3), (2, 3))
    maps = np.einsum("ncyxij,fcij->nfyx", windows, KERNEL.astype(float)) + BIAS[:, None, None]
    scores = np.maximum(maps, 0).reshape(len(x), -1) @ HEAD.T.astype(float)
    exponents = np.exp(scores - scores.max(1, keepdims=True))
    result: np.ndarray = exponents / exponents.sum(1, keepdims=True)
    return result
