"""Teaching as somebody paints agrees with teaching at once, and loses nothing."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import napari_fcnseg as nf
from napari_fcnseg.engine import engine
from napari_fcnseg.engine.placing import reference
from napari_fcnseg.errors import EngineError, FcnSegError
from napari_fcnseg.plan.layout import Layout
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.teaching.session import TeachingSession
from napari_fcnseg.teaching.settings import TeachSettings

pytestmark = pytest.mark.timeout(120)
SAMPLE = SAMPLES["cells"]
IMAGE, TRUTH = SAMPLE.image()[:160, :128], SAMPLE.truth()[:160, :128]
LAYOUT = Layout.of(IMAGE.shape, 2, 2, 2)
NAMES, COLORS = ("one", "two", "three"), ("#ff0000", "#00ff00", "#0000ff")


def rows(*numbers: int) -> np.ndarray:
    """Strokes along some rows."""
    strokes = np.zeros_like(TRUTH)
    for row in numbers:
        strokes[row, 8:-8] = TRUTH[row, 8:-8]
    return strokes


@pytest.fixture
def session() -> TeachingSession:
    settings = TeachSettings(2, SAMPLE.preprocess)
    session = TeachingSession(nf.load_model(SAMPLE.model_path), settings)
    session.set_image(0, IMAGE, LAYOUT)
    return session


def predictions(model: nf.PatchModel) -> np.ndarray:
    return model.predict(np.random.default_rng(0).normal(0, 1, (60, 31, 31, 2)).astype(np.float32))


def test_stroke_by_stroke_comes_to_the_same_as_teach(session, tmp_path):
    for numbers in ((20, 50), (20, 50, 90), (20, 50, 90, 130)):
        lesson = session.learn({0: rows(*numbers)}, NAMES)
    assert lesson is session.lesson
    mine = session.model(NAMES, COLORS)
    saved = session.teaching({0: rows(20, 50, 90, 130)}).fit(NAMES, COLORS)
    assert np.abs(predictions(mine) - predictions(saved)).max() < 2e-3
    facts, others = (model.sidecar.other["taught"] for model in (mine, saved))
    assert facts["held_out"]["accuracy"] == pytest.approx(others["held_out"]["accuracy"], abs=0.02)
    assert {**facts, "held_out": 0} == {**others, "held_out": 0}
    plain = nf.teach(
        IMAGE, rows(20, 50, 90, 130), SAMPLE.model_path, channel_axis=2, preprocess=SAMPLE.preprocess,
        class_names=NAMES, class_colors=COLORS,
    )  # fmt: skip
    for name, model in (("a", saved), ("b", plain)):
        model.save(tmp_path / f"{name}.keras")
    for ending in (".keras", ".fcnseg.json"):
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_what_the_view_shows_are_the_labels_of_the_taught_model(session):
    view = ((30, 150), (40, 100))
    ahead = list(session.look(0, (), view))
    assert all(labels is None for _, labels in ahead)
    session.learn({0: rows(20, 50, 90, 130)}, NAMES)
    expected = nf.segment(IMAGE, session.model(NAMES, COLORS), preprocess=SAMPLE.preprocess).labels
    shown = np.zeros_like(expected)
    for (top, bottom), (left, right) in (region for region, _ in ahead):
        assert bottom > 30
        assert top < 150
        shown[top:bottom, left:right] = 9
    for ((top, bottom), (left, right)), labels in session.look(0, (), view, focus=(100, 60)):
        shown[top:bottom, left:right] = labels
    assert (shown[30:150, 40:100] == expected[30:150, 40:100]).mean() > 0.9999


def test_an_undone_stroke_has_no_effect_and_only_new_pixels_are_computed(session):
    known = session._images[0].known
    before = session.learn({0: rows(20, 90)}, NAMES)
    assert known.pixels == np.count_nonzero(rows(20, 90))
    other = session.learn({0: rows(20, 50, 90)}, NAMES)
    assert known.pixels == np.count_nonzero(rows(20, 50, 90))
    again = session.learn({0: rows(20, 90)}, NAMES)
    assert known.pixels == np.count_nonzero(rows(20, 50, 90))  # for a redo
    assert not np.array_equal(before.head[0], other.head[0])
    for mine, theirs in zip(before.head, again.head, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("strokes", "says"),
    [
        (np.zeros_like(TRUTH), "Nothing is painted"),
        (np.where(rows(20, 90) == 1, 1, 0).astype(np.uint8), "All strokes are of 'one'. Paint strokes of another"),
        (np.where(rows(20, 90) == 2, 0, rows(20, 90)), "'two' has no stroke. Paint some, or leave the class out"),
        (rows(20)[:-1], "have the shape 159 × 128"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence_with_the_names_and_keeps_what_was_learned(session, strokes, says):
    lesson = session.learn({0: rows(20, 90)}, NAMES)
    with pytest.raises(FcnSegError, match=says):
        session.learn({0: strokes}, NAMES)
    assert session.lesson is lesson


def test_what_is_stopped_keeps_what_was_learned(session):
    lesson = session.learn({0: rows(20, 90)}, NAMES)
    stop = threading.Event()
    stop.set()
    assert session.learn({0: rows(20, 50, 90)}, NAMES, stop) is None
    assert session.lesson is lesson


def test_a_killed_trainer_keeps_what_was_learned_and_the_next_stroke_starts_another(session):
    lesson = session.learn({0: rows(20, 90)}, NAMES)
    pid = engine()._host_of(reference()).child.pid
    os.kill(pid, signal.SIGSTOP)  # so that it is in the midst of it
    threading.Timer(1, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(EngineError, match="ended before it answered"):
        session.learn({0: rows(20, 50, 90)}, NAMES)
    assert session.lesson is lesson
    other = session.learn({0: rows(20, 50, 90)}, NAMES)
    assert engine()._host_of(reference()).child.pid != pid
    assert session.lesson is other


def test_the_most_doubtful_place_is_where_two_classes_are_nearest(session):
    session.learn({0: rows(20, 90)}, NAMES)
    first = session.doubtful(0, (), ((0, 160), (0, 128)), seconds=60)
    assert first.seen == 1
    segmented = nf.segment(IMAGE, session.model(NAMES, COLORS), preprocess=SAMPLE.preprocess, probabilities=True)
    best = np.sort(segmented.probabilities, axis=-1)
    margin = best[..., -1] - best[..., -2]
    row, col = first.point
    near = margin[max(0, row - 4) : row + 5, max(0, col - 4) : col + 5]
    assert near.mean() < np.quantile(margin, 0.2)
    second = session.doubtful(0, (), ((0, 160), (0, 128)), [first.point], seconds=60)
    assert max(abs(a - b) for a, b in zip(first.point, second.point, strict=True)) > 31
    assert second.doubt <= first.doubt


def test_it_says_how_good_it_is_and_which_class_has_too_few(session):
    lesson = session.learn({0: rows(20, 50, 90, 130)}, NAMES)
    assert lesson.sentence(NAMES).startswith("Held-out strokes: ")
    few = rows(20, 50, 90, 130)
    few[(few == 2) & (np.arange(160)[:, None] > 20)] = 0
    few[20, 40:] = 0
    few[20, 20:40] = 2
    few[20, 10:20] = 1
    few[20, 50:64] = 3
    counts = session.learn({0: few}, NAMES).strokes_per_class()
    assert counts[1] == 1
    assert "Few strokes: two (1)" in session.lesson.sentence(NAMES)


def test_several_images_teach_together_and_one_that_is_gone_does_not(session):
    session.set_image(5, IMAGE[::-1], LAYOUT)
    both = session.learn({0: rows(20), 5: rows(90)[::-1]}, NAMES)
    assert both.images == (0, 5)
    assert set(session.model(NAMES, COLORS).sidecar.other["taught"]["images"][1]) >= {"sha256", "shape"}
    session.drop_image(5)
    assert session.model(NAMES, COLORS) is None
    assert session.learn({0: rows(20, 50)}, NAMES).images == (0,)
