"""The claim of the program: the dense network gives the patch model's own numbers, whatever the network.

The reference is Keras itself: it loads the file it wrote and is applied to patches that plain NumPy cut out.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from _keras_side import portable_difference, predict, predict_whole, save_model
from chains import chains
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_fcnseg import convert, load_model, segment

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE = 1e-5
NUMPY_MODE = {"reflect": "reflect", "edge": "edge", "constant": "constant"}


def all_patches(image: np.ndarray, patch: tuple[int, ...], border: str) -> np.ndarray:
    """Cut out the patch of every pixel: ``(*spatial, *patch, channel)``."""
    before_after = [(p // 2, p - 1 - p // 2) for p in patch]
    padded = np.pad(image, [*before_after, (0, 0)], mode=NUMPY_MODE[border])
    axes = tuple(range(len(patch)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, patch, axes)
    return np.moveaxis(windows, len(patch), -1)


def check_exact(child: Callable[..., Any], spec: dict[str, Any], border: str, tile: int, margin: int) -> None:
    """Compare our segmentation of a random image with Keras at every pixel."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.keras")
        child(save_model, spec, path)
        *patch, channels = spec["input"]
        random = np.random.default_rng(spec["seed"])
        image = random.standard_normal((*(margin + i for i in range(len(patch))), channels)).astype(np.float32)
        ours = segment(image, path, border=border, tile=tile, probabilities=True, channel_axis=-1)
        patches = all_patches(image, tuple(patch), border)
        truth = child(predict, path, patches.reshape(-1, *spec["input"])).reshape(ours.probabilities.shape)
    difference = np.abs(ours.probabilities - truth) / np.maximum(np.abs(truth), 1)
    assert difference.max() <= TOLERANCE
    threshold = 0.5 if spec["layers"][-1][1]["activation"] == "sigmoid" else 0.0
    labels = (truth[..., 0] > threshold) + 1 if truth.shape[-1] == 1 else truth.argmax(-1) + 1
    ranked = np.sort(truth, axis=-1)
    lead = np.abs(truth[..., 0] - threshold) if truth.shape[-1] == 1 else ranked[..., -1] - ranked[..., -2]
    clear = lead > 2 * TOLERANCE  # below it the patch model itself is undecided
    np.testing.assert_array_equal(ours.labels[clear], labels[clear])


COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
RUNS = {"border": st.sampled_from(sorted(NUMPY_MODE)), "tile": st.integers(3, 12), "margin": st.integers(1, 14)}


@given(spec=chains(spatial=2), **RUNS)
@settings(max_examples=60, **COMMON)
def test_random_2d_chain_equals_keras_at_every_pixel(keras_child, spec, border, tile, margin) -> None:
    check_exact(keras_child, spec, border, tile, margin)


@given(spec=chains(spatial=3), **{**RUNS, "margin": st.integers(1, 6)})
@settings(max_examples=15, **COMMON)
def test_random_3d_chain_equals_keras_at_every_voxel(keras_child, spec, border, tile, margin) -> None:
    check_exact(keras_child, spec, border, tile, margin)


@given(spec=chains(spatial=1), **RUNS)
@settings(max_examples=15, **COMMON)
def test_random_1d_chain_equals_keras_at_every_sample(keras_child, spec, border, tile, margin) -> None:
    check_exact(keras_child, spec, border, tile, margin)


PATCH16 = {
    "input": (16, 13, 2),
    "layers": [
        ("Conv2D", {"filters": 6, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {"pool_size": 2}),
        ("SeparableConv2D", {"filters": 4, "kernel_size": 2}),
        ("BatchNormalization", {}),
        ("AveragePooling2D", {"pool_size": 2, "strides": 1}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def even_patch(keras_child, tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("models") / "even.keras")
    keras_child(save_model, PATCH16, path)
    return path


def test_the_file_written_by_save_gives_the_same_numbers_in_keras(keras_child, even_patch, tmp_path) -> None:
    image = np.random.default_rng(1).standard_normal((30, 25, 2)).astype(np.float32)
    fcn = convert(even_patch)
    written = fcn.save(tmp_path / "dense.keras")
    whole = keras_child(predict_whole, str(written), image)
    inside = segment(image, even_patch, border="valid", probabilities=True).probabilities[8:23, 6:19]
    np.testing.assert_allclose(whole[:15, :13], inside, atol=1e-6)


def test_the_layers_portable_form_equals_the_native_one(keras_child, even_patch) -> None:
    image = np.random.default_rng(2).standard_normal((24, 24, 2)).astype(np.float32)
    assert keras_child(portable_difference, even_patch, image) <= 1e-6


def test_predict_is_the_patch_network_itself(keras_child, even_patch) -> None:
    patches = np.random.default_rng(3).standard_normal((7, 16, 13, 2)).astype(np.float32)
    truth = keras_child(predict, even_patch, patches)
    np.testing.assert_allclose(load_model(even_patch).predict(patches), truth, atol=1e-6)
