"""The networks published with DeepCell in 2016: weights of Keras 1 alone, so that the arrays tell the architecture."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, BatchNorm, Conv, Dense, Flatten, Merge, Op, Pool
from napari_fcnseg.readers.deepcell.families import FAMILIES, Family
from napari_fcnseg.readers.deepcell.variance_or_std import RunningStatistic, running_statistic_of
from napari_fcnseg.readers.problem import about_layer, inside
from napari_fcnseg.readers.weights import StoredArray, Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_fcnseg.readers.guard.hdf5 import Hdf5

    Arrays = list[StoredArray]

_CITATION: Final = "Van Valen et al. 2016, PLoS Computational Biology 12(11): e1005177"
#: What Keras 1 before 1.0.7 added to a standard deviation.
_FUZZ: Final = 1e-6
#: What Keras 1.2 added to a variance.
_EPSILON: Final = 1e-3
_NORM_ARRAYS: Final = ("gamma", "beta", "running_mean", "running_std")
_SPREAD_NOTES: Final[dict[RunningStatistic | None, str]] = {
    "deviation": (
        "Its running_std are standard deviations, as Keras before 1.0.7 (August 2016) kept them, and not variances: "
        "they are as large, and vary as much, as the standard deviations that the weights give to a drawn picture."
    ),
    "variance": (
        "Its running_std are variances, as Keras 1.0.7 and later (from August 2016) kept them: they are as large, and "
        "vary as much, as the variances that the weights give to a drawn picture. The epsilon is that of Keras 1.2, "
        "0.001; Keras 1.1 had 0.00001, which nothing in the file tells."
    ),
    None: (
        "Its running_std are taken for standard deviations, as Keras before 1.0.7 (August 2016) kept them. Keras 1.0.7 "
        "and later kept variances under the same name, and neither the file nor its weights tell which these are: if "
        "the network was trained later, the results are wrong."
    ),
}


def is_keras_1(content: Hdf5) -> bool:
    """Say whether a weights-only file is one of Keras 1: its arrays are called ``convolution2d_1_W`` and the like."""
    return any(
        re.search(r"_(W|running_std)$", weight)
        for layer in (content.names("layer_names") or ())[:50]
        for weight in content.names("weight_names", *layer.split("/")) or ()
    )


def read(content: Hdf5) -> Network:
    """Read a published file.

    Parameters
    ----------
    content : Hdf5
        A weights-only file of Keras 1.

    Returns
    -------
    Network
        The network of the one family to which the arrays belong.

    Raises
    ------
    UnreadableError
        The arrays belong to none of the published families, or are damaged.
    """
    kinds = _arrays(content)
    family = _recognize(kinds)
    network = _Builder(family, kinds).network()
    if not family.normalized:
        return network
    stored = [arrays[-1].read() for arrays in kinds["normalization"]]
    spread = running_statistic_of(network.nodes, family.patch, network.channels, stored)
    if spread == "variance":
        network = _Builder(family, kinds, spread).network()
    return replace(network, notes=(*network.notes, _SPREAD_NOTES[spread]))


def _arrays(content: Hdf5) -> dict[str, list[Arrays]]:
    """Give the arrays of all layers by kind, in the order of the layers' numbers."""
    found: dict[str, list[tuple[tuple[int, int], Arrays]]] = {"convolution": [], "normalization": [], "dense": []}
    for position, layer in enumerate(content.names("layer_names") or ()):
        group = layer.split("/")
        weights = content.names("weight_names", *group) or ()
        with inside(f"layer {layer[:60]!r}"):
            arrays = [_array(content, layer, weight, group) for weight in weights]
        ranks = [len(array.shape) for array in arrays]
        kind = {(4, 1): "convolution", (1, 1, 1, 1): "normalization", (2, 1): "dense"}.get(tuple(ranks))
        if kind is not None:
            number = re.search(r"_(\d{1,9})$", layer)
            found[kind].append(((int(number[1]) if number else 0, position), arrays))
        elif arrays:
            raise _unknown(f"its layer {layer[:60]!r} is none of theirs")
    return {kind: [arrays for _, arrays in sorted(layers, key=lambda item: item[0])] for kind, layers in found.items()}


def _array(content: Hdf5, layer: str, weight: str, group: list[str]) -> StoredArray:
    array = content.array(weight.removeprefix(f"{layer}_"), *group, *weight.split("/"))
    if array is None:
        raise UnreadableError(f"its array {weight[:60]!r} is missing from the file")
    return array


def _recognize(kinds: dict[str, list[Arrays]]) -> Family:
    kernels = [arrays[0].shape for arrays in kinds["convolution"]]
    features = [arrays[0].shape for arrays in kinds["dense"]]
    found = [
        family
        for family in FAMILIES
        if [(shape[0], *shape[2:]) for shape in kernels]
        == [(step.filters, step.window, step.window) for step in family.steps() if step]
        and len(features) == 2
        and features[0][1] == family.features
        and len(kinds["normalization"]) == (len(kernels) + 1 if family.normalized else 0)
    ]
    if len(found) != 1:
        raise _unknown("its arrays have other shapes than theirs")
    return found[0]


def _unknown(reason: str) -> UnreadableError:
    return UnreadableError(
        "it holds weights of Keras 1 only, not the model's structure, and they belong to none of the networks "
        f"published with DeepCell in 2016: {reason}",
        "Load the weights into the same network in a Keras that runs, save that with model.save('my_model.keras'), and "
        "open that file.",
    )


