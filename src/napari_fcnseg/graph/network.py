"""A patch network: named layers, each a short sequence of operations, joined by edges."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_fcnseg.graph.ops import Op

#: The name by which nodes refer to the network's input.
INPUT = "<input>"


@dataclass(frozen=True)
class Node:
    """One layer of the model file.

    Attributes
    ----------
    name : str
        The layer's own name, as the user knows it. Unique within a network: a layer of a model inside the model is
        ``outer/inner``, the second use of a shared layer ``name (2)``.
    layer_type : str
        Its Keras class, for example ``"Conv2D"``.
    ops : tuple of Op
        What it does, in order: a ``Conv2D`` with ``activation="relu"`` is ``(Conv, Activation)``.
    inputs : tuple of str
        Names of the nodes it reads, or :data:`INPUT`; several only where the first operation is a ``Merge``.
    """

    name: str
    layer_type: str
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Network:
    """A patch network as data.

    Attributes
    ----------
    name : str
        The model's own name.
    input_shape : tuple of int
        Shape of one patch, ``(*spatial, channel)``. A model with several inputs of the same patch reads them one after
        the other from the channels.
    nodes : tuple of Node
        In an order in which every node follows what it reads.
    output : str
        The node whose result is the network's answer; nodes it does not depend on are left out.
    outputs : tuple of str
        All answers the model file offers, by their names there; empty where there is only one.
    input_names : tuple of str
        What the file calls each channel's input, one name per channel, where the model has several inputs.
    files : tuple of str
        Names of the files it was read from beside the one that was opened, or inside the folder that was.
    notes : tuple of str
        What the reader wants the user to know (for example weights stored in half precision).
    said : mapping
        What the file says of the model in the terms of a sidecar, unchecked; empty where it says nothing.
    bands : (int, int) or None
        A spatial axis of the nodes' tensors that is none of the image's, and its length: spectral bands, which the
        network uses up whole and which lie in the image's channels, the band slower than a band's own channels.
    """

    name: str
    input_shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    output: str
    notes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    input_names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    bands: tuple[int, int] | None = None
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tensor_shape(self) -> tuple[int, ...]:
        """Shape of one patch as the nodes see it, ``(*spatial, channel)``, the bands among the spatial axes."""
        if self.bands is None:
            return self.input_shape
        axis, count = self.bands
        return (*self.patch_shape[:axis], count, *self.patch_shape[axis:], self.channels // count)

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """Spatial shape of one patch."""
        return self.input_shape[:-1]

    @property
    def channels(self) -> int:
        """Number of input channels."""
        return self.input_shape[-1]
