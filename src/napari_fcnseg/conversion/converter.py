"""Walk a patch network from its input to its answer and put each layer's dense form in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_fcnseg.conversion.cost import dense_flop, patch_flop
from napari_fcnseg.conversion.fcn import (
    IMAGE,
    ChannelAffine,
    ChannelNorm,
    ChannelPReLU,
    DenseConv,
    DenseDepthwise,
    DenseNetwork,
    DenseOp,
    DensePool,
    Head,
    Step,
    Unfold,
    window_of,
)
from napari_fcnseg.conversion.fold import fold_affine
from napari_fcnseg.conversion.report import ConversionReport, LayerReport, by
from napari_fcnseg.conversion.rules import Refusal, rewrite
from napari_fcnseg.errors import ConversionError, UnsupportedLayerError
from napari_fcnseg.graph.geometry import Geometry
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Flatten, Identity, Op

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class _Walk:
    """What the walk has so far: the dense steps, and for each layer where its result is and how it lies."""

    steps: list[Step] = field(default_factory=list)
    result: dict[str, tuple[int, Geometry]] = field(default_factory=dict)
    patch_cost: dict[str, int] = field(default_factory=dict)

    def visit(self, node: Node) -> None:
        """Append a layer's dense form."""
        source, geometry = self.result[node.inputs[0]]
        cost = 0
        for op in node.ops:
            try:
                rewritten = rewrite(op, geometry)
            except Refusal as refusal:
                raise UnsupportedLayerError(node.name, node.layer_type, refusal.reason, refusal.advice) from None
            for dense, channels in rewritten.ops:
                self.steps.append(Step(dense, (source,), node.name, channels))
                source = len(self.steps) - 1
            cost += patch_flop(op, geometry, rewritten.geometry)
            geometry = rewritten.geometry
        self.result[node.name] = (source, geometry)
        self.patch_cost[node.name] = cost


def convert_network(network: Network) -> DenseNetwork:
    """Convert a patch network to the dense network that gives the same numbers at every pixel.

    Parameters
    ----------
    network : Network
        The patch network, as a reader returned it.

    Returns
    -------
    DenseNetwork
        With its report.

    Raises
    ------
    UnsupportedLayerError
        If a layer has no exact dense form; the error names it, the reason, and what to do.
    ConversionError
        If the network as a whole is no patch classifier.

    References
    ----------
    H. Li, R. Zhao, X. Wang, "Highly efficient forward and backward propagation of convolutional neural networks for
    pixelwise classification", 2014, arXiv 1412.4526.
    """
    walk = _Walk()
    walk.result[INPUT] = (IMAGE, Geometry.of_patch(network.input_shape))
    for node in network.nodes:
        walk.visit(node)
    _, answer = walk.result[network.output]
    _require_one_position(network, answer)
    steps, folded = fold_affine(tuple(walk.steps))
    if not steps:
        raise ConversionError(f"Model {network.name!r} has no layer that computes anything; choose a trained model.")
    report = ConversionReport(
        patch_shape=network.patch_shape,
        receptive_field=answer.reach,
        layers=tuple(
            _layer_report(
                node, walk.result[node.name][1], [s for s in steps if s.layer == node.name],
                folded.get(node.name), walk.patch_cost[node.name],
            )
            for node in network.nodes
        ),
        notes=network.notes,
    )  # fmt: skip
    return DenseNetwork(
        name=network.name,
        patch_shape=network.patch_shape,
        reach=answer.reach,
        channels=network.channels,
        outputs=answer.channels,
        steps=steps,
        head=_head(network),
        report=report,
    )


def _require_one_position(network: Network, answer: Geometry) -> None:
    if answer.positions > 1:
        if answer.flat:
            raise ConversionError(
                f"Model {network.name!r} ends with {answer.positions * answer.channels} flattened numbers of "
                f"{by(answer.sizes)} positions and not with one number per class. Choose a patch classifier: its "
                "last layer is a Dense layer or a global pooling."
            )
        raise ConversionError(
            f"Model {network.name!r} answers a {by(network.patch_shape)} input with a map of {by(answer.sizes)} "
            "positions: it is an image-to-image network (such as a U-Net) or an unfinished one and not a patch "
            "classifier, which gives one class for the centre pixel. Choose a patch classifier."
        )


def _head(network: Network) -> Head:
    ops: list[Op] = [op for node in network.nodes for op in node.ops if not isinstance(op, Identity | Flatten)]
    last = ops[-1] if ops else None
    if isinstance(last, Activation) and last.name == "softmax":
        return "softmax"
    if isinstance(last, Activation) and last.name == "sigmoid":
        return "sigmoid"
    return "scores"


def _layer_report(
    node: Node, geometry: Geometry, steps: Sequence[Step], folded_into: str | None, patch_cost: int
) -> LayerReport:
    windows = [window for step in steps if (window := window_of(step.op)) is not None and max(window[0]) > 1]
    became = [_words(step.op) for step in steps]
    if folded_into is not None and folded_into != node.name:
        became.insert(0, f"folded into {folded_into}")
    if not became:
        reasons = [op.reason for op in node.ops if isinstance(op, Identity)]
        became = reasons or ["nothing: positions keep their place"]
    return LayerReport(
        layer=node.name,
        layer_type=node.layer_type,
        became=", ".join(became),
        dilation=windows[0][1] if windows else None,
        receptive_field=geometry.reach,
        channels=geometry.channels,
        flop_per_pixel=sum(dense_flop(step.op, step.channels) for step in steps),
        flop_per_patch=patch_cost,
    )


def _words(op: DenseOp) -> str:
    match op:
        case DenseConv():
            groups = f" in {op.groups} groups" if op.groups > 1 else ""
            return f"convolution {by(op.size)}{groups}"
        case DenseDepthwise():
            return f"depthwise convolution {by(op.size)}"
        case DensePool():
            return f"{op.kind} over {by(op.size)}"
        case Unfold():
            return f"{by(op.size)} positions side by side as channels"
        case ChannelAffine():
            return "scale and offset per channel"
        case ChannelNorm():
            return "normalisation over the channels"
        case ChannelPReLU():
            return "PReLU with a slope per channel"
        case Activation():
            return op.name
