"""A run's parts and order: whatever is computed, and when, has the numbers of the whole run to the last bit."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from _keras_side import save_model

import napari_fcnseg as nf
from napari_fcnseg.conversion import ways
from napari_fcnseg.errors import FcnSegError, SettingsError
from napari_fcnseg.plan import method as methods
from napari_fcnseg.plan import run_plan, tile_size
from napari_fcnseg.plan.memory_budget import FRAMEWORK
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.proof.verification import VerificationSampler
from napari_fcnseg.run import preview
from napari_fcnseg.run.result import ResultArrays, iter_tiles
from napari_fcnseg.run.run import Run
from napari_fcnseg.run.time_estimate import estimate_run
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

SPEC = {
    "input": (15, 15, 2),
    "layers": [
        ("Conv2D", {"filters": 16, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {}),
        ("Conv2D", {"filters": 24, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip
TILE = (6, 25)  # in two columns of eleven: groups of eight and of three strips
IMAGE = np.random.default_rng(0).standard_normal((61, 50, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def models(keras_child, tmp_path_factory) -> list[nf.PatchModel]:
    # Its blocks begin at a tile's corner, so that another tile rounds differently; the plain sum might hide a mistake.
    costs = {way: ways.nanoseconds(way, (3, 3, 16, 24)) for way in ("direct", "winograd")}
    assert min(costs, key=costs.__getitem__) == "winograd"
    folder = tmp_path_factory.mktemp("run")
    for seed in range(3):
        keras_child(save_model, {**SPEC, "seed": seed}, str(folder / f"{seed}.keras"))
    return [nf.load_model(folder / f"{seed}.keras") for seed in range(3)]


@pytest.fixture(scope="module")
def model(models) -> nf.PatchModel:
    return models[0]


@pytest.fixture(autouse=True)
def _small(monkeypatch) -> None:
    """Have an early tile in a run that a test has time for."""
    monkeypatch.setattr(tile_size, "_FIRST_WORK", 5e5)
    monkeypatch.setattr(preview, "_WORTH", 0)
    monkeypatch.setattr(run_plan, "strips_per_group", lambda methods, _: 8 if methods[0].in_strips else 1)


@pytest.fixture(params=[False, True], ids=["tiles", "strips"])
def strips(request, monkeypatch) -> bool:
    monkeypatch.setattr(methods, "WORTH_STRIPS", 0 if request.param else 1e99)
    return request.param


def run_of(image, *models, focus=None, mask=None, **settings) -> Run:
    chosen = RunSettings(**{"tile": TILE, "method": "dense", "probabilities": True, "confidence": True} | settings)
    return Run(make_plan(image, models, chosen, focus, mask))


def fill(arrays: ResultArrays, tiles: Iterable[nf.Tile]) -> list[nf.Tile]:
    """Write tiles as they come; return those that are no preview."""
    seen = []
    for tile in tiles:
        for array, part in (
            (arrays.labels, tile.labels),
            (arrays.arrays["probabilities"], tile.scores),
            (arrays.arrays["confidence"], tile.confidence),
        ):
            array[tile.where] = part
        if not tile.preview:
            seen.append(tile)
    return seen


def assert_same_bits(arrays: ResultArrays, whole: nf.Segmentation, where: np.ndarray | None = None) -> None:
    """Fail unless what was computed is the whole run's, and all else is 0."""
    where = np.ones(whole.labels.shape, bool) if where is None else where
    np.testing.assert_array_equal(arrays.labels, np.where(where, whole.labels, 0))
    np.testing.assert_array_equal(arrays.arrays["probabilities"], np.where(where[..., None], whole.probabilities, 0))
    np.testing.assert_array_equal(arrays.arrays["confidence"], np.where(where, whole.confidence, 0))


def whole_of(image, *models, **settings) -> nf.Segmentation:
    return ResultArrays(run_of(image, *models, **settings)).fill()


@pytest.mark.parametrize("settings", [{}, {"every": 2}, {"region": ((3, 58), (4, 41))}], ids=str)
def test_no_order_changes_a_bit(model, strips, settings) -> None:
    whole = whole_of(IMAGE, model, **settings)
    other = whole_of(IMAGE, model, **{**settings, "tile": (13, 25)})
    if not settings:
        assert not np.array_equal(whole.probabilities, other.probabilities), "another cut would be seen"
    for number, focus in enumerate([(0, 0), (40, 10), (33, 48)]):
        run = run_of(IMAGE, model, focus=focus, **settings)
        arrays = ResultArrays(run)
        tiles = fill(arrays, iter_tiles(run, preview=number == 1))
        assert_same_bits(arrays, whole, whole.labels > 0)
        assert [tile.done for tile in tiles] == list(range(1, run.total + 1))
        if not settings:
            assert run.plan.schedule.early is not None
            assert tiles[0].labels.size < math.prod(TILE), "a small tile first"
            for (start, stop), w, f in zip(run.plan.extent, tiles[0].where, focus, strict=True):
                assert start <= w.start <= f <= w.stop <= stop


