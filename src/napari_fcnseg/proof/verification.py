"""Compare the dense result with the patch model's own answer, where a mistake would show first."""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_fcnseg.engine import engine
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.model.pixel_form import not_converted
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.proof.certificate import TOLERANCE, Certificate, CertifiedModel, image_sha256, within_tolerance
from napari_fcnseg.run.labels import labels_of
from napari_fcnseg.run.patchwise import patchwise_scores
from napari_fcnseg.run.provenance import framework_versions
from napari_fcnseg.run.result import execute_into
from napari_fcnseg.run.run import Run, Tile
from napari_fcnseg.run.witnesses import Witnesses
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.system.serialization import to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.model.patch_model import ModelLike, PatchModel
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.run.witnesses import Seen


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
    doubt : str
        Why the image may not be prepared as the model was trained, in a sentence; empty if it looks right.
    """

    points: npt.NDArray[np.intp]
    max_abs_difference: float
    label_agreement: float
    scale: float
    worst_point: tuple[int, ...]
    certificate: Certificate = field(repr=False)
    doubt: str = ""

    @property
    def passed(self) -> bool:
        """Whether every label agrees and no difference is above 1e-5 (of the scale, where that is above 1)."""
        return within_tolerance(self.max_abs_difference, self.label_agreement, self.scale)

    def __str__(self) -> str:
        agree, points = round(self.label_agreement * len(self.points)), len(self.points)
        worst, allowed = self.max_abs_difference, self.certificate.tolerance * max(1.0, self.scale)
        if self.passed:
            said = f"Conversion check passed: {agree} of {points} labels agree, largest difference {worst:.2g}."
        elif self.doubt and agree == points and worst <= _NEARLY * allowed:
            said = (
                f"{self.doubt} Check the normalisation, then verify again: the conversion check has not passed, "
                f"although all {points} labels agree. The largest difference is {worst:.2g}, more than the "
                f"{allowed:.2g} that rounding explains for numbers as in training."
            )
        else:
            said = (
                f"Conversion check FAILED: {agree} of {points} labels agree, largest difference {worst:.2g}, more than "
                f"the {allowed:.2g} that rounding explains."
            )
            said += _LARGE * (agree == points)
        return f"{said} It does not judge the segmentation."


_NEARLY = 10  # times what rounding explains: numbers that are far off are never put down to the normalisation
_LARGE = " Every label agrees: numbers far larger than the model was trained on round more. Check the preprocessing."


_AGAIN = 4  # tiles that are computed again where all were there already


class VerificationSampler:
    """Keeps a run's numbers at some pixels, to compare them with the patch model later.

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
        self.points = choose_points(run.plan, n, seed)
        self._numbers = {tuple(point): number for number, point in enumerate(self.points.tolist())}
        self._scores = np.zeros((len(self.points), run.plan.outputs), np.float32)
        self._seen = np.zeros(len(self.points), bool)
        self._more: list[Seen] = []
        self._witnesses = run.witnesses = Witnesses(self.points, seed)

    def expect(self) -> None:
        """Have the patch models' framework started while the tiles are computed; return at once."""
        engine().expect([model.network for model in self.run.plan.models])

    def see(self, tile: Tile) -> None:
        """Keep a tile's numbers at the points in it."""
        here, more = tile.seen, self.run.in_part
        points, scores = here or self._witnesses.seen(tile.place, tile.labels, tile.scores, more=more)
        numbers = np.array([self._numbers.get(tuple(point), -1) for point in points.tolist()], np.intp)
        chosen = numbers >= 0
        self._scores[numbers[chosen]] = scores[chosen]
        self._seen[numbers[chosen]] = True
        if not chosen.all():
            self._more.append((points[~chosen], scores[~chosen]))

    def _witnessed(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
        """Return the points seen and their numbers; where some are missing, others that were seen."""
        points, scores = self.points[self._seen], self._scores[self._seen]
        missing = len(self.points) - len(points)
        if not self._more or not missing:
            return points, scores
        more, theirs = (np.concatenate(arrays) for arrays in zip(*self._more, strict=True))
        _, first = np.unique(np.concatenate([points, more]), axis=0, return_index=True)
        others = np.random.default_rng(self.seed).permutation(np.sort(first[first >= len(points)]) - len(points))
        chosen = others[:missing]
        return np.concatenate([points, more[chosen]]), np.concatenate([scores, theirs[chosen]])

    def _look_again(self) -> None:
        """Compute some tiles again: all were there already, whose numbers nobody has kept."""
        some = (place for place in self.run.plan.schedule if self._witnesses.within(*place).any())
        chosen = list(itertools.islice(some, _AGAIN))
        execute_into(Run(self.run.plan), self.see, skip=lambda index, tile: (index, tile) not in chosen)

    def verify(self) -> Verification:
        """Ask the patch model about every point seen, and compare.

        Raises
        ------
        SettingsError
            If no tile was finished.
        """
        if self.run.done and not self._seen.any() and not self._more:
            self._look_again()
        points, scores = self._witnessed()
        if not len(points):
            raise SettingsError("There is nothing to verify yet: let at least one tile finish.")
        start = time.perf_counter()
        truth = patchwise_scores(self.run, points)
        difference = np.abs(scores - truth).max(axis=1)
        head, dtype = self.run.plan.networks[0].head, self.run.plan.label_dtype
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
        return Verification(points, **found, certificate=certificate, doubt=self.run.doubt)


def verify(
    image: Any,
    model: ModelLike | Sequence[ModelLike],
    n: int = 256,
    seed: int = 0,
    *,
    mask: Any = None,
    **settings: Any,
) -> Verification:
    """Segment an image and compare the result with the patch model itself at ``n`` pixels.

    The corners of the image, the middles of its borders and both sides of tile seams are among them, as far as they get
    a label.

    Parameters
    ----------
    image, model, mask
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

    Examples
    --------
    >>> import napari_fcnseg as fcn
    >>> from napari_fcnseg.samples import SAMPLES
    >>> sample = SAMPLES["cells"]
    >>> verification = fcn.verify(sample.image()[:64, :64], sample.model_path, n=64, preprocess=sample.preprocess)
    >>> verification.passed, verification.label_agreement
    (True, 1.0)
    """
    models = as_ensemble(model)
    check_converted(models)
    run = Run(make_plan(image, models, RunSettings.from_dict(settings), mask=mask))
    sampler = VerificationSampler(run, n, seed)
    sampler.expect()
    execute_into(run, sampler.see)
    return sampler.verify()


def check_converted(models: Sequence[PatchModel]) -> None:
    """Find out whether there is something to check: a conversion of each model.

    Raises
    ------
    ConversionError
        If one labels every pixel by itself.
    """
    if whole := next((model for model in models if model.labels_every_pixel), None):
        raise not_converted(whole.name, "check")


def choose_points(plan: RunPlan, n: int, seed: int) -> npt.NDArray[np.intp]:
    """Return up to ``n`` different pixels that get a label: corners and borders, seams, and random ones."""
    random = np.random.default_rng(seed)
    schedule = plan.schedule
    ends = [sorted({a, (a + b) // 2, b - 1}) for a, b in plan.extent]
    special = [np.array(list(itertools.product(*ends)))]
    for axis, (start, stop) in enumerate(plan.extent):
        seams = sorted({tile[axis][0] for tile in schedule.tiles} - {start})
        if not seams:
            continue
        across = np.stack([random.integers(a, b, 2 * len(seams)) for a, b in plan.extent], axis=1)
        across[:, axis] = np.clip([s - side for s in seams for side in (1, 0)], start, stop - 1)
        special.append(across)
    fixed = np.concatenate(special)
    if len(fixed) > n // 2:  # keep the corners, and leave half of the points to chance
        corners = len(special[0])
        keep = random.permutation(len(fixed) - corners)[: max(n // 2 - corners, 0)] + corners
        fixed = np.concatenate([fixed[: min(corners, n)], fixed[keep]])
    rest = np.stack([random.integers(a, b, 2 * n) for a, b in plan.extent], axis=1)
    spatial = np.concatenate([fixed, rest])
    frames = np.array(sorted(schedule.frames), np.intp)  # without axes if the image is no stack
    points = np.concatenate([frames[random.integers(0, len(frames), len(spatial))], spatial], axis=1)
    if plan.mask is not None:
        points = np.concatenate([points[schedule.holds(points)], schedule.drawn(n, random)])
    _, first = np.unique(points, axis=0, return_index=True)
    chosen: npt.NDArray[np.intp] = points[np.sort(first)][:n].astype(np.intp)
    return chosen


def certify(
    run: Run,
    *,
    points: int,
    seed: int,
    max_abs_difference: float,
    label_agreement: float,
    scale: float,
    worst_point: tuple[int, ...],
    seconds: float,
) -> Certificate:
    """Return the certificate of a run that was compared with the patch model itself.

    Parameters
    ----------
    run : Run
        The run, after its tiles.
    points, seed, max_abs_difference, label_agreement, scale, worst_point
        As in :class:`Certificate`.
    seconds : float
        That the comparison took.
    """
    provenance, plan = run.provenance(), run.plan
    shape = [int(n) for n in plan.image.shape]
    return Certificate(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        models=tuple(map(_certified, plan.models, provenance["models"])),
        image={"shape": shape, "dtype": str(plan.image.dtype), "sha256": image_sha256(plan.image)},
        channel_axis=plan.layout.channel_axis,
        preprocess=tuple(map(str, plan.steps)),
        border=plan.settings.border,
        precision=provenance["precision"],
        every=plan.settings.every,
        region=plan.settings.region,
        frames=plan.settings.frames,
        mask=provenance["mask"],
        device=str(run.device),
        tile=tuple(plan.tile),
        points=points,
        seed=seed,
        max_abs_difference=max_abs_difference,
        label_agreement=label_agreement,
        scale=scale,
        tolerance=TOLERANCE,
        worst_point=worst_point,
        edited_pixels=0,
        seconds={"segmentation": run.spent.computing, "verification": seconds},
        versions={**provenance["versions"], **framework_versions([engine().reference_backend])},
    )


def _certified(model: PatchModel, provenance: Mapping[str, Any]) -> CertifiedModel:
    report = model.fcn.report
    return CertifiedModel(
        model.name,
        model.path.name if model.path is not None else "",
        model.sha256,
        model.output,
        str(provenance.get("method", "dense")),
        tuple(model.patch_shape),
        tuple(report.receptive_field),
        tuple(to_plain(asdict(layer)) for layer in report.layers),
        provenance.get("taught"),
        provenance.get("ways", ""),
    )
