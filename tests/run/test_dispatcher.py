"""Tiles over devices: each pixel once and right, whatever dies, does not fit, or cannot be read.

Most of it drives real child processes that compute something simple, since starting TensorFlow again and again takes
minutes; that the same holds for it and for a real limit is at the end.
"""

from __future__ import annotations

import math
import os
import signal
import sys
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from _keras_side import save_model

from napari_fcnseg import iter_segment, load_model, segment
from napari_fcnseg.engine import Device, engine
from napari_fcnseg.errors import EngineError, ImageError, OutOfMemoryError
from napari_fcnseg.plan.memory_budget import MemoryBudget
from napari_fcnseg.plan.tiles import as_slices, cut_tiles
from napari_fcnseg.run.device_queue import DeviceQueue, TileJob
from napari_fcnseg.run.dispatcher import Dispatcher
from napari_fcnseg.system.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent.parent
SIDE = 40
CPU, OTHER = Device("CPU:0", "cpu", "processor"), Device("CPU:1", "cpu", "other processor", process=1)
GPU = Device("GPU:0", "gpu", "card")


class Numbering:
    """A method whose numbers are those of the pixels, computed in a child process per device.

    A region of more than ``most`` places makes the child raise or end, as ``how`` says for the device.
    """

    method = "dense"
    in_strips = False

    def __init__(self, how: dict[str, str], most: int) -> None:
        self.how, self.most = how, most
        self.children: dict[str, ChildProcess] = {}
        self.deaths = 0

    def load(self, device: Device) -> Future[float]:
        """Compile nothing."""
        done: Future[float] = Future()
        done.set_result(0.0)
        return done

    def begin(self, reader: object, region, device: Device) -> Future[np.ndarray]:
        """Hand a region to the device's process; one whose reader is an error cannot be read below the top row."""
        if isinstance(reader, Exception) and region[0][0] > 0:
            raise reader
        child = self.children.get(device.key)
        if child is None or not child.alive:
            self.deaths += child is not None
            child = self.children[device.key] = ChildProcess("child_target")
        return child.call("number", region, SIDE, self.most, self.how.get(device.key, ""))

    def finish(self, answer: np.ndarray) -> np.ndarray:
        """Return the numbers."""
        return answer

    def bytes(self, size: tuple[int, ...]) -> float:
        """Return a byte per place."""
        return math.prod(size)


@pytest.fixture
def compute(monkeypatch) -> Iterator:
    """Compute an image's numbers in tiles; return them, how often each came, the notes and the counts."""
    monkeypatch.syspath_prepend(str(HERE))
    methods = []

    def run(how: dict[str, str], most: int = 10**6, devices=(CPU,), reader: object = None, tile: int = 20):
        method = Numbering(how, most)
        methods.append(method)
        numbers, times, notes = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE), int), []
        given = sorted(cut_tiles(((0, SIDE), (0, SIDE)), (tile, tile)))
        dispatcher = Dispatcher([method], devices, MemoryBudget(method.bytes, None, math.inf), notes.append)
        jobs = (TileJob((), region, (reader,)) for region in given)
        problem = None
        try:
            for finished in dispatcher.answers(jobs, None):
                job, (answer,) = finished
                numbers[as_slices(job.region)] = answer
                times[as_slices(job.region)] += 1
        except Exception as error:
            problem = error
        return method, dispatcher, numbers, times, notes, problem

    yield run
    for method in methods:
        for child in method.children.values():
            child.kill()


EXPECTED = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)


@pytest.mark.parametrize("how", ["raise", "kill", "abort", "crash", "answer"])
def test_what_does_not_fit_is_cut_and_done_again(compute, how) -> None:
    method, dispatcher, numbers, times, notes, problem = compute({"CPU:0": how}, most=120)
    assert problem is None
    assert (times == 1).all()
    np.testing.assert_array_equal(numbers, EXPECTED)
    assert dispatcher.added == 4 * 3  # 20 × 20 is more than 120, 10 × 10 is not
    assert len(notes) == 2
    assert "tile of 20 × 20 pixels" in notes[0]
    assert notes[1] == "The run goes on in tiles of 10 × 10 pixels."
    assert method.deaths == (0 if how in ("raise", "answer") else 1)


def test_a_tile_that_is_finished_just_after_the_look_ends_no_run(compute, monkeypatch) -> None:
    look = DeviceQueue.ready.fget

    def late(queue: DeviceQueue) -> bool:
        seen = look(queue)
        wait(queue.awaited)
        return seen

    monkeypatch.setattr(DeviceQueue, "ready", property(late))
    _, _, numbers, times, _, problem = compute({})
    assert problem is None
    assert (times == 1).all()
    np.testing.assert_array_equal(numbers, EXPECTED)


