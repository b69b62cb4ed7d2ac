"""The integers of the method, against following every position by brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.graph.geometry import INTERIOR, Axis, WindowError, lay, padding_of

WINDOWS = st.lists(
    st.tuples(
        st.integers(1, 5), st.integers(1, 3), st.integers(1, 2), st.tuples(st.integers(0, 3), st.integers(0, 3))
    ),
    max_size=4,
)  # fmt: skip
Window = tuple[int, int, int, tuple[int, int]]


def read_positions(size: int, window: Window) -> list[list[tuple[int, int]]]:
    """Return for each result of a window what it reads, ``(tap, position)``, padding left out."""
    kernel, stride, dilation, (before, after) = window
    starts = range(-before, size + after - (kernel - 1) * dilation, stride)
    return [
        [(tap, start + tap * dilation) for tap in range(kernel) if 0 <= start + tap * dilation < size]
        for start in starts
    ]


@given(size=st.integers(1, 40), windows=WINDOWS)
def test_runs_of_taps_read_what_the_window_reads(size, windows) -> None:
    axis = Axis.of_patch(size)
    for window in windows:
        expected = read_positions(axis.size, window)
        if not expected:
            with pytest.raises(WindowError):
                lay(axis, *window)
            return
        laid = lay(axis, *window)
        assert laid.axis.size == len(expected)
        for position, reads in enumerate(expected):
            result_class, entry = laid.axis.place(position)
            found = []
            for run in laid.runs[result_class]:
                for tap in range(run.start, run.stop):
                    # Which position of the source has this entry of this map for origin 0?
                    there = entry + run.offset + (tap - run.start) * laid.dilation
                    assert run.source == INTERIOR or (run.stop - run.start == 1 and run.offset == 0)
                    at = axis.lo + there // axis.step if run.source == INTERIOR else run.source
                    assert run.source != INTERIOR or (there % axis.step == 0 and axis.lo <= at < axis.hi)
                    found.append((tap, at))
            assert found == reads
        axis = laid.axis


@given(size=st.integers(1, 40), windows=WINDOWS)
def test_a_position_is_interior_exactly_when_nothing_it_came_from_touched_padding(size, windows) -> None:
    axis = Axis.of_patch(size)
    clean = [True] * size
    for window in windows:
        reads = read_positions(len(clean), window)
        if not reads:
            return
        clean = [len(taps) == window[0] and all(clean[position] for _, position in taps) for taps in reads]
        axis = lay(axis, *window).axis
        assert [axis.lo <= position < axis.hi for position in range(axis.size)] == clean


@given(n=st.integers(1, 30), k=st.integers(1, 6), s=st.integers(1, 4), d=st.integers(1, 2))
def test_same_padding_gives_as_many_windows_as_strides_fit(n, k, s, d) -> None:
    ((before, after),) = padding_of("same", (n,), (k,), (s,), (d,))
    assert lay(Axis.of_patch(n), k, s, d, (before, after)).axis.size == -(-n // s)
    assert after - before in (0, 1)


def test_explicit_padding_is_taken_as_it_is() -> None:
    assert padding_of(((1, 2),), (9,), (3,), (1,), (1,)) == ((1, 2),)
    assert padding_of("valid", (9,), (3,), (1,), (1,)) == ((0, 0),)
