"""A dense network that is trained in the computing process, as this process sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fcnseg.conversion.network_key import network_key

if TYPE_CHECKING:
    from concurrent.futures import Future

    import numpy as np

    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.system.child_process import ChildProcess


class Trainer:
    """Asks for gradients; the arrays go with each question, so that the process need remember nothing.

    Parameters
    ----------
    child : ChildProcess
        With TensorFlow.
    network : DenseNetwork
        What is trained; ends with a softmax.
    """

    def __init__(self, child: ChildProcess, network: DenseNetwork) -> None:
        self._child, self._key = child, network_key(network)
        self._loaded: Future[None] = child.call("load_trainer", network, self._key)

    def gradient(
        self, arrays: list[np.ndarray], x: np.ndarray, labels: np.ndarray, weights: np.ndarray
    ) -> tuple[float, float, list[np.ndarray]]:
        """Return loss, pixels that are right, and the gradient by each array.

        Parameters
        ----------
        arrays : list of ndarray
            Of the network's operations, in their order.
        x : ndarray of float32, shape (n, *window, channel)
            Windows.
        labels : ndarray of int32, shape (n, *tile)
            Class index of each pixel.
        weights : ndarray of float32, shape (n, *tile)
            What its loss counts; 0 where nothing is known.

        Raises
        ------
        FcnSegError
            If the process ended, or lacks memory.
        """
        self._loaded.result()
        answer: Any = self._child.call("gradient", self._key, arrays, x, labels, weights).result()
        loss, right, found = answer
        return loss, right, found

    def close(self) -> None:
        """Have the process give it up; return at once."""
        self._child.call("forget_trainer", self._key)
