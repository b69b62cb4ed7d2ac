"""Other arithmetic is measured on the user's image before the run, and told honestly after it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg import errors, load_model, segment, try_precision, verify
from napari_fcnseg.proof.precision_trial import PrecisionTrial
from napari_fcnseg.samples import SAMPLES

MODEL = SAMPLES["cells"].model_path


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((90, 100, 2)).astype(np.float32)


def test_the_trial_is_of_the_same_numbers_as_the_run(image) -> None:
    trial = try_precision(image, MODEL, "bfloat16", channel_axis=-1)
    exact, quick = (
        segment(image, MODEL, channel_axis=-1, probabilities=True, precision=p) for p in ("float32", "bfloat16")
    )
    difference = float(np.abs(exact.probabilities - quick.probabilities).max())
    agreement = float((exact.labels == quick.labels).mean())
    assert trial.computed == "bfloat16"
    assert trial.pixels == 90 * 90  # of so small an image, all but the ends of one axis
    assert difference / 2 < trial.max_abs_difference <= difference * 1.01
    assert trial.label_agreement == pytest.approx(agreement, abs=2e-3)
    assert quick.provenance["precision"] == "bfloat16"


def test_a_certificate_says_that_it_is_not_exact_and_does_not_pass(image) -> None:
    found = verify(image, MODEL, n=64, channel_axis=-1, precision="bfloat16")
    assert found.max_abs_difference > 1e-4
    assert not found.passed
    assert "bfloat16, which is not exact" in str(found.certificate)


def test_what_is_computed_in_float32_anyway_is_said(image) -> None:
    assert "float32, which is exact" in str(try_precision(image, MODEL, "tf32", channel_axis=-1, device="CPU"))
    settings = {"channel_axis": -1, "method": "patchwise", "region": [(0, 3), (0, 3)], "precision": "bfloat16"}
    assert segment(image, MODEL, **settings).provenance["precision"] == "float32"


def test_numbers_too_large_for_float16_end_with_a_sentence(image) -> None:
    with pytest.raises(errors.EngineError, match="too large for float16"):
        try_precision(image * 1e5, load_model(MODEL), "float16", channel_axis=-1)


@pytest.mark.parametrize(
    ("agreement", "says"),
    [(1.0, "all labels agree"), (0.99999, "99.99 % of labels agree"), (0.9993, "99.93 % of labels agree")],
)
def test_agreement_is_never_rounded_up(agreement, says) -> None:
    trial = PrecisionTrial("bfloat16", "bfloat16", "CPU:0", 1.7, agreement, 0.0213, 65_536)
    assert says in str(trial)
    assert str(trial).startswith("bfloat16: 1.7 × as fast as float32; ")
    assert str(trial).endswith("largest difference 0.02, on 65,536 pixels of this image.")
