"""The proof: our segmentation of a random image equals what Keras itself says of patches cut out by NumPy."""

from __future__ import annotations

import itertools
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from architectures.gradient import TOLERANCE, gradient_difference
from napari_fcnseg import errors
from napari_fcnseg.conversion.dense_network import windows_of
from napari_fcnseg.engine import engine
from napari_fcnseg.model.patch_model import PatchModel
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.options import ReadOptions
from napari_fcnseg.run.segment import iter_segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from napari_fcnseg.conversion.dense_network import DenseNetwork

    Keras = Callable[..., Any]

BORDERS = ("reflect", "edge", "constant", "valid")
#: A dense network of more parts than this takes too long to compile here; the model is then checked patch by patch.
MAX_PARTS = 1_500
_POINTS = 300
#: The image of every case is a volume, also where the patch is deeper than wide, as those of spectral bands are.
_VOLUME = ReadOptions(bands_axis=-1)
_ALL = 500  # so many pixels are all looked at
#: Of so many networks the engine keeps the compiled form before it is started anew.
_ENGINE_KEEPS = 40
_checked = itertools.count(1)


@dataclass(frozen=True)
class Outcome:
    """What came of one architecture.

    Attributes
    ----------
    way : str
        ``"dense"``, ``"patchwise"`` (the dense form would be too large) or ``"refused"``.
    reason : str
        Of a refusal.
    difference : float
        The largest from what Keras says, relative to the scale where that is above 1.
    rounding : float
        Where that is above the tolerance, how far Keras itself is from its own answer in double precision; 0 elsewhere.
    error : float
        The same for ours.
    disagreements : int
        Pixels whose label differs although the lead of the patch model's class is clear.
    points, steps, maps : int
        Pixels compared, steps of the dense network, and the most maps of one layer.
    spread : float
        How much the patch model's answers vary from pixel to pixel.
    gradient : float or None
        How far the dense network's gradient is from Keras's (:mod:`architectures.gradient`); None where it was not
        asked for, or there is none.
    seconds : float
        All of it.
    """

    way: str
    reason: str = ""
    difference: float = 0.0
    rounding: float = 0.0
    error: float = 0.0
    disagreements: int = 0
    points: int = 0
    steps: int = 0
    maps: int = 0
    spread: float = 0.0
    gradient: float | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        taught = self.gradient is None or self.gradient <= TOLERANCE
        exact = self.difference <= TOLERANCE or self.rounded
        return self.way != "refused" and exact and taught and not self.disagreements

    @property
    def rounded(self) -> bool:
        """Whether the difference is Keras's own rounding: its answer is farther from the true one than ours."""
        return self.difference > TOLERANCE and self.error <= max(TOLERANCE, self.rounding / 2) < self.difference

    @property
    def telling(self) -> bool:
        """Whether a mistake would have shown: an answer that is the same everywhere proves nothing."""
        return self.spread > 1e-3


