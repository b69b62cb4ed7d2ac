"""A threshold changes labels as its definition says, and one that is neutral nothing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.run.labels import confidence_of, labels_of
from napari_fcnseg.run.threshold import Threshold

RANDOM = np.random.default_rng(0)


def answers(classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities, labels and confidence; a corner is not labelled."""
    raw = np.exp(3 * RANDOM.standard_normal((30, 40, classes)))
    scores = (raw / raw.sum(-1, keepdims=True)).astype(np.float32)
    labels = labels_of(scores, "softmax", np.dtype(np.uint8))
    labels[:5, :5] = 0
    return scores, labels, confidence_of(scores, "softmax")


@pytest.mark.parametrize("value", [0.0, 0.2, 0.5, 0.77, 1.0])
def test_of_two_classes_it_is_the_second_ones_probability(value) -> None:
    scores, labels, confidence = answers(2)
    expected = np.where(scores[..., 1] >= value, 2, 1) if value != 0.5 else labels.copy()
    expected[:5, :5] = 0
    found = Threshold(value, 2).apply(labels, confidence)
    near = np.abs(scores[..., 1] - value) < 1e-6  # one minus the other is rounded
    np.testing.assert_array_equal(found[~near], expected[~near])
    assert found.dtype == labels.dtype


@pytest.mark.parametrize("value", [0.0, 0.4, 0.9, 1.0])
def test_of_more_classes_the_unsure_have_a_label_of_their_own(value) -> None:
    _, labels, confidence = answers(4)
    expected = np.where(confidence < np.float32(value), 5, labels)
    expected[:5, :5] = 0
    np.testing.assert_array_equal(Threshold(value, 4).apply(labels, confidence), expected)


def test_the_neutral_one_changes_nothing_and_all_survive_their_data() -> None:
    for classes in (2, 3):
        neutral = Threshold.neutral(classes)
        assert not neutral.changes
        _, labels, confidence = answers(classes)
        np.testing.assert_array_equal(neutral.apply(labels, confidence), labels)
        other = Threshold(0.75, classes)
        assert Threshold.from_dict(other.as_dict()) == other
    for wrong in ({}, {"value": "x", "classes": 3}, {"value": 2, "classes": 3}, {"value": 0.5, "classes": None}):
        with pytest.raises(SettingsError):
            Threshold.from_dict(wrong)
