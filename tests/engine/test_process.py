"""A computing process keeps a few networks and gives memory back; what it has given up is compiled again."""

from __future__ import annotations

import dataclasses

import numpy as np
import psutil
import pytest
from _keras_side import save_model

from napari_fcnseg import load_model
from napari_fcnseg.engine import engine

BIG = 200 * 2**20  # bytes of a map
SPEC = {
    "input": (5, 5, 1),
    "layers": [
        ("Conv2D", {"filters": 16, "kernel_size": 3}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def network(keras_child, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.keras"
    keras_child(save_model, SPEC, str(path))
    return load_model(path).fcn.network


@pytest.fixture(scope="module")
def device():
    return engine().device("CPU")


@pytest.fixture(scope="module")
def host(device):
    return engine()._host_of(device)


def window(network, places: int) -> np.ndarray:
    return np.ones((1, *(n - 1 + places for n in network.reach), network.channels), np.float32)


def test_only_the_networks_used_last_are_kept_and_others_come_back(host, device, network) -> None:
    several = [dataclasses.replace(network, name=str(n)) for n in range(3)]
    answers = [host.call("run", one, device, window(network, 4)).result() for one in several]
    last, given_up = host.load(several[2], device), host.load(several[0], device)
    assert host.load(several[2], device) is last, "compiled once"
    host.release(kept=1).result()
    assert host.load(several[2], device) is last, "used last"
    np.testing.assert_array_equal(host.call("run", several[0], device, window(network, 4)).result(), answers[0])
    assert host.load(several[0], device) is not given_up, "compiled anew"


def test_a_network_given_up_while_its_tiles_wait_still_answers(host, device, network) -> None:
    one = dataclasses.replace(network, name="waits")
    waiting = [host.call("run", one, device, window(network, 500)) for _ in range(2)]
    host.release(kept=0)
    for future in waiting:
        assert np.isfinite(future.result()).all()


def test_a_load_that_was_withdrawn_is_done_again(host, device, network) -> None:
    busy = host.call("run", network, device, window(network, 1000))
    one = dataclasses.replace(network, name="withdrawn")
    assert host.load(one, device).cancel(), "it waits behind the other"
    assert host.call("run", one, device, window(network, 4)).result().shape == (1, 4, 4, 3)
    busy.result()


def test_memory_goes_back_to_the_system(host, device, network) -> None:
    process = psutil.Process(host.child.pid)
    host.call("run", network, device, window(network, 4)).result()
    host.release().result()
    before = process.memory_info().rss
    future = host.call("run", network, device, window(network, int((BIG / 4 / 16) ** 0.5)))
    future.result()
    assert future.usage.peak - before > BIG, "it did take memory"
    for released in engine().release():
        released.result()
    assert process.memory_info().rss - before < BIG / 4
