"""What the image step says of an image: type, range, values that are no numbers, pixel size, and when that changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from _versions import since
from napari.layers import Image
from napari_helpers import give, image, settle, small_model
from qtpy.QtCore import Qt

from napari_fcnseg._napari.layers.axes import AxisChoice
from napari_fcnseg._napari.layers.channels import ImageLayers, InputSpec
from napari_fcnseg._napari.layers.facts import MOST, bad_values, look_at_values, values_in_words
from napari_fcnseg._napari.layers.pixel_size import pixel_size_fact, pixel_size_note
from napari_fcnseg.arrays.frame_source import transposed


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint64, np.float16, np.float32, np.float64])
def test_the_range_is_numpy_s_in_every_type(dtype) -> None:
    data = (image(3, 40, 50) * 30).astype(dtype)
    facts = look_at_values([data], (1, 2))
    assert (facts.low, facts.high, facts.bad, facts.sampled) == (float(data.min()), float(data.max()), 0, False)


def test_values_that_are_no_numbers_are_counted_and_left_out_of_the_range() -> None:
    data = image(40, 50)
    data[0, :3], data[5, 5] = np.nan, np.inf
    facts = look_at_values([data, np.ones_like(data)], (0, 1))
    assert (facts.bad, facts.high) == (4, float(data[np.isfinite(data)].max()))
    assert bad_values(facts).startswith("4 values are NaN or infinite, and")
    nothing = look_at_values([np.full((4, 5), np.nan)], (0, 1))
    assert (math.isnan(nothing.low), nothing.bad) == (True, 20)
    assert values_in_words(np.dtype("float64"), nothing) == "float64"


def test_of_a_large_image_a_sample_is_read_and_it_says_so() -> None:
    class Stored:
        """An array on a disk that notes how much is read."""

        shape, dtype, chunks, ndim = (9, 2, 20_000, 30_000), np.dtype(np.uint16), (1, 1, 1000, 1000), 4
        read = 0

        def __getitem__(self, where):
            size = [len(range(*part.indices(n))) for part, n in zip(where, self.shape, strict=True)]
            self.read += math.prod(size)
            return np.full(size, 7 + (where[2].start == 0), self.dtype)

    stored = Stored()
    facts = look_at_values([stored], (2, 3))
    assert (facts.low, facts.high, facts.sampled) == (7, 8, True)
    assert stored.read <= 9 * 2 * 512 * 512 < MOST
    assert values_in_words(stored.dtype, facts) == "uint16, 7 to 8 in a sample of it"


@pytest.mark.parametrize(
    ("scale", "unit", "fact", "factor"),
    [
        (0.65, "um", "pixels of 0.65 µm, as the model's", ""),
        (650, "nm", "pixels of 0.65 µm, as the model's", ""),
        (0.325, "um", "pixels of 0.325 µm", "Make the image 0.5 times as large"),
        (1, "pixel", "no pixel size (the model's is 0.65 µm)", ""),
    ],
)
def test_the_pixel_size_is_compared_with_the_model_s(scale, unit, fact, factor) -> None:
    layer = Image(image(20, 21, 3), scale=(scale, scale, 9), units=(unit, unit, "um" if unit != "pixel" else unit))
    need = InputSpec(1, 2, pixel_size=(0.65, 0.65), unit="micrometer")
    source = ImageLayers.of([layer], need, AxisChoice(model=(0, 1)))
    assert pixel_size_fact(source) == fact
    note = pixel_size_note(source)
    assert factor in note if factor else not note


def test_an_array_that_is_no_numpy_array_is_reordered_as_numpy_does_it() -> None:
    dask = pytest.importorskip("dask.array")
    data = image(4, 5, 6, 7)
    lazy = transposed(dask.from_array(data, chunks=(4, 2, 3, 7)), (2, 0, 3, 1))
    expected = data.transpose(2, 0, 3, 1)
    assert (lazy.shape, lazy.chunks) == (expected.shape, (3, 4, 7, 2))
    np.testing.assert_array_equal(np.asarray(lazy), expected)
    for where in ((1, slice(1, 3), slice(0, 7), slice(2, 4)), (slice(0, 2), 3, slice(1, 5), 0), (5, 3, 6, 4)):
        np.testing.assert_array_equal(lazy[where], expected[where])


@since("napari", "0.8", "fails where the data of a layer with units get another number of axes")
def test_the_dock_follows_the_layer_it_shows(qtbot, viewer, dock) -> None:
    box = dock.image
    assert "drop it here" in box.mapping.text()
    layer = viewer.add_image(image(40, 41), name="dapi", colormap="blue")
    qtbot.waitUntil(lambda: " to " in box.facts.text(), timeout=10_000)
    assert box.facts.text().endswith("no pixel size")  # before there is a model
    assert [segment.letter for segment in box.strip.segments] == ["Y", "X"]
    icon = box.combos[0].itemIcon(1).pixmap(16, 16).toImage()
    assert icon.pixelColor(15, 8).blue() > 200 > 50 > icon.pixelColor(15, 8).red()
    layer.scale, layer.units = (0.5, 0.5), ("um", "um")
    qtbot.waitUntil(lambda: box.facts.text().endswith("pixels of 0.5 µm"), timeout=10_000)
    bad = np.zeros((3, 20, 21), np.float32)
    bad[1, 2, 3] = np.nan
    layer.data = bad
    qtbot.waitUntil(lambda: "1 value is NaN" in box.warning.text(), timeout=10_000)
    give(dock, small_model())
    settle(qtbot)
    assert [segment.role.value for segment in box.strip.segments] == ["frames", "rows", "columns"]
    qtbot.keyClick(box.strip.buttons[0], Qt.Key.Key_Return)
    assert [action.text() for action in box.strip.menu.actions()][1:] == ["the model's rows", "the model's columns"]
    box.strip.menu.close()
    layer.data = np.full((20, 21), 3, np.uint8)
    qtbot.waitUntil(lambda: box.facts.text().startswith("uint8, all 3"), timeout=10_000)
    assert not box.warning.isVisibleTo(box)
    viewer.layers.remove(layer)
    settle(qtbot)
    assert (box.strip.segments, box.facts.text()) == ((), "")
    assert box._events._callbacks == []  # nobody listens any more
