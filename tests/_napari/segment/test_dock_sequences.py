"""Whatever a person presses, in whatever order: no exception, and no thread, process or widget stays behind.

``NAPARI_FCNSEG_SEQUENCES=50`` plays as many sequences; each is drawn from its number, and has a process of its own, as
a person's napari has: many windows opened one after the other in one process have ended in software OpenGL's drawing.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from napari.qt.threading import WorkerBase
from napari.utils.notifications import notification_manager
from napari_helpers import give, image, settle, small_model
from patience import patience
from qtpy.QtWidgets import QApplication

from napari_fcnseg._napari.segment.dock import DenseSegmentation
from napari_fcnseg.engine import engine

NUMBER = int(os.environ.get("NAPARI_FCNSEG_SEQUENCES", "1"))
ONE = "NAPARI_FCNSEG_SEQUENCE"  # names the one that this process is for
STEPS = 20
ROOT = Path(__file__).resolve().parents[3]


class Person:
    """Presses what can be pressed.

    Parameters
    ----------
    qtbot, viewer : fixtures
        The event loop and the window.
    seed : int
        Of the choices.
    """

    def __init__(self, qtbot, viewer, seed: int) -> None:
        self.qtbot, self.viewer, self.random = qtbot, viewer, random.Random(seed)
        self.done: list[str] = []
        self._open_dock()
        self._add_image()
        give(self.dock, small_model())
        self.dock.settings.tile.setValue(16)
        settle(qtbot)

    def act(self) -> None:
        """Press something."""
        actions = [
            (6, self._press_run), (5, self._cancel), (5, self._resume), (2, self._verify), (3, self._delete_result),
            (1, self._delete_source), (2, self._add_image), (2, self._change_tile), (2, self._undo), (1, self._redo),
            (3, self._follow), (4, self._move), (2, self._rename), (1, self._reopen_dock), (1, self._change_data),
            (8, self._wait),
        ]  # fmt: skip
        weights, functions = zip(*actions, strict=True)
        action = self.random.choices(functions, weights)[0]
        self.done.append(action.__name__)
        print(action.__name__, flush=True)
        action()

    def _open_dock(self) -> None:
        self.dock = self.viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]

    def _reopen_dock(self) -> None:
        self.viewer.window.remove_dock_widget(self.dock)
        self.dock.deleteLater()
        self.qtbot.wait(50)
        self._open_dock()
        give(self.dock, small_model())
        self.dock.settings.tile.setValue(16)

    def _add_image(self) -> None:
        shape = self.random.choice([(300, 200), (3, 90, 80), (40, 50)])
        self.viewer.add_image(image(*shape, seed=self.random.randrange(99)), name="noise")

    def _press_run(self) -> None:
        self.dock.run.run.click()

    def _cancel(self) -> None:
        self.dock.run.cancel.click()

    def _resume(self) -> None:
        self.dock.run.resume.click()

    def _verify(self) -> None:
        self.dock.run.verify.click()

    def _delete_result(self) -> None:
        made = [layer for layer in self.viewer.layers if "·" in layer.name]
        if made:
            self.viewer.layers.remove(self.random.choice(made))

    def _delete_source(self) -> None:
        sources = [layer for layer in self.viewer.layers if "·" not in layer.name]
        if sources:
            self.viewer.layers.remove(self.random.choice(sources))

    def _change_tile(self) -> None:
        self.dock.settings.tile.setValue(self.random.choice([8, 16, 64]))

    def _undo(self) -> None:
        self.dock.undo.undo()

    def _redo(self) -> None:
        self.dock.undo.redo()

    def _follow(self) -> None:
        self.dock.where.follow.click()

    def _move(self) -> None:
        camera = getattr(self.viewer, "scene", self.viewer).camera
        camera.center = (self.random.uniform(0, 200), self.random.uniform(0, 200))
        camera.zoom = self.random.uniform(1, 9)

    def _rename(self) -> None:
        if len(self.viewer.layers):
            self.random.choice(list(self.viewer.layers)).name = "renamed"

    def _change_data(self) -> None:
        sources = [layer for layer in self.viewer.layers if "·" not in layer.name]
        if sources:
            sources[0].data = image(60, 70, seed=5)

    def _wait(self) -> None:
        self.qtbot.wait(self.random.choice([1, 20, 100, 400]))


@pytest.mark.skipif(ONE in os.environ, reason="this process is for one sequence")
@pytest.mark.timeout(320)
@pytest.mark.parametrize("seed", range(NUMBER))
def test_a_sequence_leaves_nothing_behind(seed: int) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--color=no", f"{__file__}::test_this_sequence"]
    played = subprocess.run(
        command,
        env={**os.environ, ONE: str(seed)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300 * patience(),
        check=False,
    )
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-1000:]


@pytest.mark.skipif(ONE not in os.environ, reason="played in a process of its own")
def test_this_sequence(qtbot, make_napari_viewer) -> None:
    seed = int(os.environ[ONE])
    engine().start().result(60)
    processes = {child.pid for child in psutil.Process().children(recursive=True)}
    before = len(notification_manager.records)
    viewer = make_napari_viewer()
    viewer.window._qt_window.show()
    person = Person(qtbot, viewer, seed)
    with qtbot.capture_exceptions() as raised:
        for _ in range(STEPS):
            person.act()
        viewer.close()
        person.done.append("close")
        end = time.monotonic() + 30
        while time.monotonic() < end and (WorkerBase._worker_set or threads()):
            qtbot.wait(50)
        qtbot.wait(300)
    assert not raised, person.done
    assert not [r.message for r in notification_manager.records[before:] if getattr(r, "exception", None)], person.done
    assert not WorkerBase._worker_set, person.done
    assert not threads(), person.done
    assert not [w for w in QApplication.allWidgets() if isinstance(w, DenseSegmentation) and w.isVisible()], person.done
    left = {child.pid for child in psutil.Process().children(recursive=True)} - processes
    assert len(left) <= 1, person.done  # an engine that a run replaced


def threads() -> list[str]:
    """Return this program's threads that work for a dock; the engine's own serve the whole session."""
    ours = ("napari-fcnseg-work", "napari-fcnseg-layers", "napari-fcnseg-frames", "napari-fcnseg-writer")
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(ours)]