class _Builder:
    """Makes the network of a family, taking the file's arrays in order."""

    def __init__(self, family: Family, kinds: dict[str, list[Arrays]], spread: RunningStatistic = "deviation") -> None:
        self._family = family
        self._spread = spread
        self._left = {kind: iter(layers) for kind, layers in kinds.items()}
        self._channels = kinds["convolution"][0][0].shape[1]
        self._classes = kinds["dense"][1][0].shape[1]
        self._nodes: list[Node] = []
        self._width = {INPUT: self._channels}
        self._counted: dict[str, int] = {}

    def network(self) -> Network:
        family = self._family
        joined = self._branches()
        if len(joined) > 1:
            width = sum(self._width[name] for name in joined)
            joined = [self._add("concatenate", "Concatenate", (Merge("concatenate"),), joined, width)]
        here = self._add("flatten", "Flatten", (Flatten(),), joined, self._width[joined[0]])
        here = self._finished(self._dense(here, family.features))["act"]
        here = self._dense(here, self._classes)
        here = self._add("softmax", "Activation", (Activation("softmax", {"axis": -1}),), [here], self._classes)
        shape = (family.patch, family.patch, self._channels)
        return Network(f"DeepCell {family.name}", shape, self._needed(here), here, _notes(family))

    def _needed(self, output: str) -> tuple[Node, ...]:
        """Leave out what the answer does not depend on: the end of a trunk whose branches go on from before it."""
        wanted = {output}
        for node in reversed(self._nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
        return tuple(node for node in self._nodes if node.name in wanted)

    def _branches(self) -> list[str]:
        """Add all convolutions and pools; give those activations that are flattened together."""
        known, pools, activations = {}, 0, []
        here = INPUT
        for step in self._family.steps():
            if step is None:
                pools += 1
                pool = Pool("max", (2, 2), (2, 2))
                here = known[f"pool{pools}"] = self._add("pool", "MaxPooling2D", (pool,), [here], self._width[here])
                continue
            source = known[step.source] if step.source else here
            stages = self._finished(self._convolution(source, step.filters, step.window))
            activations.append(stages["act"])
            known |= {f"{stage}{len(activations)}": name for stage, name in stages.items()}
            here = stages["act"]
        return [activations[number - 1] for number in self._family.joined]

    def _convolution(self, source: str, filters: int, size: int) -> str:
        def build(weights: Weights) -> Conv:
            stored = weights.take((filters, self._width[source], size, size), "W")
            # Theano convolves: it turns the kernel round, and keeps (out, in, row, column).
            kernel = np.ascontiguousarray(stored[:, :, ::-1, ::-1].transpose(2, 3, 1, 0))
            return Conv(kernel, weights.take((filters,), "b"), (1, 1), (1, 1))

        return self._layer("convolution", "conv", "Conv2D", build, source, filters)

    def _dense(self, source: str, features: int) -> str:
        def build(weights: Weights) -> Dense:
            kernel = weights.take((self._width[source], features), "W")
            return Dense(kernel, weights.take((features,), "b"))

        return self._layer("dense", "dense", "Dense", build, source, features)

    def _finished(self, name: str) -> dict[str, str]:
        """Add what follows a layer; give the names of all stages."""
        width = self._width[name]
        stages = {"conv": name, "norm": name}
        if self._family.normalized:
            stages["norm"] = self._layer(
                "normalization",
                "norm",
                "BatchNormalization",
                lambda weights: _norm(weights, width, self._spread),
                name,
                width,
            )
        relu = Activation("relu", {"negative_slope": 0.0, "max_value": None, "threshold": 0.0})
        return {**stages, "act": self._add("relu", "Activation", (relu,), [stages["norm"]], width)}

    def _layer(
        self, kind: str, stem: str, layer_type: str, build: Callable[[Weights], Op], source: str, width: int
    ) -> str:
        with about_layer(f"{stem}{self._counted.get(stem, 0) + 1}", layer_type):
            weights = Weights(next(self._left[kind]))
            op = build(weights)
            weights.finish()
        return self._add(stem, layer_type, (op,), [source], width)

    def _add(self, stem: str, layer_type: str, ops: tuple[Op, ...], inputs: list[str], width: int) -> str:
        self._counted[stem] = self._counted.get(stem, 0) + 1
        name = f"{stem}{self._counted[stem]}"
        self._nodes.append(Node(name, layer_type, ops, tuple(inputs)))
        self._width[name] = width
        return name


def _norm(weights: Weights, width: int, spread: RunningStatistic) -> BatchNorm:
    gamma, beta, mean, stored = (weights.take((width,), name) for name in _NORM_ARRAYS)
    if (stored < 0).any():
        raise UnreadableError("its running_std is negative")
    if spread == "variance":
        return BatchNorm(gamma, beta, mean, stored, _EPSILON)
    variance = np.square(stored.astype(np.float64) + _FUZZ).astype(np.float32)
    return BatchNorm(gamma, beta, mean, variance, 0.0)


def _notes(family: Family) -> tuple[str, ...]:
    return tuple(_sentences(family))


def _sentences(family: Family) -> Iterator[str]:
    yield (
        f"Recognised by its arrays as the network {family.name} published with DeepCell ({_CITATION}); the file itself "
        "does not describe it."
    )
    yield (
        "Its authors divided each whole channel by its median, then subtracted the local mean of the patch's size: "
        f"preprocessing divide_by_median, then subtract_local_mean:{family.patch}. Channels of the published networks: "
        "phase contrast, then the nuclear stain; one alone is the nuclear stain, or phase contrast for bacteria. Of "
        "three classes the first is the cells' edge, the second their interior, the third the background."
    )
