"""Whether a network of ONNX's operators that takes images of any size answers each with a map, as a U-Net does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.readers.onnx.onnx_file import OnnxNode
    from napari_fcnseg.readers.onnx.tensors import Constant

#: A patch classifier has no use for what makes maps larger again.
_ENLARGE: Final = {"ConvTranspose", "DepthToSpace", "Resize", "Upsample"}
#: What keeps all positions where they are.
_POINTWISE: Final = {
    "Abs", "Add", "BatchNormalization", "Cast", "Clip", "Concat", "Div", "Dropout", "Elu", "Exp", "Gelu", "HardSigmoid",
    "HardSwish", "Identity", "InstanceNormalization", "LeakyRelu", "LogSoftmax", "Mish", "Mul", "Neg", "PRelu", "Relu",
    "Selu", "Sigmoid", "Softmax", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh", "Transpose",
}  # fmt: skip
#: What leaves a map a map, be it a smaller one.
_WINDOWS: Final = {"AveragePool", "Conv", "MaxPool", "Pad"}


def gives_a_map(nodes: Sequence[OnnxNode], constants: Mapping[str, Constant], answer: str) -> bool:
    """Say whether an answer surely has a position for each one of the image, or one that maps were enlarged for.

    Parameters
    ----------
    nodes : sequence of OnnxNode
        Those that the answer needs, each behind what it reads.
    constants : mapping
        Arrays by name.
    answer : str
        Name of the answer.

    Returns
    -------
    bool
        False also where that cannot be known, as with operators that move or gather positions.
    """
    made = {name for node in nodes for name in node.outputs}
    same, smaller = {answer}, {answer}  # what is as large as the answer, and what it is a map of
    looks_around = False
    for node in reversed(nodes):
        results, read = set(node.outputs), {name for name in node.inputs if name and name not in constants}
        if results & smaller and node.op_type in _ENLARGE:
            return True
        if results & same and _keeps_size(node, constants):
            same |= read
            looks_around = looks_around or _looks_around(node, constants)
        if results & smaller and node.op_type in _POINTWISE | _WINDOWS:
            smaller |= read
    return looks_around and bool(same - made)


def _looks_around(node: OnnxNode, constants: Mapping[str, Constant]) -> bool:
    """Say whether a node that keeps the size of its map is a convolution of more than one pixel."""
    return node.op_type == "Conv" and max(constants[node.inputs[1]].shape[2:], default=1) > 1


def _keeps_size(node: OnnxNode, constants: Mapping[str, Constant]) -> bool:
    """Say whether a node gives as many positions as it gets."""
    if node.op_type != "Conv":
        return node.op_type in _POINTWISE
    kernel = constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if kernel is None or set(node.attributes.get("strides", (1,))) != {1}:
        return False
    if str(node.attributes.get("auto_pad", "NOTSET")).startswith("SAME"):
        return True
    sizes = kernel.shape[2:]
    pads = node.attributes.get("pads", (0,) * (2 * len(sizes)))
    dilations = node.attributes.get("dilations", (1,) * len(sizes))
    if not len(pads) == 2 * len(sizes) == 2 * len(dilations):
        return False
    return all(pads[axis] + pads[axis + len(sizes)] == dilations[axis] * (size - 1) for axis, size in enumerate(sizes))
