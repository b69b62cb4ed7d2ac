"""Confidence and disagreement, for every kind of answer that a network gives."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.run.labels import confidence_of, disagreement_of


@pytest.mark.parametrize(
    ("head", "scores", "expected"),
    [
        ("softmax", [[0.2, 0.5, 0.3], [0.9, 0.1, 0.0]], [0.5, 0.9]),
        ("sigmoid", [[0.2, 0.7, 0.1]], [0.7]),
        ("scores", [[-4.0, -9.0, -2.5]], [-2.5]),
        ("sigmoid", [[0.2], [0.5], [1.0]], [0.8, 0.5, 1.0]),  # of one number: the first class has what is left
        ("scores", [[-3.0], [0.5]], [3.0, 0.5]),
    ],
)
def test_confidence_is_the_number_of_the_class_that_wins(head, scores, expected) -> None:
    confidence = confidence_of(np.array(scores, np.float32), head)
    assert confidence.dtype == np.float32
    np.testing.assert_allclose(confidence, expected, rtol=1e-6)


def test_disagreement_is_the_share_of_members_with_another_class_than_their_mean() -> None:
    members = np.array([[[0.9, 0.1], [0.4, 0.6]], [[0.4, 0.6], [0.4, 0.6]], [[0.4, 0.6], [0.3, 0.7]]], np.float32)
    labels = members.mean(axis=0).argmax(axis=-1).astype(np.uint8) + 1
    assert labels.tolist() == [1, 2]
    disagreement = disagreement_of(list(members), labels, "softmax")
    assert disagreement.dtype == np.float32
    np.testing.assert_allclose(disagreement, [2 / 3, 0])  # two of three, though they are the majority
    np.testing.assert_allclose(disagreement_of([members[0]], np.array([1, 2], np.uint8), "softmax"), 0)
