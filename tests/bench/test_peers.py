"""The benchmark's peers compute what Keras says of each patch: who is faster does not do less."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from bench.peer_side import BENCHMARKS, answer, write

from napari_fcnseg import load_model
from napari_fcnseg.imagefile import ImageFile, write_image

EXACT = 1e-5
PEERS = [("blog", True), ("blog", False), ("keras", False), ("onnx", True), ("onnx", False)]
ELSEWHERE = [
    (peer, own_pool) for peer in ("torch", "openvino", "onnxruntime") for own_pool in (False, True)
]  # in processes of their own: their thread pools and TensorFlow's do not get on


@pytest.fixture(scope="module")
def folder(keras_child, tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers")
    keras_child(write, str(folder))
    network = load_model(folder / "model.keras").fcn.network
    (folder / "network.pickle").write_bytes(pickle.dumps(network))
    return folder


def check(found: np.ndarray, folder) -> None:
    truth = np.load(folder / "truth.npy")
    assert np.ptp(truth[..., 0]) > 0.1  # or a constant would do
    assert found.shape == truth.shape
    assert np.abs(found - truth).max() <= EXACT


@pytest.mark.parametrize(("peer", "own_pool"), PEERS)
def test_a_peer_computes_what_the_patch_network_does(keras_child, folder, peer, own_pool) -> None:
    check(keras_child(answer, peer, str(folder), own_pool), folder)


def test_our_own_ways_do_too(folder, monkeypatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    contender = importlib.import_module("contender")
    job = contender.Job(str(folder), 1)
    picture = np.load(folder / "image.npy")
    write_image(folder / "image.tif", ImageFile(picture, "YXC"))
    _, ways = contender.begin("ours", job)
    assert len(ways) == 2
    contender.tune()
    files = {way: contender.turn(way, keep=True)[1] for way in ways}
    labels, scores = (np.load(files[way]) for way in ways)
    check(scores, folder)
    np.testing.assert_array_equal(labels, scores.argmax(axis=-1) + 1)


@pytest.mark.parametrize(("peer", "own_pool"), ELSEWHERE)
def test_so_does_one_that_is_not_always_installed(folder, peer, own_pool) -> None:
    if importlib.util.find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        check(process.submit(answer, peer, str(folder), own_pool).result(), folder)
