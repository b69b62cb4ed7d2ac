"""Networks as functions of the tensors of whichever framework Keras has. Runs in a computing process alone."""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING, Any

from napari_fcnseg.conversion.dense_network import DenseNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.graph.network import Network


def function_of(network: DenseNetwork | Network, dtype: str) -> Callable[[Any], Any]:
    """Return a network as a function of tensors; its arrays are put on the present device."""
    from napari_fcnseg.engine.dense_function import DenseFunction
    from napari_fcnseg.engine.keras_operations import KerasOperations
    from napari_fcnseg.engine.patch_network import patch_model

    if isinstance(network, DenseNetwork):
        return DenseFunction(network, KerasOperations(dtype))
    return functools.partial(patch_model(network), training=False)


def input_shape(network: DenseNetwork | Network) -> tuple[int | None, ...]:
    """Return the shape of a network's input; None where any length will do."""
    if isinstance(network, DenseNetwork):
        return (1, *(None,) * len(network.patch_shape), network.channels)
    return (None, *network.input_shape)


def import_all() -> None:
    """Import what every network needs, before the user waits for it."""
    import napari_fcnseg.engine.keras_operations  # noqa: F401


def collect(empty: bool) -> None:
    """Give up what nothing refers to any more, and what Keras remembers where no network is left."""
    if empty:
        import keras

        keras.backend.clear_session()
    gc.collect()
