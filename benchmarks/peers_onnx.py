"""ONNX Runtime and OpenVINO on the dense network written as an ONNX file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dense_graph
import numpy as np
from contender import Tiled

from napari_fcnseg.plan.tiles import as_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from contender import Job
    from dense_graph import Ints

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.conversion import DenseNetwork

_NAMES = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "maximum": "Max", "minimum": "Min"}


class Onnx:
    """The operations of ONNX, arrays channels first; tensors are names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def conv(self, key: tuple[int, int], x: str, kernel: np.ndarray, bias: np.ndarray | None, dilation: Ints) -> str:
        """``Conv`` with dilations."""
        inputs = [x, self.constant(np.ascontiguousarray(np.moveaxis(kernel, (-1, -2), (0, 1))))]
        if bias is not None:
            inputs.append(self.constant(bias))
        return self.node("Conv", inputs, kernel_shape=kernel.shape[:-2], dilations=dilation)

    def max_pool(self, x: str, size: Ints, dilation: Ints) -> str:
        """``MaxPool`` with dilations."""
        return self.node("MaxPool", [x], kernel_shape=size, dilations=dilation, strides=[1] * len(size))

    def cut(self, x: str, before: Ints, after: Ints) -> str:
        """``Slice``."""
        stops = [-a if a else np.iinfo(np.int64).max for a in after]
        axes = range(2, 2 + len(before))
        return self.node("Slice", [x, *(self.constant(np.array(v, np.int64)) for v in (before, stops, axes))])

    def combine(self, a: str, b: str, kind: str) -> str:
        """``Add`` and the like."""
        return self.node(_NAMES[kind], [a, b])

    def scale(self, x: str, factor: float) -> str:
        """``Mul`` with a constant."""
        return self.node("Mul", [x, self.constant(np.float32(factor))])

    def join(self, xs: list[str]) -> str:
        """``Concat``."""
        return self.node("Concat", xs, axis=1)

    def take(self, x: str, channels: list[int]) -> str:
        """``Gather``."""
        return self.node("Gather", [x, self.constant(np.array(channels, np.int64))], axis=1)

    def activation(self, x: str, name: str) -> str:
        """``Relu`` and the like."""
        return self.node(name.capitalize(), [x], **({"axis": 1} if name == "softmax" else {}))

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """Add an operation and return its result's name."""
        import onnx

        name = f"t{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add an array and return its name."""
        import onnx

        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        return name


def onnx_model(network: DenseNetwork, *, own_pool: bool) -> bytes:
    """Return the dense network as an ONNX model of ``(1, channel, *spatial)`` of any size."""
    import onnx

    framework = Onnx()
    answer = dense_graph.apply(network, framework, "image", own_pool=own_pool)
    axes = len(network.patch_shape)

    def tensor(name: str, channels: int, size: str) -> Any:
        shape = [1, channels, *(f"{size}{axis}" for axis in range(axes))]
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    graph = onnx.helper.make_graph(
        framework.nodes, "dense", [tensor("image", network.channels, "in")],
        [tensor(answer, network.outputs, "out")], framework.constants,
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class OnnxRuntime(Tiled):
    """ONNX Runtime on the CPU."""

    name, package = "ONNX Runtime", "onnxruntime"
    styles = ({"own_pool": False}, {"own_pool": True})

    def build(self, **style: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Return a session's run."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.job.threads
        options.log_severity_level = 3
        model = onnx_model(self.network, own_pool=style["own_pool"])
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

        def apply(window: np.ndarray) -> np.ndarray:
            (answer,) = session.run(None, {"image": np.ascontiguousarray(np.moveaxis(window, -1, 1))})
            return np.moveaxis(answer, 1, -1)

        return apply


class OpenVino(Tiled):
    """OpenVINO on the CPU in float32, compiled for each size of tile."""

    name, package = "OpenVINO float32", "openvino"
    styles = tuple({"hint": hint, "own_pool": own} for hint in ("LATENCY", "THROUGHPUT") for own in (False, True))

    def __init__(self, job: Job) -> None:
        import openvino

        super().__init__(job)
        self.core = openvino.Core()

    def build(self, **style: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Return what compiles for a window's size at first sight; it is called through :meth:`over`."""
        return _Compiled(self, onnx_model(self.network, own_pool=style["own_pool"]), style["hint"])

    def at_once(self, function: Any) -> int:
        """Return how many tiles are computed side by side."""
        return self.job.threads if function.hint == "THROUGHPUT" else 1

    def over(self, function: Callable[[np.ndarray], np.ndarray], tiles: Sequence[Region], out: np.ndarray) -> None:
        """Hand the tiles to queues of requests, one for each size, as many at once as the hint wants."""
        assert isinstance(function, _Compiled)
        queues = []
        for tile in tiles:
            window = np.ascontiguousarray(np.moveaxis(self.window(tile), -1, 1))
            queue = function.queue(window.shape, out)
            queues.append(queue)
            queue.start_async({0: window}, userdata=(tile, out), share_inputs=False)
        for queue in queues:
            queue.wait_all()


class _Compiled:
    def __init__(self, peer: OpenVino, model: bytes, hint: str) -> None:
        self.peer, self.model, self.hint = peer, model, hint
        self._queues: dict[tuple[int, ...], Any] = {}

    def __call__(self, window: np.ndarray) -> np.ndarray:
        raise TypeError("OpenVino.over() hands tiles to queue()")

    def queue(self, shape: tuple[int, ...], out: np.ndarray) -> Any:
        """Return the queue of requests for windows of a shape."""
        import openvino

        if shape not in self._queues:
            model = self.peer.core.read_model(self.model)
            model.reshape(list(shape))
            settings = {
                "PERFORMANCE_HINT": self.hint, "INFERENCE_PRECISION_HINT": "f32",
                "INFERENCE_NUM_THREADS": self.peer.job.threads,
            }  # fmt: skip
            compiled = self.peer.core.compile_model(model, "CPU", settings)
            queue = openvino.AsyncInferQueue(compiled, 0)  # as many requests as the hint makes optimal
            queue.set_callback(_store)
            self._queues[shape] = queue
        return self._queues[shape]


def _store(request: Any, where: tuple[Region, np.ndarray]) -> None:
    tile, out = where
    out[as_slices(tile)] = np.moveaxis(request.get_output_tensor(0).data[0], 0, -1)
