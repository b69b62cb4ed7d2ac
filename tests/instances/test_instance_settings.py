"""What instances are to be, as plain data: checked when made, the same after a trip through JSON, and in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg import InstanceSettings
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.instances.settings import InstanceSizes, suggested_classes, why_none

SETTINGS = st.builds(
    InstanceSettings,
    interior=st.integers(1, 4) | st.lists(st.integers(1, 4), min_size=1).map(tuple),
    edge=st.none() | st.integers(5, 9),
    minimum_size=st.integers(0, 10**6),
    fill_holes=st.integers(0, 10**6),
    connectivity=st.integers(1, 3),
)


@given(SETTINGS)
def test_settings_survive_json(settings) -> None:
    assert InstanceSettings.from_json(settings.to_json()) == settings
    assert settings.method == ("components" if settings.edge is None else "watershed")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"interior": 0}, "interior class is a whole number, at least 1, not 0"),
        ({"interior": 1.5}, "not 1.5"),
        ({"interior": True}, "not True"),
        ({"interior": "cell"}, "not 'cell'"),
        ({"interior": ()}, "No interior class"),
        ({}, "No interior class"),
        ({"interior": 2, "edge": 2}, "Class 2 cannot be interior and edge"),
        ({"interior": (1, 3), "edge": 3}, "Class 3 cannot"),
        ({"interior": 1, "edge": 0}, "edge class is a whole number"),
        ({"interior": 1, "method": "magic"}, "Choose one of: components, watershed"),
        ({"interior": 1, "edge": 2, "method": "components"}, "for the watershed"),
        ({"interior": 1, "separation": 1.0}, "for the watershed"),
        ({"interior": 1, "method": "watershed", "separation": 0}, "above 0, not 0"),
        ({"interior": 1, "method": "watershed", "separation": "far"}, "not 'far'"),
        ({"interior": 1, "method": "watershed", "separation": True}, "not True"),
        ({"interior": 1, "minimum_size": -1}, "smallest size is a whole number, at least 0"),
        ({"interior": 1, "fill_holes": 2.5}, "not 2.5"),
        ({"interior": 1, "connectivity": 0}, "connectivity is a whole number, at least 1"),
        ({"interior": 1, "colour": "red"}, "no setting 'colour'"),
    ],
)
def test_impossible_settings_are_said(arguments, says) -> None:
    with pytest.raises(SettingsError, match=says):
        InstanceSettings.from_dict(arguments)


@pytest.mark.parametrize(
    ("pixels", "size", "says"),
    [
        ([], None, "No objects"),
        ([412], 0.4225, "1 object, 412 px (174 µm²)"),
        ([10, 20], None, "2 objects, median 15 px"),
        ([10, 21], 100.0, "2 objects, median 15.5 px (1,550 µm²)"),
        ([3] * 1234, 0.001, "1,234 objects, median 3 px (0.003 µm²)"),
    ],
)
def test_sizes_in_words(pixels, size, says) -> None:
    instances = np.repeat(np.arange(1, len(pixels) + 1), pixels)
    assert str(InstanceSizes.of(instances, size, "µm²")) == says


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("background", "edge", "interior"), (3, 2)),
        (("cell border", "Nuclei", "outside the cells"), (2, 1)),
        (("background", "nucleus", "stained"), (2, None)),
        (("class 1", "class 2", "class 3"), (None, None)),  # the last may be the background
        (("class 1",), (1, None)),
        (("nothing", "something"), (2, None)),
        (("edge",), (1, None)),
        (("background",), (1, None)),
        ((), (None, None)),
    ],
)
def test_classes_are_suggested_by_their_names(names, expected) -> None:
    assert suggested_classes(dict(enumerate(names, start=1))) == expected


def test_why_there_is_no_instance() -> None:
    labels, names = np.array([[0, 1], [2, 2]]), {1: "background", 2: "edge", 3: "interior"}
    assert why_none(labels, InstanceSettings(3), names) == (
        "No objects: no pixel is of class 3 (interior). "
        "The labels hold the classes 1 (background), 2 (edge): choose one of them."
    )
    assert why_none(labels, InstanceSettings(2, minimum_size=9)).startswith("No objects: none has 9 pixels or more.")
    assert "All labels are 0." in why_none(0 * labels, InstanceSettings(1))
    said = why_none(np.arange(4, 3000), InstanceSettings(3))
    assert "The labels hold 2,996 numbers, from 4 to 2,999: these are objects or an image. Give the labels" in said
