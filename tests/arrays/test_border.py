"""A window that reaches over the border is what np.pad makes of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.arrays.border import WindowReader, check_border, predicted_region
from napari_fcnseg.arrays.frame_source import MemorySource
from napari_fcnseg.errors import SettingsError


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    patch=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    border=st.sampled_from(["reflect", "edge", "constant"]),
    data=st.data(),
)
def test_windows_equal_the_padded_image(shape, patch, border, data) -> None:
    image = np.random.default_rng(0).random((*shape, 2), np.float32)
    start = [data.draw(st.integers(0, n - 1)) for n in shape]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True)]
    reach = tuple(data.draw(st.integers(1, p)) for p in patch)
    origin = tuple(data.draw(st.integers(0, p - r)) for p, r in zip(patch, reach, strict=True))
    before = [p // 2 for p in patch]
    padded = np.pad(image, [*((b, p - 1 - b) for b, p in zip(before, patch, strict=True)), (0, 0)], mode=border)
    window = WindowReader(MemorySource(image), patch, border).read(tuple(zip(start, stop, strict=True)), reach, origin)
    where = tuple(slice(a + o, b + o + r - 1) for a, b, r, o in zip(start, stop, reach, origin, strict=True))
    np.testing.assert_array_equal(window, padded[where])


def test_the_centre_of_a_patch_is_its_index_p_half() -> None:
    image = np.arange(10, dtype=np.float32)[:, None]
    for size in (3, 4):
        (patch,) = WindowReader(MemorySource(image), (size,), "reflect").patches(np.array([[5]]), (size,))
        assert patch[size // 2, 0] == 5


def test_without_padding_only_whole_patches_are_predicted() -> None:
    assert predicted_region((10, 10), (3, 4), "valid") == ((1, 9), (2, 9))
    assert predicted_region((10, 2), (3, 4), "valid")[1] == (2, 2)
    assert predicted_region((10, 10), (3, 4), "edge") == ((0, 10), (0, 10))


def test_an_unknown_border_is_said_with_the_choice() -> None:
    with pytest.raises(SettingsError, match=r"'mirror'.*reflect, edge, constant, valid"):
        check_border("mirror")
