"""An axis of the patch that is none to slide over: the spectral bands of a hyperspectral image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import AxisToChannels

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.readers.options import ReadOptions


def with_bands(network: Network, options: ReadOptions) -> Network:
    """Take an axis for bands where the user says so, or where the network leaves little doubt.

    Bands are used up whole: the image has as many as the patch. A network of three axes whose last one is bands makes
    channels of it half-way, or its patch is square and deeper than wide, which no volume of a microscope is.

    Parameters
    ----------
    network : Network
        As it was read.
    options : ReadOptions
        What the user says.

    Raises
    ------
    UnreadableError
        There is no such axis.
    """
    said, rank = options.bands_axis, len(network.patch_shape)
    axis = said if said is not None else _recognised(network)
    if axis is None or axis < 0:
        return network
    if not axis < rank or rank < 2:
        raise UnreadableError(
            f"its patch has no spatial axis {axis} that could be bands, but {rank} in all",
            'Correct "bands_axis" in the sidecar: axes are counted from 0.',
        )
    shape, count = network.patch_shape, network.patch_shape[axis]
    rest = (*shape[:axis], *shape[axis + 1 :])
    notes = network.notes
    if said is None:
        notes += (
            f"The last axis of its patch {shape} is taken for {count} spectral bands: they are the channels of the "
            "image, and each pixel gets one label. If it is the depth of a volume, write "
            '"bands_axis": -1 into the sidecar.',
        )
    return replace(network, input_shape=(*rest, count * network.channels), bands=(axis, count), notes=notes)


def _recognised(network: Network) -> int | None:
    if len(network.patch_shape) != 3 or network.channels != 1:
        return None
    height, width, depth = network.patch_shape
    joined = {op.axis for node in network.nodes for op in node.ops if isinstance(op, AxisToChannels)}
    return 2 if joined == {2} or height == width < depth else None
