"""How many times as large an image has to be for a model, in whatever units image and sidecar speak."""

from __future__ import annotations

import pytest

from napari_fcnseg.model.pixel_size import advice, differ, scale_factors
from napari_fcnseg.model.sidecar import Sidecar

TRAINED = Sidecar(pixel_size=(0.5, 0.25), unit="micrometer")


@pytest.mark.parametrize(
    ("size", "unit", "factors"),
    [
        ({"Y": 1.0, "X": 1.0}, "µm", (2.0, 4.0)), ({"Y": 1000, "X": 500}, "nm", (2.0, 2.0)),
        ({"Y": 1e-6, "X": 1e-6}, "meter", (2.0, 4.0)), ({"Y": 1.0, "X": 1.0, "Z": 5.0}, "um", (2.0, 4.0)),
        ({"X": 1.0}, "µm", ()), ({}, "", ()), ({"Y": 1.0, "X": 1.0}, "", ()), ({"Y": 1.0, "X": 1.0}, "pixel", ()),
    ],
)  # fmt: skip
def test_the_factor_is_the_image_s_pixel_by_the_model_s(size, unit, factors) -> None:
    assert scale_factors(size, unit, TRAINED) == pytest.approx(factors)


def test_a_model_that_says_nothing_is_right_for_any_image() -> None:
    for sidecar in (None, Sidecar(), Sidecar(pixel_size=(0.5, 0.5))):
        assert scale_factors({"Y": 1.0, "X": 1.0}, "µm", sidecar) == ()
        assert advice("a.tif", {"Y": 1.0, "X": 1.0}, "µm", sidecar) == ""


def test_the_advice_has_both_sizes_and_the_factor() -> None:
    said = advice("a.tif", {"Y": 1.0, "X": 1.0}, "µm", TRAINED)
    for part in ("The pixels of a.tif are 1 µm", "0.5 × 0.25 µm", "2 × 4 times as large with --rescale"):
        assert part in said
    assert advice("a.tif", {"Y": 0.52, "X": 0.25}, "µm", TRAINED) == ""
    assert not differ(())
