"""What the user chose for teaching, as plain data: JSON in and out."""

from __future__ import annotations

from dataclasses import dataclass

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.border import check_border
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.system.serialization import PlainSettings


@dataclass(frozen=True)
class TeachSettings(PlainSettings):
    """The settings of teaching.

    Attributes
    ----------
    channel_axis : int or None
        Axis of each image that holds the channels; None to find it.
    preprocess : tuple of str, or None
        Steps that each whole image goes through first; None for those that the model's sidecar names, and from nothing
        for ``zero_mean_unit_variance``.
    border : {"reflect", "edge", "constant"}
        What surrounds an image.
    device : str or None
        Where the network's numbers are computed; None for the fastest.
    memory_limit : int or None
        Bytes that the computing process may take in all.
    seed : int
        Of everything random.
    turned : bool
        Whether strokes are seen turned and mirrored too: better where an image has no upright, in more time. Images of
        three axes are only mirrored.
    all_layers : bool
        Whether the network's own layers are trained too, and not the head alone.
    members : int
        Networks that are fitted together, each to all strokes but one part, and averaged.
    width : int
        Hidden numbers of each.

    Raises
    ------
    SettingsError
        If a value is not one of the possible ones.
    """

    channel_axis: int | None = None
    preprocess: tuple[str, ...] | None = None
    border: str = "reflect"
    device: str | None = None
    memory_limit: int | None = None
    seed: int = 0
    turned: bool = True
    all_layers: bool = False
    members: int = 5
    width: int = 64

    def __post_init__(self) -> None:
        if self.preprocess is not None:
            object.__setattr__(self, "preprocess", tuple(map(str, preprocess.parse(self.preprocess))))
        check_border(self.border)
        if self.border == "valid":
            raise SettingsError("Teaching takes the border rules reflect, edge and constant; strokes may be anywhere.")
        for name, low, high in (("seed", 0, 2**31 - 1), ("members", 2, 50), ("width", 1, 1024)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise SettingsError(f"{name} is a whole number from {low} to {high}, not {value!r}.")
        if self.memory_limit is not None and not self.memory_limit > 0:
            raise SettingsError(f"The memory limit is a positive number of bytes, not {self.memory_limit!r}.")
