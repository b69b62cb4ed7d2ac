"""What became of each layer, and what the dense network costs against patch by patch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LayerReport:
    """One layer of the model file.

    Attributes
    ----------
    layer, layer_type : str
        The layer's own name and its class.
    became : str
        What it is in the dense network, in words.
    dilation : tuple of int or None
        Pixels between the taps of its window, per axis; None where it has no window.
    receptive_field : tuple of int
        Pixels per axis that one number of its result depends on.
    channels : int
        Channels of its result.
    flop_per_pixel : int
        Floating-point operations of the dense form for one pixel.
    flop_per_patch : int
        Floating-point operations of the layer in the patch network for one patch, that is, for one pixel.
    """

    layer: str
    layer_type: str
    became: str
    dilation: tuple[int, ...] | None
    receptive_field: tuple[int, ...]
    channels: int
    flop_per_pixel: int
    flop_per_patch: int


@dataclass(frozen=True)
class ConversionReport:
    """The conversion of a whole network.

    Attributes
    ----------
    patch_shape : tuple of int
        Spatial shape of a patch.
    receptive_field : tuple of int
        Pixels per axis that the answer depends on; at most the patch.
    layers : tuple of LayerReport
        One entry per layer of the model file, in its order.
    notes : tuple of str
        Sentences the user should read.
    """

    patch_shape: tuple[int, ...]
    receptive_field: tuple[int, ...]
    layers: tuple[LayerReport, ...]
    notes: tuple[str, ...] = ()

    @property
    def flop_per_pixel(self) -> int:
        """Floating-point operations of the dense network for one pixel, tile borders not counted."""
        return sum(layer.flop_per_pixel for layer in self.layers)

    @property
    def flop_per_patch(self) -> int:
        """Floating-point operations of the patch network for one patch."""
        return sum(layer.flop_per_patch for layer in self.layers)

    @property
    def speedup_ceiling(self) -> float:
        """How many times less arithmetic the dense network needs: the ceiling of any honest speed-up."""
        return self.flop_per_patch / max(self.flop_per_pixel, 1)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data for JSON, totals included."""
        return {
            **asdict(self),
            "flop_per_pixel": self.flop_per_pixel,
            "flop_per_patch": self.flop_per_patch,
            "speedup_ceiling": self.speedup_ceiling,
        }

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table's rows as text, in the order of :data:`COLUMNS`."""
        return [
            (
                layer.layer,
                layer.layer_type,
                layer.became,
                by(layer.dilation) if layer.dilation else "",
                by(layer.receptive_field),
                str(layer.channels),
                f"{layer.flop_per_pixel:,}" if layer.flop_per_pixel else "",
            )
            for layer in self.layers
        ]

    def summary(self) -> str:
        """Return the totals as a sentence."""
        return (
            f"Patch {by(self.patch_shape)}, receptive field {by(self.receptive_field)}: "
            f"{self.flop_per_pixel:,} FLOP per pixel against {self.flop_per_patch:,} patch by patch, "
            f"{self.speedup_ceiling:.3g} × less."
        )


#: Headings of :meth:`ConversionReport.rows`.
COLUMNS = ("layer", "type", "became", "dilation", "receptive field", "channels", "FLOP/pixel")


def by(numbers: tuple[int, ...]) -> str:
    """Return ``(3, 4)`` as ``"3 × 4"``."""
    return " × ".join(map(str, numbers))
