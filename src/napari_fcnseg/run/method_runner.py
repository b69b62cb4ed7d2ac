"""A model's numbers, computed by the engine as the plan says: whole regions, strips, or patch by patch."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, TypeAlias

from napari_fcnseg.conversion.memory import patch_batch
from napari_fcnseg.engine import Device, engine
from napari_fcnseg.engine.device import PROCESSOR
from napari_fcnseg.engine.placing import as_it_is_on
from napari_fcnseg.plan.pixel_method import PixelMethod
from napari_fcnseg.run.pixel_runner import PixelRunner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    import numpy as np
    import numpy.typing as npt

    from napari_fcnseg.arrays.border import WindowReader
    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.plan.method import AnyMethod, Method
    from napari_fcnseg.plan.run_plan import RunPlan

    _Image = npt.NDArray[np.float32]

_PROBE = 96  # pixels per axis of the tile that a time is estimated from, at most


class MethodRunner:
    """Has the engine compute one model's numbers.

    Parameters
    ----------
    method : Method
        How.
    """

    def __init__(self, method: Method) -> None:
        self.method = method

    @property
    def in_strips(self) -> bool:
        """Whether an image can be computed in strips, keeping at each what the next one needs of it."""
        return self.method.in_strips

    def load(self, device: Device) -> Future[float]:
        """Compile the network on a device."""
        method = self.method
        return engine().load(method.dense if method.name == "dense" else method.model.network, device)

    def begin(self, reader: WindowReader, region: Region, device: Device) -> Future[_Image]:
        """Hand a region of output pixels to the engine; :meth:`finish` makes its numbers of what comes back."""
        method, pixels = self.method, self.method.pixels(region)
        if method.name == "dense":
            window = reader.read(pixels, method.dense.reach, method.dense.origin)
            return engine().run(method.dense, device, window[None])
        window = reader.read(pixels, method.model.patch_shape)
        batch = patch_batch(method.dense)
        return engine().run_patches(method.model.network, device, window, method.every, batch)

    def begin_strip(
        self, reader: WindowReader, region: Region, device: Device, number: int, follows: int | None
    ) -> Future[_Image]:
        """Hand a strip to the engine: region ``number``, and the number of the one right above it, if that came last.

        Then only rows are read and computed that the one above did not see.
        """
        dense = self.method.dense
        reach, origin = dense.reach, dense.origin
        if follows is not None:
            reach, origin = (1, *reach[1:]), (origin[0] + reach[0] - 1, *origin[1:])
        window = reader.read(region, reach, origin)
        return engine().run_strip(dense, device, window[None], number, follows)

    def end_strip(self, device: Device, number: int) -> None:
        """Let the engine forget a strip: none will follow it."""
        engine().forget_strip(self.method.dense, device, number)

    def finish(self, answer: _Image) -> _Image:
        """Return the numbers of a region: ``(*size, output)``."""
        numbers: _Image = answer if self.method.name == "patchwise" else answer[0]
        return numbers

    def estimate(self, reader: WindowReader, tiles: Sequence[Region], device: Device) -> float:
        """Return the seconds that tiles will take, from the time of a small part of the first."""
        method = self.method
        first = [start for start, _ in tiles[0]]
        sizes = [tuple(stop - start for start, stop in tile) for tile in tiles]
        if method.name == "dense":
            most = max(1, -(-_PROBE // method.every))
        else:
            most = max(1, round(patch_batch(method.dense) ** (1 / len(first))))
        region = tuple((a, min(a + most, stop)) for a, (_, stop) in zip(first, tiles[0], strict=True))
        self.begin(reader, region, device).result()  # the first call is slower
        start = time.perf_counter()
        self.begin(reader, region, device).result()
        seconds = time.perf_counter() - start
        probe = tuple(b - a for a, b in region)
        if method.name == "patchwise":
            return seconds * sum(map(math.prod, sizes)) / math.prod(probe)
        return seconds * sum(map(method.flop, sizes)) / method.flop(probe)


#: What computes one model's numbers.
AnyRunner: TypeAlias = MethodRunner | PixelRunner


def runner_of(method: AnyMethod) -> AnyRunner:
    """Return what computes a model's numbers as its method says."""
    return PixelRunner(method) if isinstance(method, PixelMethod) else MethodRunner(method)


def devices_of(plan: RunPlan) -> str | None:
    """Return the devices that a plan asks for: the user's, or ONNX Runtime's where nothing else can compute it."""
    return plan.settings.device or (PROCESSOR if _as_they_are(plan) else None)


def usable_of(plan: RunPlan, devices: Sequence[Device]) -> tuple[Device, ...]:
    """Return those devices, or what stands in where they cannot compute the plan's models."""
    return tuple(dict.fromkeys(map(as_it_is_on, devices))) if _as_they_are(plan) else tuple(devices)


def _as_they_are(plan: RunPlan) -> bool:
    return all(isinstance(method, PixelMethod) for method in plan.methods)
