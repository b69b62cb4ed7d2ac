"""Work in the background of which only the latest counts."""

from __future__ import annotations

import threading

import pytest
from patience import patience
from qtpy.QtCore import QObject

from napari_fcnseg._napari.compare.latest_task import LatestTask, TaskStopped


@pytest.fixture
def heard(qtbot):
    """Return a worker for its owner, and what was heard of it."""
    owner = QObject()
    latest = LatestTask(owner)
    said: list = []
    latest.done.connect(lambda value: said.append(("done", value)))
    latest.failed.connect(lambda error: said.append(("failed", str(error))))
    latest.advanced.connect(lambda done, total: said.append((done, total)))
    yield owner, latest, said
    latest.give_up()


def test_what_is_asked_last_is_heard_of_alone(qtbot, heard) -> None:
    _, latest, said = heard
    began, stopped = threading.Event(), threading.Event()

    def long(note):
        began.set()
        try:
            while True:
                note(1, 3)
        except TaskStopped:
            stopped.set()
            raise

    latest.ask(long)
    qtbot.waitUntil(lambda: began.is_set() and (1, 3) in said)
    assert latest.busy
    latest.ask(lambda note: "second")
    qtbot.waitUntil(lambda: not latest.busy)
    assert stopped.wait(5 * patience()), "the first is stopped, and does not go on unheard"
    qtbot.wait(100)
    assert [entry for entry in said if entry[0] in ("done", "failed")] == [("done", "second")]


def test_an_error_is_heard_of_also_one_that_ends_a_thread_quietly(qtbot, heard) -> None:
    _, latest, said = heard
    for error in (ValueError("a"), RuntimeError("b"), StopIteration("c")):

        def fail(note, error=error):
            raise error

        latest.ask(fail)
        qtbot.waitUntil(lambda: not latest.busy)
    assert [kind for kind, _ in said] == ["failed"] * 3
    assert [text for _, text in said[:2]] == ["a", "b"]


def test_what_nobody_waits_for_is_stopped_without_a_word(qtbot, heard) -> None:
    owner, latest, said = heard
    stopped = threading.Event()

    def long(note):
        try:
            while True:
                note(0, 1)
        finally:
            stopped.set()

    latest.ask(long)
    qtbot.wait(100)
    latest.give_up()
    assert not latest.busy
    assert stopped.wait(5 * patience())
    stopped.clear()
    latest.ask(long)
    qtbot.wait(100)
    with qtbot.waitSignal(owner.destroyed):
        owner.deleteLater()
    assert stopped.wait(5 * patience()), "nor when the owner is gone"
    assert not [entry for entry in said if entry[0] in ("done", "failed")]