def test_a_process_that_dies_whatever_the_tile_ends_the_run_and_what_came_is_kept(compute) -> None:
    method, _, numbers, times, notes, problem = compute({"CPU:0": "kill below"})
    assert isinstance(problem, OutOfMemoryError)
    assert "signal 9" in str(problem)
    assert method.deaths == 2  # three processes
    assert times[:20].all()
    assert not times[20:].any()
    np.testing.assert_array_equal(numbers[:20], EXPECTED[:20])
    assert len(notes) == 1


def test_where_the_smallest_tile_does_not_fit_the_cpu_says_so(compute) -> None:
    *_, times, _, problem = compute({"CPU:0": "raise"}, most=3)
    assert isinstance(problem, OutOfMemoryError)
    assert "does not fit into memory" in str(problem)
    assert not times.any()


def test_a_device_that_is_too_small_hands_its_tiles_to_the_cpu(compute) -> None:
    _, dispatcher, numbers, times, notes, problem = compute({"GPU:0": "raise"}, most=3, devices=(GPU,))
    assert problem is None
    assert (times == 1).all()
    np.testing.assert_array_equal(numbers, EXPECTED)
    assert [device.key for device in dispatcher.devices] == ["CPU:0"]
    assert "memory of GPU:0 (card) is too small" in notes[1]


def test_several_devices_share_the_tiles_and_one_s_trouble_is_its_own(compute) -> None:
    method, _, numbers, times, notes, problem = compute({"CPU:0": "kill"}, most=60, devices=(CPU, OTHER), tile=10)
    assert problem is None
    assert (times == 1).all()
    np.testing.assert_array_equal(numbers, EXPECTED)
    assert set(method.children) == {"CPU:0", "CPU:1"}
    assert all("CPU:1" not in note for note in notes)


def test_what_cannot_be_read_ends_the_run_after_what_was_begun(compute) -> None:
    *_, numbers, times, _, problem = compute({}, reader=ImageError("a bad pixel"))
    assert str(problem) == "a bad pixel"
    assert times[:20].all()
    np.testing.assert_array_equal(numbers[:20], EXPECTED[:20])


def test_another_error_of_the_process_is_no_want_of_memory(compute) -> None:
    *_, times, notes, problem = compute({"CPU:0": "fail"}, most=120)
    assert type(problem) is EngineError
    assert not notes
    assert not times.any()


SPEC = {
    "input": (9, 9, 1),
    "layers": [
        ("Conv2D", {"filters": 64, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {}),
        ("Conv2D", {"filters": 64, "kernel_size": 2, "activation": "relu"}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def model(keras_child, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "wide.keras"
    keras_child(save_model, SPEC, str(path))
    return load_model(path)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).random((600, 600), np.float32)


@pytest.fixture(scope="module")
def expected(model, image) -> np.ndarray:
    return segment(image, model, probabilities=True, tile=128)


def assert_same_labels(labels: np.ndarray, expected) -> None:
    """Compare labels where no two classes are equally likely: there rounding decides, which depends on the tile."""
    two = np.sort(expected.probabilities, axis=-1)[..., -2:]
    clear = two[..., 1] - two[..., 0] > 1e-5
    assert clear.mean() > 0.999
    np.testing.assert_array_equal(labels[clear], expected.labels[clear])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
@pytest.mark.usefixtures("own_cache")
def test_under_a_real_limit_that_is_too_small_for_the_first_tile_the_run_ends_correct(model, image, expected) -> None:
    for done in engine().release():
        done.result()
    child = psutil.Process(engine().pid)
    room = child.memory_info().vms + 120 * 2**20  # one of the maps of 64 channels takes 88 MiB
    _, most = child.rlimit(psutil.RLIMIT_AS)
    child.rlimit(psutil.RLIMIT_AS, (room, most))
    try:
        result = segment(image, model, probabilities=True, tile=600)
    finally:
        if child.is_running():
            child.rlimit(psutil.RLIMIT_AS, (most, most))
    assert_same_labels(result.labels, expected)
    np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=1e-6)
    assert "A tile of 600 × 600 pixels" in result.provenance["notes"][0]
    assert result.provenance["notes"][-1].startswith("The run goes on in tiles of")


@pytest.mark.usefixtures("own_cache")
def test_a_run_whose_process_the_system_kills_goes_on_in_smaller_tiles(model, image, expected) -> None:
    tiles = iter_segment(image, model, tile=300)
    seen = [next(tiles)]
    os.kill(engine().pid, signal.SIGKILL)
    seen += tiles
    labels, times = np.zeros_like(expected.labels), np.zeros(image.shape, int)
    for tile in seen:
        labels[tile.where] = tile.labels
        times[tile.where] += 1
    assert (times == 1).all()
    assert_same_labels(labels, expected)
    assert [tile.done for tile in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].total == len(seen) > 4
    notes = [note for tile in seen for note in tile.notes]  # a tile may have been finished before the process was ended
    assert sum("The computing process crashed" in note for note in notes) == 1
