"""Dense network to numbers: the compiled network on a device, in a process of its own."""

from napari_fcnseg.engine.device import Device
from napari_fcnseg.engine.session import Engine, engine

__all__ = ["Device", "Engine", "engine"]
