"""The size of the patch, where the user says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.graph.pixel_network import PixelNetwork
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.graph.network import Network


def check_sizes(networks: Sequence[Network | PixelNetwork], sizes: tuple[int, ...]) -> None:
    """Refuse a size of the patch for a model that has its own."""
    for network in networks:
        if isinstance(network, PixelNetwork):
            raise SettingsError(
                f"The model {network.name!r} labels every pixel of an image of any size: it has no patches. Leave the "
                "patch size out."
            )
        own = network.patch_shape
        if len(own) == len(sizes) and own != sizes:  # bands that became channels are no axis of the patch
            raise SettingsError(
                f"The model {network.name!r} takes patches of {format_shape(own)} only, not {format_shape(sizes)}. "
                "Leave the patch size out."
            )
