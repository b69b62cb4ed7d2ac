"""Classes chosen by name."""

from __future__ import annotations

import pytest

from napari_fcnseg import InstanceSettings
from napari_fcnseg.errors import SettingsError

NAMES = ("background", "Cell edge", "nucleus", "2")


def test_names_and_numbers_are_the_same_choice() -> None:
    chosen = InstanceSettings.named(["nucleus", "1"], NAMES, "cell EDGE", minimum_size=5)
    assert chosen == InstanceSettings((3, 1), 2, minimum_size=5)
    assert InstanceSettings.named("2", NAMES).interior == (4,), "a class that is called 2"
    assert InstanceSettings.named(2, NAMES).interior == (2,)
    assert InstanceSettings.named("nucleus", ("Nucleus", "nucleus")).interior == (2,)


@pytest.mark.parametrize(
    ("name", "names", "said"),
    [
        (
            "nuclei",
            NAMES,
            r"no class 'nuclei'\. Did you mean 'nucleus'\? The classes are 1 'background', 2 'C",
        ),
        ("edge", NAMES, "Did you mean 'Cell edge'"),
        ("zebra", NAMES, r"no class 'zebra'\. The classes are"),
        ("nucleus", (), r"do not say what their classes are called.*Give the number"),
        ("CELL", ("cell", "Cell"), "Classes 1 and 2 are both called 'CELL'"),
        ("-1", NAMES, "at least 1, not -1"),
    ],
)
def test_a_name_that_is_none_is_answered_with_the_one_that_is_meant(
    name: str, names: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        InstanceSettings.named(name, names)