def test_a_stack_begins_with_the_frame_and_the_strips_at_the_focus_and_has_the_same_bits(model, strips) -> None:
    stack = np.stack([IMAGE, IMAGE[::-1], IMAGE * 2])
    whole = whole_of(stack, model)
    run = run_of(stack, model, focus=(2, 55, 40))
    arrays = ResultArrays(run)
    tiles = fill(arrays, iter_tiles(run))
    assert_same_bits(arrays, whole)
    assert [tile.where[0] for tile in tiles] == sorted((tile.where[0] for tile in tiles), reverse=True)
    assert tiles[1].where[1:] == (slice(48, 54) if strips else slice(54, 60), slice(25, 50)), "a group from its top"


@pytest.mark.parametrize("stop_after", [1, 5, 17])
def test_a_run_that_goes_on_after_a_stop_has_the_bits_of_one_that_was_not_stopped(model, strips, stop_after) -> None:
    whole = whole_of(IMAGE, model)
    run = run_of(IMAGE, model, focus=(40, 30))
    arrays, finished = ResultArrays(run), np.zeros(IMAGE.shape[:2], bool)
    first = run.execute()
    for tile in fill(arrays, (next(first) for _ in range(stop_after))):
        finished[tile.where] = True
    first.close()
    lost = np.random.default_rng(stop_after).random() * 61  # some of it, as if it could not be kept
    finished[int(lost) : int(lost) + 9] = False
    for array in (arrays.labels, arrays.arrays["probabilities"], arrays.arrays["confidence"]):
        array[~finished] = 0
    total = run.total

    def skip(index: tuple[int, ...], region: tuple[tuple[int, int], ...]) -> bool:
        assert index == ()
        return bool(finished[tuple(slice(*axis) for axis in region)].all())

    assert not strips or len(run.plan.schedule.planned(skip)[0][1]) <= total
    rest = fill(arrays, run.execute(skip=skip))
    assert len(rest) == sum(len(parts) for _, parts in run.plan.schedule.planned(skip))
    assert [tile.done for tile in rest] == list(range(total - len(rest) + 1, total + 1))
    assert_same_bits(arrays, whole)
    assert list(run.execute(skip=lambda *_: True)) == []
    assert run.done == run.total == total


def test_only_the_frames_that_are_chosen_are_computed(model) -> None:
    stack = np.stack([np.stack([IMAGE, IMAGE[::-1], IMAGE * 2]), np.stack([IMAGE[:, ::-1], IMAGE + 1, IMAGE])])
    settings = {"channel_axis": -1, "tile": 40, "preprocess": ("divide_by_median",)}
    whole = nf.segment(stack, model, probabilities=True, confidence=True, **settings)
    chosen = np.zeros(whole.labels.shape, bool)
    chosen[0:1, 1:3] = True
    run = run_of(stack, model, frames=((0, 1), (1, 3)), **settings)
    assert run.plan.summary.tiles == run.total == 2 * 4
    assert run.plan.summary.pixels == chosen.sum()
    arrays = ResultArrays(run)
    assert {tile.where[:2] for tile in fill(arrays, iter_tiles(run, preview=True))} == {(0, 1), (0, 2)}
    assert_same_bits(arrays, whole, chosen)
    elsewhere = run_of(stack, model, focus=(1, 0, 5, 5), frames=((0, 1), (1, 3)), **settings)
    assert preview.coarse_pass(elsewhere) is None, "who looks at a frame that is not computed wants none of another"


