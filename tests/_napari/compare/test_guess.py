"""Which of several labels are taken for the truth, and which for masks to compare."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

from napari_fcnseg._napari.compare.guess import likely_mask, likely_truth, shows_comparison
from napari_fcnseg._napari.layers.metadata import METADATA


def layer(name: str, **entry) -> Labels:
    return Labels(np.zeros((2, 2), np.uint8), name=name, metadata={METADATA: entry} if entry else {})


@pytest.mark.parametrize(
    "name", ["truth", "cells truth", "Manual annotation", "GT", "nuclei_gt", "hand", "drawn by hand", "reference"]
)
def test_a_layer_that_is_called_a_truth_is_one_wherever_it_is(name) -> None:
    mine, run = layer(name), layer("image · model", program="napari-fcnseg")
    for layers in ([mine, run], [run, mine], [run, layer("weights"), mine, layer("others")]):
        assert likely_truth(layers) is mine


def test_without_a_name_what_was_not_computed_is_the_truth_and_the_oldest_of_it() -> None:
    run, old, new = layer("b", program="napari-fcnseg"), layer("shorthand"), layer("weight")
    assert likely_truth([new, old, run]) is old
    assert likely_truth([run]) is run
    assert likely_truth([]) is None


def test_maps_of_a_comparison_are_nothing_to_compare() -> None:
    shown = layer("truth ≠ b", program="napari-fcnseg", comparison={"truth": "truth"})
    assert shows_comparison(shown)
    assert not likely_mask(shown)
    assert likely_truth([shown]) is None
    assert likely_mask(layer("a", program="napari-fcnseg"))
    assert not likely_mask(layer("a"))
