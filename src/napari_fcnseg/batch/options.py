"""What was chosen for every image of a batch beside the settings of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from napari_fcnseg.system.saving import PYTHON

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ImageOptions:
    """What was chosen for every image beside the settings, as plain data.

    Attributes
    ----------
    verify : bool
        Whether each result is compared with the patch model itself.
    overwrite : bool
        Whether everything is computed anew, and earlier results are replaced.
    advice : str
        How to have that, as the end of a sentence.
    series : int or None
        Which image of each file that holds several.
    rescale : tuple of float or None
        Models see each image so many times as large; an empty one: by the pixel sizes of image and sidecar.
    """

    verify: bool = False
    overwrite: bool = False
    advice: str = PYTHON
    series: int | None = None
    rescale: tuple[float, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make it of what :meth:`as_dict` has returned."""
        rescale = data["rescale"]
        return cls(**{**data, "rescale": tuple(rescale) if rescale is not None else None})

    def for_record(self) -> dict[str, Any]:
        """Return what results depend on, by its name."""
        chosen = {"series": self.series, "rescale": self.rescale}
        return {name: value for name, value in chosen.items() if value is not None}
