"""What a child process can be asked to do, whichever its framework. Runs in the child alone."""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from napari_fcnseg.engine.backends import present
from napari_fcnseg.engine.device import BACKENDS, PACKAGES
from napari_fcnseg.errors import EngineError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.engine.backends import Compiled
    from napari_fcnseg.engine.device import Device
    from napari_fcnseg.engine.layer_training import LayerTrainer
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.pixel_network import PixelNetwork

_compiled: dict[tuple[str, str, str], Compiled] = {}
_failed: dict[tuple[str, str, str], Exception] = {}  # why a network could not be compiled
_trainers: dict[str, LayerTrainer] = {}


@functools.cache
def warm_up(tf32: bool = False) -> tuple[Device, ...]:
    """Import the framework, set its arithmetic, and return its devices, the fastest first."""
    devices = present().start(tf32)
    # What libraries made when they were imported stays; looking through it takes half a second at every release.
    gc.collect()
    gc.freeze()
    return devices


def load(network: DenseNetwork | Network | PixelNetwork, key: str, address: str, precision: str) -> float:
    """Compile a network for a device under a key and return the seconds it took."""
    start = time.perf_counter()
    try:
        _compiled[key, address, precision] = present().compiled(network, address, _type_of(precision))
    except Exception as error:
        _failed[key, address, precision] = error
        raise
    _failed.pop((key, address, precision), None)
    return time.perf_counter() - start


def _type_of(precision: str) -> str:
    """Return the type of the maps' numbers. TF32 is a way to multiply float32."""
    return "float32" if precision == "tf32" else precision


def run(key: str, address: str, precision: str, x: np.ndarray) -> np.ndarray:
    """Apply a loaded network to a batch and return its answer as float32.

    Raises
    ------
    EngineError
        If the network was not loaded, or its numbers are too large for float16.
    """
    return _checked(_loaded(key, address, precision)(x), precision)


def run_strip(key: str, address: str, precision: str, x: np.ndarray, number: int, follows: int | None) -> np.ndarray:
    """Apply a loaded dense network to a strip of an image.

    Parameters
    ----------
    key, address, precision : str
        Which network.
    x : ndarray, shape (1, *spatial, channel)
        The strip's whole window, or if it follows another one the rows that are new.
    number : int
        The strip's.
    follows : int, optional
        The number of the strip above it.

    Raises
    ------
    EngineError
        As :func:`run`, and if the strip above was not the last one.
    """
    return _checked(_loaded(key, address, precision).strip(x, number, follows), precision)  # type: ignore[attr-defined]


def forget_strip(key: str, address: str, precision: str, number: int) -> None:
    """Give up what is kept of a strip that no other one follows."""
    network = _compiled.get((key, address, precision))
    if network is not None:
        network.forget(number)  # type: ignore[attr-defined]


def _loaded(key: str, address: str, precision: str) -> Compiled:
    function = _compiled.get((key, address, precision))
    if function is None:
        reason = _failed.get((key, address, precision))
        if reason is not None:
            raise reason
        raise EngineError("The network is not loaded in the computing process; run again.")
    return function


def _checked(answer: np.ndarray, precision: str) -> np.ndarray:
    if precision == "float16" and not np.isfinite(answer).all():
        raise EngineError(
            "Numbers inside the network are too large for float16, which ends at 65,504. Choose the precision bfloat16 "
            "or float32."
        )
    return answer


def run_patches(
    key: str, address: str, precision: str, window: np.ndarray, patch: tuple[int, ...], every: int, batch: int
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
        answer = run(key, address, precision, patches[where])
        answers.append(answer.reshape(len(answer), -1))
    return np.concatenate(answers).reshape(*patches.shape[: len(patch)], -1)


def run_window(
    key: str, address: str, precision: str, image: np.ndarray, kept: list[tuple[int, int]], every: int
) -> np.ndarray:
    """Apply a loaded network that labels every pixel to a window, and return a part of its numbers.

    See :meth:`napari_fcnseg.engine.backends.onnx_pixels.PixelProgram.window`.
    """
    answer: np.ndarray = _loaded(key, address, precision).window(image, kept, every)  # type: ignore[attr-defined]
    return answer


def forget(key: str, address: str, precision: str) -> None:
    """Give a loaded network up."""
    _compiled.pop((key, address, precision), None)
    _failed.pop((key, address, precision), None)


def release() -> None:
    """Give memory that is not in use back to the system."""
    present().release(empty=not _compiled)
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # a C library other than GNU's
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def save(network: DenseNetwork | Network, path: str) -> None:
    """Write a network as a ``.keras`` file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.engine.keras_export import dense_keras_model
    from napari_fcnseg.engine.patch_export import save_patch_model

    try:
        if isinstance(network, DenseNetwork):
            dense_keras_model(network).save(path)
        else:
            save_patch_model(network, path)
    except (OSError, ValueError, TypeError) as error:
        what = "converted network" if isinstance(network, DenseNetwork) else "model"
        raise OutputError(f"The {what} could not be written to {path}: {error}") from None


def fit_head(
    numbers: np.ndarray, labels: np.ndarray, strokes: np.ndarray, options: dict[str, int]
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Fit a head to numbers at painted pixels (:func:`napari_fcnseg.engine.head_training.fit`)."""
    from napari_fcnseg.engine.head_training import fit

    return fit(numbers, labels, strokes, **options)


def load_trainer(network: DenseNetwork, key: str) -> None:
    """Keep a network, under a key, whose arrays can be changed; one is kept at a time for each key."""
    from napari_fcnseg.engine.layer_training import LayerTrainer

    _trainers[key] = LayerTrainer(network)


def forget_trainer(key: str) -> None:
    """Give such a network up."""
    _trainers.pop(key, None)


def gradient(
    key: str, arrays: list[np.ndarray], x: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[float, float, list[np.ndarray]]:
    """Return loss, pixels that are right, and the gradient by each array, of a network that has these arrays.

    See :meth:`napari_fcnseg.engine.layer_training.LayerTrainer.gradient`.

    Raises
    ------
    EngineError
        If the network is not kept: the process was started anew.
    """
    trainer = _trainers.get(key)
    if trainer is None:
        raise EngineError("The computing process was restarted while layers were trained; teach again.")
    trainer.assign(arrays)
    return trainer.gradient(x, labels, weights)


def frameworks() -> list[str]:
    """Return the frameworks that are imported here."""
    return sorted(backend for backend in BACKENDS if PACKAGES.get(backend, backend) in sys.modules)


def free_memory(address: str) -> int | None:
    """Return the bytes of a device's own memory that may still be taken; None where it has none."""
    return present().free_memory(address)


def measure_peak(address: str, precision: str, size: int, repeat: int) -> float:
    """Return a device's measured peak in FLOP/s: a product of matrices of ``size`` squared."""
    multiply = present().product(address, size, _type_of(precision))
    multiply()
    return 2 * size**3 / min(_timed(multiply) for _ in range(repeat))


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
