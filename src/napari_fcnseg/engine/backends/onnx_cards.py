"""Graphics cards by ONNX Runtime: DirectML, CUDA, CoreML, OpenVINO. Runs in a computing process alone.

Which ones there are depends on the build of ONNX Runtime that is installed. A card is offered once it has computed a
small network as the processor does: some compute float32 in half precision without saying so.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from napari_fcnseg.conversion import convert_network
from napari_fcnseg.engine.dense_function import DenseFunction
from napari_fcnseg.engine.device import Device, device_key
from napari_fcnseg.engine.onnx_graph.builder import Builder
from napari_fcnseg.engine.onnx_graph.operations import GraphOperations
from napari_fcnseg.engine.onnx_graph.program import Program
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Conv, Dense, Flatten, Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.graph.ops import Op

TOLERANCE: Final = 1e-4  # of what a card says; half precision is off by a hundred times as much


class Provider(NamedTuple):
    """A way of ONNX Runtime's to a card.

    Attributes
    ----------
    name : str
        What people call it.
    options : dict
        That make its float32 exact.
    """

    name: str
    options: dict[str, str]


#: By ONNX Runtime's own names, the best first.
PROVIDERS: Final = {
    "CUDAExecutionProvider": Provider("NVIDIA card by CUDA", {"use_tf32": "0"}),
    "DmlExecutionProvider": Provider("graphics card by DirectML", {}),
    "MIGraphXExecutionProvider": Provider("AMD card by MIGraphX", {}),
    "CoreMLExecutionProvider": Provider("Apple GPU by CoreML", {"ModelFormat": "MLProgram"}),
    "OpenVINOExecutionProvider": Provider("Intel GPU by OpenVINO", {"device_type": "GPU", "precision": "FP32"}),
}


def cards(available: Iterable[str], make_session: Callable[..., Any]) -> tuple[Device, ...]:
    """Return the cards that compute as the processor does.

    Parameters
    ----------
    available : iterable of str
        The providers that ONNX Runtime has.
    make_session : callable
        Makes a session of a model's bytes, and a provider as ``address``; raises if it is not there after all.
    """
    names, found = set(available), list[Device]()
    for address, provider in PROVIDERS.items():
        if address in names and agrees(functools.partial(make_session, address=address)):
            key = device_key("onnx", "GPU", len(found))
            found.append(Device(key, address, provider.name, "onnx", precisions=("float32",), library=address))
    return tuple(found)


def agrees(make_session: Callable[[bytes], Any]) -> bool:
    """Return whether sessions compute a small network as NumPy does, to :data:`TOLERANCE`."""
    network, image, expected = trial()
    try:
        build = Builder()
        given = build.map("image", len(network.patch_shape), network.channels)
        said = DenseFunction(network, GraphOperations(build))(given)
        (answer,) = Program(build, [given], [said], make_session)(image)
    except Exception:  # whatever a driver says: then there is no such card
        return False
    return answer.shape == expected.shape and bool(np.abs(answer - expected).max() <= TOLERANCE)


def trial() -> tuple[DenseNetwork, np.ndarray, np.ndarray]:
    """Return a small network with a stride, an image, and what NumPy says of each of its patches."""
    random = np.random.default_rng(0)
    kernel, dense = (random.standard_normal(s).astype(np.float32) for s in ((3, 3, 2, 4), (36, 3)))
    ops: tuple[tuple[Op, ...], ...] = (
        (Conv(kernel, None, (1, 1), (1, 1)), Activation("relu")), (Pool("max", (2, 2), (2, 2)),), (Flatten(),),
        (Dense(dense, None), Activation("sigmoid")),
    )  # fmt: skip
    names = [INPUT, *(f"layer {number}" for number in range(len(ops)))]
    nodes = tuple(Node(name, "", each, (before,)) for before, name, each in zip(names, names[1:], ops, strict=False))
    network = Network("trial", (8, 8, 2), nodes, names[-1])
    image = random.standard_normal((1, 19, 17, 2)).astype(np.float32)
    windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(image[0], (8, 8), (0, 1)), 2, -1)
    taps = np.moveaxis(np.lib.stride_tricks.sliding_window_view(windows, (3, 3), (2, 3)), 4, -1)
    convolved = np.maximum(np.tensordot(taps.astype(np.float64), kernel, 3), 0)
    pooled = convolved.reshape(*convolved.shape[:2], 3, 2, 3, 2, 4).max((3, 5))
    return convert_network(network), image, (1 / (1 + np.exp(-pooled.reshape(*pooled.shape[:2], -1) @ dense)))[None]
