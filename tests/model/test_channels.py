"""Which image is which channel, by names."""

from __future__ import annotations

import pytest

from napari_fcnseg.model.channels import named_order, order_notes


@pytest.mark.parametrize(
    ("channels", "called", "order"),
    [
        (("phase", "dapi"), ("phase.tif", "dapi.tif"), [0, 1]),
        (("phase", "dapi"), ("s1_DAPI.tif", "s1_phase.tif"), [1, 0]),
        (("phase", "dapi"), ("dapi-2", "Phase", "phase contrast"), [1, 0]),
        (("phase", "dapi"), ("phases.tif", "dapi.tif"), None),
        (("dapi", "dapi 2"), ("dapi 2", "dapi"), [1, 0]),
        (("a.b", "c"), ("axb", "c"), None),
    ],
)
def test_an_image_is_the_channel_whose_name_is_a_word_of_its_own(channels, called, order) -> None:
    assert named_order(channels, called) == order


def test_files_in_another_order_than_the_channels_are_warned_of() -> None:
    assert order_notes(("phase", "dapi"), ("one.tif",)) == ("", "")
    assert order_notes((), ("b.tif", "a.tif")) == ("channel 1 = b.tif, channel 2 = a.tif.", "")
    assert order_notes(("phase", "dapi"), ("phase.tif", "dapi.tif")) == ("phase = phase.tif, dapi = dapi.tif.", "")
    which, warning = order_notes(("phase", "dapi"), ("dapi.tif", "phase.tif"))
    assert which == "phase = dapi.tif, dapi = phase.tif."
    assert warning.endswith("another order than the model's channels: phase.tif dapi.tif.")
