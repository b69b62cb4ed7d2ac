"""A request to compare masks: a snapshot taken when Compare is pressed. Free of Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_fcnseg._napari.compare.placing import placed_layer, unit_of
from napari_fcnseg._napari.layers.metadata import METADATA, class_names
from napari_fcnseg.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari.layers import Labels

    from napari_fcnseg.comparison import CompareSettings, Placed, Study


@dataclass(frozen=True, eq=False)
class CompareRequest:
    """Masks to compare with a truth.

    Attributes
    ----------
    truth : Labels
        The layer that is A.
    masks : tuple of Labels
        The layers that are B, one after the other.
    maps : tuple of Placed
        Their data and where they lie, the truth first.
    settings : CompareSettings
        What the user chose.
    unit : str
        Of lengths.
    names : mapping of int to str
        What the labels are called, by the first layer that says so.
    provenance : tuple of mapping
        Where they come from, the truth first.
    """

    truth: Labels
    masks: tuple[Labels, ...]
    maps: tuple[Placed, ...]
    settings: CompareSettings
    unit: str
    names: Mapping[int, str]
    provenance: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, truth: Labels | None, masks: Sequence[Labels], settings: CompareSettings) -> CompareRequest:
        """Take a snapshot.

        Raises
        ------
        SettingsError
            If there are no two layers to compare.
        """
        if truth is None:
            raise SettingsError(
                "There is nothing to compare. Open two Labels layers at least, and choose one as truth."
            )
        if not masks:
            raise SettingsError("No mask was chosen. Check at least one under Masks.")
        layers = (truth, *masks)
        named = [names for names in map(class_names, layers) if names]
        return cls(
            truth, tuple(masks), tuple(placed_layer(layer, truth.units) for layer in layers), settings,
            unit_of(truth, min(truth.ndim, 2)), named[0] if named else {}, tuple(map(_provenance, layers)),
        )  # fmt: skip

    def study(self, progress: Callable[[int, int], None]) -> Study:
        """Compare the masks. Slow: call it in a worker."""
        from napari_fcnseg.comparison import study

        return study(
            self.maps[0], self.maps[1:], self.settings, unit=self.unit, class_names=self.names,
            provenance=self.provenance, progress=progress,
        )  # fmt: skip


def _provenance(layer: Labels) -> Mapping[str, Any]:
    entry = layer.metadata.get(METADATA)
    return dict(entry) if isinstance(entry, dict) else {}
