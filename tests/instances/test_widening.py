"""Windows are widened until all is decided, and no further than there is memory for."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg import InstanceSettings, find_instances
from napari_fcnseg.errors import OutOfMemoryError
from napari_fcnseg.instances import widening
from napari_fcnseg.instances.widening import Widening, room_around


def test_every_pixel_is_decided_in_a_window_that_is_wide_enough() -> None:
    """What is at a place is known within windows that reach as far from it as a number there says."""
    shape, box = (60, 70), ((16, 48), (24, 56))
    reach = np.random.default_rng(0).choice([1, 1, 1, 5, 9, 30], shape)
    asked = []

    def attempt(window, wanted):
        asked.append(window)
        here = tuple(slice(*span) for span in window)
        return np.arange(60 * 70).reshape(shape)[here], reach[here] > room_around(window, shape, (1, 1))

    into, wanted = np.zeros((32, 32), int), np.random.default_rng(1).random((32, 32)) < 0.5
    before = wanted.copy()
    Widening(shape, (32, 32)).decide(box, wanted, into, attempt)
    assert not wanted.any()
    expected = np.arange(60 * 70).reshape(shape)[16:48, 24:56]
    np.testing.assert_array_equal(into, np.where(before, expected, 0))
    assert asked[0] == ((12, 52), (20, 60))  # an eighth of a block around it at first


def test_only_what_has_to_be_seen_at_once_has_to_fit_into_memory(monkeypatch) -> None:
    """Cells that all touch are cut in windows; a lake of the same size has to be seen as a whole for its middle."""
    cells = np.full((130, 130), 3, np.uint8)
    cells[::10] = cells[:, ::10] = 2
    expected = find_instances(cells, InstanceSettings(3, 2))
    lake = np.ones((130, 130), np.uint8)
    lake[0] = 0
    monkeypatch.setattr(widening, "_SMALL", 60 * 60)
    monkeypatch.setattr(widening, "free_memory", lambda: 1000)
    np.testing.assert_array_equal(find_instances(cells, InstanceSettings(3, 2), block=20), expected)
    assert expected.max() == 13 * 13
    said = r"here, \d+ × \d+ pixels have to be seen at once.*KiB of memory, and 1000 bytes are free\. .*components"
    with pytest.raises(OutOfMemoryError, match=said):
        find_instances(lake, InstanceSettings(1, method="watershed"), block=20)
