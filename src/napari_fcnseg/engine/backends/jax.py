"""JAX through XLA: the processor, NVIDIA and AMD cards, TPUs. Runs in a computing process alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.conversion.dense_network import DenseNetwork
from napari_fcnseg.engine import hardware
from napari_fcnseg.engine.backends.keras_functions import collect, function_of, import_all
from napari_fcnseg.engine.device import Device, device_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.engine.backends import Compiled
    from napari_fcnseg.graph.network import Network

_AMPERE = 8.0  # the first compute capability with TF32
_WASTE = 1.25  # a smaller image is rather computed as a larger one by this factor than compiled for


def start(tf32: bool) -> tuple[Device, ...]:
    """Import JAX and return its devices (:class:`napari_fcnseg.engine.backends.Backend`)."""
    import jax

    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if tf32 else "highest")
    import_all()
    found = jax.devices()
    accelerators = [d for d in found if d.platform != "cpu"]
    processors = jax.devices("cpu")
    return (
        *(_accelerator(number, device) for number, device in enumerate(accelerators)),
        *(
            Device(
                device_key("jax", "CPU", number),
                f"cpu:{number}",
                hardware.cpu_name(),
                "jax",
                len(accelerators) + number,
            )
            for number in range(len(processors))
        ),
    )


def _accelerator(number: int, device: Any) -> Device:
    kind = device.platform.upper()
    apart = kind == "GPU"  # an environment variable leaves a process with one of them, its first
    stats = device.memory_stats() or {}
    try:
        tf32 = float(device.compute_capability) >= _AMPERE
    except (AttributeError, ValueError):
        tf32 = False
    return Device(
        device_key("jax", kind, number),
        f"{device.platform}:{0 if apart else number}",
        str(device.device_kind),
        "jax",
        number if apart else 0,
        stats.get("bytes_limit"),
        ("float32", *(("tf32",) if tf32 else ()), "bfloat16", "float16"),
    )


def _device(address: str) -> Any:
    import jax

    platform, number = address.split(":")
    return jax.devices(platform)[int(number)]


def compiled(network: DenseNetwork | Network, address: str, dtype: str) -> Compiled:
    """Return a network that is compiled for each shape of its input, and for few shapes.

    Where the input is somewhat smaller than one it is already compiled for, as at an image's end, zeros are put behind
    it and their answers dropped: no answer looks beyond its own patch.
    """
    import jax

    device = _device(address)
    with jax.default_device(device):
        call = jax.jit(function_of(network, dtype))
    known: list[tuple[int, ...]] = []

    def run(x: np.ndarray) -> np.ndarray:
        target = x.shape if x.shape in known else fitting(known, x.shape)
        if target not in known:
            known.append(target)
        given = x if target == x.shape else np.pad(x, [(0, b - a) for a, b in zip(x.shape, target, strict=True)])
        answer = np.asarray(call(jax.device_put(given, device)))
        if target == x.shape:
            return answer
        if not isinstance(network, DenseNetwork):
            return answer[: len(x)]
        return answer[(slice(None), *(slice(n) for n in _places(network, x.shape[1:-1])))]

    return run


def _places(network: DenseNetwork, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return how many answers a dense network has per axis for the spatial shape of an image."""
    return tuple((n - reach) // every + 1 for n, reach, every in zip(shape, network.reach, network.every, strict=True))


def fitting(known: list[tuple[int, ...]], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the smallest known shape that holds another and is not much larger, or that shape itself."""
    holding = [k for k in known if all(a <= b for a, b in zip(shape, k, strict=True))]
    best = min(holding, key=math.prod, default=shape)
    return best if math.prod(best) <= _WASTE * math.prod(shape) else shape


def free_memory(address: str) -> int | None:
    """Return what JAX may still take."""
    stats = _device(address).memory_stats()
    return stats["bytes_limit"] - stats["bytes_in_use"] if stats and "bytes_limit" in stats else None


def product(address: str, size: int, dtype: str) -> Callable[[], object]:
    """Return a function that multiplies two matrices and waits for the result."""
    import jax

    a = jax.device_put(np.random.default_rng(0).standard_normal((size, size), np.float32), _device(address))
    a = a.astype(dtype)
    multiply = jax.jit(lambda m: m @ m)
    return lambda: multiply(a).block_until_ready()


def release(empty: bool) -> None:
    """Collect what nothing refers to any more."""
    collect(empty)