@pytest.mark.parametrize("every", [1, 3])
def test_inside_a_mask_are_the_numbers_of_the_whole_run_and_outside_is_nothing(model, strips, every) -> None:
    whole = whole_of(IMAGE, model, every=every)
    rows, columns = np.ogrid[:61, :50]
    disk = (rows - 33) ** 2 + (columns - 36) ** 2 < 60
    inside = disk[::every, ::every]
    run = run_of(IMAGE, model, every=every, focus=(30, 40), mask=disk.astype(np.uint8) * 7)
    arrays = ResultArrays(run)
    seen = fill(arrays, run.execute())
    assert_same_bits(arrays, whole, inside)
    assert run.plan.summary.pixels == inside.sum()
    below = 8 * run.plan.tile[0] if strips and every == 1 else 0  # a strip is computed for others of its group below it
    for tile in seen:
        np.testing.assert_array_equal(tile.labels != 0, inside[tile.where])
        rows, columns = tile.where
        assert inside[rows.start : rows.stop + below, columns].any(), "for nothing"
    assert run.total == len(seen) < run_of(IMAGE, model, every=every, focus=(30, 40)).total
    assert run.provenance()["mask"] == {
        "sha256": hashlib.sha256(disk.tobytes()).hexdigest(), "shape": [61, 50], "pixels": int(disk.sum()),
    }  # fmt: skip


def test_a_mask_may_be_of_the_whole_stack_and_on_disk_and_be_drawn_on_meanwhile(model, tmp_path) -> None:
    stack = np.stack([IMAGE, IMAGE[::-1], IMAGE * 2])
    whole = whole_of(stack, model)
    mask = np.zeros(stack.shape[:3], bool)
    mask[0, 5:9, 40:], mask[2, 30:45, 3:20] = True, True
    on_disk = zarr.create_array(tmp_path / "mask.zarr", data=mask, chunks=(1, 16, 16))
    for given in (mask, on_disk):
        run = run_of(stack, model, mask=given)
        assert list(run.plan.schedule.frames) == [(0,), (2,)]
        arrays, tiles = ResultArrays(run), run.execute()
        seen = [next(tiles)]
        expected = mask.copy()
        if given is mask:
            mask[:] = True
        seen += tiles
        mask[:] = expected
        assert seen[-1].done == run.total == len(seen)
        for tile in seen:
            arrays.write(tile)
        assert_same_bits(arrays, whole, expected)
        assert run.provenance()["mask"]["sha256"] == hashlib.sha256(expected.tobytes()).hexdigest()


def test_a_preview_keeps_to_the_mask(model) -> None:
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[10:40, 5:44] = True
    tiles = [
        tile for tile in nf.iter_segment(IMAGE, model, tile=20, focus=(20, 20), preview=True, mask=mask) if tile.preview
    ]
    assert tiles
    for tile in tiles:
        np.testing.assert_array_equal(tile.labels != 0, mask[tile.where])
    run = run_of(IMAGE, model, mask=np.eye(61, 50) * (np.arange(50) == 1))  # no place of a preview is in it
    assert preview.coarse_pass(run) is None
    run = run_of(IMAGE, model)
    assert preview.coarse_pass(run, skip=lambda *_: False) is None, "what goes on has had its preview"


def test_confidence_and_disagreement_are_what_they_say(models, tmp_path) -> None:
    alone = [nf.segment(IMAGE, m, probabilities=True) for m in models]
    mean = np.mean([a.probabilities for a in alone], axis=0)
    together = nf.segment(
        IMAGE, models, confidence=True, disagreement_out=tmp_path / "d.zarr", probabilities=True, confidence_out=None
    )
    np.testing.assert_allclose(together.confidence, mean.max(axis=-1), atol=1e-6)
    votes = np.sum([a.labels != together.labels for a in alone], axis=0)
    assert set(np.unique(votes)) >= {0, 1}, "they do disagree somewhere"
    np.testing.assert_allclose(together.disagreement[:], votes / 3, atol=1e-6)
    assert together.confidence.dtype == together.disagreement.dtype == np.float32
    points = np.argwhere(votes == 1)[:5]
    few = nf.segment_patchwise(IMAGE, models, points, confidence=True, disagreement=True)
    np.testing.assert_allclose(few.disagreement, 1 / 3, atol=1e-6)
    np.testing.assert_allclose(few.confidence, together.confidence[tuple(points.T)], atol=1e-5)
    plain = nf.segment(IMAGE, models[0])
    assert plain.confidence is plain.disagreement is None


def test_points_to_verify_are_computed_ones(model) -> None:
    stack = np.stack([IMAGE, IMAGE[::-1], IMAGE * 2, IMAGE])
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[20:23, 24:28], mask[60, 49] = True, True
    verification = nf.verify(stack, model, n=20, frames=[(1, 3)], mask=mask, tile=25)
    assert verification.passed
    assert set(verification.points[:, 0]) == {1, 2}
    assert mask[tuple(verification.points[:, 1:].T)].all()
    assert len(verification.points) > 10
    assert {24, 25} <= set(verification.points[:, 2]), "both sides of a seam"
    sampler = VerificationSampler(run_of(stack, model, mask=mask), 300, 3)
    assert len(np.unique(sampler.points, axis=0)) == len(sampler.points) >= 0.9 * 4 * mask.sum()
    whole = VerificationSampler(run_of(stack, model, focus=(3, 0, 0)), 50, 3)
    np.testing.assert_array_equal(whole.points, VerificationSampler(run_of(stack, model), 50, 3).points)


