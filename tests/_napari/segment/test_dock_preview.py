"""The first picture: what the user looks at, then a coarse picture of the whole, and nothing left that is not exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari_helpers import finish, give, image, run, settle, small_model

from napari_fcnseg import segment
from napari_fcnseg._napari.layers.geometry import looked_at
from napari_fcnseg._napari.segment.run.live_result import LiveResult
from napari_fcnseg.plan import tile_size
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.plan.tiles import as_slices
from napari_fcnseg.run import preview
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import RunSettings


@pytest.fixture(autouse=True)
def _worth_it_however_small(monkeypatch) -> None:
    monkeypatch.setattr(preview, "_WORTH", 0)
    monkeypatch.setattr(preview, "_SHARE", 1)
    monkeypatch.setattr(tile_size, "_FIRST_WORK", 2e4)


def painted(border: str = "reflect", stop_after: int = 10_000) -> tuple[LiveResult, np.ndarray, np.ndarray]:
    """Write tiles into a result until the preview is whole; return it, the labels then, and those of a whole run."""
    model, data = small_model(), 10 * image(43, 38)
    whole = segment(data, model, border=border).labels
    result = LiveResult(Run(make_plan(data, (model,), RunSettings(border=border, tile=16, method="dense"), (20, 20))))
    seen = result.labels
    for number, tile in enumerate(preview.execute_with_preview(result.run)):
        result.write(tile)
        if tile.preview:
            seen = result.labels.copy()
        elif result.written > 1 and number >= stop_after:
            break
    return result, seen, whole


def camera_of(viewer: Any) -> Any:
    """Return the viewer's camera, which moved in napari 0.9."""
    return getattr(viewer, "scene", viewer).camera


@pytest.mark.parametrize("border", ["reflect", "valid"])
def test_each_label_is_painted_around_its_pixel_until_the_tile_comes(border) -> None:
    result, seen, whole = painted(border)
    np.testing.assert_array_equal(result.labels, whole)
    assert ((seen > 0) == (whole > 0)).all(), "the whole of what will be labelled, and no more"
    finished = np.zeros(seen.shape, bool)
    finished[as_slices(next(iter(result._finished[()])))] = True
    np.testing.assert_array_equal(seen[finished], whole[finished])
    every = 4
    inside = np.argwhere(~finished & (whole > 0))
    nearest = [
        np.clip((axis + every // 2) // every * every, -(-start // every) * every, (stop - 1) // every * every)
        for axis, (start, stop) in zip(inside.T, result.run.plan.extent, strict=True)
    ]
    np.testing.assert_array_equal(seen[tuple(inside.T)], whole[tuple(nearest)])
    assert (seen != whole).any(), "a preview that is the result proves nothing"


def test_when_a_run_ends_early_only_finished_tiles_stay() -> None:
    result, seen, whole = painted(stop_after=3)
    assert (result.labels > 0).all()
    assert result.keep_finished()
    finished = np.zeros(seen.shape, bool)
    for where in result._finished[()]:
        finished[as_slices(where)] = True
    assert 0 < finished.sum() < finished.size
    np.testing.assert_array_equal(result.labels, np.where(finished, whole, 0))
    assert not painted()[0].keep_finished(), "a whole run has nothing to take back"


def test_the_dock_shows_the_preview_and_ends_with_the_run_s_own_labels(qtbot, viewer, dock, monkeypatch) -> None:
    model, data = small_model(seed=9), 10 * image(2, 60, 50)
    kinds: list[tuple[bool, tuple[int | slice, ...]]] = []
    written = LiveResult.write
    monkeypatch.setattr(
        LiveResult, "write", lambda self, tile: (kinds.append((tile.preview, tile.where)), written(self, tile))
    )
    viewer.add_image(data, scale=(1, 2, 2))
    give(dock, model)
    dock.settings.tile.setValue(16)
    dock.settings.method.value = "dense"
    viewer.dims.set_point(0, 1)
    camera_of(viewer).center = (0, 110, 12)
    assert run(qtbot, dock).startswith("Done: 2 × 60 × 50 pixels")
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(data, model).labels)
    (first, (frame, rows, columns)), (second, _) = kinds[:2]
    assert (first, second) == (False, True)
    assert frame == 1
    assert rows.start <= 55 <= rows.stop
    assert columns.start <= 6 <= columns.stop
    dock.settings.preview.value = False
    kinds.clear()
    run(qtbot, dock)
    assert not any(preview for preview, _ in kinds)


def test_a_stopped_run_says_that_its_preview_is_gone(qtbot, viewer, dock) -> None:
    viewer.add_image(image(200, 200))
    give(dock, small_model())
    dock.settings.tile.setValue(16)
    dock.settings.method.value = "dense"
    settle(qtbot)
    dock.run.run.click()
    qtbot.waitUntil(lambda: dock.controller._latest is not None and dock.controller._latest.written > 5, timeout=60_000)
    dock.controller.stop()
    said = finish(qtbot, dock)
    assert "The preview is taken back" in said
    labels = dock.controller.last.labels
    assert 0 < np.count_nonzero(labels) < labels.size


def test_the_pixel_looked_at_is_in_the_middle_of_the_view(viewer) -> None:
    layer = viewer.add_image(image(5, 3, 30, 40), scale=(1, 1, 2, 0.5), translate=(0, 0, 10, 5))
    viewer.dims.set_point(0, 4)
    camera_of(viewer).center = (0, 10 + 2 * 7, 5 + 0.5 * 33)
    assert looked_at(layer, 1, viewer) == (4, 7, 33)
    camera_of(viewer).center = (0, 1e6, -1e6)
    assert looked_at(layer, 1, viewer) == (4, 29, 0)
    colours = viewer.add_image(np.zeros((20, 22, 3), np.uint8), rgb=True)
    camera_of(viewer).center = (0, 3, 4)
    assert looked_at(colours, None, viewer) == (3, 4)
