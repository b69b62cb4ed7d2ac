"""The numbers of a patch network that a head is taught on: its last hidden layers, and the middle of earlier ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from napari_fcnseg.conversion import layer_values
from napari_fcnseg.conversion.feature_maps import FeatureMaps, Vector
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Crop, Flatten, Identity, Merge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fcnseg.conversion.feature_maps import Value

#: The layer of the taught model that the head reads.
FEATURES: Final = "taught_features"
_MOST: Final = 1024  # numbers of one layer at most: a wider one says little more, and takes long to fit
_HEADS: Final = ("softmax", "sigmoid", "log_softmax")


@dataclass(frozen=True)
class Tap:
    """A layer whose numbers are read.

    Attributes
    ----------
    layer : str
        Its name.
    crop : tuple of (int, int)
        Positions that are cut off before and after its middle, per axis; empty for a vector.
    numbers : int
        How many numbers are left.
    """

    layer: str
    crop: tuple[tuple[int, int], ...]
    numbers: int


def feature_network(network: Network) -> Network:
    """Return the patch network that answers, instead of classes, the numbers that a head is taught on.

    Of the layers whose positions are equally far apart, and so see about as much of the image, the last one is read in
    its middle; of the vectors the last two and the scores: where few strokes are, what the network said before is the
    best that is known. Where a layer is a rectifier, what goes into it is read, too.

    Parameters
    ----------
    network : Network
        The chosen patch network.

    Raises
    ------
    SettingsError
        If no layer of it can be read so.
    """
    network = _apart(_scoring(network))
    taps = taps_of(network)
    if not taps:
        raise SettingsError(
            f"Nothing can be taught on the model {network.name!r}: no layer of it gives up to {_MOST:,} numbers for "
            "the middle of a patch. Choose another model, or none."
        )
    nodes, inputs = list(network.nodes), list[str]()
    for number, tap in enumerate(taps, start=1):
        name = tap.layer
        if tap.crop:
            ops = (Crop(tap.crop), Flatten()) if any(map(any, tap.crop)) else (Flatten(),)
            for op in ops:
                kind = f"Cropping{len(tap.crop)}D" if isinstance(op, Crop) else "Flatten"
                nodes.append(Node(f"taught_{kind.lower()}_{number}", kind, (op,), (name,)))
                name = nodes[-1].name
        inputs.append(name)
    nodes.append(Node(FEATURES, "Concatenate", (Merge("concatenate"),), tuple(inputs)))
    whole = replace(network, nodes=tuple(nodes), output=FEATURES, outputs=(), notes=())
    return replace(whole, nodes=tuple(_needed(whole)))


def taps_of(network: Network) -> tuple[Tap, ...]:
    """Return which layers are read, in the order of the network."""
    values = layer_values(network)
    maps: dict[tuple[int, ...], Tap] = {}
    vectors: list[Tap] = []
    for node in _needed(network):
        tap = _tap(node.name, values[node.name], network)
        if tap is None or all(isinstance(op, Identity | Flatten | Crop | Merge) for op in node.ops):
            continue
        value = values[node.name]
        if isinstance(value, FeatureMaps):
            maps[value.steps] = tap
        else:
            _follow(vectors, tap, node)
    if network.output in values and (not vectors or vectors[-1].layer != network.output):
        scores = _tap(network.output, values[network.output], network)
        vectors += [scores] if scores is not None else []
    before = {node.name: node.inputs[0] for node in network.nodes if _rectifies(node)}
    taps = []
    for tap in (*maps.values(), *vectors[-3:]):
        if tap.layer in before:
            taps.append(replace(tap, layer=before[tap.layer]))
        taps.append(tap)
    return tuple(taps)


def _rectifies(node: Node) -> bool:
    """Return whether a layer does nothing but hide how far below zero a number was."""
    (op, *more) = node.ops
    return isinstance(op, Activation) and op.name in ("relu", "relu6") and not more and node.inputs != (INPUT,)


def _apart(network: Network) -> Network:
    """Return the network with each rectifier in a layer of its own."""
    nodes, names = list[Node](), {node.name for node in network.nodes}
    for node in network.nodes:
        last = replace(node, layer_type="Activation", ops=node.ops[-1:], inputs=(f"{node.name} before",))
        if len(node.ops) > 1 and _rectifies(last) and last.inputs[0] not in names:
            nodes += [replace(node, name=last.inputs[0], ops=node.ops[:-1]), last]
        else:
            nodes.append(node)
    return replace(network, nodes=tuple(nodes))


def _follow(vectors: list[Tap], tap: Tap, node: Node) -> None:
    """Take a vector; it stands for the one before it, of which it is a number by number function."""
    if vectors and vectors[-1].layer in node.inputs and len(node.inputs) == 1 and not _mixes(node):
        vectors.pop()
    vectors.append(tap)


def _mixes(node: Node) -> bool:
    return any(type(op).__name__ in ("Dense", "Conv", "DepthwiseConv", "ReduceGroups", "Channels") for op in node.ops)


def _tap(name: str, value: Value, network: Network) -> Tap | None:
    if isinstance(value, Vector):
        one = all(block.table.positions == 1 for block in value.blocks)
        return Tap(name, (), value.length) if one and value.length <= _MOST else None
    if network.bands is not None or value.channels > _MOST:
        return None
    # The pixel that a patch speaks for is number size // 2 of an axis; so is the position of a map around it.
    return Tap(name, tuple((n // 2, n - 1 - n // 2) for n in value.sizes), value.channels)


def _scoring(network: Network) -> Network:
    """Return the network without what makes probabilities of its scores."""
    nodes: Mapping[str, Node] = {node.name: node for node in network.nodes}
    last = nodes[network.output]
    ops = list(last.ops)
    while ops and (isinstance(ops[-1], Identity) or (isinstance(ops[-1], Activation) and ops[-1].name in _HEADS)):
        ops.pop()
    if len(ops) == len(last.ops):
        return network
    if not ops:
        if len(last.inputs) != 1 or last.inputs[0] == INPUT:
            return network
        return replace(network, output=last.inputs[0], nodes=tuple(n for n in network.nodes if n is not last))
    scores = replace(last, ops=tuple(ops))
    return replace(network, nodes=tuple(scores if node is last else node for node in network.nodes))


def _needed(network: Network) -> list[Node]:
    """Return the nodes that the answer depends on, in their order."""
    wanted, nodes = {network.output}, list[Node]()
    for node in reversed(network.nodes):
        if node.name in wanted:
            wanted.update(node.inputs)
            nodes.append(node)
    return nodes[::-1]
