"""Which axis is what: found where it is clear, asked where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.arrays import frame_source
from napari_fcnseg.errors import ImageError
from napari_fcnseg.plan.layout import Layout


def frame(layout: Layout, image: np.ndarray, index: tuple[int, ...] = ()) -> np.ndarray:
    """Return the whole of one frame."""
    one = layout.source(image, index)
    return one.read(one.everything())


@pytest.mark.parametrize(
    ("shape", "channels", "axis", "result"),
    [
        ((40, 30), 1, None, (40, 30)),
        ((40, 30, 1), 1, 2, (40, 30)),
        ((7, 40, 30), 1, None, (7, 40, 30)),
        ((40, 30, 3), 3, 2, (40, 30)),
        ((3, 40, 30), 3, 0, (40, 30)),
        ((5, 3, 40, 30), 3, 1, (5, 40, 30)),
        ((3, 40, 30), 1, None, (3, 40, 30)),
        ((6, 5, 40, 30, 2), 2, 4, (6, 5, 40, 30)),
    ],
)
def test_the_channel_axis_is_found_by_its_length(shape, channels, axis, result) -> None:
    layout = Layout.of(shape, channels, spatial=2)
    assert layout.channel_axis == axis
    assert layout.result_shape == result


@pytest.mark.parametrize(
    ("shape", "channels", "axis", "says"),
    [
        ((3, 40, 3), 3, None, "channel_axis=0 or 2"),
        ((40, 30), 3, None, "takes 3 channels"),
        ((40, 30, 4), 3, None, "no axis of that length"),
        ((40, 30, 4), 3, -1, "4 channels along axis 2; the model takes 3"),
        ((40, 30), 1, 5, "no channel axis 5"),
        ((40,), 1, None, "too few axes"),
        ((0, 30), 1, None, "is empty"),
        ((40, 30, 3), 1, None, r"seems to hold 3 channels or colours along its last axis.*image\[\.\.\., None\]"),
        ((512, 512, 2), 1, None, "seems to hold 2 channels"),
        ((7, 40, 30, 4), 1, None, "seems to hold 4 channels"),
    ],
)
def test_what_does_not_fit_is_said(shape, channels, axis, says) -> None:
    with pytest.raises(ImageError, match=says):
        Layout.of(shape, channels, spatial=2, channel_axis=axis)


def test_what_could_be_colours_is_a_stack_where_that_is_said() -> None:
    layout = Layout.of((40, 30, 3, 1), 1, spatial=2, channel_axis=-1)
    assert (layout.stack_shape, layout.frame_shape) == ((40,), (30, 3))


def test_frames_are_the_stack_s_images_with_channels_last() -> None:
    image = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)
    layout = Layout.of(image.shape, channels=4, spatial=2, channel_axis=2)
    assert list(layout.frames()) == [(a, b) for a in range(2) for b in range(3)]
    np.testing.assert_array_equal(frame(layout, image, (1, 2)), np.moveaxis(image[1, 2], 0, -1))
    first = Layout.of((4, 2, 5, 6), channels=4, spatial=2, channel_axis=0)
    np.testing.assert_array_equal(frame(first, image[0, :2].swapaxes(0, 1), (1,)), np.moveaxis(image[0, 1], 0, -1))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "uint64", "float16", "float64", ">i2"])
def test_every_numeric_type_is_taken(dtype) -> None:
    image = np.array([[0, 1], [1, 0]], dtype)
    pixels = frame(Layout.of((2, 2), 1, 2), image)
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels[..., 0], [[0, 1], [1, 0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_said_with_their_place(bad) -> None:
    image = np.zeros((2, 5, 6, 2))
    image[1, 3, 4, 1] = image[1, 4, 0, 0] = bad
    layout = Layout.of(image.shape, 2, 2, channel_axis=-1)
    frame(layout, image, (0,))
    with pytest.raises(ImageError, match=r"2 values .* first at pixel \(1, 3, 4\), channel 1"):
        frame(layout, image, (1,))


def test_infinities_of_both_signs_do_not_hide_each_other() -> None:
    image = np.zeros((4, 4))
    image[0, 1], image[2, 2] = np.inf, -np.inf
    with pytest.raises(ImageError, match=r"2 values .* pixel \(0, 1\)"):
        frame(Layout.of((4, 4), 1, 2), image)


def test_of_an_image_on_disk_the_first_bad_value_of_the_frame_is_named_whatever_is_read(monkeypatch) -> None:
    """A window far behind it finds a bad value; the sentence is that for the whole frame."""
    dask = pytest.importorskip("dask.array")
    monkeypatch.setattr(frame_source, "_CELL", 1)
    monkeypatch.setattr(frame_source, "_BLOCK", 64)
    image = np.zeros((2, 40, 50))
    image[1, 3, 40] = image[1, 4, 2] = image[1, 35, 45] = np.nan
    lazy = Layout.of(image.shape, 1, 2).source(dask.from_array(image, chunks=(1, 8, 16)), (1,))
    assert not lazy.read(((8, 30), (0, 50))).any()
    with pytest.raises(ImageError, match=r"3 values .* first at pixel \(1, 3, 40\)"):
        lazy.read(((30, 40), (40, 50)))


@pytest.mark.parametrize(("dtype", "says"), [("complex64", "complex numbers.*magnitude"), ("U3", "type <U3")])
def test_what_is_no_real_number_is_refused(dtype, says) -> None:
    with pytest.raises(ImageError, match=says):
        Layout.of((2, 2), 1, 2).source(np.zeros((2, 2), dtype), ())
