"""Cores in a window: sure of nothing that the whole frame may see otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter, generate_binary_structure
from skimage.morphology import local_maxima, reconstruction

from napari_fcnseg.instances.blocks import slices
from napari_fcnseg.instances.cores import extended_maxima
from napari_fcnseg.instances.widening import open_sides, room_around


def reference(inside, separation) -> np.ndarray:
    """Return the extended maxima of the depth, by scikit-image in the whole array at once."""
    depth = np.pad(distance_transform_edt(inside).astype(np.float32).astype(float), 1)
    structure = generate_binary_structure(depth.ndim, 1)
    raised = reconstruction(depth - separation, depth, footprint=structure)
    return (local_maxima(np.where(depth > 0, raised, -np.inf), structure) & (depth > 0))[(slice(1, -1),) * depth.ndim]


@st.composite
def windows(draw: st.DrawFn):
    """Draw an interior and a window of it."""
    shape = draw(st.sampled_from([(40, 50), (25, 70), (15, 14, 16), (90,)]))
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).standard_normal(shape)
    smooth = gaussian_filter(noise, draw(st.sampled_from([1.0, 2.0, 4.0])))
    inside = smooth > draw(st.sampled_from([-0.5, 0.0, 0.4])) * smooth.std()
    inside.ravel()[draw(st.integers(0, inside.size - 1))] = False
    spans = []
    for length in shape:
        low = draw(st.integers(0, length - 4))
        spans.append((low, draw(st.integers(low + 4, length))))
    return inside, tuple(spans), draw(st.sampled_from([0.5, 1.0, 1.5, 3.0]))


@settings(max_examples=150)
@given(windows())
def test_what_a_window_is_sure_of_is_so_in_the_whole_frame(drawn) -> None:
    inside, window, separation = drawn
    whole = reference(inside, separation)
    here = slices(window)
    own = inside[here]
    room = room_around(window, inside.shape, (1.0,) * inside.ndim)
    depth = distance_transform_edt(own).astype(np.float32) if not own.all() else np.full(own.shape, 1e9, np.float32)
    unsure = (depth > room) | open_sides(window, inside.shape)
    cores, unknown = extended_maxima(own, own, depth, unsure, separation, 1, lambda: None)
    asked = own & ~unknown
    np.testing.assert_array_equal(cores[asked], whole[here][asked])


@given(windows())
def test_the_whole_frame_is_sure_of_everything(drawn) -> None:
    inside, _, separation = drawn
    depth = distance_transform_edt(inside).astype(np.float32)
    nowhere = np.zeros(inside.shape, bool)
    cores, unknown = extended_maxima(inside, inside, depth, nowhere, separation, 1, lambda: None)
    assert not unknown.any()
    np.testing.assert_array_equal(cores, reference(inside, separation))


@pytest.mark.parametrize(("low", "sure"), [(0, True), (3, False)])
def test_a_maximum_at_a_side_of_a_window_is_unknown_where_the_frame_goes_on(low, sure) -> None:
    inside = np.ones((3, 12), bool)
    inside[:, -1] = False
    depth = np.broadcast_to(np.arange(11.0, -1, -1, np.float32), inside.shape)
    window = ((0, 3), (low, low + 12))
    unsure = open_sides(window, (3, low + 12))
    cores, unknown = extended_maxima(inside, inside, depth, unsure, 0.5, 1, lambda: None)
    assert cores[:, 0].all() == sure
    assert unknown[:, 0].all() != sure
    assert not unknown[:, 5:].any()
    assert not cores[:, 5:].any()
