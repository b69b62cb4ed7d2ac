"""TensorFlow: on the processor, and on NVIDIA cards under Linux. Runs in a computing process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.engine import hardware
from napari_fcnseg.engine.backends.keras_functions import collect, function_of, import_all, input_shape
from napari_fcnseg.engine.backends.strips import Strips
from napari_fcnseg.engine.device import Device, device_key
from napari_fcnseg.engine.libraries import convolution_library

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.engine.backends import Compiled
    from napari_fcnseg.graph.network import Network

_AMPERE = (8, 0)  # the first compute capability with TF32


def start(tf32: bool) -> tuple[Device, ...]:
    """Import TensorFlow and return its devices (:class:`napari_fcnseg.engine.backends.Backend`)."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    import_all()
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.set_visible_devices(gpus[:1], "GPU")  # the others have processes of their own
    # The first convolution of a process sets up the library's kernels.
    tf.nn.conv2d(np.zeros((1, 8, 8, 1), np.float32), np.zeros((3, 3, 1, 1), np.float32), 1, "VALID")
    found = [_gpu(number, gpu) for number, gpu in enumerate(gpus)]
    cpu = Device(
        device_key("tensorflow", "CPU", 0),
        "/device:CPU:0",
        hardware.cpu_name(),
        process=len(gpus),
        library=convolution_library(),
    )
    return (*found, cpu)


def _gpu(number: int, gpu: Any) -> Device:
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(gpu)
    tf32 = tuple(details.get("compute_capability", ())) >= _AMPERE
    known = hardware.visible_gpu(number)
    return Device(
        device_key("tensorflow", "GPU", number),
        "/device:GPU:0",
        str(details.get("device_name", "GPU")),
        process=number,
        memory=known.memory if known is not None else None,
        precisions=("float32", *(("tf32",) if tf32 else ()), "bfloat16", "float16"),
    )


def compiled(network: DenseNetwork | Network, address: str, dtype: str) -> Compiled:
    """Return a network as a graph for inputs of any size; a dense one can also be given strips of an image."""
    import tensorflow as tf

    from napari_fcnseg.engine.dense_function import DenseFunction

    shape = input_shape(network)

    def on_device(graph: Callable[..., Any]) -> Callable[..., list[np.ndarray | Any]]:
        def run(x: np.ndarray, *kept: Any) -> list[Any]:
            with tf.device(address):
                answer, *keeps = graph(tf.constant(x), *kept)
            return [np.asarray(answer), *keeps]

        return run

    with tf.device(address):
        function = function_of(network, dtype)
        if not isinstance(function, DenseFunction):
            patch = on_device(_graph(lambda x: [function(x)], shape))
            return lambda x: patch(x)[0]
        first = on_device(_graph(function.first, shape))

    def more(above: Sequence[Any]) -> Callable[..., list[Any]]:
        with tf.device(address):
            shapes = [(*rows.shape[:2], *shape[2:-1], rows.shape[-1]) for rows in above]
            return on_device(_graph(function.more, shape, *shapes))

    return Strips(first, more)


def _graph(function: Callable[..., Any], *shapes: tuple[int | None, ...]) -> Callable[..., Any]:
    """Return a function of tensors as a graph."""
    import tensorflow as tf

    signature = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    # autograph would rewrite every function it passes through, for minutes
    graph: Callable[..., Any] = tf.function(function, input_signature=signature, autograph=False)
    return graph.get_concrete_function()  # type: ignore[attr-defined, no-any-return]


def free_memory(address: str) -> int | None:
    """Return what the driver has free, and what this process has reserved and does not use."""
    import tensorflow as tf

    known = hardware.visible_gpu(0) if "GPU" in address else None
    if known is None:
        return None
    # TensorFlow keeps what it once took; how much that is it does not say, but never less than its highest use.
    info = tf.config.experimental.get_memory_info(address)
    return int(known.free + info["peak"] - info["current"])


def product(address: str, size: int, dtype: str) -> Callable[[], object]:
    """Return a function that multiplies two matrices and waits for the result."""
    import tensorflow as tf

    with tf.device(address):
        a = tf.cast(tf.random.stateless_normal((size, size), (0, 0)), dtype)

    def multiply() -> object:
        with tf.device(address):
            return tf.linalg.matmul(a, a)[0, 0].numpy()

    return multiply


def release(empty: bool) -> None:
    """Collect what nothing refers to any more."""
    collect(empty)
