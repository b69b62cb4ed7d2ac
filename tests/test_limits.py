"""No test can hang: what goes wrong in one ends that test, in time and in words, and the others run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import own_screen
import pytest
from own_screen import HEADLESS

pytestmark = [
    pytest.mark.skipif(not own_screen.HIDDEN, reason="needs the virtual screen that make test has without one"),
    pytest.mark.skipif("PYTEST_XDIST_WORKER" in os.environ, reason="make test runs it by itself, after the others"),
]
ROOT = Path(__file__).resolve().parent.parent
#: One kind of trouble each.
TROUBLE = """
    import sys, time
    import _keras_side, child_target, pytest

    def test_a_framework_s_error(keras_child):
        keras_child(child_target.conv_error)

    def test_an_error_that_cannot_be_read(keras_child):
        keras_child(child_target.raise_foreign)

    def test_killed(keras_child):
        keras_child(child_target.die)

    def test_no_answer(keras_child):
        keras_child(child_target.sleep, 600, timeout=2)

    @pytest.mark.timeout(2)
    def test_busy_for_ever():
        while True:
            pass

    @pytest.fixture(scope="session")
    def broken():
        pytest.fail(f"broken for all at {time.monotonic()}")

    @pytest.mark.parametrize("number", range(2))
    def test_fixture(broken, number):
        pass

    def test_well(keras_child):
        assert keras_child(_keras_side.versions)["tensorflow"]
        assert "tensorflow" not in sys.modules
"""
ENDS = {
    "a_framework_s_error": "InvalidArgumentError",
    "an_error_that_cannot_be_read": "OpError: graph is odd",
    "killed": "signal 9",
    "no_answer": "did not answer within",
    "busy_for_ever": "Timeout",
    "fixture[0]": "broken for all",
    "fixture[1]": "broken for all",
}
#: What no limit inside Python can end: unlike CDLL, PyDLL keeps all of it from running.
HELD = """
    import ctypes

    import pytest

    @pytest.mark.parametrize("number", range(2))
    def test_interpreter_held(number):
        ctypes.PyDLL(None).sleep(600)

    @pytest.mark.parametrize("number", range(20))
    def test_well(number):
        pass
"""


def run(folder: Path, tests: str, *options: str) -> str:
    """Run tests under the limits of this project; return what pytest prints."""
    (folder / "test_trouble.py").write_text(textwrap.dedent(tests), encoding="utf-8")
    command = [
        sys.executable, "-m", "pytest", str(folder), "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder),
        "-n", "2", "--dist", "loadgroup", "-p", "conftest", "-p", "no:cacheprovider", "--color=no", *options,
    ]  # fmt: skip
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }  # of our own worker
    environment = {**inherited, "PYTHONPATH": str(ROOT / "tests"), HEADLESS: "1"}
    return subprocess.run(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    ).stdout


@pytest.mark.timeout(300)
def test_each_kind_of_trouble_ends_its_own_test_alone(tmp_path) -> None:
    told = run(tmp_path, TROUBLE)
    failed = set(re.findall(r"^(?:FAILED|ERROR) \S*test_trouble\.py::test_(\S+)", told, re.MULTILINE))
    assert failed == ENDS.keys(), told[-4000:]
    assert "1 passed" in told
    for name, said in ENDS.items():
        part = told.split(f" test_{name} __", 1)[1].split("\n____", 1)[0]
        assert said in part, told[-4000:]
    assert len(set(re.findall(r"broken for all at (\d+)\.", told))) == 1, "it was tried again"


@pytest.mark.timeout(300)
def test_a_test_that_holds_the_interpreter_is_ended_with_its_worker(tmp_path) -> None:
    told = run(tmp_path, HELD, "-o", "faulthandler_timeout=12", "-p", "no:napari")  # whose fixtures import Qt
    assert len(set(re.findall(r"crashed while running \S*(test_interpreter_held\S+)", told))) == 2, told[-4000:]
    assert "2 failed, 20 passed" in told, told[-4000:]
