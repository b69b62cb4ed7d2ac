"""Several masks against one truth: the scores are those of each pair alone, and the best mask is first."""

from __future__ import annotations

import csv
import json
import tracemalloc

import numpy as np
import pytest
import zarr

from napari_fcnseg import compare
from napari_fcnseg.comparison import CompareSettings, Placed, count, placed, study
from napari_fcnseg.comparison.metrics import contingency
from napari_fcnseg.comparison.metrics.objects import instance_scores, matches
from napari_fcnseg.errors import ImageError, SettingsError


def blobs(seed: int = 0, *, shift: float = 0.0, size: int = 120) -> np.ndarray:
    """Return 36 discs, each moved a bit."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.int32)
    y, x = np.indices(labels.shape)
    for k in range(36):
        cy, cx = (np.array(divmod(k, 6)) + 0.5) * size / 6 + shift * rng.normal(size=2)
        labels[np.hypot(y - cy, x - cx) < 7] = k + 1
    return labels


def test_each_mask_has_the_scores_of_compare_and_the_best_is_first() -> None:
    truth, masks = blobs(), [blobs(1, shift=4), blobs(2, shift=1), blobs(3, shift=2)]
    for kind, instances in (("classes", False), ("instances", True)):
        found = study(
            placed("truth", truth, (2.0, 0.5)), [placed(f"m{i}", mask, (2.0, 0.5)) for i, mask in enumerate(masks)],
            CompareSettings(kind=kind, threshold=0.6), unit="µm", class_names={1: "one"},
        )  # fmt: skip
        assert [entry.name for entry in found.entries] == ["m0", "m1", "m2"]
        assert [entry.name for entry in found.ranked()] == ["m1", "m2", "m0"]
        for entry, mask in zip(found.entries, masks, strict=True):
            alone = compare(
                truth, mask, spacing=(2.0, 0.5), unit="µm", class_names={1: "one"}, instances=instances, threshold=0.6
            )
            assert entry.comparison == alone
        assert found.notes == found.entries[0].comparison.notes


def test_another_threshold_gives_what_counting_anew_would(monkeypatch) -> None:
    found = study(placed("a", blobs()), [placed("b", blobs(1, shift=3))], CompareSettings("instances"))
    # No pixel is read again.
    monkeypatch.setattr(contingency, "blocks_of", None)
    for threshold in (0.2, 0.5, 0.75, 1.0):
        again = found.at(threshold)
        assert again.settings.threshold == threshold
        assert again.entries[0].comparison.instances == instance_scores(found.entries[0].table, threshold)
        pairs = matches(found.entries[0].table, threshold)
        assert len(pairs) == again.entries[0].comparison.instances.at.found
    assert (
        found.at(0.2).entries[0].comparison.instances.at.found > found.at(0.75).entries[0].comparison.instances.at.found
    )


def test_what_labels_are_is_decided_once_for_all_masks() -> None:
    truth = np.arange(60).repeat(4)[None]
    many = np.arange(240)[None]
    found = study(placed("truth", truth), [placed("few", truth), placed("many", many)])
    assert found.single
    assert all(entry.comparison.instances is not None for entry in found.entries)
    assert not study(placed("truth", truth), [placed("few", truth)]).single


def test_resampled_and_turned_masks_count_where_all_have_pixels() -> None:
    truth = blobs() % 4
    fine = truth.repeat(2, 0).repeat(2, 1)
    affine = np.diag([0.5, 0.5, 1.0])
    affine[:2, 2] = -0.25  # the middle of its first pixel
    moved = np.eye(3)
    moved[0, 2] = 10
    found = study(placed("truth", truth), [Placed("fine", fine, affine), Placed("moved", truth, moved)])
    assert found.aligned.maps[0].shape == (110, 120)
    assert found.entries[0].comparison.overall.different == 0
    assert found.entries[1].comparison == compare(truth[10:], truth[:-10])
    assert [note.split(":")[0] for note in found.notes[:2]] == [
        "'fine' has pixels of 0.5 × 0.5, 'truth' of 1 × 1", "Compared is where all lie",
    ]  # fmt: skip
    quarter = np.array([[0.0, 1, 0], [-1, 0, 119], [0, 0, 1]])
    turned = study(placed("truth", truth), [Placed("turned", np.rot90(truth), quarter)]).entries[0].comparison.overall
    assert (turned.pixels, turned.different) == (truth.size, 0)
    oblique = np.array([[0.8, -0.6, 40], [0.6, 0.8, -30], [0, 0, 1]])
    cut = study(placed("truth", truth), [Placed("oblique", truth, oblique)])
    inside = np.asarray(cut.aligned.inside)
    assert cut.entries[0].comparison.overall.pixels == inside.sum() < inside.size
    alone = count(np.asarray(cut.aligned.maps[0])[inside], np.asarray(cut.aligned.maps[1])[inside])
    np.testing.assert_array_equal(alone.pixels, cut.entries[0].table.pixels)
    assert "turned" in cut.notes[0]
    assert cut.entries[0].comparison.borders == ()
    corner = np.array([[0.5**0.5, -(0.5**0.5), 170], [0.5**0.5, 0.5**0.5, 86], [0, 0, 1]])
    with pytest.raises(ImageError, match="no pixel in common"):  # only the box around it overlaps
        study(placed("truth", truth), [Placed("corner", truth, corner)])


def test_frames_have_their_own_borders_unless_they_are_a_volume() -> None:
    a = np.zeros((2, 9, 9), np.uint8)
    a[:, 2:7, 2:7] = 1
    b = a.copy()
    b[1] = 0
    b[1, 3:8, 2:7] = 1
    flat = study(placed("a", a), [placed("b", b)]).entries[0].comparison.borders[0]
    frames = [compare(one, other).borders[0] for one, other in zip(a, b, strict=True)]
    assert (flat.hausdorff, [one.hausdorff for one in frames]) == (1, [0, 1])
    assert flat == compare(a, b, spatial=2).borders[0]
    # As a volume of two planes every pixel is at an end of it, so that the edge is only one row.
    deep = study(placed("a", a), [placed("b", b)], CompareSettings(spatial=3)).entries[0].comparison.borders[0]
    assert deep == compare(a, b, spatial=3).borders[0]
    assert deep != flat


def test_progress_goes_over_all_the_work_and_what_it_raises_ends_it() -> None:
    a = blobs() % 4
    told: list[tuple[int, int]] = []
    study(placed("a", a), [placed("b", a), placed("c", a)], progress=lambda *step: told.append(step))
    parts = [done / total for done, total in told]
    assert parts == sorted(parts)
    assert parts[-1] == 1
    assert len({total for _, total in told}) == 1
    borders = [part for part in parts if part > 0.5]

    def stop(done: int, total: int) -> None:
        if done / total >= borders[0]:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        study(placed("a", a), [placed("b", a), placed("c", a)], progress=stop)


def test_a_map_on_disk_is_never_held_whole(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(contingency, "_BLOCK", 2**16)
    shape = (3000, 3000)
    stored = zarr.create_array(tmp_path / "a.zarr", shape=shape, dtype="u4", chunks=(250, 250))
    stored[:1000] = np.broadcast_to(np.arange(1, 101, dtype="u4").repeat(30), (1000, 3000))
    first = study(placed("a", stored), [placed("b", stored)], CompareSettings("instances"))  # imports what it needs
    assert first.entries[0].comparison.instances.at.found == 100
    tracemalloc.start()
    found = study(placed("a", stored), [placed("b", stored, (1.0, 1.00001))], CompareSettings("instances"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "nearest label" in found.notes[0]
    assert peak < 0.5 * np.prod(shape) * 4


def test_everything_is_in_the_files(tmp_path) -> None:
    found = study(
        placed("truth", blobs() % 4), [placed("poor", blobs(1, shift=5) % 4), placed("good", blobs(1, shift=1) % 4)],
        CompareSettings(tolerance=1.5), unit="µm", class_names={1: "cell"},
        provenance=({"drawn": "by hand"}, {"run": 1}),
    )  # fmt: skip
    found.save_json(tmp_path / "a.json")
    data = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert (data["truth"], data["unit"], data["truth_provenance"]) == ("truth", "µm", {"drawn": "by hand"})
    assert CompareSettings.from_dict(data["settings"]) == found.settings
    assert [(one["mask"], one["provenance"]) for one in data["masks"]] == [("good", {}), ("poor", {"run": 1})]
    assert data["class_names"] == {"1": "cell"}
    assert data["masks"][1]["overall"]["kappa"] == found.entries[0].comparison.overall.kappa
    found.save_csv(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["mask"], row["of"], row["score"]): row["value"] for row in csv.DictReader(file)}
    assert len(rows) == len(found.rows())
    assert float(rows["good", "cell", "dice"]) == found.entries[1].comparison.classes[1].dice


def test_settings_go_through_json_and_say_what_is_wrong() -> None:
    chosen = CompareSettings("instances", (3, -1), 0.7, 2.5, 3)
    assert CompareSettings.from_json(chosen.to_json()) == chosen
    for wrong, said in (
        ({"kind": "cells"}, "Choose one of"), ({"ignore": ("a",)}, "whole numbers"),
        ({"threshold": 0}, "IoU threshold"), ({"threshold": float("nan")}, "IoU threshold"),
        ({"tolerance": -1}, "length from 0"),
        ({"spatial": 0}, "1 or more"), ({"sigma": 1}, "no setting 'sigma'"),
    ):  # fmt: skip
        with pytest.raises(SettingsError, match=said):
            CompareSettings.from_dict(wrong)


def test_masks_without_a_score_come_last() -> None:
    empty, full = np.zeros((4, 4), int), np.ones((4, 4), int)
    found = study(placed("truth", empty), [placed("empty", empty), placed("full", full)])
    assert [entry.name for entry in found.ranked()] == ["full", "empty"]
    assert found.entries[0].value("mean_dice") is None
    with pytest.raises(SettingsError, match="nothing to compare"):
        study(placed("truth", empty), [])
