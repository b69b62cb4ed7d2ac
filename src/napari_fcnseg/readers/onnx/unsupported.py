"""ONNX operators that are known and not read, each with the reason and what can be done about it."""

from __future__ import annotations

from typing import Final

from napari_fcnseg.readers.onnx.values import PLAIN
from napari_fcnseg.readers.problem import RefusedError

_QUANTISED: Final = "Export the model in single precision (model.float()), before it is quantised."
_GROUPS: Final = (
    ("it is recurrent: it reads positions one after the other", PLAIN, "LSTM GRU RNN"),
    (
        "it chooses or repeats a part of the network while it runs",
        "Export the model without if and for statements that depend on the data.",
        "If Loop Scan SequenceMap",
    ),
    (
        "it belongs to a quantised network",
        _QUANTISED,
        "QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger",
    ),
    ("it is an attention layer: it mixes all positions of a patch", PLAIN, "Attention Einsum"),
    (
        "it returns the number of a class instead of scores",
        "Export the network without the argmax at its end.",
        "ArgMax ArgMin TopK",
    ),
    (
        "it moves values to other positions or channels",
        PLAIN,
        "DepthToSpace SpaceToDepth GatherElements GatherND ScatterElements ScatterND Scatter GridSample RoiAlign "
        "ReverseSequence CenterCropPad AffineGrid",
    ),
    (
        "it draws random numbers",
        "Call model.eval() before torch.onnx.export.",
        "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli Multinomial",
    ),
    (
        "its kind of normalisation cannot be read",
        "Use batch, instance, group or layer normalisation and train again.",
        "LRN LpNormalization MeanVarianceNormalization RMSNormalization",
    ),
    (
        "its kind of pooling cannot be read",
        "Use maximum or average pooling and train again.",
        "LpPool GlobalLpPool MaxUnpool",
    ),
)

#: Operator -> (reason, advice).
REFUSED_OPERATORS: Final = {name: (reason, advice) for reason, advice, names in _GROUPS for name in names.split()}


def refuse(op_type: str) -> RefusedError:
    """Give the reason and the advice for an operator that is not read."""
    if op_type in REFUSED_OPERATORS:
        return RefusedError(*REFUSED_OPERATORS[op_type])
    return RefusedError(f"this program does not read the operator {op_type[:60]!r}", PLAIN)
