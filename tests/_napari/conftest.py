"""The dock in a real viewer, with the real computing process behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import own_screen
import pytest
from napari.utils.notifications import notification_manager
from patience import patience
from pytestqt.qtbot import QtBot

from napari_fcnseg import load_model
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.system.cache import cache_folder, remember

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a real screen, keep the tests with a window in one process: two would take the keyboard from each other."""
    if own_screen.OWN:
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("window"))


@pytest.fixture(scope="session", autouse=True)
def _reference() -> None:
    """Wait for TensorFlow once, and not in the first test that verifies: it may take a minute on a busy machine."""
    sample = load_model(SAMPLES["cells"].model_path)
    sample.predict(np.zeros((1, *sample.network.input_shape), np.float32))


class PatientBot(QtBot):
    """Waits longer where the machine is slower."""

    def waitUntil(self, callback: Callable[[], Any], *, timeout: int = 5000) -> None:  # noqa: N802 - as it is called
        """Wait until a function returns something true or nothing, or stops to fail."""
        super().waitUntil(callback, timeout=round(timeout * patience()))

    def waitSignal(self, signal: Any, *, timeout: int = 5000, **kwargs: Any) -> Any:  # noqa: N802
        """Wait until a signal is emitted."""
        return super().waitSignal(signal, timeout=round(timeout * patience()), **kwargs)


@pytest.fixture
def qtbot(qapp: Any, request: pytest.FixtureRequest) -> PatientBot:
    """Return pytest-qt's robot, with the patience of this machine."""
    return PatientBot(request)


@pytest.fixture(autouse=True)
def _no_last_settings() -> None:
    """Forget what the dock of the test before had chosen."""
    remember("dock", "settings", None)
    (cache_folder() / "model-choices.json").unlink(missing_ok=True)


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    """Return a viewer."""
    return make_napari_viewer()


@pytest.fixture
def dock(viewer: Any) -> Any:
    """Return the dock, opened the way napari's menu does it."""
    return viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]


@pytest.fixture
def told() -> Callable[[], list[str]]:
    """Return a function that gives the notifications of this test."""
    before = len(notification_manager.records)
    return lambda: [record.message for record in notification_manager.records[before:]]
