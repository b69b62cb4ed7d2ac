"""What people write elsewhere is understood, and kept in the specification's own words."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.frame_source import MemorySource
from napari_fcnseg.errors import SettingsError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/255", preprocess.BYTES),
        ("÷65535", preprocess.WORDS),
        ("/2.5", "scale_linear:0.4,0"),
        ("zscore", "zero_mean_unit_variance"),
        ("Z-Score", "zero_mean_unit_variance"),
        ("standardize", "zero_mean_unit_variance"),
        ("NORMALIZE", "scale_range"),
        ("minmax", "scale_range"),
        ("percentiles", "scale_range:1,99.8"),
        ("median localmean:61", "divide_by_median subtract_local_mean:61"),
        ("Divide by median, subtract local mean 61", "divide_by_median subtract_local_mean:61"),
        ("fixed zero mean unit variance 3,4", "fixed_zero_mean_unit_variance:3,4"),
        ("/255, zscore", f"{preprocess.BYTES} zero_mean_unit_variance"),
    ],
)
def test_a_usual_name_is_its_step(written, meant) -> None:
    assert preprocess.parse(written) == preprocess.parse(meant)
    assert preprocess.parse(", ".join(map(str, preprocess.parse(written)))) == preprocess.parse(meant)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("medain", "divide_by_median"), ("standard_variance", "zero_mean_unit_variance"), ("zscore@all", "zero_mean")],
)
def test_a_step_that_is_nearly_named_is_proposed(written, meant) -> None:
    with pytest.raises(SettingsError, match=rf"Did you mean .*{meant}.*\? Choose from: binarize"):
        preprocess.parse(written)
    with pytest.raises(SettingsError, match=r"step 'qqq'\. Choose from"):
        preprocess.parse("qqq")


def test_dividing_is_dividing() -> None:
    frame = MemorySource(np.arange(256, dtype=np.float32).reshape(16, 16, 1))
    source = preprocess.prepare(frame, preprocess.parse("/255"))
    np.testing.assert_allclose(source.read(source.everything())[..., 0].ravel(), np.arange(256) / 255, rtol=1e-6)


@pytest.mark.parametrize("written", ["/0", "/", "/x", "/-3", "none", "zscore:3"])
def test_what_is_no_step_is_refused(written) -> None:
    with pytest.raises(SettingsError):
        preprocess.parse(written)
