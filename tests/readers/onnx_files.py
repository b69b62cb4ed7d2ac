"""ONNX files for the readers: exported by PyTorch beforehand, or composed here with the ONNX package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from readers.reader_evaluate import evaluate

from napari_fcnseg.graph import ops
from napari_fcnseg.readers import read_model

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network

#: Exported by tools/export_onnx_samples.py.
FOLDER = Path(__file__).parent / "onnx"
SAMPLES = sorted(path.name for path in FOLDER.glob("*.onnx"))


def node(op_type: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    """Compose a node; names are separated by blanks, ``-`` is an optional input left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op_type, names, outputs.split(), name=f"the_{op_type}", **attributes)


def model(
    nodes: list[onnx.NodeProto],
    arrays: dict[str, Any] | None = None,
    shape: tuple[Any, ...] = ("n", 4, 6, 5),
    opset: int = 20,
    outputs: tuple[str, ...] = ("y",),
) -> onnx.ModelProto:
    """Compose a model with one input ``x``."""
    return helper.make_model(
        helper.make_graph(
            nodes,
            "composed",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in (arrays or {}).items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=9,
    )


def write(path: Path, content: onnx.ModelProto | bytes) -> Path:
    """Write a model into a file."""
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


def answer(network: Network, x: np.ndarray) -> np.ndarray:
    """Evaluate a network on patches with channels first, one row per patch in the graph's own order."""
    nodes = tuple(replace(n, ops=tuple(part for op in n.ops for part in _counted(op))) for n in network.nodes)
    return evaluate(replace(network, nodes=nodes), np.moveaxis(x, 1, -1))


def _counted(op: ops.Op) -> tuple[ops.Op, ...]:
    """Write a mean that counts its border as zeros as what it is."""
    if isinstance(op, ops.Pool) and op.count_padding and not isinstance(op.padding, str):
        return ops.ZeroPad(op.padding), replace(op, padding="valid", count_padding=False)
    return (op,)


def difference(path: Path, composed: onnx.ModelProto, same: onnx.ModelProto | None = None) -> float:
    """Return how far what we read is from what the ONNX package's own reference computes, for large numbers relatively.

    ``same`` is the same network in other operators, where the reference lacks something.
    """
    random = np.random.default_rng(0)
    sizes = [d.dim_value for d in composed.graph.input[0].type.tensor_type.shape.dim]
    x = random.standard_normal((sizes[0] or 2, *sizes[1:])).astype(np.float32) * 2
    (expected,) = ReferenceEvaluator(same or composed).run(None, {"x": x})
    ours = answer(read_model(write(path, composed)), x)
    if ours.ndim == expected.ndim > 2:
        ours = np.moveaxis(ours, -1, 1)
    assert ours.size == expected.size
    return float((np.abs(ours.reshape(expected.shape) - expected) / np.maximum(np.abs(expected), 1)).max())
