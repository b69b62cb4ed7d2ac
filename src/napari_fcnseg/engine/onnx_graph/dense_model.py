"""The whole dense network as an ONNX model, for others to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from napari_fcnseg.engine.dense_function import DenseFunction
from napari_fcnseg.engine.onnx_graph.builder import Builder
from napari_fcnseg.engine.onnx_graph.model_bytes import Node, Port, model_bytes
from napari_fcnseg.engine.onnx_graph.operations import GraphOperations

if TYPE_CHECKING:
    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.engine.onnx_graph.builder import Tensor

_AXES: Final = ("plane", "row", "column")


def dense_model(network: DenseNetwork, *, reflected: bool = False) -> bytes:
    """Return the dense network as a file of ONNX, in float32.

    Its input is ``image``, ``(1, *spatial, channel)`` of any size from ``network.reach`` on; its output is ``answer``,
    ``(1, *spatial, output)``, which is shorter by ``reach - 1`` along each axis. Entry ``i`` of the answer speaks for
    the patch whose pixel ``origin`` is entry ``i`` of the image. Both, the patch's shape and what the numbers are
    (``softmax``, ``sigmoid`` or ``scores``) are in its metadata.

    A ``reflected`` one reflects the image at its border first, so that its answer is as large as the image and speaks
    for the pixel of the same place: what other programs expect. The image is then longer than what is reflected.

    Raises
    ------
    ValueError
        If it is larger than the 2 GiB that a file of ONNX may have.
    """
    build = Builder()
    axes = _AXES[-len(network.patch_shape) :]
    image = build.map("image", len(axes), network.channels)
    seen = _reflected(build, image, network) if reflected else image
    answer = DenseFunction(network, GraphOperations(build))(seen)
    nodes = [part for part in build.parts if isinstance(part, Node)]
    nodes.append(Node("Identity", (build.whole(answer),), ("answer",), {}))
    notes = {
        "patch_shape": " ".join(map(str, network.patch_shape)),
        "origin": " ".join(map(str, network.origin)),
        "reach": " ".join(map(str, network.reach)),
        "head": network.head,
    }
    return model_bytes(
        nodes,
        build.constants,
        [Port("image", (1, *axes, network.channels))],
        [Port("answer", (1, *(axis if reflected else f"{axis}_answered" for axis in axes), network.outputs))],
        network.name or "dense",
        notes,
    )


def _reflected(build: Builder, image: Tensor, network: DenseNetwork) -> Tensor:
    """Return the image with what surrounds it, so that the network answers at each of its pixels."""
    grown = [(max(before, 0), max(after, 0)) for before, after in network.around]
    x = image.name
    if any(map(any, grown)):
        pads = [0, *(before for before, _ in grown), 0, 0, *(after for _, after in grown), 0]
        x = build.add("Pad", x, build.constant(pads, np.int64), mode="reflect")
    unseen = [(max(-before, 0), max(-after, 0)) for before, after in network.around]
    if any(map(any, unseen)):  # the pixel itself is not among those that its answer depends on
        ends = [-after if after else None for _, after in unseen]
        x = build.sliced(x, [before for before, _ in unseen], ends, range(1, image.axes + 1), (1,) * image.axes)
    return build.map(x, image.axes, image.channels)
