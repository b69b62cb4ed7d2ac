"""Products in registers are NumPy's in double precision, for any numbers of rows, columns and taps."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fcnseg.engine.kernels.product import multiply, packed, panel, product, vectors
from napari_fcnseg.engine.kernels.vectors import LANES


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 30),
    depth=st.integers(1, 40) | st.integers(100, 700),  # of which some are summed in several pieces
    columns=st.integers(1, 5 * LANES),
    taps=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    floor=st.sampled_from([0.0, -np.inf]),
    seed=st.integers(0, 2**31),
)
def test_a_product_is_numpys(rows: int, depth: int, columns: int, taps: list[int], floor: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((rows, depth + 9)).astype(np.float32)
    b = rng.standard_normal((len(taps) * depth, columns)).astype(np.float32)
    bias = np.zeros(vectors(columns) * LANES, np.float32)
    bias[:columns] = rng.standard_normal(columns)
    found = np.full((rows + 1, columns + 3), 7, np.float32)
    right = packed(b[None])[0]
    first = 0
    while first < columns:
        wide = panel(columns - first)
        some = min(wide, columns - first)
        multiply(
            product(), a, 0, depth + 9, rows, np.array(taps), depth, right, first * len(b), wide,
            found, first, columns + 3, some, bias, first, 0, np.float32(floor),
        )  # fmt: skip
        first += some
    left = np.concatenate([a[:, tap : tap + depth] for tap in taps], axis=1)
    wanted = np.maximum(left.astype(np.float64) @ b + bias[:columns], floor)
    largest = (np.abs(left) @ np.abs(b)).max()
    np.testing.assert_allclose(found[:rows, :columns], wanted, atol=1e-5 + 1e-6 * largest)
    assert (found[rows] == 7).all()  # and nothing is written beside it
    assert (found[:, columns:] == 7).all()


def test_what_is_no_number_stays_so() -> None:
    a = np.array([[np.nan]], np.float32)
    out = np.zeros((1, 1), np.float32)
    bias = np.zeros(LANES, np.float32)
    multiply(
        product(),
        a,
        0,
        1,
        1,
        np.zeros(1, np.int64),
        1,
        packed(a[None])[0],
        0,
        LANES,
        out,
        0,
        1,
        1,
        bias,
        0,
        0,
        np.float32(0),
    )
    assert np.isnan(out).all()
