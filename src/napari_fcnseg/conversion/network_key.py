"""A hash of a network's contents."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_fcnseg.conversion.dense_network import DenseNetwork
    from napari_fcnseg.graph.network import Network


def network_key(network: DenseNetwork | Network) -> str:
    """Return a hash of a network's contents, computed once per object."""
    key: str | None = network.__dict__.get("_key")
    if key is None:
        key = hashlib.sha256(pickle.dumps(network, 5)).hexdigest()
        network.__dict__["_key"] = key  # a memo, which is no part of the frozen value
    return key
