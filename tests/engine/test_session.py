"""The session's engine: one child, reused, replaced when it dies; usable from anywhere Python runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from _keras_side import save_model
from patience import patience

from napari_fcnseg import errors, iter_segment, load_model, segment
from napari_fcnseg.engine import engine, hardware

if TYPE_CHECKING:
    from pathlib import Path

SPEC = {
    "input": (9, 9, 1),
    "layers": [
        ("Conv2D", {"filters": 8, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def model_path(keras_child, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.keras"
    keras_child(save_model, SPEC, str(path))
    return path


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((40, 50), np.float32)


def test_the_child_is_reused_by_the_next_run(model_path, image) -> None:
    segment(image, model_path)
    pid = engine().pid
    segment(image, model_path)
    assert engine().pid == pid
    assert engine().warm


def test_a_kill_in_mid_run_is_a_sentence_and_the_next_run_works(model_path, image) -> None:
    expected = segment(image, model_path).labels
    pid = engine().pid
    tiles = iter_segment(image, model_path, tile=8)
    kept = [next(tiles)]
    os.kill(pid, signal.SIGSTOP)  # or it may die between two tiles, and is replaced unnoticed
    threading.Timer(1, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(errors.EngineError, match="computing process ended"):
        kept.extend(tiles)
    for tile in kept:
        np.testing.assert_array_equal(tile.labels, expected[tile.where])
    np.testing.assert_array_equal(segment(image, model_path).labels, expected)
    assert engine().pid != pid


def test_a_run_that_is_closed_leaves_the_engine_ready(model_path, image) -> None:
    tiles = iter_segment(image, model_path, tile=8)
    next(tiles)
    tiles.close()
    assert segment(image, model_path).labels.shape == image.shape


def test_an_unknown_device_is_said_with_the_choice(model_path, image) -> None:
    before = set(engine()._hosts)
    with pytest.raises(errors.SettingsError, match=r"no device 'TPU'.*CPU:0 .*tensorflow:CPU:0 "):
        segment(image, model_path, device="TPU")
    if not hardware.driver_here():  # a framework that can find nothing is not started to learn that
        assert set(engine()._hosts) == before
    assert segment(image, model_path, device="cpu").provenance["device"].startswith("CPU:0 (")


def test_a_model_in_memory_is_compiled_once(model_path) -> None:
    model = load_model(model_path)
    device = engine().device()
    first = engine().load(model.fcn.network, device)
    assert engine().load(model.fcn.network, device) is first


@pytest.mark.timeout(200)
def test_a_plain_script_without_a_main_guard_and_piped_code_work(model_path, tmp_path) -> None:
    code = (
        "import numpy as np, napari_fcnseg\n"
        f"result = napari_fcnseg.segment(np.ones((12, 13)), {str(model_path)!r})\n"
        "print('once', result.labels.shape)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    for command, piped in (([sys.executable, str(script)], None), ([sys.executable, "-"], code)):
        done = subprocess.run(
            command, input=piped, capture_output=True, text=True, timeout=120 * patience(), check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "once (12, 13)\n", "")
