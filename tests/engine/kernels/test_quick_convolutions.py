"""The convolutions and the pool are what the definition says, in double precision."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_fcnseg.conversion.dense_network import DensePool
from napari_fcnseg.engine.kernels.choice import pooling
from napari_fcnseg.engine.kernels.direct import Direct
from napari_fcnseg.engine.kernels.fourier import Fourier, Mixed
from napari_fcnseg.engine.kernels.pooling import Pooling
from napari_fcnseg.engine.kernels.winograd import Winograd

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEED = st.integers(0, 2**31)


def reference(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, dilation: Sequence[int], relu: bool) -> np.ndarray:
    """Return the definition's sum in double precision."""
    window = kernel.shape[:-2]
    sizes = [n - (k - 1) * d for n, k, d in zip(x.shape[1:], window, dilation, strict=False)]
    total = np.zeros((1, *sizes, kernel.shape[-1])) + bias
    for tap in itertools.product(*map(range, window)):
        part = tuple(slice(t * d, t * d + n) for t, d, n in zip(tap, dilation, sizes, strict=True))
        total += x[(slice(None), *part)].astype(np.float64) @ kernel[tap].astype(np.float64)
    return np.maximum(total, 0) if relu else total


def one(kernel: np.ndarray, bias: np.ndarray, dilation: Sequence[int], relu: bool, then: Any = ()) -> Direct:
    return Direct([kernel], bias, [dilation], relu, then)


