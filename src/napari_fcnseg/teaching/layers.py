"""Train all layers of a taught network on the strokes, and stop where strokes that were held out get no better.

The gradient of the strokes is found region by region by the dense network, or patch by patch, whichever is less work
(:mod:`napari_fcnseg.engine.layer_training`); both give the same one.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from napari_fcnseg.conversion.trained_numbers import TrainedNumbers
from napari_fcnseg.engine import engine
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.teaching.examples import Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_fcnseg.engine.trainer import Trainer
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.teaching.examples import Example
    from napari_fcnseg.teaching.strokes import Strokes

_PIXELS: Final = 512  # that are learned from before the weights change
_PASSES: Final = 30  # over all strokes, at most
_PATIENCE: Final = 6  # passes without a better loss on strokes that were held out
_RATE: Final = 1e-4
_HELD: Final = 5  # every so manieth stroke of a class is held out
_RARITY: Final = 0.5  # as for the head


class LayerTraining:
    """Trains a network on painted pixels.

    Parameters
    ----------
    network : Network
        Ends with a softmax over the classes.
    seed : int
        Of everything random.

    Raises
    ------
    SettingsError
        If the network has no dense form whose numbers are its own.
    """

    def __init__(self, network: Network, seed: int) -> None:
        numbers = TrainedNumbers.of(network)
        if numbers is None:
            raise SettingsError(
                "Not all layers of this model can be taught: it has no dense form, or one that is not made of its own "
                "weights. Teach without all layers."
            )
        self.numbers = numbers
        self._random = np.random.default_rng(seed)

    def train(
        self, examples: Sequence[Sequence[Example]], painted: Strokes, held: npt.NDArray[np.bool_],
        progress: Callable[[float], object] | None = None,
    ) -> tuple[Network | None, dict[str, float]]:  # fmt: skip
        """Return the trained network and how good it is on strokes that were held out; None if it got no better.

        Parameters
        ----------
        examples : sequence of sequence of Example
            By view; all views have the same regions' pixels.
        painted : Strokes
            What the pixels are.
        held : ndarray of bool
            Which of them are not learned from.
        progress : callable, optional
            Called with the share that is done.
        """
        labels = painted.labels - 1
        rarity = (len(labels) / painted.classes / np.bincount(labels, minlength=painted.classes)) ** _RARITY
        weight = rarity[labels].astype(np.float32)
        way = Way.chosen(self.numbers.dense, examples[0], np.flatnonzero(~held))
        trainer = engine().trainer(way.network)
        try:
            return self._trained(trainer, way, examples, labels, weight, held, progress)
        finally:
            trainer.close()

    def _trained(
        self, trainer: Trainer, way: Way, examples: Sequence[Sequence[Example]], labels: npt.NDArray[Any],
        weight: npt.NDArray[Any], held: npt.NDArray[np.bool_], progress: Callable[[float], object] | None,
    ) -> tuple[Network | None, dict[str, float]]:  # fmt: skip
        values = self.numbers.values.astype(np.float64)
        moments = np.zeros_like(values), np.zeros_like(values)
        first = best = self._look(trainer, way, examples[0], labels, weight * held, values)
        kept, waited, steps = values, 0, 0
        for number in range(_PASSES):
            for batch in self._batches(examples, ~held):
                gradient = self._gradient(trainer, way, batch, labels, weight * ~held, values)[-1]
                steps += 1
                for moment, decay, new in zip(moments, (0.9, 0.999), (gradient, gradient**2), strict=True):
                    moment *= decay
                    moment += (1 - decay) * new
                change = moments[0] / (1 - 0.9**steps) / (np.sqrt(moments[1] / (1 - 0.999**steps)) + 1e-8)
                values = values - _RATE * min(1, steps / 10) * change
            found = self._look(trainer, way, examples[0], labels, weight * held, values)
            waited = 0 if found[0] < best[0] else waited + 1
            if not waited:
                best, kept = found, values
            if progress is not None:
                progress((number + 1) / _PASSES)
            if waited >= _PATIENCE:
                break
        scores = {"accuracy": best[1], "accuracy_before": first[1], "pixels": float(held.sum())}
        return None if best is first else self._network(kept), scores

    def _network(self, values: npt.NDArray[Any]) -> Network:
        return self.numbers.network_with(values.astype(np.float32))

    def _batches(self, examples: Sequence[Sequence[Example]], learn: npt.NDArray[np.bool_]) -> Iterator[list[Example]]:
        """Yield the regions in a random order, each in a random view, as many as are learned from at once."""
        batch: list[Example] = []
        order = self._random.permutation(len(examples[0]))
        for place, view in zip(order, self._random.integers(0, len(examples), len(order)), strict=True):
            example = examples[view][place]
            if learn[example.which].any():
                batch.append(example)
            if sum(int(learn[e.which].sum()) for e in batch) >= _PIXELS:
                yield batch
                batch = []
        if batch:
            yield batch

    def _look(
        self, trainer: Trainer, way: Way, examples: Sequence[Example], labels: npt.NDArray[Any],
        weight: npt.NDArray[Any], values: npt.NDArray[Any],
    ) -> tuple[float, float]:  # fmt: skip
        """Return the mean loss, and the share of pixels that are right, on what has a weight."""
        mine = [example for example in examples if weight[example.which].any()]
        if not mine:
            return np.inf, np.nan
        loss, right, count, _ = self._gradient(trainer, way, mine, labels, weight, values)
        return loss, right / count

    def _gradient(
        self, trainer: Trainer, way: Way, batch: Sequence[Example], labels: npt.NDArray[Any],
        weight: npt.NDArray[Any], values: npt.NDArray[Any],
    ) -> tuple[float, float, int, npt.NDArray[np.float64]]:  # fmt: skip
        """Return mean loss, right pixels, how many there were, and the gradient of the mean loss."""
        arrays = self.numbers.dense_arrays(values.astype(np.float32))
        total, right, count, weights = 0.0, 0.0, 0, 0.0
        sums = [np.zeros(array.shape) for array in arrays]
        for question in itertools.chain.from_iterable(way.asked(example, labels, weight) for example in batch):
            loss, hits, found = trainer.gradient(arrays, *question)
            total, right = total + loss, right + hits
            count, weights = count + int(np.count_nonzero(question[-1])), weights + float(question[-1].sum())
            sums = [a + b for a, b in zip(sums, found, strict=True)]
        return total / weights, right, count, self.numbers.back([a / weights for a in sums])


def held_out(painted: Strokes, seed: int) -> npt.NDArray[np.bool_]:
    """Return which pixels are of strokes that are not learned from: one in five of each class, of three or more."""
    labels, strokes, random = painted.labels, painted.stroke, np.random.default_rng(seed)
    held = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = random.permutation(np.unique(strokes[labels == label]))
        if len(own) > 2:
            held |= np.isin(strokes, own[: max(1, len(own) // _HELD)])
    return held
