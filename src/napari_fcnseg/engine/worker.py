"""What the child process can be asked to do. Runs in the child alone."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.engine.device import Device
from napari_fcnseg.errors import EngineError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.conversion.fcn import DenseNetwork
    from napari_fcnseg.graph.network import Network

_compiled: dict[tuple[str, str], Callable[[Any], Any]] = {}


@functools.cache
def warm_up() -> tuple[Device, ...]:
    """Import the framework, set it to exact arithmetic, and return its devices, the fastest first."""
    import tensorflow as tf

    import napari_fcnseg.engine.build  # noqa: F401 - Keras too is imported before the user waits for it

    tf.config.experimental.enable_tensor_float_32_execution(False)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    # The first convolution of a process sets up the library's kernels.
    tf.nn.conv2d(np.zeros((1, 8, 8, 1), np.float32), np.zeros((3, 3, 1, 1), np.float32), 1, "VALID")
    return (*_devices("GPU"), *_devices("CPU"))


def _devices(kind: str) -> list[Device]:
    import tensorflow as tf

    found = zip(tf.config.list_physical_devices(kind), tf.config.list_logical_devices(kind), strict=False)
    return [
        Device(f"{kind}:{number}", logical.name, _cpu_name() if kind == "CPU" else _gpu_name(physical))
        for number, (physical, logical) in enumerate(found)
    ]


def _gpu_name(physical: Any) -> str:
    import tensorflow as tf

    return str(tf.config.experimental.get_device_details(physical).get("device_name", "GPU"))


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo") as info:
            return next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.processor() or platform.machine()


def load(key: str, network: DenseNetwork | Network, device: str) -> float:
    """Compile a network for a device under a key and return the seconds it took."""
    import tensorflow as tf

    from napari_fcnseg.conversion.fcn import DenseNetwork
    from napari_fcnseg.engine.apply import applied
    from napari_fcnseg.engine.patch import patch_model

    if (key, device) in _compiled:
        return 0.0
    start = time.perf_counter()
    warm_up()
    with tf.device(device):
        if isinstance(network, DenseNetwork):
            call, shape = applied(network), (1, *(None,) * len(network.patch_shape), network.channels)
        else:
            model = patch_model(network)
            call, shape = functools.partial(model, training=False), (None, *network.input_shape)
    # autograph would rewrite every function it passes through, for minutes
    function = tf.function(call, input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
    _compiled[key, device] = function.get_concrete_function()
    return time.perf_counter() - start


def run(key: str, device: str, x: np.ndarray) -> np.ndarray:
    """Apply a loaded network to a batch and return its answer as float32.

    Raises
    ------
    EngineError
        If the network was not loaded.
    """
    import tensorflow as tf

    function = _compiled.get((key, device))
    if function is None:
        raise EngineError("The network is not loaded in the computing process; run again.")
    with tf.device(device):
        return np.asarray(function(tf.constant(x)))


def run_patches(
    key: str, device: str, window: np.ndarray, patch: tuple[int, ...], every: int, batch: int
) -> np.ndarray:
    """Apply a loaded patch network to every ``every``-th patch of a window ``(*spatial, channel)``.

    Returns ``(*patches, output)`` in float32.
    """
    axes = tuple(range(len(patch)))
    patches = np.moveaxis(np.lib.stride_tricks.sliding_window_view(window, patch, axes), len(patch), -1)
    patches = patches[(slice(None, None, every),) * len(patch)]
    count = int(np.prod(patches.shape[: len(patch)]))
    answers = []
    for start in range(0, count, batch):
        where = np.unravel_index(np.arange(start, min(start + batch, count)), patches.shape[: len(patch)])
        answer = run(key, device, patches[where])
        answers.append(answer.reshape(len(answer), -1))
    return np.concatenate(answers).reshape(*patches.shape[: len(patch)], -1)


def save_dense(network: DenseNetwork, path: str) -> None:
    """Write the dense network as a ``.keras`` file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from napari_fcnseg.engine.build import dense_model

    warm_up()
    try:
        dense_model(network).save(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"The converted network could not be written to {path}: {error}") from None


def measure_peak(size: int = 4096, repeat: int = 3) -> float:
    """Return the machine's measured peak in FLOP/s: a float32 matrix product of ``size`` squared."""
    import tensorflow as tf

    warm_up()
    a = tf.random.stateless_normal((size, size), (0, 0))
    tf.linalg.matmul(a, a)[0, 0].numpy()
    best = min(_timed(lambda: tf.linalg.matmul(a, a)[0, 0].numpy()) for _ in range(repeat))
    return 2 * size**3 / best


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
