"""A network that labels every pixel by itself, by ONNX Runtime, as it is.

Runs in a computing process alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.errors import EngineError
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.graph.pixel_network import PixelNetwork

_TYPES: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_MEMORY: Final = re.compile(r"alloc|memory", re.I)  # what the dispatcher tells apart by the words
_LONGEST: Final = 200


class PixelProgram:
    """A network that labels every pixel by itself, as a function of windows of an image.

    Parameters
    ----------
    network : PixelNetwork
        The network.
    make_session : callable
        Makes a session of ONNX Runtime of a model's bytes.

    Raises
    ------
    EngineError
        If ONNX Runtime cannot run it.
    """

    def __init__(self, network: PixelNetwork, make_session: Callable[[bytes], Any]) -> None:
        self._network = network
        try:
            self._session = make_session(network.program)
        except EngineError:
            raise
        except Exception as error:  # whatever it finds wrong has a class of its own
            raise EngineError(
                f"ONNX Runtime cannot run the model {network.name!r}: {_said(error)} Ask its authors for "
                "other weights, or update onnxruntime."
            ) from None
        self._type = _TYPES[self._session.get_inputs()[0].type]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the numbers of a window ``(1, *spatial, channel)``: ``(*spatial - 2 * crop, number)``."""
        network = self._network
        given = _arranged(image, _ours(network.takes), network.takes).astype(self._type)
        try:
            (answer,) = self._session.run([network.answer], {network.source: given})
        except Exception as error:
            if _MEMORY.search(str(error)):
                raise
            raise EngineError(
                f"The model {network.name!r} cannot compute an image of {format_shape(image.shape[1:-1])} pixels: "
                f"{_said(error)} Choose another tile size."
            ) from None
        wanted = tuple(n - 2 * crop for n, crop in zip(image.shape[1:-1], network.crop, strict=True))
        letters = _ours(network.gives)
        maps = _arranged(np.asarray(answer, np.float32), network.gives, letters)[0]
        if maps.shape != (*wanted, network.maps):
            raise EngineError(
                f"The model {network.name!r} gives {network.maps} maps of {format_shape(wanted)} pixels by its "
                f"description, and {maps.shape[-1]} of {format_shape(maps.shape[:-1])} were computed. Choose another "
                "tile size, or ask its authors."
            )
        return _numbers(maps, network)

    def window(self, image: np.ndarray, kept: Sequence[tuple[int, int]], every: int) -> np.ndarray:
        """Return the numbers of a part of a window.

        Parameters
        ----------
        image : ndarray, shape (*spatial, channel)
            The window.
        kept : sequence of (int, int)
            Its pixels that are wanted, per axis.
        every : int
            Of those, every Nth.
        """
        crop = self._network.crop
        where = tuple(slice(a - c, b - c, every) for (a, b), c in zip(kept, crop, strict=True))
        return np.ascontiguousarray(self(image[None])[where])


def _said(error: Exception) -> str:
    """Return the first sentence of what ONNX Runtime says, without its codes."""
    text = re.sub(r"^\[ONNXRuntimeError\][^:]*:[^:]*:\s*", "", str(error)).strip().splitlines()
    return (text[0][:_LONGEST] if text else type(error).__name__).rstrip(". ") + "."


def _ours(known: str) -> str:
    """Return the axes of a window of ours: batch, those of space in the order of the known ones, channel."""
    return "b" + "".join(letter for letter in known if letter not in "bc") + "c"


def _arranged(array: np.ndarray, before: str, after: str) -> np.ndarray:
    """Return an array with its axes in another order; batch and channel of length 1 may be new, or go."""
    for letter in "bc":
        if letter in before and letter not in after:
            array, before = array.take(0, axis=before.index(letter)), before.replace(letter, "")
        elif letter in after and letter not in before:
            array, before = array[None], letter + before
    return array.transpose([before.index(letter) for letter in after])


def _numbers(maps: np.ndarray, network: PixelNetwork) -> np.ndarray:
    """Return the numbers of each pixel: what is still to be done is done, the background's is put in front."""
    if network.last == "sigmoid":
        maps = np.float32(1) / (np.float32(1) + np.exp(-np.clip(maps, -80, 80)))
    elif network.last == "softmax":
        maps = np.exp(maps - maps.max(axis=-1, keepdims=True))
        maps /= maps.sum(axis=-1, keepdims=True)
    if network.threshold is None:
        return maps
    # As much above the threshold as the highest map is below it: it wins where none is above.
    background = np.float32(2 * network.threshold) - maps.max(axis=-1, keepdims=True)
    return np.concatenate([background, maps], axis=-1)