def compare(make: Any, window: Sequence[int], dilation: Sequence[int], results: Sequence[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs, outputs, relu = rng.integers(1, 9), rng.integers(1, 9), bool(rng.integers(2))
    spatial = [n + (k - 1) * d for n, k, d in zip(results, window, dilation, strict=True)]
    x = rng.standard_normal((1, *spatial, inputs)).astype(np.float32)
    kernel = rng.standard_normal((*window, inputs, outputs)).astype(np.float32)
    bias = rng.standard_normal(outputs).astype(np.float32)
    wanted = reference(x, kernel, bias, dilation, relu)
    found = make(kernel, bias, dilation, relu)(x)
    above = np.zeros((1, 2, *wanted.shape[2:]), np.float32)
    below = make(kernel, bias, dilation, relu)(x, above=above)
    np.testing.assert_array_equal(below, np.concatenate([above, found], axis=1))
    assert found.shape == wanted.shape
    assert found.dtype == np.float32
    largest = np.abs(reference(np.abs(x), np.abs(kernel), 0 * bias, dilation, False)).max()
    np.testing.assert_allclose(found, wanted, atol=2e-6 * largest, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_winograd(data: st.DataObject) -> None:
    axes = data.draw(st.sampled_from([2, 3]))
    window = [data.draw(st.integers(1, 3))] * (axes - 2) + [data.draw(st.integers(2, 5)) for _ in range(2)]
    dilation = [data.draw(st.integers(1, 9)) for _ in range(axes)]
    results = [data.draw(st.integers(1, 4))] * (axes - 2) + [data.draw(st.integers(1, 40)) for _ in range(2)]
    compare(Winograd, window, dilation, results, data.draw(_SEED))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_direct(data: st.DataObject) -> None:
    axes = data.draw(st.integers(1, 3))
    window = [data.draw(st.integers(1, 4)) for _ in range(axes)]
    dilation = [data.draw(st.integers(1, 9)) for _ in range(axes)]
    results = [data.draw(st.integers(1, 4)) for _ in range(axes - 1)] + [data.draw(st.integers(1, 60))]
    compare(one, window, dilation, results, data.draw(_SEED))


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_sum_of_several_maps_and_parts_of_them(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(_SEED))
    outputs, shape = data.draw(st.integers(1, 70)), (data.draw(st.integers(1, 5)), data.draw(st.integers(1, 60)))
    bias = rng.standard_normal(outputs).astype(np.float32)
    maps, kernels, dilations, wanted = [], [], [], np.zeros((1, *shape, outputs)) + bias
    largest = np.abs(wanted)
    large = data.draw(st.lists(st.booleans(), min_size=1, max_size=4))
    for is_large in large:
        window = tuple(data.draw(st.integers(5, 7) if is_large else st.integers(1, 3)) for _ in range(2))
        dilation = tuple(data.draw(st.integers(1, 3)) for _ in range(2))
        inputs = data.draw(st.integers(1, 20))
        whole = rng.standard_normal(
            (1, *(n + (k - 1) * d + 2 for n, k, d in zip(shape, window, dilation, strict=True)), inputs + 1)
        )
        maps.append(whole.astype(np.float32)[:, 1:-1, 2:, 1:])
        kernels.append(rng.standard_normal((*window, inputs, outputs)).astype(np.float32))
        dilations.append(dilation)
        wanted += reference(maps[-1], kernels[-1], 0 * bias, dilation, False)
        largest += reference(np.abs(maps[-1]), np.abs(kernels[-1]), 0 * bias, dilation, False)
    relu = data.draw(st.booleans())
    wanted = np.maximum(wanted, 0) if relu else wanted
    found = Direct(kernels, bias, dilations, relu)(*maps)
    near = {"atol": 2e-6 * largest.max(), "rtol": 0}
    np.testing.assert_allclose(found, wanted, **near)
    if any(large) and not all(large):
        above = np.zeros((1, 2, *wanted.shape[2:]), np.float32)
        mixed = Mixed(kernels, bias, dilations, relu, (), large)(*maps, above=above)
        np.testing.assert_allclose(mixed, np.concatenate([above, wanted], axis=1), **near)
        after = rng.standard_normal((1, 1, outputs, 3)).astype(np.float32) / outputs, np.ones(3, np.float32), True
        mixed = Mixed(kernels, bias, dilations, relu, [after], large)(*maps)
        np.testing.assert_allclose(mixed, reference(wanted, after[0], after[1], (1, 1), True), **near)


@pytest.mark.parametrize("make", [one, Winograd])
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_what_follows_pixel_by_pixel(make: Any, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(_SEED))
    window, dilation = (3, 2), (data.draw(st.integers(1, 5)), 2)
    sizes = [data.draw(st.integers(1, 70)) for _ in range(data.draw(st.integers(2, 5)))]
    kernels = [rng.standard_normal((*shape, a, b)).astype(np.float32) / np.sqrt(a)
               for shape, a, b in zip([window] + [(1, 1)] * 5, sizes, sizes[1:], strict=False)]  # fmt: skip
    biases = [rng.standard_normal(n).astype(np.float32) for n in sizes[1:]]
    relus = [bool(rng.integers(2)) for _ in kernels]
    x = rng.standard_normal((1, data.draw(st.integers(14, 40)), data.draw(st.integers(14, 70)), sizes[0]))
    wanted, found = x, x.astype(np.float32)
    for number, (kernel, bias, relu) in enumerate(zip(kernels, biases, relus, strict=True)):
        wanted = reference(wanted, kernel, bias, (1, 1) if number else dilation, relu)
    then = list(zip(kernels, biases, relus, strict=True))[1:]
    found = make(kernels[0], biases[0], dilation, relus[0], then)(found)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * max(1, np.abs(wanted).max()), rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_fourier(data: st.DataObject) -> None:
    window = [data.draw(st.integers(2, 11)) for _ in range(2)]
    dilation = [data.draw(st.integers(1, 9)) for _ in range(2)]
    results = [data.draw(st.integers(1, 40)) for _ in range(2)]
    compare(Fourier, window, dilation, results, data.draw(_SEED))


@pytest.mark.parametrize(("make", "window"), [(Winograd, 3), (Winograd, 4), (Fourier, 10)])
def test_many_channels_stay_within_a_few_roundings(make: Any, window: int) -> None:
    rng = np.random.default_rng(0)
    kernel = (rng.standard_normal((window, window, 64, 48)) / window / 8).astype(np.float32)
    x = np.maximum(rng.standard_normal((1, 40 + 4 * window, 41 + 4 * window, 64)), 0).astype(np.float32)
    bias = np.zeros(48, np.float32)
    wanted = reference(x, kernel, bias, (4, 4), False)
    error = make(kernel, bias, (4, 4), False)(x) - wanted
    assert np.sqrt((error**2).mean()) < 1.5e-6 * wanted.std()  # the plain sum in float32 has 2e-7


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_pooling(data: st.DataObject) -> None:
    axes, channels = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([1, 3, 16, 37]))
    dilation = [data.draw(st.integers(1, 5)) for _ in range(axes)]
    shape = [data.draw(st.integers(1, 12)) for _ in range(axes)]
    random = np.random.default_rng(data.draw(_SEED))
    maps, sizes, entries = [], [], []
    for _ in range(data.draw(st.integers(1, 3))):  # several maps of other sizes, seen in part
        size = [data.draw(st.integers(1, 3)) for _ in range(axes)]
        spatial = [n + (k - 1) * d for n, k, d in zip(shape, size, dilation, strict=True)]
        around = [data.draw(st.integers(0, 2)) for _ in range(axes)]
        whole = random.standard_normal((1, *(n + 2 * a for n, a in zip(spatial, around, strict=True)), channels))
        part = whole.astype(np.float32)[(0, *(slice(a, a + n) for a, n in zip(around, spatial, strict=True)))][None]
        footprint = np.zeros([(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)], bool)
        footprint[tuple(slice(None, None, d) for d in dilation)] = True
        windows = np.lib.stride_tricks.sliding_window_view(part[0], footprint.shape, range(axes))
        maps, sizes, entries = [*maps, part], [*sizes, size], [*entries, windows[..., footprint]]
    every = np.concatenate(entries, axis=-1)
    np.testing.assert_array_equal(Pooling(True, sizes, dilation, 1)(*maps)[0], every.max(axis=-1))
    count = data.draw(st.integers(1, 9))
    np.testing.assert_allclose(Pooling(False, sizes, dilation, count)(*maps)[0], every.sum(axis=-1) / count, atol=1e-5)


@pytest.mark.parametrize("kind", ["max", "average"])
def test_pools_along_one_axis_after_another_are_one(kind: Any) -> None:
    ops = [DensePool(kind, ((3, 1),), (2, 1), 3), DensePool(kind, ((1, 2),), (1, 4), 2)]
    x = np.random.default_rng(0).standard_normal((1, 12, 15, 5)).astype(np.float32)
    together = pooling(ops)
    apart = [pooling([op]) for op in ops]
    assert together is not None
    assert apart[0] is not None
    assert apart[1] is not None
    np.testing.assert_allclose(together(x), apart[1](apart[0](x)), rtol=1e-5, atol=1e-6)
