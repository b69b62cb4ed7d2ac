"""The architectures published with DeepCell in 2016, as a table.

Of every family the arithmetic was checked: its windows and pools leave one position of a patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Family:
    """One published architecture.

    Attributes
    ----------
    name : str
        What its authors call it.
    patch : int
        Edge of the patch.
    layers : str
        Convolutions ``FILTERS/WINDOW`` and ``pool`` (2 × 2) in the order in which Keras 1 numbered them. A side branch
        names what it reads: ``200/14@pool1``, ``@conv6``, ``@norm4``, ``@act5``.
    joined : tuple of int
        Numbers of the convolutions whose activations are concatenated and flattened.
    features : int
        Of the hidden dense layer.
    normalized : bool
        Whether batch normalisation follows every layer but the last.
    """

    name: str
    patch: int
    layers: str
    joined: tuple[int, ...]
    features: int
    normalized: bool

    def steps(self) -> tuple[Step | None, ...]:
        """Give all convolutions, and None for every pool, in order."""
        return tuple(_step(text) for text in self.layers.split())


@dataclass(frozen=True)
class Step:
    """One convolution.

    Attributes
    ----------
    filters, window : int
        How many, and their edge.
    source : str
        What it reads: ``"pool1"``, ``"conv6"`` …, or nothing for the step before.
    """

    filters: int
    window: int
    source: str


def _step(text: str) -> Step | None:
    size, _, source = text.partition("@")
    filters, _, window = size.partition("/")
    return Step(int(filters), int(window), source) if window else None


_NET_31 = "32/4 pool 64/3 64/3 pool 128/3 200/3"
_NET_61 = "64/3 64/4 pool 64/3 64/3 pool 64/3 64/3 pool 200/4"
_NET_81 = "64/3 64/4 pool 64/3 64/3 64/3 pool 64/3 64/3 pool 64/3 200/4"
_NET_101 = "32/4 pool 64/4 64/3 pool 128/3 128/3 128/3 pool 256/3 256/3 512/4"
_MULTIRES_31 = "32/4 pool 64/3 64/3 pool 128/3 200/14@pool1 200/3@norm4"
_MULTIRES_61 = "64/3 64/4 pool 64/3 64/3 pool 128/3 128/3 pool 256/28@pool1 256/12@pool2 256/4@pool3"
_MULTIRES_81 = "32/3 32/4 pool 64/3 64/3 64/3 pool 128/3 128/3 pool 128/3 256/32@act5 256/12@act7 256/4@act8"
_MULTIRES_101 = "64/4 pool 64/4 64/3 pool 64/3 64/3 64/3 pool 200/16@conv6 64/3@pool3 64/3 200/4"

FAMILIES: Final = (
    Family("feature_net_31x31", 31, _NET_31, (5,), 200, False),
    Family("feature_net_61x61", 61, _NET_61, (7,), 200, False),
    Family("feature_net_81x81", 81, _NET_81, (9,), 200, False),
    Family("feature_net_101x101", 101, _NET_101, (9,), 512, False),
    Family("feature_net_multires_61x61", 61, _MULTIRES_61, (7, 8, 9), 512, False),
    Family("bn_feature_net_21x21", 21, "32/4 32/3 pool 32/3 32/3 200/4", (5,), 200, True),
    Family("bn_feature_net_31x31", 31, _NET_31, (5,), 200, True),
    Family("bn_feature_net_61x61", 61, _NET_61, (7,), 200, True),
    Family("bn_feature_net_81x81", 81, _NET_81, (9,), 200, True),
    Family("bn_feature_net_multires_31x31", 31, _MULTIRES_31, (5, 6), 512, True),
    Family("bn_feature_net_multires_61x61", 61, _MULTIRES_61, (7, 8, 9), 512, True),
    Family("bn_feature_net_multires_81x81", 81, _MULTIRES_81, (9, 10, 11), 512, True),
    Family("bn_feature_net_multires_101x101", 101, _MULTIRES_101, (7, 10), 200, True),
)
