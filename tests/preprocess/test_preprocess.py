"""Each preprocessing step against its definition, and the text it is written as."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.arrays.frame_source import MemorySource
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.preprocess import Step, parse, prepare, usage

IMAGE = np.random.default_rng(0).gamma(2.0, 50.0, (40, 30, 2)).astype(np.float32) + 1


def prepared(*steps: str) -> np.ndarray:
    return whole(IMAGE, *steps)


def whole(image: np.ndarray, *steps: str) -> np.ndarray:
    source = prepare(MemorySource(image), parse(steps))
    return source.read(source.everything())


def test_each_channel_is_divided_by_its_own_median() -> None:
    np.testing.assert_allclose(prepared("divide_by_median"), IMAGE / np.median(IMAGE, axis=(0, 1)), rtol=1e-6)


def test_the_local_mean_is_that_of_a_box_with_reflected_border() -> None:
    size = 7
    padded = np.pad(IMAGE, [(3, 3), (3, 3), (0, 0)], mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
    expected = IMAGE - windows.mean(axis=(-1, -2))
    np.testing.assert_allclose(prepared("subtract_local_mean:7"), expected, atol=1e-3)


def test_bioimageio_steps_follow_the_specification() -> None:
    mean, std = IMAGE.mean((0, 1)), IMAGE.std((0, 1))
    np.testing.assert_allclose(prepared("zero_mean_unit_variance"), (IMAGE - mean) / (std + 1e-6), atol=1e-4)
    low, high = np.percentile(IMAGE, (1, 99), axis=(0, 1))
    np.testing.assert_allclose(prepared("scale_range:1,99"), (IMAGE - low) / (high - low + 1e-6), atol=1e-4)
    np.testing.assert_allclose(prepared("scale_linear:2,-3"), 2 * IMAGE - 3, rtol=1e-5)
    np.testing.assert_array_equal(prepared("clip:50,100"), IMAGE.clip(50, 100))
    np.testing.assert_array_equal(prepared("clip:-inf,100"), IMAGE.clip(None, 100))
    np.testing.assert_array_equal(prepared("binarize:100"), IMAGE > 100)
    np.testing.assert_allclose(prepared("scale_linear:0.1,-5", "sigmoid"), 1 / (1 + np.exp(5 - IMAGE / 10)), atol=1e-5)
    fixed = prepared("fixed_zero_mean_unit_variance:100,20")
    np.testing.assert_allclose(fixed, (IMAGE - 100) / (20 + 1e-6), atol=1e-5)


def test_statistics_can_be_those_of_all_channels_together() -> None:
    mean, std = IMAGE.mean(), IMAGE.std()
    np.testing.assert_allclose(prepared("zero_mean_unit_variance@all"), (IMAGE - mean) / (std + 1e-6), atol=1e-4)
    low, high = np.percentile(IMAGE, (1, 99))
    np.testing.assert_allclose(prepared("scale_range@all:1,99"), (IMAGE - low) / (high - low + 1e-6), atol=1e-4)


def test_fixed_numbers_may_differ_between_channels() -> None:
    expected = (IMAGE - np.float32([10, 20])) / np.float32([3, 3])
    np.testing.assert_allclose(prepared("fixed_zero_mean_unit_variance:10/20,3"), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(prepared("binarize:50/150"), IMAGE > np.float32([50, 150]))
    with pytest.raises(SettingsError, match="numbers for 3 channels, and the image 2"):
        prepared("scale_linear:1/2/3")


@pytest.mark.parametrize(
    "text",
    [
        ["divide_by_median", "subtract_local_mean:61"],
        "divide_by_median,subtract_local_mean:61",
        "divide_by_median subtract_local_mean:61",
        "divide_by_median; subtract_local_mean:61",
    ],
)
def test_steps_may_be_written_apart_or_in_one_text(text) -> None:
    assert parse(text) == (Step("divide_by_median"), Step("subtract_local_mean", (61.0,)))


def test_a_step_is_written_as_it_was_read() -> None:
    texts = ["scale_range:1,99.8", "clip:0,1", "scale_linear:0.123456789,-1e-30"]
    assert [str(step) for step in parse(texts)] == texts
    assert [str(step) for step in parse("clip:0,inf, scale_range@all:1,99")] == ["clip:0,inf", "scale_range@all:1,99"]
    assert usage("scale_linear") == "scale_linear:gain,offset"


def test_an_empty_text_is_no_step() -> None:
    assert parse("") == parse([]) == parse(" ") == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mean", "no preprocessing step 'mean'.*subtract_local_mean"),
        ("subtract_local_mean", "write the preprocessing step as subtract_local_mean:size"),
        ("subtract_local_mean:wide", "subtract_local_mean:size"),
        ("divide_by_median:3", "does not fit"),
        ("divide_by_median@all", "does not fit"),
        ("scale_range@some", "no preprocessing step 'scale_range@some'"),
        ("scale_linear:nan", "does not fit"),
        ("scale_linear:inf,0", "does not fit"),
        ("clip:-inf,inf", "does not fit"),
        ("subtract_local_mean:3/5", "does not fit"),
        ("scale_linear:1/2,1/2/3", "does not fit"),
    ],
)
def test_a_mistake_in_the_text_is_said(text, says) -> None:
    with pytest.raises(SettingsError, match=says):
        parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("subtract_local_mean:0", "whole number"),
        ("scale_range:50,20", "two percentiles"),
        ("clip:0,0", None),
        ("fixed_zero_mean_unit_variance:1,0", "at least 1e-6"),
    ],
)
def test_arguments_out_of_range_are_said(text, says) -> None:
    if says is None:
        assert not prepared(text).any()
        return
    with pytest.raises(SettingsError, match=says):
        prepared(text)


def test_a_median_of_zero_is_said() -> None:
    with pytest.raises(SettingsError, match="median is 0"):
        whole(np.zeros((5, 5, 1), np.float32), "divide_by_median")
