"""The less usual layers and operations: read, as a patch network and as a dense one, they give Keras's own numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from readers import reader_more_files
from readers.reader_evaluate import evaluate

import napari_fcnseg as fcn
from napari_fcnseg.readers import read_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = [
    f"{name}.{end}"
    for name in reader_more_files.NAMES
    for end in ("keras", "h5")
    if end == "keras" or name not in reader_more_files.KERAS_ONLY
]


@pytest.fixture(scope="session")
def more_files(keras_child: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("more_files")
    for name in reader_more_files.NAMES:
        if not reader_more_files.cannot(name):
            keras_child(reader_more_files.write_one, name, folder)
    return folder


def same(result: np.ndarray, expected: np.ndarray, tolerance: float = 2e-6) -> None:
    scale = max(1.0, float(np.abs(expected).max()))
    assert result.size == expected.size
    result = result.reshape(expected.shape)  # a map of one position may stand for a vector
    np.testing.assert_allclose(result / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", FILES)
def test_network_computes_what_keras_computed(more_files: Path, file: str) -> None:
    name = file.rpartition(".")[0]
    if reader_more_files.cannot(name):
        pytest.skip(reader_more_files.cannot(name))
    network, truth = read_model(more_files / file), np.load(more_files / f"{name}.npz")
    same(evaluate(network, truth["x"].reshape(-1, *network.input_shape)), truth["y"])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", reader_more_files.NAMES)
def test_patch_network_and_dense_network_give_keras_s_numbers(more_files: Path, name: str) -> None:
    if reader_more_files.cannot(name):
        pytest.skip(reader_more_files.cannot(name))
    model, truth = fcn.load_model(more_files / f"{name}.keras"), np.load(more_files / f"{name}.npz")
    same(model.predict(truth["x"].reshape(-1, *model.network.input_shape)), truth["y"], 1e-5)
    check_dense(model)


def check_dense(model: fcn.PatchModel) -> None:
    """Compare the dense network with the patch network on an image that is a little larger than a patch."""
    sizes = tuple(n + 2 for n in model.patch_shape)
    image = np.random.default_rng(0).normal(0, 1, (*sizes, model.channels)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(image, model.patch_shape, tuple(range(len(sizes))))
    patches = np.moveaxis(windows, len(sizes), -1).reshape(-1, *model.network.input_shape)
    found = fcn.segment(image, model, channel_axis=-1, border="valid", probabilities=True, method="dense")
    inside = tuple(slice(p // 2, p // 2 + 3) for p in model.patch_shape)
    assert found.probabilities is not None
    ours = np.asarray(found.probabilities)[inside].reshape(len(patches), -1)
    expected = model.predict(patches)
    if model.fcn.network.head == "scores":
        pytest.skip("its probabilities are not its numbers")
    same(ours, expected, 1e-5)
