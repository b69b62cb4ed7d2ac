"""The network that teaching starts from where there is none: fixed filters at several scales, nothing learned.

Each scale has half the resolution of the one before it. At each, an image is blurred, and its slopes and curvatures are
taken in several directions; how strong the slopes are on average, and the largest and the smallest curvature, do not
depend on how the image is turned. The strengths are blurred further with the image, and so say how rough a place is
(Bruna and Mallat 2013, "Invariant scattering convolution networks", IEEE TPAMI 35(8)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Conv, Crop, Flatten, Merge, Pool
from napari_fcnseg.teaching.taps import FEATURES

if TYPE_CHECKING:
    from napari_fcnseg.graph.ops import Op

SCALES: Final = 4
_TAPS: Final = 5  # of every filter
_SIGMA: Final = 1.0
_SLOPES: Final = 8  # directions
_CURVATURES: Final = 4
_AROUND: Final = 3  # places per axis at each scale at which the blurred image is read
_Filter = npt.NDArray[np.float64]


def starter_network(channels: int) -> Network:
    """Return the network for images of two axes and so many channels; its answer are numbers, not classes.

    Examples
    --------
    >>> network = starter_network(channels=2)
    >>> network.patch_shape
    (105, 105)
    """
    size = _TAPS + _AROUND - 1  # of the coarsest scale
    for _ in range(SCALES - 1):
        size = 2 * (size - 1) + 2 * _TAPS - 1
    maker = _Maker(channels, size)
    name, width, edge = INPUT, channels, size
    for scale in range(SCALES):
        maker.read(scale, name, width, edge)
        if scale < SCALES - 1:
            name, width, edge = maker.coarser(scale, name, width, edge)
    wide = maker.add("surroundings", "AveragePooling2D", Pool("average", (edge, edge), (edge, edge)), name)
    maker.answer.append(wide)
    joined = maker.add("filters", "Concatenate", Merge("concatenate"), *maker.answer)
    maker.add(FEATURES, "Flatten", Flatten(), joined)
    return Network("starter", (size, size, channels), tuple(maker.nodes), FEATURES)


class _Maker:
    """The network as far as it is made."""

    def __init__(self, channels: int, size: int) -> None:
        self.channels, self.size = channels, size
        self.nodes: list[Node] = []
        self.answer: list[str] = []

    def add(self, name: str, kind: str, op: Op, *inputs: str) -> str:
        self.nodes.append(Node(name, kind, (op,), inputs))
        return name

    def filtered(self, name: str, kernel: npt.NDArray[np.float32], source: str, *, stride: int = 1) -> str:
        return self.add(name, "Conv2D", Conv(kernel, None, (stride, stride), (1, 1)), source)

    def cropped(self, name: str, source: str, edge: int, to: int) -> str:
        side = (edge - to) // 2
        return self.add(name, "Cropping2D", Crop(((side, side),) * 2), source) if side else source

    def read(self, scale: int, source: str, width: int, edge: int) -> None:
        """Read the middle of a scale: the image at several places, what is carried with it, and its filters."""
        middle = self.cropped(f"middle_{scale}", source, edge, _AROUND)
        spread = np.zeros((_AROUND, _AROUND, width, _AROUND * _AROUND * self.channels + width - self.channels))
        for place, (row, col) in enumerate(np.ndindex(_AROUND, _AROUND)):
            for c in range(self.channels):
                spread[row, col, c, place * self.channels + c] = 1
        for extra in range(width - self.channels):
            spread[_AROUND // 2, _AROUND // 2, self.channels + extra, _AROUND**2 * self.channels + extra] = 1
        self.answer.append(self.filtered(f"places_{scale}", np.asarray(spread, np.float32), middle))
        near = self.cropped(f"near_{scale}", source, edge, _TAPS)
        bends = [
            self.filtered(f"bend_{scale}_{n}", self._alone([_bend(np.pi * n / _CURVATURES)], width), near)
            for n in range(_CURVATURES)
        ]
        self.answer.append(self.add(f"most_bent_{scale}", "Maximum", Merge("maximum"), *bends))
        self.answer.append(self.add(f"least_bent_{scale}", "Minimum", Merge("minimum"), *bends))
        self.answer.append(self._strengths(f"near_{scale}", near, width))

    def coarser(self, scale: int, source: str, width: int, edge: int) -> tuple[str, int, int]:
        """Return the next scale: name, channels and size of its map."""
        strengths = self._strengths(f"scale_{scale}", source, width)
        image = self.cropped(f"inner_{scale}", source, edge, edge - _TAPS + 1)
        joined = self.add(f"carried_{scale}", "Concatenate", Merge("concatenate"), image, strengths)
        wide = width + 2 * self.channels
        kernel = np.einsum("rc,io->rcio", _blur(), np.eye(wide))
        name = self.filtered(f"scale_{scale + 1}", np.asarray(kernel, np.float32), joined, stride=2)
        return name, wide, (edge - 2 * _TAPS + 1) // 2 + 1

    def _strengths(self, name: str, source: str, width: int) -> str:
        """Return how steep and how bent the image is, whatever the direction: two numbers per channel."""
        kernels = [_slope(2 * np.pi * n / _SLOPES) for n in range(_SLOPES)]
        kernels += [sign * (_bend(0.0) + _bend(np.pi / 2)) for sign in (1, -1)]
        parts = self.filtered(f"{name}_parts", self._alone(kernels, width), source)
        parts = self.add(f"{name}_positive", "ReLU", Activation("relu"), parts)
        sums = np.zeros((1, 1, len(kernels) * self.channels, 2 * self.channels), np.float32)
        for n in range(len(kernels)):
            for c in range(self.channels):
                sums[0, 0, n * self.channels + c, c if n < _SLOPES else self.channels + c] = (
                    np.pi / _SLOPES if n < _SLOPES else 1
                )
        return self.filtered(f"{name}_strengths", sums, parts)

    def _alone(self, filters: list[_Filter], width: int) -> npt.NDArray[np.float32]:
        """Return a kernel with each filter for each channel of the image alone; what is carried with it is not read."""
        kernel = np.zeros((_TAPS, _TAPS, width, len(filters) * self.channels), np.float32)
        for n, one in enumerate(filters):
            for c in range(self.channels):
                kernel[:, :, c, n * self.channels + c] = one
        return kernel


def _grid() -> tuple[_Filter, _Filter, _Filter]:
    rows, cols = np.mgrid[:_TAPS, :_TAPS] - (_TAPS // 2.0)
    bell = np.exp(-(rows**2 + cols**2) / (2 * _SIGMA**2))
    return rows, cols, bell / bell.sum()


def _blur() -> _Filter:
    return _grid()[2]


def _slope(angle: float) -> _Filter:
    rows, cols, bell = _grid()
    along = np.sin(angle) * rows + np.cos(angle) * cols
    kernel = along * bell
    return np.asarray(kernel / np.sum(kernel * along))


def _bend(angle: float) -> _Filter:
    rows, cols, bell = _grid()
    along = np.sin(angle) * rows + np.cos(angle) * cols
    kernel = (along**2 / _SIGMA**2 - 1) * bell
    kernel -= bell * kernel.sum()
    return np.asarray(kernel / np.sum(kernel * along**2) * 2)
