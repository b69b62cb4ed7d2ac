"""Labels, confidence and disagreement from a network's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.conversion.dense_network import Head
    from napari_fcnseg.settings import RunSettings


def confidence_of(scores: npt.NDArray[np.float32], head: Head) -> npt.NDArray[np.float32]:
    """Return the number of the class that wins, for the network's numbers ``(…, class)``.

    A probability where the network gives probabilities, its highest score otherwise. A single number per pixel speaks
    for the second of two classes; that of the first is one minus it, or the negative of a score.
    """
    confidence: npt.NDArray[np.float32] = scores.max(axis=-1)
    if scores.shape[-1] == 1:
        confidence = np.maximum(confidence, -confidence if head == "scores" else np.float32(1) - confidence)
    return confidence


def disagreement_of(
    answers: Sequence[npt.NDArray[np.float32]], labels: npt.NDArray[np.unsignedinteger[Any]], head: Head
) -> npt.NDArray[np.float32]:
    """Return the share of an ensemble's members whose class at a pixel is not the ensemble's.

    0 where all agree; 0 for a single model. It is the variation ratio, with the class of the members' mean in the
    place of their most frequent one.

    Parameters
    ----------
    answers : sequence of ndarray, shape (…, class)
        Each member's numbers.
    labels : ndarray of unsigned integer, shape (…)
        The ensemble's class index + 1.
    head : {"softmax", "sigmoid", "scores"}
        What the numbers are.

    References
    ----------
    L. C. Freeman, "Elementary Applied Statistics", Wiley, 1965.
    """
    others = [labels_of(answer, head, labels.dtype) != labels for answer in answers]
    share: npt.NDArray[np.float32] = np.mean(others, axis=0, dtype=np.float32)
    return share


def measures_of(
    answers: Sequence[npt.NDArray[np.float32]], mean: npt.NDArray[np.float32],
    labels: npt.NDArray[np.unsignedinteger[Any]], head: Head, settings: RunSettings,
) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.float32] | None]:  # fmt: skip
    """Return the confidence and the disagreement of a tile, each None unless the settings ask for it."""
    return (
        confidence_of(mean, head) if settings.confidence else None,
        disagreement_of(answers, labels, head) if settings.disagreement else None,
    )


def labels_of(
    scores: npt.NDArray[np.float32], head: Head, dtype: np.dtype[Any]
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return class index + 1 for the network's numbers ``(…, class)``.

    A single number per pixel tells two classes apart: the second is meant above 0.5 after a sigmoid or softmax, and
    above 0 otherwise.
    """
    if scores.shape[-1] == 1:
        threshold = 0.0 if head == "scores" else 0.5
        index: npt.NDArray[Any] = scores[..., 0] > threshold
    else:
        index = scores.argmax(axis=-1)
    labels: npt.NDArray[np.unsignedinteger[Any]] = (index + 1).astype(dtype)
    return labels
