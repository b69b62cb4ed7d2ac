"""What every test can rely on: a clean pytest process, the shared data, and a child process that has TensorFlow."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import own_screen
import pytest
from keras_process import KerasProcess
from patience import patience

from napari_fcnseg.plan import method
from napari_fcnseg.system import child_process

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
#: TensorFlow and Mesa's OpenGL crash each other in one process, and importing TensorFlow freezes a window for seconds.
FRAMEWORKS = frozenset({"tensorflow", "keras", "torch", "jax"})
TEST_SECONDS = 55.0
ELSEWHERE = "it belongs in the engine's child process, and in tests in the fixture keras_child"

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
_settings_folder = tempfile.TemporaryDirectory(prefix="napari-fcnseg-tests-")
os.environ["NAPARI_CONFIG"] = str(Path(_settings_folder.name) / "settings.yaml")  # nobody's own settings are touched
os.environ["NAPARI_FCNSEG_CACHE"] = str(Path(_settings_folder.name) / "cache")  # nor what this computer has learned
os.environ["NAPARI_FCNSEG_DATA"] = str(Path(_settings_folder.name) / "data")  # nor is an image kept for later

method.WORTH_WAYS = 0  # tests are small runs, whose convolutions would all be plain, as they are in other processes

# A computing process that stands still is ended before the test that waits for it.
child_process.LOOK_EVERY, child_process.STUCK_AFTER = 2.0, round(15 * patience())

hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def frameworks_here() -> list[str]:
    """Deep-learning frameworks imported into this process: there must be none."""
    return sorted(FRAMEWORKS & sys.modules.keys())


def pytest_configure(config: pytest.Config) -> None:
    """Give each worker a half of the tests in their order, so that what modules share is made once.

    On a real screen, leave it to groups: two windows would take the keyboard from each other.
    """
    if own_screen.HIDDEN and config.getoption("dist", "no") == "loadgroup":
        config.option.dist = "worksteal"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test a limit that grows with the machine: its own, ``@pytest.mark.timeout(90)``, or the usual one.

    It interrupts whatever Python does. What holds the interpreter itself is ended by ``faulthandler_timeout``, with its
    worker, which is replaced.
    """
    for item in items:
        own = item.get_closest_marker("timeout")
        seconds = float(own.args[0]) if own is not None else TEST_SECONDS
        item.add_marker(pytest.mark.timeout(seconds * patience()), append=False)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop before the first test when importing the test modules was enough to import a framework."""
    if found := frameworks_here():
        raise pytest.UsageError(f"{', '.join(found)} was imported while collecting tests; {ELSEWHERE}.")


def pytest_unconfigure() -> None:
    """Close the screen, and remove the settings that the tests wrote."""
    own_screen.close()
    _settings_folder.cleanup()


@pytest.fixture(autouse=True)
def _no_framework_in_this_process() -> Iterator[None]:
    """Fail the test that brings a framework into napari's own process (and only that one)."""
    before = frameworks_here()
    yield
    if new := [name for name in frameworks_here() if name not in before]:
        pytest.fail(f"{', '.join(new)} was imported into the process that has napari; {ELSEWHERE}.")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Remember nothing from other tests, nor for them, and return the folder where it is.

    Not by the environment: an engine that starts during the test would keep the folder for all tests after it, and time
    its convolutions apart from everybody else.
    """
    monkeypatch.setattr("napari_fcnseg.system.cache.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of published models, images and maps that lies beside the checkout, not in the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the published models and images in {folder}, which are not on this machine")
    return folder


@pytest.fixture(scope="session")
def keras_child() -> Iterator[KerasProcess]:
    """Run functions where TensorFlow is: ``keras_child(function, *args, timeout=45, **kwargs)`` returns the result.

    The function must be importable by name, so it lives in ``_keras_side.py`` beside this file. One process serves the
    whole session; a worker's first test that needs it waits for its start.
    """
    process = KerasProcess()
    yield process
    process.close()
