"""What is said of a run that takes long."""

from __future__ import annotations

import pytest

from napari_fcnseg.run.time_estimate import Estimate


@pytest.mark.parametrize(
    ("seconds", "every", "axes", "said"),
    [
        (299, 1, 2, ""),
        (300, 1, 2, "For a first look, --every 4 takes about 19 s."),
        (7200, 1, 2, "For a first look, --every 16 takes about 28 s."),
        (7200, 3, 2, "For a first look, --every 48 takes about 28 s."),
        (7200, 1, 3, "For a first look, --every 8 takes about 14 s."),
    ],
)
def test_a_first_look_at_a_long_run_takes_a_minute_at_most(seconds: float, every: int, axes: int, said: str) -> None:
    assert Estimate(seconds, 1000, ("dense", "patchwise"), "CPU", every, axes).first_look == said
    assert not Estimate(seconds, 1000, ("dense",), "CPU", every, axes).first_look
