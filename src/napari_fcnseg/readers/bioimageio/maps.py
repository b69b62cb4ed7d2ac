"""What a network's maps are: classes, of which the highest wins, or things that each stand for themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.system.safe_json import is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.readers.bioimageio.facts import Tensor

_HALF: Final = 0.5
#: Steps after a network that make an image of its maps, or objects, and no classes.
_OTHERWISE: Final = (
    "scale_linear", "scale_range", "scale_mean_variance", "zero_mean_unit_variance", "fixed_zero_mean_unit_variance",
)  # fmt: skip
#: Words of tags that say so.
_RESTORES: Final = re.compile(r"denois|restor|super-?resolution|deconvol|deblur|image-to-image|translation", re.I)
_LABELS: Final = re.compile(r"segment|classif|detect|mask|label", re.I)
#: Programs whose networks give something else than classes, by the name under ``config``, and what that is.
_PROGRAMS: Final = {
    "stardist": "distances to the border of objects (StarDist)",
    "cellpose": "flows to the middle of objects (Cellpose)",
    "careamics": "a restored image (CAREamics)",
    "csbdeep": "a restored image (CSBDeep)",
}
_ADVICE: Final = "Run it with the program that it was made for, or with bioimageio.core."


@dataclass(frozen=True)
class Maps:
    """What a network's maps are.

    Attributes
    ----------
    last : {"", "sigmoid", "softmax"}
        What is still to be done to them.
    threshold : float or None
        Where each stands for itself.
    head : {"softmax", "sigmoid", "scores"}
        What the numbers are then.
    notes : tuple of str
        What the user should know of it.
    """

    last: Literal["", "sigmoid", "softmax"]
    threshold: float | None
    head: Literal["softmax", "sigmoid", "scores"]
    notes: tuple[str, ...] = ()

    def names(self, channels: Sequence[str], count: int) -> tuple[str, ...]:
        """Return the names of the classes for those of the maps, as far as anybody says them."""
        own = ("background",) if self.threshold is not None else ()
        if len({*own, *channels}) != len(own) + len(channels):  # one name twice tells nothing apart
            channels = ()
        if self.threshold is None or not count:
            return tuple(channels)
        if not channels:
            channels = ("foreground",) if count == 1 else [f"map {n + 1}" for n in range(count)]
        return (*own, *channels)


def maps_of(data: dict[str, Any], output: Tensor, operator: str, count: int) -> Maps:
    """Find out what the maps of an output are.

    Parameters
    ----------
    data : dict
        The package's description.
    output : Tensor
        The output, with the steps after it.
    operator : str
        The operator that makes the maps.
    count : int
        How many maps there are.

    Raises
    ------
    UnreadableError
        If they are no classes.
    """
    _check_purpose(data)
    last: Literal["", "sigmoid", "softmax"] = ""
    threshold: float | None = None
    for step in output.steps:
        name = str(step.get("id"))[:60] if isinstance(step, dict) else "?"
        if name == "sigmoid":
            last = "sigmoid"
        elif name == "softmax":
            last = "softmax"
        elif name == "binarize":
            threshold = _threshold(step)
        elif name in _OTHERWISE:
            _refuse(f"it gives an image and no classes: {name} is done to what comes out")
        elif name not in ("ensure_dtype", "clip"):
            _refuse(f"{name!r} is to be done to what comes out, and this program does not have it")
    return _read(last, threshold, operator, count, has_background="background" in map(str.lower, output.channels))


def _read(
    last: Literal["", "sigmoid", "softmax"], threshold: float | None, operator: str, count: int, has_background: bool
) -> Maps:
    made = last or operator.lower()
    if threshold is None and count > 1 and (made != "sigmoid" or has_background):
        return Maps(last, None, "softmax" if made == "softmax" else "sigmoid" if made == "sigmoid" else "scores")
    limit = _HALF if threshold is None else threshold
    probable = made in ("sigmoid", "softmax")
    notes = []
    if count > 1:
        notes.append(
            f"Its {count} maps stand for themselves: a pixel has the label of the highest, and where none is above "
            f"{limit:g} it is background."
        )
    else:
        notes.append(f"It gives one map: a pixel is foreground where that is above {limit:g}.")
        if not probable:
            notes.append("Nothing says that its numbers are probabilities.")
    return Maps(last, limit, "sigmoid" if probable and limit == _HALF else "scores", tuple(notes))


def _threshold(step: dict[str, Any]) -> float:
    kwargs = step.get("kwargs")
    value = kwargs.get("threshold") if isinstance(kwargs, dict) else None
    if not is_number(value):
        _refuse("its maps have a threshold each, and one for all is what this program has")
    return float(value)


def _check_purpose(data: dict[str, Any]) -> None:
    """Refuse what says that it restores images, or finds objects in a way of its own."""
    config = data.get("config")
    for name in config if isinstance(config, dict) else ():
        if str(name).lower() in _PROGRAMS:
            _refuse(f"it gives {_PROGRAMS[str(name).lower()]}, and no classes of pixels")
    tags = data.get("tags")
    words = [str(tag)[:60] for tag in tags[:50]] if isinstance(tags, list) else []
    restores = next((word for word in words if _RESTORES.search(word)), None)
    if restores is not None and not any(map(_LABELS.search, words)):
        _refuse(f"it makes images of images (its tags say {restores!r}), and labels nothing")


def _refuse(reason: str) -> NoReturn:
    raise UnreadableError(reason, _ADVICE)
