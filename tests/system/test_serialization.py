"""Dataclasses as JSON has them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
import pytest

from napari_fcnseg.comparison import CompareSettings, compare
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.instances.settings import InstanceSettings
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.system.serialization import to_plain


@dataclass(frozen=True)
class Inner:
    """Something with numbers that JSON has not."""

    number: float
    several: tuple[tuple[int, ...], ...] = ((1, 2), ())


def test_what_json_has_not_becomes_what_it_has() -> None:
    data = {1: Inner(math.nan), "b": [np.int64(3), np.float32(0.5), math.inf, True, None]}
    assert to_plain(data) == {
        "1": {"number": None, "several": [[1, 2], []]}, "b": [3, 0.5, None, True, None],
    }  # fmt: skip
    labels = np.arange(80).reshape(8, 10)
    comparison = compare(labels, labels[::-1], instances=True)
    assert to_plain(comparison) == to_plain(asdict(comparison))
    json.dumps(comparison.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "settings",
    [
        RunSettings(preprocess=("divide_by_median",), region=((0, 5), (2, 7)), tile=(30, 40)),
        InstanceSettings(interior=(2, 3), edge=1, minimum_size=5),
        CompareSettings("instances", ignore=(0, 4), threshold=0.7, tolerance=2.5, spatial=3),
    ],
)
def test_settings_come_back_from_json_and_a_stranger_s_key_is_refused(settings) -> None:
    assert type(settings).from_json(settings.to_json()) == settings
    assert type(settings).from_dict(settings.as_dict()) == settings
    with pytest.raises(SettingsError, match=r"There is no setting 'colour'.*Choose from: .*"):
        type(settings).from_dict({**settings.as_dict(), "colour": "red"})