def draw_case(random: Random, spec: dict[str, Any]) -> dict[str, Any]:
    """Draw an image and the way it is segmented: odd sizes, seams, sometimes smaller than the patch."""
    rank = len(spec["patch"])
    most = {1: 80, 2: 16, 3: 6}[rank]
    border = random.choice(BORDERS)
    sizes = [p + random.randint(0, most) for p in spec["patch"]]
    if border != "valid" and random.randint(0, 3) == 0:
        sizes = [random.randint(2, p) for p in spec["patch"]]
    answered = [n - p + 1 if border == "valid" else n for n, p in zip(sizes, spec["patch"], strict=True)]
    tile = [-(-n // random.randint(1, 3)) for n in answered]
    return {"spec": spec, "sizes": sizes, "border": border, "tile": tile}


def check(
    case: dict[str, Any], make: Keras, answers: Keras, exact_answers: Keras, gradients: Keras | None = None
) -> Outcome:
    """Prove one architecture.

    Parameters
    ----------
    case : dict
        As :func:`draw_case` gives it.
    make, answers, exact_answers, gradients : callable
        Those of :mod:`architectures.keras_model`, or what calls them in the process that has Keras.
    """
    start = time.perf_counter()
    spec = case["spec"]
    if next(_checked) % _ENGINE_KEEPS == 0:
        engine().stop()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model.{spec['file']}"
        output = make(spec, str(path))
        try:
            model = PatchModel(read_model(path, output, _VOLUME), path)
            network = model.fcn.network
        except errors.FcnSegError as error:
            return Outcome("refused", str(error), seconds=time.perf_counter() - start)
    method = "dense" if network.report.dense and _parts(network) <= MAX_PARTS else "patchwise"
    image = _image(case)
    where, ours, labels = _ours(image, model, case, method)
    patches = _patches(image, tuple(spec["patch"]), case["border"], where)
    truth = answers(patches)
    scale = max(1.0, float(np.abs(truth).max()))
    difference = float(np.abs(ours - truth).max()) / scale
    rounding = error = 0.0
    if difference > TOLERANCE:
        exact = exact_answers(patches)
        rounding, error = (float(np.abs(x - exact).max()) / scale for x in (truth, ours))
    return Outcome(
        method,
        difference=difference,
        rounding=rounding,
        error=error,
        disagreements=_disagreements(labels, truth, network.head, 2 * scale * max(TOLERANCE, rounding)),
        points=len(where),
        steps=len(network.steps),
        maps=max((layer.maps for layer in network.report.layers), default=0),
        spread=float(truth.std(axis=0).max()),
        gradient=None if gradients is None else gradient_difference(model.network, gradients, spec["seed"]),
        seconds=time.perf_counter() - start,
    )


def _parts(network: DenseNetwork) -> int:
    """Count the convolutions that the engine makes of a dense network: one per input, group and plane."""
    total = 0
    for step in network.steps:
        for size, _ in windows_of(step.op) or (((1,), (1,)),) * len(step.inputs):
            total += getattr(step.op, "groups", 1) * (size[0] if len(size) == 3 else 1)
    return total


def _image(case: dict[str, Any]) -> np.ndarray:
    """Draw noise on a slope, so that means over large windows vary too."""
    spec, sizes = case["spec"], case["sizes"]
    random = np.random.default_rng(spec["seed"] + 1)
    slope = np.zeros((*sizes, 1))
    for axis, n in enumerate(sizes):
        shape = [1] * (len(sizes) + 1)
        shape[axis] = n
        slope = slope + random.uniform(-1, 1) * np.linspace(-1, 1, n).reshape(shape)
    return (random.standard_normal((*sizes, sum(spec["inputs"]))) + slope).astype(np.float32)


def _ours(
    image: np.ndarray, model: PatchModel, case: dict[str, Any], method: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return some pixels, our numbers there and our labels."""
    scores: np.ndarray | None = None
    labels = np.zeros(image.shape[:-1], np.int64)
    starts = []
    for tile in iter_segment(
        image, model, border=case["border"], tile=tuple(case["tile"]), channel_axis=image.ndim - 1, method=method
    ):
        if scores is None:
            scores = np.full((*image.shape[:-1], tile.scores.shape[-1]), np.nan, np.float32)
        scores[tile.where], labels[tile.where] = tile.scores, tile.labels
        starts.append([w.start for w in tile.where])
    assert scores is not None, "a run has at least one tile"
    where = _places(np.argwhere(labels > 0), np.unique(starts, axis=0), case["spec"]["seed"])
    return where, scores[tuple(where.T)], labels[tuple(where.T)]


def _places(predicted: np.ndarray, starts: np.ndarray, seed: int) -> np.ndarray:
    """Choose the corners, pixels on the borders and on both sides of seams, and random ones; all of a small image."""
    if len(predicted) <= _ALL:
        return predicted
    low, high = predicted.min(axis=0), predicted.max(axis=0)
    random = np.random.default_rng(seed)
    special = [np.array(list(itertools.product(*zip(low, high, strict=True))))]
    for axis in range(predicted.shape[1]):
        seams = np.unique(starts[:, axis])
        beside = {*seams.tolist(), *(seams[1:] - 1).tolist(), int(high[axis])}
        for place in sorted(beside):
            some = random.integers(low, high + 1, (3, len(low)))
            some[:, axis] = place
            special.append(some)
    special.append(random.integers(low, high + 1, (_POINTS, len(low))))
    return np.unique(np.concatenate(special), axis=0)


def _patches(image: np.ndarray, patch: tuple[int, ...], border: str, where: np.ndarray) -> np.ndarray:
    """Cut out the patches whose pixel number ``patch // 2`` is at these places."""
    around = [(p // 2, p - 1 - p // 2) for p in patch]
    mode: Any = "constant" if border == "valid" else border
    padded = np.pad(image, [*around, (0, 0)], mode=mode)
    axes = tuple(range(len(patch)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, patch, axes)
    return np.ascontiguousarray(np.moveaxis(windows, len(patch), -1)[tuple(where.T)])


def _disagreements(labels: np.ndarray, truth: np.ndarray, head: str, least: float) -> int:
    if truth.shape[-1] == 1:
        lead = truth[:, 0] - (0.0 if head == "scores" else 0.5)
        expected, lead = (lead > 0) + 1, np.abs(lead)
    else:
        ranked = np.sort(truth, axis=-1)
        expected, lead = truth.argmax(-1) + 1, ranked[:, -1] - ranked[:, -2]
    clear = lead > least  # below it the patch model itself is undecided
    return int((labels != expected)[clear].sum())
