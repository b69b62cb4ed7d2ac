"""Settings are plain data: checked when made, the same after a trip through JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.errors import SettingsError
from napari_fcnseg.settings import RunSettings

SETTINGS = st.builds(
    RunSettings,
    channel_axis=st.none() | st.integers(-3, 3),
    preprocess=st.lists(st.sampled_from(["divide_by_median", "clip:0,1"])).map(tuple),
    border=st.sampled_from(["reflect", "valid"]),
    device=st.none() | st.just("GPU:1"),
    tile=st.none() | st.integers(1, 999) | st.tuples(st.integers(1, 99), st.integers(1, 99)),
    memory_limit=st.none() | st.integers(1, 2**40),
    probabilities=st.booleans(),
)


@given(SETTINGS)
def test_settings_survive_json(settings) -> None:
    assert RunSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tile": 0}, "at least 1"),
        ({"tile": "big"}, "not 'big'"),
        ({"tile": (64, 1.5)}, "whole number"),
        ({"tile": ()}, "at least 1"),
        ({"precision": "float8"}, "float32"),
        ({"memory_limit": -1}, "positive"),
        ({"colour": "red"}, "no setting 'colour'"),
    ],
)
def test_impossible_settings_are_said(arguments, says) -> None:
    with pytest.raises(SettingsError, match=says):
        RunSettings.from_dict(arguments)
