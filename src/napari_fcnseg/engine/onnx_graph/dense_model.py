"""The whole dense network as an ONNX model, for others to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari_fcnseg.engine.dense_function import DenseFunction
from napari_fcnseg.engine.onnx_graph.builder import Builder
from napari_fcnseg.engine.onnx_graph.model_bytes import Node, Port, model_bytes
from napari_fcnseg.engine.onnx_graph.operations import GraphOperations

if TYPE_CHECKING:
    from napari_fcnseg.conversion.dense_network import DenseNetwork

_AXES: Final = ("plane", "row", "column")


def dense_model(network: DenseNetwork) -> bytes:
    """Return the dense network as a file of ONNX, in float32.

    Its input is ``image``, ``(1, *spatial, channel)`` of any size from ``network.reach`` on; its output is ``answer``,
    ``(1, *spatial, output)``, which is shorter by ``reach - 1`` along each axis. Entry ``i`` of the answer speaks for
    the patch whose pixel ``origin`` is entry ``i`` of the image. Both, the patch's shape and what the numbers are
    (``softmax``, ``sigmoid`` or ``scores``) are in its metadata.

    Raises
    ------
    ValueError
        If it is larger than the 2 GiB that a file of ONNX may have.
    """
    build = Builder()
    axes = _AXES[-len(network.patch_shape) :]
    image = build.map("image", len(axes), network.channels)
    answer = DenseFunction(network, GraphOperations(build))(image)
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
        [Port("answer", (1, *(f"{axis}_answered" for axis in axes), network.outputs))],
        network.name or "dense",
        notes,
    )
