"""A hash of a network's contents."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_fcnseg.conversion.dense_network import DenseNetwork

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.pixel_network import PixelNetwork


def network_key(network: DenseNetwork | Network | PixelNetwork) -> str:
    """Return a hash of a network's contents, computed once per object, and of how a dense one is computed."""
    keys: dict[str, str] = network.__dict__.get("_keys", {})
    if "" not in keys:
        content = replace(network, ways="") if isinstance(network, DenseNetwork) else network
        keys[""] = hashlib.sha256(pickle.dumps(content, 5)).hexdigest()
        network.__dict__["_keys"] = keys  # a memo, which is no part of the frozen value
    ways = network.ways if isinstance(network, DenseNetwork) else ""
    if ways not in keys:
        keys[ways] = hashlib.sha256(f"{keys['']} {ways}".encode()).hexdigest()
    return keys[ways]
