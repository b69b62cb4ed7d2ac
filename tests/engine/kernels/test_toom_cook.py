"""The matrices compute the correlation that NumPy computes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.engine.kernels.toom_cook import LENGTH, matrices


@pytest.mark.parametrize("weights", [2, 3, 4, 5])
def test_they_give_the_correlation(weights: int) -> None:
    rng = np.random.default_rng(weights)
    x, w = rng.standard_normal(LENGTH), rng.standard_normal(weights)
    output, kernel, data = matrices(weights)
    np.testing.assert_allclose(output @ ((kernel @ w) * (data @ x)), np.correlate(x, w, "valid"), atol=1e-13)


@pytest.mark.parametrize("weights", [1, 6])
def test_other_windows_are_refused(weights: int) -> None:
    with pytest.raises(ValueError, match="2 to 5 weights"):
        matrices(weights)
