"""Told to end, by a computer that is shut down for example: a sentence, what is done is kept, no lock stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from patience import patience

from napari_fcnseg.cli.signals import ToldToEnd, heeded

MODEL = Path(__file__).resolve().parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows ends programs without a word")


def test_signals_are_heeded_once_and_left_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def told_twice() -> None:
        with heeded():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(ToldToEnd) as caught:
        told_twice()
    assert caught.value.code == 143
    assert str(caught.value) == "stopped by SIGTERM."
    assert signal.getsignal(signal.SIGTERM) is before
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with heeded():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["image", "folder"])
def test_sigterm_ends_a_run_with_a_sentence_and_without_locks(tmp_path, kind) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", np.zeros((3000, 3000, 3), np.uint8))
    source, target = (tmp_path / name for name in (("in/a.tif", "out/l.tif") if kind == "image" else ("in", "out")))
    command = [sys.executable, "-m", "napari_fcnseg.cli.main", "segment", str(source), "--model", str(MODEL)]
    command += ["-o", str(target), "--method", "patchwise"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not list((tmp_path / "out").glob(".fcnseg-*.lock")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.2)
        while not (started := children(process.pid)):  # the computing process
            time.sleep(0.2)
        process.terminate()
        out, err = process.communicate(timeout=120 * patience())
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 143, err
    assert err.strip().splitlines()[-1] == "napari-fcnseg: stopped by SIGTERM."
    assert "Traceback" not in out + err
    left = {path.name for path in (tmp_path / "out").iterdir() if path.suffix != ".ledger"}
    assert left <= ({"report.csv", "a.labels.tif.partial.zarr"} if kind == "folder" else {"l.tif.partial.zarr"})
    deadline = time.monotonic() + 30
    import psutil

    while any(psutil.pid_exists(pid) for pid in started) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(psutil.pid_exists(pid) for pid in started)
