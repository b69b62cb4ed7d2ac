"""Which device really runs a network, where the chosen one cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_fcnseg.engine import hardware
from napari_fcnseg.engine.device import PROCESSOR, REFERENCE, Device, device_key

if TYPE_CHECKING:
    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.pixel_network import PixelNetwork


def runs_on(network: DenseNetwork | Network | PixelNetwork, device: Device) -> Device:
    """Return how a device runs a network: the patch network is the reference, always exact, and Keras's."""
    from napari_fcnseg.conversion.dense_network import DenseNetwork  # here, because the dock opens without it
    from napari_fcnseg.graph.pixel_network import PixelNetwork

    if isinstance(network, PixelNetwork):
        return replace(as_it_is_on(device), precision="float32")
    if isinstance(network, DenseNetwork):
        return device
    return replace(device, precision="float32") if device.runs_patches else reference()


def as_it_is_on(device: Device) -> Device:
    """Return the device that runs a network as it is, which ONNX Runtime alone does: the processor for all others."""
    if device.backend == PROCESSOR:
        return device
    key = device_key(PROCESSOR, "CPU", 0)
    return Device(key, "CPUExecutionProvider", hardware.cpu_name(), PROCESSOR, precisions=("float32",), library="MLAS")


def reference() -> Device:
    """Return the processor by TensorFlow, in a process of its own that is started when somebody asks for it."""
    return Device(device_key(REFERENCE, "CPU", 0), "/device:CPU:0", hardware.cpu_name(), REFERENCE, process=1)


def with_precision(device: Device, precision: str) -> Device:
    """Return a device with the arithmetic asked for, or exact where it has none of it.

    The processor has numbers shorter than float32 by TensorFlow.
    """
    if precision not in device.precisions and device.key == device_key(PROCESSOR, "CPU", 0):
        device = reference() if precision in reference().precisions else device
    return replace(device, precision=precision if precision in device.precisions else "float32")
