"""The preview: exact at every Nth pixel of the whole frame, a fraction of the work, and never in the way."""

from __future__ import annotations

import numpy as np
import pytest
from _keras_side import save_model

import napari_fcnseg as nf
from napari_fcnseg.errors import FcnSegError, SettingsError
from napari_fcnseg.plan import method, tile_size
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run import preview
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import RunSettings

SPEC = {
    "input": (14, 14, 2),
    "layers": [
        ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {}),
        ("Conv2D", {"filters": 8, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {}),
        ("Conv2D", {"filters": 16, "kernel_size": 2, "activation": "relu"}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def model(keras_child, tmp_path_factory) -> nf.PatchModel:
    path = tmp_path_factory.mktemp("models") / "coarse.keras"
    keras_child(save_model, SPEC, str(path))
    return nf.load_model(path)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((61, 55, 2)).astype(np.float32)


@pytest.fixture(autouse=True)
def _worth_it_however_small(monkeypatch) -> None:
    """Preview an image that a test has time for, with a first tile smaller than it."""
    monkeypatch.setattr(preview, "_WORTH", 0)
    monkeypatch.setattr(tile_size, "_FIRST_WORK", 1e5)


def run(model, image, focus=None, **settings) -> Run:
    return Run(make_plan(image, (model,), RunSettings(method="dense", **settings), focus))


def test_its_labels_and_numbers_are_those_of_the_run_at_those_pixels(model, image) -> None:
    whole = nf.segment(image, model, probabilities=True, tile=20, preprocess="divide_by_median", border="edge")
    labels = np.zeros_like(whole.labels)
    for tile in nf.iter_segment(
        image, model, tile=20, focus=(30, 30), preview=True, preprocess="divide_by_median", border="edge"
    ):
        np.testing.assert_array_equal(tile.labels, whole.labels[tile.where])
        np.testing.assert_allclose(tile.scores, whole.probabilities[tile.where], atol=1e-6)
        if tile.preview:
            assert [s.step for s in tile.where] == [4, 4]
            labels[tile.where] += tile.labels
    np.testing.assert_array_equal(labels[::4, ::4], whole.labels[::4, ::4])
    assert np.count_nonzero(labels) == labels[::4, ::4].size, "each once, and no other"


@pytest.mark.parametrize("in_strips", [True, False])
def test_it_comes_after_the_tile_at_the_focus_and_before_all_others(model, image, monkeypatch, in_strips) -> None:
    monkeypatch.setattr(method, "WORTH_STRIPS", 0 if in_strips else 1e99)
    tiles = list(nf.iter_segment(image, model, tile=20, focus=(50, 8), preview=True))
    kinds = [tile.preview for tile in tiles]
    assert kinds[0] is False
    assert kinds[1] is True
    assert kinds[kinds.index(True) :].index(False) == sum(kinds), "no tile between those of the preview"
    rows, columns = tiles[0].where
    assert rows.start <= 50 <= rows.stop
    assert columns.start <= 8 <= columns.stop
    covered = np.zeros(image.shape[:2], int)
    for tile in tiles[1:]:  # the first one lies over others
        covered[tile.where] += not tile.preview
    assert (covered == 1).all()
    assert [t.done for t in tiles if not t.preview] == list(range(1, 1 + tiles[-1].total))


def test_it_takes_a_fraction_of_the_work(model, image) -> None:
    whole = run(model, np.tile(image, (10, 10, 1)))
    coarse = preview.coarse_pass(whole)
    assert coarse is not None
    assert coarse.plan.settings.every == 4
    assert preview._work(coarse.plan) < 0.2 * preview._work(whole.plan)


def test_in_a_stack_the_frame_at_the_focus_comes_first_and_has_the_preview(model, image) -> None:
    stack = np.stack([image, image[::-1], image[:, ::-1]])
    tiles = list(nf.iter_segment(stack, model, channel_axis=-1, tile=30, focus=(2, 0, 0), preview=True))
    assert {tile.where[0] for tile in tiles if tile.preview} == {2}
    frames = [tile.where[0] for tile in tiles]
    assert frames == sorted(frames, reverse=True)
    whole = nf.segment(stack, model, channel_axis=-1).labels
    for tile in tiles:
        np.testing.assert_array_equal(tile.labels, whole[tile.where])


@pytest.mark.parametrize("settings", [{"every": 3}, {"region": ((7, 40), (5, 50))}, {"border": "valid"}])
def test_it_keeps_to_the_places_of_the_run(model, image, settings) -> None:
    whole = nf.segment(image, model, method="dense", **settings).labels
    seen = 0
    for tile in nf.iter_segment(image, model, method="dense", preview=True, focus=(20, 20), tile=20, **settings):
        np.testing.assert_array_equal(tile.labels, whole[tile.where])
        seen += tile.preview
    assert seen


def test_no_preview_is_coarser_than_it_saves_or_finer_than_the_run(model, image, monkeypatch) -> None:
    assert preview.coarse_pass(run(model, image, every=32)) is None
    monkeypatch.setattr(preview, "_SHARE", 0.0)
    assert preview.coarse_pass(run(model, image)) is None
    monkeypatch.undo()
    assert preview.coarse_pass(run(model, image)) is None, "so short a run is its own preview"


def test_an_error_in_the_first_tile_ends_a_run_that_waits_for_its_preview(model, image) -> None:
    tiles = nf.iter_segment(image, model, preview=True, focus=(0, 0), device="CPU:7")
    with pytest.raises(SettingsError, match="no device"):
        next(tiles)
    broken = Broken(image)
    with pytest.raises(FcnSegError, match="NaN"):
        list(nf.iter_segment(broken, model, channel_axis=-1, preview=True, focus=(0, 0, 0), tile=20))


class Broken:
    """A stack whose only frame cannot be read."""

    def __init__(self, image: np.ndarray) -> None:
        self.shape, self.dtype = (1, *image.shape), image.dtype

    def __getitem__(self, where: object) -> np.ndarray:
        return np.full(self.shape, np.nan, self.dtype)[where]


def test_a_focus_that_is_no_pixel_is_said(model, image) -> None:
    with pytest.raises(SettingsError, match="no pixel of labels with 2 axes"):
        nf.iter_segment(image, model, focus=(1, 2, 3))
