"""Label maps, and where they agree, as small pictures for reports."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.arrays.lazy import read_box
from napari_fcnseg.comparison.agreement_map import AGREEMENT, Differing, compute_map
from napari_fcnseg.comparison.regions.connected import Place, places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.arrays.lazy import Box
    from napari_fcnseg.comparison.study import Study

Picture = npt.NDArray[np.uint8]

#: Of labels that have no colour of their own, in turns; the palette of Okabe and Ito (2008).
_PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_WIDE, _CLOSE = 420, 160  # pixels of an overview and of a close-up along its longer side, about
_LEAST = 24  # pixels of the maps that a close-up shows at least
_SHARE = 0.6  # of a label's colour over an image


@dataclass(frozen=True, eq=False)
class LabelStyle:
    """How labels look.

    Attributes
    ----------
    colors : mapping of int to str
        Of labels, as ``#rrggbb``; others get one of a palette.
    image : array_like or None
        What lies under them: grey values on the grid of the study.
    """

    colors: Mapping[int, str] = field(default_factory=dict)
    image: Any = None


@dataclass(frozen=True, eq=False)
class Scene:
    """The truth, a mask and their agreement in one place.

    Attributes
    ----------
    caption : str
        What place it is.
    truth, mask, agreement : ndarray of uint8, shape (row, column, 3)
        Three pictures of equal size.
    """

    caption: str
    truth: Picture
    mask: Picture
    agreement: Picture


def scenes(study: Study, index: int, look: LabelStyle, close: int = 3) -> list[Scene]:
    """Return an overview of a mask and close-ups of the places where it differs most.

    Parameters
    ----------
    study : Study
        The study.
    index : int
        Which of its masks.
    look : LabelStyle
        How labels look.
    close : int
        How many close-ups.
    """
    a, b = study.aligned.maps[0], study.aligned.maps[index + 1]
    agreement, _ = compute_map(study.agreement(index))
    shape, spatial = agreement.shape, study.settings.axes(agreement.ndim)
    worst = places(Differing(agreement), spatial=spatial, most=close)
    whole = _plane(shape, worst[0].at if worst else tuple(n // 2 for n in shape), None)
    found = [_scene(_caption("The whole", shape, whole), (a, b, agreement), whole, look, _WIDE)]
    for number, place in enumerate(worst, start=1):
        around = _plane(shape, place.at, place)
        words = f"Place {number}: {place.pixels:,} pixel{'' if place.pixels == 1 else 's'}"
        found.append(_scene(_caption(words, shape, around), (a, b, agreement), around, look, _CLOSE))
    return found


def _plane(shape: Sequence[int], at: Sequence[int], place: Place | None) -> Box:
    """Return the plane through a pixel, or the part of it around a place."""
    flat = len(shape) - min(2, len(shape))
    box = [(n, n + 1) for n in at[:flat]]
    for axis in range(flat, len(shape)):
        low, high = (0, shape[axis]) if place is None else place.box[axis]
        if place is not None:
            more = max((high - low) // 2, (_LEAST - (high - low) + 1) // 2, 2)
            low, high = max(0, low - more), min(shape[axis], high + more)
        box.append((low, high))
    return tuple(box)


def _caption(words: str, shape: Sequence[int], box: Box) -> str:
    flat = len(shape) - min(2, len(shape))
    frames = ", ".join(str(start) for (start, _), n in zip(box[:flat], shape[:flat], strict=True) if n > 1)
    spans = " × ".join(f"{start}–{stop - 1}" for start, stop in box[flat:])
    return f"{words}{f', frame {frames}' if frames else ''}, pixels {spans}"


def _scene(caption: str, maps: Sequence[Any], box: Box, look: LabelStyle, size: int) -> Scene:
    longest = max(stop - start for start, stop in box)
    step, times = max(1, math.ceil(longest / size)), max(1, size // longest)
    kinds = {kind: color for kind, (_, color) in AGREEMENT.items()}
    under = None if look.image is None else _grey(_cut(look.image, box, step))
    colors = (look.colors, look.colors, kinds)
    pictures = [
        paint_labels(_cut(array, box, step), own, under).repeat(times, 0).repeat(times, 1)
        for array, own in zip(maps, colors, strict=True)
    ]
    return Scene(caption, *pictures)


def _cut(array: Any, box: Box, step: int) -> npt.NDArray[Any]:
    """Return every Nth pixel of a plane, as rows and columns."""
    rows = box[-2] if len(box) > 1 else (0, 1)
    high = range(rows[0], rows[1], max(1, min(step * 256, 4096)) // step * step or step)
    parts = []
    for start in high:  # some rows at a time: a plane may be larger than memory
        stop = min(rows[1], start + (high.step if len(high) > 1 else rows[1] - rows[0]))
        part = read_box(array, (*box[:-2], (start, stop), box[-1]) if len(box) > 1 else box)
        parts.append(part.reshape(-1, part.shape[-1])[::step, ::step])
    return np.concatenate(parts)


def paint_labels(labels: npt.NDArray[Any], colors: Mapping[int, str], under: npt.NDArray[np.float64] | None) -> Picture:
    """Return labels in their colours, over grey values from 0 to 1 if there are any; 0 is white, or the grey value."""
    known, where = np.unique(labels, return_inverse=True)
    table = np.ones((len(known), 3))
    for row, label in enumerate(known.tolist()):
        if label:
            color = colors.get(int(label), _PALETTE[int(label) % len(_PALETTE)])
            table[row] = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    picture = table[where.reshape(labels.shape)]
    if under is not None:
        back = np.repeat(under[..., None], 3, axis=-1)
        picture = np.where((labels != 0)[..., None], _SHARE * picture + (1 - _SHARE) * back, back)
    return np.round(picture * 255).astype(np.uint8)


def _grey(image: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    values = np.nan_to_num(image.astype(np.float64))
    low, high = np.percentile(values, (0.5, 99.5))
    grey: npt.NDArray[np.float64] = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
    return grey
