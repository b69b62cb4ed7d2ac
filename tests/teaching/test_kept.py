"""Strokes on disk: there again after a crash, and never the wrong ones."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.system.cache import state_folder
from napari_fcnseg.teaching.kept import KeptStrokes, image_key, keep, recall

IMAGE = np.arange(60, dtype=np.uint16).reshape(6, 10)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_FCNSEG_CACHE", str(tmp_path))


def painted() -> np.ndarray:
    strokes = np.zeros((6, 10), np.uint8)
    strokes[1, 2:5], strokes[4, 7:] = 1, 2
    return strokes


def test_strokes_come_back_for_the_same_image_alone():
    key = image_key([IMAGE], ["a.tif"])
    keep(key, KeptStrokes.of(painted(), ("cell", "none"), ("#ff0000", "#00ff00")))
    found = recall(image_key([IMAGE.copy()], ["moved.tif"]), (6, 10))
    again = np.zeros((6, 10), np.uint8)
    found.paint(again)
    np.testing.assert_array_equal(again, painted())
    assert (found.names, found.colors) == (("cell", "none"), ("#ff0000", "#00ff00"))
    assert recall(image_key([IMAGE + 1], ["a.tif"]), (6, 10)) is None
    assert recall(key, (10, 6)) is None


def test_no_strokes_forget_what_was_kept():
    keep("k", KeptStrokes.of(painted(), ("a", "b"), ()))
    keep("k", KeptStrokes.of(np.zeros((6, 10), np.uint8), ("a", "b"), ()))
    assert recall("k", (6, 10)) is None
    assert not list((state_folder() / "strokes").iterdir())


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_damaged_file_is_as_good_as_none(cut):
    keep("k", KeptStrokes.of(painted(), ("a", "b"), ()))
    (path,) = (state_folder() / "strokes").glob("*.npz")
    path.write_bytes(path.read_bytes()[:cut])
    assert recall("k", (6, 10)) is None


def test_labels_without_a_class_are_not_taken():
    keep("k", KeptStrokes.of(painted(), ("only",), ()))
    assert recall("k", (6, 10)) is None
