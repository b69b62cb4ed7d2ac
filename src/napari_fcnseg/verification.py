"""Compare the dense result with the patch model's own answer, where a mistake would show first."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.canvas import finished_tiles
from napari_fcnseg.certificate import Certificate, certify, within_tolerance
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model import as_ensemble
from napari_fcnseg.run import Run, Tile
from napari_fcnseg.segmentation import patchwise_scores
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.ways import labels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.model import ModelLike


@dataclass(frozen=True)
class Verification:
    """How far the dense result is from the patch model itself.

    Attributes
    ----------
    points : ndarray of int, shape (n, axes of the labels)
        The pixels compared.
    max_abs_difference : float
        Largest difference between the two in any class at any point.
    label_agreement : float
        Share of the points where both say the same class, 0 to 1.
    scale : float
        Largest number of the patch model itself at these points: at most 1 for probabilities.
    worst_point : tuple of int
        Where the largest difference is.
    certificate : Certificate
        The same with everything that it holds for: to save and to hand on.
    """

    points: npt.NDArray[np.intp]
    max_abs_difference: float
    label_agreement: float
    scale: float
    worst_point: tuple[int, ...]
    certificate: Certificate = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether every label agrees and no difference is above 1e-5 (of the scale, where that is above 1)."""
        return within_tolerance(self.max_abs_difference, self.label_agreement, self.scale)

    def __str__(self) -> str:
        agree = round(self.label_agreement * len(self.points))
        return (
            f"{'Verified' if self.passed else 'NOT verified'}: {agree} of {len(self.points)} pixels have the patch "
            f"model's own class; largest difference {self.max_abs_difference:.2g}."
        )


class Witness:
    """Keeps a run's numbers at some pixels while its tiles come in, to compare them with the patch model later.

    Parameters
    ----------
    run : Run
        The run.
    n : int
        Number of pixels: the corners, the middles of the borders, both sides of seams, and the rest at random.
    seed : int
        Of the random choice.
    """

    def __init__(self, run: Run, n: int = 256, seed: int = 0) -> None:
        if n < 1:
            raise SettingsError(f"The number of pixels to verify is at least 1, not {n}.")
        self.run = run
        self.seed = seed
        self.points = choose_points(run, n, seed)
        self._scores = np.zeros((len(self.points), run.outputs), np.float32)
        self._seen = np.zeros(len(self.points), bool)

    def see(self, tile: Tile) -> None:
        """Keep the numbers of a tile at the points in it."""
        start = np.array([w.start if isinstance(w, slice) else w for w in tile.where])
        stop = np.array([w.stop if isinstance(w, slice) else w + 1 for w in tile.where])
        inside = ((self.points >= start) & (self.points < stop)).all(axis=1)
        spatial = tile.labels.ndim
        local = (self.points[inside] - start)[:, -spatial:]
        self._scores[inside] = tile.scores[tuple(local.T)]
        self._seen |= inside

    def testify(self) -> Verification:
        """Ask the patch model about every point seen, and compare.

        Raises
        ------
        SettingsError
            If no tile was finished.
        """
        points, scores = self.points[self._seen], self._scores[self._seen]
        if not len(points):
            raise SettingsError("There is nothing to verify yet: let at least one tile finish.")
        start = time.perf_counter()
        truth = patchwise_scores(self.run, points)
        difference = np.abs(scores - truth).max(axis=1)
        head, dtype = self.run.networks[0].head, self.run.label_dtype
        agree = labels_of(scores, head, dtype) == labels_of(truth, head, dtype)
        worst = int(difference.argmax())
        found: dict[str, Any] = {
            "max_abs_difference": float(difference[worst]),
            "label_agreement": float(agree.mean()),
            "scale": float(np.abs(truth).max()),
            "worst_point": tuple(map(int, points[worst])),
        }
        seconds = time.perf_counter() - start
        certificate = certify(self.run, points=len(points), seed=self.seed, seconds=seconds, **found)
        return Verification(points, **found, certificate=certificate)


def verify(
    image: Any, model: ModelLike | Sequence[ModelLike], n: int = 256, seed: int = 0, **settings: Any
) -> Verification:
    """Segment an image and compare the result with the patch model itself at ``n`` pixels.

    The corners of the image, the middles of its borders and both sides of tile seams are among them.

    Parameters
    ----------
    image, model
        As for :func:`napari_fcnseg.segment`.
    n : int
        Number of pixels.
    seed : int
        Of the random choice.
    **settings
        The other arguments of :func:`napari_fcnseg.segment`.

    Returns
    -------
    Verification

    Raises
    ------
    FcnSegError
        As for :func:`napari_fcnseg.segment`.
    """
    run = Run(image, as_ensemble(model), RunSettings.from_dict(settings))
    witness = Witness(run, n, seed)
    for tile in finished_tiles(run):
        witness.see(tile)
    return witness.testify()


def choose_points(run: Run, n: int, seed: int) -> npt.NDArray[np.intp]:
    """Return up to ``n`` different pixels of a run's labels: corners and borders, seams, and random ones."""
    random = np.random.default_rng(seed)
    stack = run.layout.stack_shape
    ends = [sorted({a, (a + b) // 2, b - 1}) for a, b in run.extent]
    special = [np.array(list(itertools.product(*ends)))]
    for axis, (start, stop) in enumerate(run.extent):
        seams = sorted({tile[axis][0] for tile in run.tiles} - {start})
        if not seams:
            continue
        across = np.stack([random.integers(a, b, 2 * len(seams)) for a, b in run.extent], axis=1)
        across[:, axis] = np.clip([s - side for s in seams for side in (1, 0)], start, stop - 1)
        special.append(across)
    fixed = np.concatenate(special)
    if len(fixed) > n // 2:  # leave half of the points to chance, and keep the corners
        corners = len(special[0])
        keep = random.permutation(len(fixed) - corners)[: max(n // 2 - corners, 0)] + corners
        fixed = np.concatenate([fixed[: min(corners, n)], fixed[keep]])
    rest = np.stack([random.integers(a, b, 2 * n) for a, b in run.extent], axis=1)
    spatial = np.concatenate([fixed, rest])
    frames = np.stack([random.integers(0, m, len(spatial)) for m in stack], axis=1) if stack else None
    points = spatial if frames is None else np.concatenate([frames, spatial], axis=1)
    _, first = np.unique(points, axis=0, return_index=True)
    chosen: npt.NDArray[np.intp] = points[np.sort(first)][:n].astype(np.intp)
    return chosen
