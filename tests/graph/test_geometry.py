"""The integers of the method, against counting by hand and against brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.graph.geometry import Axis, Geometry, WindowError

WINDOWS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)), max_size=4)


def seen_pixels(size: int, windows: list[tuple[int, int, int]]) -> list[list[int]] | None:
    """Follow every position through windows by brute force: the pixels it sees; None if a window does not fit."""
    positions = [[i] for i in range(size)]
    for kernel, stride, dilation in windows:
        span = (kernel - 1) * dilation + 1
        if span > len(positions):
            return None
        starts = range(0, len(positions) - span + 1, stride)
        positions = [
            sorted({pixel for tap in range(kernel) for pixel in positions[start + tap * dilation]}) for start in starts
        ]
    return positions


def lay(size: int, windows: list[tuple[int, int, int]]) -> Axis:
    axis = Axis.of_patch(size)
    for window in windows:
        axis = axis.window(*window)
    return axis


@given(size=st.integers(1, 40), windows=WINDOWS)
def test_axis_describes_what_each_position_sees(size, windows) -> None:
    seen = seen_pixels(size, windows)
    if seen is None:
        with pytest.raises(WindowError):
            lay(size, windows)
        return
    axis = lay(size, windows)
    assert axis.size == len(seen)
    assert (axis.lo, axis.hi) == (0, axis.size)
    for position, pixels in enumerate(seen):
        assert pixels[0] == axis.origin + position * axis.step
        assert pixels[-1] == axis.origin + position * axis.step + axis.reach - 1


def test_deepcell_61_sees_the_whole_patch_through_three_pools() -> None:
    geometry = Geometry.of_patch((61, 61, 2))
    for kernel, stride in [(3, 1), (4, 1), (2, 2), (3, 1), (3, 1), (2, 2), (3, 1), (3, 1), (2, 2), (4, 1)]:
        geometry = geometry.window((kernel, kernel), (stride, stride), (1, 1), 64)
    assert geometry.sizes == (1, 1)
    assert geometry.steps == (8, 8)
    assert geometry.reach == (61, 61)


def test_collapsing_sees_everything_that_any_position_saw() -> None:
    axis = Axis.of_patch(16).window(3).window(2, 2)  # 7 positions, the last pixel is never seen by one of them
    collapsed = Geometry((axis,), 4).collapsed(9, flat=True)
    assert collapsed.sizes == (1,)
    assert collapsed.reach == (16,)
    assert collapsed.channels == 9
