"""The dense network's operations as small Keras layers.

This package imports Keras; it is imported inside functions of :mod:`napari_fcnseg.engine` alone.
"""

from napari_fcnseg.engine.layers.convolutions import DilatedConv, DilatedDepthwise, DilatedPool
from napari_fcnseg.engine.layers.maps import (
    BackToMap,
    Combine,
    Cut,
    PatchTensor,
    SideBySide,
    SomeChannels,
    ZeroMap,
)
from napari_fcnseg.engine.layers.pixels import ChannelAffine, ChannelPReLU, Pointwise

__all__ = [
    "BackToMap",
    "ChannelAffine",
    "ChannelPReLU",
    "Combine",
    "Cut",
    "DilatedConv",
    "DilatedDepthwise",
    "DilatedPool",
    "PatchTensor",
    "Pointwise",
    "SideBySide",
    "SomeChannels",
    "ZeroMap",
]
