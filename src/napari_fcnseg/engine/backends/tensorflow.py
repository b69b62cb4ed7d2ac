"""TensorFlow: on the processor, and on NVIDIA cards under Linux. Runs in a computing process alone."""

from __future__ import annotations

import gc
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.engine import hardware
from napari_fcnseg.engine.device import Device, device_key
from napari_fcnseg.engine.libraries import convolution_library
from napari_fcnseg.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.engine.backends import Compiled, Places
    from napari_fcnseg.engine.dense_function import DenseFunction

_RUNS = 8  # at once with one network
_AMPERE = (8, 0)  # the first compute capability with TF32


def start(tf32: bool) -> tuple[Device, ...]:
    """Import TensorFlow and return its devices (:class:`napari_fcnseg.engine.backends.Backend`)."""
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(tf32)
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


def compiled(
    make: Callable[[], Callable[[Any], Any]], address: str, shape: tuple[int | None, ...], places: Places | None
) -> Compiled:
    """Return a network as a graph for inputs of any size; a dense one can also be given strips of an image."""
    import tensorflow as tf

    from napari_fcnseg.engine.dense_function import DenseFunction

    with tf.device(address):
        network = make()
        if isinstance(network, DenseFunction):
            return Strips(network, address, shape)
        function = _graph(network, shape)

    def run(x: np.ndarray) -> np.ndarray:
        with tf.device(address):
            return np.asarray(function(tf.constant(x)))

    return run


class Strips:
    """A dense network on a device, given an image whole or strip by strip.

    Parameters
    ----------
    network : DenseFunction
        The network.
    address : str
        The device.
    shape : tuple of int or None
        Of its input.
    """

    def __init__(self, network: DenseFunction, address: str, shape: tuple[int | None, ...]) -> None:
        self._network, self._address, self._shape = network, address, shape
        self._first = _graph(network.first, shape)
        self._more: Any = None
        self._kept: OrderedDict[int, list[Any]] = OrderedDict()  # of each run's last strip, by its number

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the answer to an image."""
        import tensorflow as tf

        with tf.device(self._address):
            return np.asarray(self._first(tf.constant(x))[0])

    def strip(self, x: np.ndarray, number: int, follows: int | None) -> np.ndarray:
        """Return the answer to a strip: to a whole window, or to the rows that follow the strip of that number.

        Raises
        ------
        EngineError
            If nothing is kept of that strip.
        """
        import tensorflow as tf

        above = self._kept.pop(follows, None) if follows is not None else None
        if follows is not None and above is None:
            raise EngineError("A strip of the image came without the one above it; run again.")
        with tf.device(self._address):
            if above is None:
                answer, *kept = self._first(tf.constant(x))
            else:
                if self._more is None:
                    shapes = [(*rows.shape[:2], *self._shape[2:-1], rows.shape[-1]) for rows in above]
                    self._more = _graph(self._network.more, self._shape, *shapes)
                answer, *kept = self._more(tf.constant(x), *above)
        self._kept[number] = kept
        if len(self._kept) > _RUNS:
            self._kept.popitem(last=False)
        return np.asarray(answer)

    def forget(self, number: int) -> None:
        """Give up what is kept of a strip."""
        self._kept.pop(number, None)


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


def release() -> None:
    """Collect what nothing refers to any more."""
    gc.collect()
