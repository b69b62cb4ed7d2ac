"""Convert a patch network, layer by layer from input to output."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_fcnseg.conversion.bands import input_of, without_axis
from napari_fcnseg.conversion.cost import dense_bytes, patch_flop
from napari_fcnseg.conversion.dense_network import DenseNetwork, Head
from napari_fcnseg.conversion.feature_maps import MapRef, Value, Vector
from napari_fcnseg.conversion.fold import fold_affine
from napari_fcnseg.conversion.layer_words import layer_report, patch_layer_report
from napari_fcnseg.conversion.network_builder import NetworkBuilder, TooLargeError
from napari_fcnseg.conversion.ranges import lowered, needed, receptive_fields
from napari_fcnseg.conversion.report import ConversionReport
from napari_fcnseg.conversion.rules import Refusal, rewrite
from napari_fcnseg.conversion.rules.positions import joined
from napari_fcnseg.errors import AS_A_PACKAGE, ConversionError, Understood, UnsupportedLayerError
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Expand, Flatten, Identity, Merge
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_fcnseg.conversion.network_builder import Operation
    from napari_fcnseg.conversion.ranges import Span
    from napari_fcnseg.conversion.report import LayerReport
    from napari_fcnseg.graph.ops import Op

_FLOAT = 4


@dataclass
class _Walk:
    """State of the conversion: dense operations, and each layer's result and cost."""

    emitter: NetworkBuilder
    result: dict[str, Value]
    patch_cost: dict[str, int] = field(default_factory=dict)

    def visit(self, node: Node) -> None:
        """Append a layer's dense form."""
        self.emitter.layer = node.name
        values = tuple(self.result[name] for name in node.inputs)
        cost = 0
        for op in node.ops:
            try:
                after = rewrite(op, values, self.emitter)
            except Refusal as refusal:
                reason = refusal.reason
                if isinstance(op, Merge):
                    reason += f" (it joins {' and '.join(map(repr, node.inputs))})"
                raise UnsupportedLayerError(node.name, node.layer_type, reason, refusal.advice) from None
            cost += patch_flop(op, values, after)
            values = (after,)
        self.result[node.name] = values[0]
        self.patch_cost[node.name] = cost


def convert_network(network: Network, *, folded: bool = True) -> DenseNetwork:
    """Convert a patch network to the dense network that gives the same numbers at every pixel.

    Parameters
    ----------
    network : Network
        The patch network, as a reader returned it.
    folded : bool
        Whether a scale and an offset per channel become part of the convolution before them.

    Returns
    -------
    DenseNetwork
        With its report. It has no steps where a dense form would be so large that patch by patch is the better way.

    Raises
    ------
    UnsupportedLayerError
        If a layer has no exact dense form; the error names it, the reason, and what to do.
    ConversionError
        If the network as a whole is no patch classifier. Both tell what was understood until then.

    References
    ----------
    H. Li, R. Zhao, X. Wang, "Highly efficient forward and backward propagation of convolutional neural networks for
    pixelwise classification", 2014, arXiv 1412.4526.
    """
    axes = len(network.tensor_shape) - 1
    try:
        walk, ref, outputs = _walked(network, NetworkBuilder(axes))
    except TooLargeError:
        walk, ref, outputs = _walked(network, NetworkBuilder(axes, dry=True))
        return _patch_by_patch(network, walk, outputs)
    dense = _dense(network, walk, ref, outputs, folded=folded)
    return dense if network.bands is None else without_axis(dense, network.bands[0])


def layer_values(network: Network) -> dict[str, Value]:
    """Return what each layer of a patch network gives for one patch: its positions, its channels, where they lie.

    Raises
    ------
    UnsupportedLayerError, ConversionError
        As :func:`convert_network`.
    """
    walk, _, _ = _walked(network, NetworkBuilder(len(network.tensor_shape) - 1, dry=True))
    return {name: value for name, value in walk.result.items() if name != INPUT}


def _walked(network: Network, emitter: NetworkBuilder) -> tuple[_Walk, MapRef, int]:
    """Return the whole walk, the network's answer and how many numbers it is."""
    walk = _Walk(emitter, {INPUT: input_of(network, emitter)})
    try:
        for node in network.nodes:
            walk.visit(node)
        answer = walk.result[network.output]
        _require_one_position(network, answer)
    except (UnsupportedLayerError, ConversionError) as error:
        error.understood = _understood(network, walk)
        raise
    emitter.layer = network.output
    table = joined(answer, emitter) if isinstance(answer, Vector) else answer
    return walk, table.at((0,) * len(table.axes)) or emitter.zeros(table.channels), table.channels


def _dense(network: Network, walk: _Walk, answer: MapRef, outputs: int, *, folded: bool) -> DenseNetwork:
    operations, into = walk.emitter.operations, dict[str, str]()
    if folded:
        operations, answer, into = fold_affine(operations, answer, needed(operations, answer))
    if not operations:
        raise ConversionError(f"Model {network.name!r} has no layer that computes anything; choose a trained model.")
    fields = receptive_fields(operations, walk.emitter.axes)
    seen = tuple((f[0] + o, f[1] + o) for f, o in zip(fields[answer.step], answer.offset, strict=True))
    reach = tuple(last - first + 1 for first, last in seen)
    steps = lowered(operations, needed(operations, answer))
    report = ConversionReport(
        patch_shape=network.patch_shape,
        receptive_field=reach,
        layers=_layer_reports(network.nodes, walk, operations, fields, into),
        notes=network.notes,
        bytes_per_pixel=dense_bytes(steps, network.channels),
        bytes_per_patch=2 * _FLOAT * sum(_numbers(value) for value in walk.result.values()),
        patch_numbers=max(map(_numbers, walk.result.values())),
    )
    return DenseNetwork(
        name=network.name,
        patch_shape=network.patch_shape,
        every=(1,) * len(network.patch_shape),
        strides=_strides(walk),
        origin=tuple(first for first, _ in seen),
        reach=reach,
        channels=network.channels,
        outputs=outputs,
        steps=steps,
        head=_head(network),
        report=report,
    )


