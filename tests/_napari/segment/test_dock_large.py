"""A 4096 x 4096 image with many tiles: the window is not asked for more than it can draw, and Cancel is understood."""

from __future__ import annotations

import numpy as np
from napari.utils import progress
from napari_helpers import finish, give, image, settle, small_model

from napari_fcnseg._napari.segment.run.live_result import LiveResult
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.run import Run, Tile
from napari_fcnseg.settings import RunSettings

SIDE = 4096


def test_live_tiles_are_drawn_now_and_then_and_what_is_done_stays(qtbot, viewer, dock) -> None:
    viewer.add_image(np.tile(image(256, 256), (SIDE // 256, SIDE // 256)))
    give(dock, small_model())
    dock.settings.tile.setValue(128)
    dock.settings.preview.value = False
    settle(qtbot)
    dock.run.run.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=60_000)
    drawn: list[int] = []
    viewer.layers[1].events.set_data.connect(lambda _: drawn.append(dock.controller._latest.written))
    qtbot.waitUntil(lambda: bool(progress._all_instances) and len(drawn) > 2, timeout=60_000)
    bar = next(iter(progress._all_instances))
    assert bar.total == 1024
    assert drawn[-1] - drawn[0] > len(drawn), "several tiles at once: not each is drawn alone"
    dock.run.cancel.click()
    assert dock.run.cancel.text() == "Stopping…"
    said = finish(qtbot, dock)
    assert said.startswith("Stopped: "), said
    assert not progress._all_instances
    result, run = dock.controller.last.result, dock.controller.last.sampler.run
    tiles = [tile for tile in run.plan.schedule if result.has(*tile)]
    assert 0 < len(tiles) == dock.controller.last.done < 1024
    assert np.count_nonzero(viewer.layers[1].data) == sum((b - a) * (d - c) for _, ((a, b), (c, d)) in tiles)
    dock.undo.undo()
    dock.undo.undo()
    qtbot.waitUntil(lambda: not dock.undo.busy, timeout=10_000)
    assert len(viewer.layers) == 1


def test_layers_go_one_by_one_and_come_back_in_their_order(qtbot, viewer, dock) -> None:
    layers = [viewer.add_image(image(9, 9), name=name) for name in "abc"]
    dock.undo.note(layers)
    dock.undo.undo()
    assert [layer.name for layer in viewer.layers] == ["a", "b"], "one at once, the others in later turns"
    qtbot.waitUntil(lambda: not viewer.layers, timeout=5_000)
    dock.undo.redo()
    dock.undo.undo()  # before all have come: what was asked first is done first
    qtbot.waitUntil(lambda: not dock.undo.busy, timeout=5_000)
    assert not viewer.layers
    dock.undo.redo()
    qtbot.waitUntil(lambda: not dock.undo.busy, timeout=5_000)
    assert list(viewer.layers) == layers


def test_a_place_is_finished_when_every_pixel_of_it_is() -> None:
    """Compared with a picture of what is finished, for random tiles in a frame of a stack."""
    random = np.random.default_rng(3)
    result = LiveResult(Run(make_plan(image(2, 40, 50), (small_model(),), RunSettings(tile=10))))
    done = np.zeros((2, 40, 50), bool)

    def some() -> tuple[tuple[int, int], tuple[int, int]]:
        (a, b), (c, d) = (sorted(random.choice(n + 1, 2, replace=False)) for n in (40, 50))
        return (int(a), int(b)), (int(c), int(d))

    asked = 0
    for number in range(60):
        frame, ((a, b), (c, d)) = int(random.integers(2)), some()
        where, shape = (frame, slice(a, b), slice(c, d)), (b - a, d - c)
        if b - a < 20 and d - c < 20:
            labels, scores = np.ones(shape, np.uint8), np.zeros((*shape, 3), np.float32)
            result.write(Tile(where, labels, scores, number + 1, 99))
            done[where] = True
        for _ in range(20):
            frame, region = int(random.integers(2)), some()
            expected = done[(frame, *(slice(*part) for part in region))].all()
            assert result.has((frame,), region) == expected
            asked += bool(expected)
    assert asked > 20