def test_of_a_part_of_the_tiles_enough_points_are_verified(model) -> None:
    sampler = VerificationSampler(run_of(np.stack([IMAGE] * 9), model), 40)
    visible = ((12, 18), (25, 50))
    for tile in sampler.run.execute(skip=lambda index, region: (index, region) != ((7,), visible)):
        sampler.see(tile)
    verification = sampler.verify()
    assert verification.passed
    assert 15 <= len(np.unique(verification.points, axis=0)) == len(verification.points) <= 40
    assert (verification.points[:, 0] == 7).all()
    for axis, (start, stop) in enumerate(visible, start=1):
        assert ((verification.points[:, axis] >= start) & (verification.points[:, axis] < stop)).all()


def test_groups_of_strips_are_as_long_as_to_compute_little_anew(model, strips) -> None:
    whole = run_of(IMAGE, model)
    method = whole.plan.methods[0]
    if not strips:
        assert tile_size.strips_per_group(whole.plan.methods, TILE) == 1
        return
    for rows in (3, 6, 40, 200):
        count = tile_size.strips_per_group(whole.plan.methods, (rows, 25))
        strip = method.flop((2 * rows, 25)) - method.flop((rows, 25))  # one that is computed from the one above
        assert method.flop((rows, 25)) - strip <= 0.03 * count * strip
        assert count == 1 or method.flop((rows, 25)) - strip > 0.03 * (count - 1) * strip, "no more than that takes"


def test_an_estimate_and_a_plan_count_what_is_computed(model) -> None:
    stack = np.stack([IMAGE] * 4)
    whole, frames = run_of(stack, model), run_of(stack, model, frames=[(1, 2)])
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[:3, :3] = True
    masked = run_of(stack, model, mask=mask)
    assert (whole.plan.summary.tiles, frames.plan.summary.tiles, masked.plan.summary.tiles) == (4 * 22, 22, 4)
    assert (whole.plan.summary.pixels, frames.plan.summary.pixels, masked.plan.summary.pixels) == (4 * 3050, 3050, 36)
    assert whole.plan.summary.tile == TILE
    assert FRAMEWORK < whole.plan.summary.bytes < 2 * FRAMEWORK
    assert estimate_run(masked).pixels == 36
    every, few = estimate_run(whole), estimate_run(frames)
    assert (every.pixels, few.pixels) == (4 * 3050, 3050)
    assert few.seconds < every.seconds
    assert estimate_run(whole, lambda index, _: index != (3,)).pixels == 3050
    nothing = estimate_run(whole, lambda *_: True)
    assert (nothing.seconds, nothing.pixels) == (0, 0)


@pytest.mark.parametrize(
    ("settings", "mask", "says"),
    [
        ({"frames": ((0, 5),)}, None, "Frames 0 to 4 were chosen along axis 0 of the stack, which has 4 frames"),
        ({"frames": ((0, 1), (0, 1))}, None, "along 2 axes, and the image has 1"),
        ({"frames": ((2, 2),)}, None, "stops after its start"),
        ({"frames": 3}, None, "one .start, stop. per axis, in frames, not 3"),
        ({"disagreement": True}, None, "Choose several models"),
        ({}, np.ones((50, 61)), "shape 50 × 61.*61 × 50 pixels, or 4 × 61 × 50 for its whole stack"),
        ({}, np.zeros((61, 50)), "no pixel where this run gives labels"),
        ({"frames": ((1, 2),)}, np.stack([np.full((61, 50), n == 0) for n in range(4)]), "no pixel where this run"),
        ({}, np.full((61, 50), "a"), "values of type"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_the_run(model, settings, mask, says) -> None:
    with pytest.raises(SettingsError, match=says):
        run_of(np.stack([IMAGE] * 4), model, mask=mask, **settings)


def test_a_point_that_was_left_out_is_said(model) -> None:
    mask = np.zeros(IMAGE.shape[:2], bool)
    mask[5, 5] = True
    assert nf.segment_patchwise(IMAGE, model, [[5, 5]], mask=mask).labels.all()
    with pytest.raises(FcnSegError, match=r"Point \(5, 6\) is outside the mask"):
        nf.segment_patchwise(IMAGE, model, [[5, 5], [5, 6]], mask=mask)