def _layer_reports(
    nodes: Sequence[Node],
    walk: _Walk,
    operations: Sequence[Operation],
    fields: Sequence[Span],
    folded: Mapping[str, str],
) -> tuple[LayerReport, ...]:
    """Return what became of layers that the walk has passed."""
    return tuple(
        layer_report(
            node, walk.result[node.name], walk.patch_cost[node.name], folded.get(node.name),
            [
                (operation, tuple(last - first + 1 for first, last in span))
                for operation, span in zip(operations, fields, strict=True)
                if operation.layer == node.name
            ],
        )
        for node in nodes
    )  # fmt: skip


def _understood(network: Network, walk: _Walk) -> Understood:
    """Return what is known of a refused network: the reports of the layers before the refusal."""
    layers = tuple((node.name, node.layer_type) for node in network.nodes)
    done = [node for node in network.nodes if node.name in walk.patch_cost]
    if walk.emitter.dry:
        reports = tuple(patch_layer_report(n, walk.result[n.name], walk.patch_cost[n.name]) for n in done)
    else:
        operations = walk.emitter.operations
        fields = receptive_fields(operations, walk.emitter.axes)
        reports = _layer_reports(done, walk, operations, fields, {})
    return Understood(layers, tuple(report.row() for report in reports), network.outputs)


def _strides(walk: _Walk) -> tuple[int, ...]:
    """Return the product of the strides on the way through the network; where branches differ, a common multiple."""
    values = walk.result.values()
    tables = [t for v in values for t in ([b.table for b in v.blocks] if isinstance(v, Vector) else [v])]
    return tuple(math.lcm(*(axis.step for axis in axes)) for axes in zip(*(t.axes for t in tables), strict=True))


def _numbers(value: Value) -> int:
    return value.length if isinstance(value, Vector) else value.positions * value.channels


def _patch_by_patch(network: Network, walk: _Walk, outputs: int) -> DenseNetwork:
    """Return the conversion of a network whose dense form is not worth building: patch by patch."""
    patch, strides = network.patch_shape, _strides(walk)
    if network.bands is not None:
        strides = tuple(n for axis, n in enumerate(strides) if axis != network.bands[0])
    layers = tuple(
        patch_layer_report(node, walk.result[node.name], walk.patch_cost[node.name]) for node in network.nodes
    )
    return DenseNetwork(
        name=network.name,
        patch_shape=patch,
        every=(1,) * len(patch),
        strides=strides,
        origin=(0,) * len(patch),
        reach=patch,
        channels=network.channels,
        outputs=outputs,
        steps=(),
        head=_head(network),
        report=ConversionReport(
            patch, patch, layers, network.notes, patch_numbers=max(map(_numbers, walk.result.values())), dense=False
        ),
    )


def _require_one_position(network: Network, answer: Value) -> None:
    if isinstance(answer, Vector):
        sizes = [block.table.sizes for block in answer.blocks if block.table.positions > 1]
        if sizes:
            raise ConversionError(
                f"Model {network.name!r} ends with {answer.length} flattened numbers of {format_shape(sizes[0])} "
                "positions and not with one number per class. Choose a patch classifier: its last layer is a Dense "
                "layer or a global pooling."
            )
    elif answer.positions > 1:
        raise ConversionError(
            f"Model {network.name!r} answers a {format_shape(network.patch_shape)} input with a map of "
            f"{format_shape(answer.sizes)} positions: it is an image-to-image network (such as a U-Net) or an "
            "unfinished one and not a patch classifier, which gives one class for the centre pixel. " + AS_A_PACKAGE
        )


def squares(network: DenseNetwork) -> int | None:
    """Return the edge of a square of labels that a network may answer instead of one number per class, or None.

    Networks that label the 16 × 16 pixels in the middle of a patch at once end in 256 numbers without a softmax, most
    often with a sigmoid. Few people have so many classes, and hardly any a square number of them that exclude none.
    """
    edge = math.isqrt(network.outputs)
    least = {"sigmoid": 4, "scores": 12}.get(network.head)
    return edge if least is not None and edge >= least and edge * edge == network.outputs else None


def _head(network: Network) -> Head:
    last = next((op for op in _last_ops(network) if not isinstance(op, Identity | Flatten | Expand)), None)
    if isinstance(last, Activation) and last.name == "softmax":
        return "softmax"
    if isinstance(last, Activation) and last.name == "sigmoid":
        return "sigmoid"
    return "scores"


def _last_ops(network: Network) -> Iterator[Op]:
    """Yield the operations from the answer backwards, up to the first branch."""
    nodes = {node.name: node for node in network.nodes}
    name = network.output
    while name in nodes:
        yield from reversed(nodes[name].ops)
        if len(nodes[name].inputs) != 1:
            return
        name = nodes[name].inputs[0]
