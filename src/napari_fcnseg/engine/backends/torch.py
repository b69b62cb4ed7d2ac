"""PyTorch: the processor, NVIDIA and AMD cards, Apple's and Intel's. Runs in a computing process alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fcnseg.engine import hardware
from napari_fcnseg.engine.backends.keras_functions import collect, function_of, import_all
from napari_fcnseg.engine.device import Device, device_key

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.engine.backends import Compiled
    from napari_fcnseg.graph.network import Network

_AMPERE = (8, 0)  # the first compute capability with TF32


def start(tf32: bool) -> tuple[Device, ...]:
    """Import PyTorch and return its devices (:class:`napari_fcnseg.engine.backends.Backend`)."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    import_all()
    found = _cuda()
    if torch.backends.mps.is_available():
        found.append(Device(device_key("torch", "GPU", 0), "mps:0", f"{hardware.cpu_name()} GPU", "torch"))
    found += _intel(len(found))
    cpu = Device(device_key("torch", "CPU", 0), "cpu", hardware.cpu_name(), "torch", len(found))
    return (*found, cpu)


def _cuda() -> list[Device]:
    """Return NVIDIA's cards, and AMD's, which PyTorch calls by the same name."""
    import torch

    devices = []
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(number)
        tf32 = torch.version.cuda is not None and (properties.major, properties.minor) >= _AMPERE
        devices.append(
            Device(
                device_key("torch", "GPU", number),
                "cuda:0",
                properties.name,
                "torch",
                number,
                int(properties.total_memory),
                ("float32", *(("tf32",) if tf32 else ()), "bfloat16", "float16"),
            )
        )
    return devices


def _intel(before: int) -> list[Device]:
    import torch

    if not torch.xpu.is_available():
        return []
    found = [torch.xpu.get_device_properties(number) for number in range(torch.xpu.device_count())]
    return [
        Device(device_key("torch", "GPU", before + n), f"xpu:{n}", p.name, "torch", 0, int(p.total_memory))
        for n, p in enumerate(found)
    ]


def compiled(network: DenseNetwork | Network, address: str, dtype: str) -> Compiled:
    """Return a network that runs one operation after the other."""
    import keras
    import torch

    with keras.device(address):
        call = function_of(network, dtype)

    def run(x: np.ndarray) -> np.ndarray:
        with keras.device(address), torch.inference_mode():
            answer: np.ndarray = call(torch.from_numpy(x).to(address)).cpu().numpy()
        return answer

    return run


def free_memory(address: str) -> int | None:
    """Return what the driver has free, and what this process has reserved and does not use."""
    import torch

    kind = address.split(":")[0]
    if kind == "cuda":
        free, _ = torch.cuda.mem_get_info(address)
        return int(free + torch.cuda.memory_reserved(address) - torch.cuda.memory_allocated(address))
    if kind == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    if kind == "xpu":
        return int(torch.xpu.mem_get_info(address)[0])
    return None


def product(address: str, size: int, dtype: str) -> Callable[[], object]:
    """Return a function that multiplies two matrices and waits for the result."""
    import torch

    with torch.inference_mode():
        a = torch.randn((size, size), generator=torch.Generator().manual_seed(0)).to(address, getattr(torch, dtype))

    def multiply() -> object:
        with torch.inference_mode():
            return (a @ a)[0, 0].item()

    return multiply


def release(empty: bool) -> None:
    """Collect what nothing refers to any more, and empty the allocator's store."""
    import torch

    collect(empty)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if torch.xpu.is_available():
        torch.xpu.empty_cache()
