"""The child process: answers, errors, deaths on either side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from napari_fcnseg.errors import EngineError, OutOfMemoryError, UnsupportedLayerError
from napari_fcnseg.system.child_process import ChildProcess, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent.parent


@pytest.fixture
def child(monkeypatch) -> Iterator[ChildProcess]:
    monkeypatch.syspath_prepend(str(HERE))
    child = ChildProcess("child_target")
    yield child
    child.kill()


@pytest.fixture
def quickly_watched(monkeypatch) -> Iterator[ChildProcess]:
    """Return a child that is looked at so often that a second or two of standing still end it."""
    monkeypatch.setattr("napari_fcnseg.system.child_process.LOOK_EVERY", 0.5)
    monkeypatch.setattr("napari_fcnseg.system.child_process.STUCK_AFTER", 3)
    monkeypatch.syspath_prepend(str(HERE))
    child = ChildProcess("child_target")
    yield child
    child.kill()


def ends(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends in time."""
    until = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_arrays_come_back_as_they_were_sent(child) -> None:
    array = np.random.default_rng(0).random((300, 400, 3), np.float32)
    np.testing.assert_array_equal(child.call("echo", array).result(30), array)


def test_it_is_another_process_without_the_caller_s_modules(child) -> None:
    pid, modules = child.call("process").result(30)
    assert pid == child.pid != os.getpid()
    assert not {"pytest", "napari", "qtpy"} & set(modules)


def test_answers_come_in_order_and_prints_do_not_disturb_them(child) -> None:
    futures = [child.call("echo", n) for n in range(50)]
    assert child.call("chatter").result(30) == "quiet"
    assert [f.result(30) for f in futures] == list(range(50))


def test_our_errors_arrive_whole_and_others_as_a_sentence(child) -> None:
    for name in ("refuse", "registered_error"):
        with pytest.raises(UnsupportedLayerError, match=r"'odd_one' \(Odd\) cannot be used: it is odd. Take it out."):
            child.call(name).result()
    with pytest.raises(EngineError, match=r"failed with RuntimeError: first line$"):
        child.call("fail").result(30)
    with pytest.raises(OutOfMemoryError, match="smaller tile") as caught:
        child.call("exhaust").result(30)
    assert caught.value.pid is None  # the process is still there
    assert child.call("echo", 1).result(30) == 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("raise_foreign", r"failed with OpError: graph is odd"),
        ("raise_holding_foreign", r"answer that cannot be read: it holds tensorflow\.Odd"),
        ("raise_unreadable", r"answer that cannot be read"),
        ("raise_exit", r"failed with SystemExit: bye"),
        ("raise_interrupt", r"failed with KeyboardInterrupt: no message"),
        ("answer_foreign", r"answer that cannot be read: it holds keras\.Odd"),
        ("answer_function", r"answer that cannot be read: it holds posix\.system"),
        ("answer_lambda", r"(?i)pickle"),
    ],
)
def test_whatever_a_call_raises_or_answers_is_that_call_s_sentence_and_nothing_is_imported(
    child, function, said, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    with pytest.raises(EngineError, match=said):
        child.call(function).result(30)
    assert child.call("echo", 1).result(30) == 1  # the same process goes on
    assert not {"tensorflow", "keras"} & (set(sys.modules) - before)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows has no signal that stops a process")
def test_a_child_that_stands_still_is_ended_with_a_sentence(quickly_watched) -> None:
    child = quickly_watched
    child.call("echo", 1).result(30)
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(EngineError, match="stood still") as caught:
        child.call("echo", 2).result(30)
    assert type(caught.value) is EngineError  # no want of memory
    assert ends(child.pid)


def test_a_child_that_works_for_long_or_is_asked_nothing_is_left_alone(quickly_watched) -> None:
    child = quickly_watched
    child.call("work", 3).result(60)
    time.sleep(3)
    assert child.call("echo", 1).result(30) == 1


def test_arrays_of_every_layout_and_type_arrive_as_they_are_and_may_be_written_to(child) -> None:
    base = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    for array in (base, base.T, base[:, ::2], base[0, 0, 0], np.asfortranarray(base), np.zeros((0, 3)), base > 3):
        back = child.call("echo", array).result(30)
        np.testing.assert_array_equal(back, array)
        assert back.dtype == array.dtype
    back = child.call("echo", base).result(30)
    back[0, 0, 0] = 7
    assert child.call("echo", {"a": (1, {2}, None, 1j), "p": Path("x")}).result(30) == {
        "a": (1, {2}, None, 1j),
        "p": Path("x"),
    }


def test_a_killed_child_ends_every_waiting_call_with_a_sentence(child) -> None:
    waiting = [child.call("die"), child.call("echo", 1)]
    for future in waiting:
        with pytest.raises(OutOfMemoryError, match=r"ended before it answered \(signal 9\).*press Run") as caught:
            future.result(30)
        assert caught.value.pid == child.pid
    assert not child.alive
    with pytest.raises(EngineError, match="ended"):
        child.call("echo", 1).result(30)


def test_that_we_ended_it_is_no_want_of_memory(child) -> None:
    waiting = child.call("sleep", 60)
    child.kill()
    with pytest.raises(EngineError, match="ended before it answered") as caught:
        waiting.result(30)
    assert type(caught.value) is EngineError


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
def test_a_message_that_does_not_fit_into_the_child_is_want_of_memory(child) -> None:
    child.call("echo", 1).result(30)
    process = psutil.Process(child.pid)
    room = process.memory_info().vms + 64 * 2**20
    process.rlimit(psutil.RLIMIT_AS, (room, process.rlimit(psutil.RLIMIT_AS)[1]))
    with pytest.raises(OutOfMemoryError):
        child.call("echo", np.ones(2**25)).result(30)  # 256 MiB


def test_an_answer_says_what_memory_it_took(child) -> None:
    small, large = child.call("echo", 1), child.call("take", 80 * 2**20)
    large.result(30)
    assert usage_of(small).peak - usage_of(small).before < 20 * 2**20
    assert 70 * 2**20 < usage_of(large).peak - usage_of(large).before < 120 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems choose for themselves")
def test_when_memory_runs_out_the_system_is_to_end_the_child_and_not_its_parent(child) -> None:
    child.call("echo", 1).result(30)
    scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (child.pid, os.getpid())]
    assert scores[0] > scores[1]


def test_the_last_words_of_a_child_that_left_are_told(child) -> None:
    with pytest.raises(EngineError, match=r"exit code 7.*It last said: last words"):
        child.call("leave").result(30)


def test_a_cancelled_call_is_never_begun(child, tmp_path) -> None:
    first = child.call("sleep", 0.5)
    second = child.call("sleep", 0, str(tmp_path / "begun"))
    assert second.cancel()
    first.result(30)
    assert child.call("echo", 2).result(30) == 2
    assert not (tmp_path / "begun").exists()


def test_the_child_dies_with_its_parent_even_in_the_midst_of_work() -> None:
    code = (
        f"import sys, os, time; sys.path.insert(0, {str(HERE)!r})\n"
        "from napari_fcnseg.system.child_process import ChildProcess\n"
        "child = ChildProcess('child_target'); child.call('echo', 1).result(30); child.call('sleep', 600)\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        parent.kill()
    assert ends(pid)
