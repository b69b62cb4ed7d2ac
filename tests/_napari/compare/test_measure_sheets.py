"""What the tables of scores say: every number against the comparison it is of, every score with its explanation."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg._napari.compare.measure import sheets
from napari_fcnseg.comparison import DEFINITIONS, CompareSettings, placed, study

NAMES = {1: "nucleus", 2: "wall"}


def _classes(masks: int = 1):
    """Return a study of 3 labels in pixels of 0.5 × 0.5 µm, each mask a bit worse than the one before."""
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 3, (8, 10)), np.ones((5, 5), int))
    others = [np.where(rng.random(truth.shape) < 0.05 * (n + 1), 2, truth) for n in range(masks)]
    given = [placed(f"mask {n}", other, (0.5, 0.5)) for n, other in enumerate(others)]
    return study(placed("hand", truth, (0.5, 0.5)), given, unit="µm", class_names=NAMES)


def _objects():
    """Return a study of four objects: one found, one cut in two, two merged; one more is in the mask alone."""
    truth, mask = np.zeros((2, 20, 40), int)
    truth[1:5, 1:5], truth[8:12, 1:11], truth[1:5, 20:24], truth[1:5, 24:28] = 3, 5, 7, 9
    mask[1:5, 1:5], mask[8:12, 1:6], mask[8:12, 6:11], mask[1:5, 20:28], mask[15:18, 30:33] = 1, 2, 4, 6, 8
    return study(placed("hand", truth, (2, 2)), [placed("net", mask, (2, 2))], CompareSettings("instances"), unit="µm")


def _column(sheet, heading):
    return next(one for one in sheet.columns if one.title == heading)


def test_every_score_shown_is_explained_with_its_definition() -> None:
    classes, objects = _classes(2), _objects()
    for sheet in (
        sheets.classes(classes.entries[0], {}), sheets.overall(classes.entries[0]), sheets.ranking(classes)[0],
        sheets.overall(objects.entries[0]), sheets.matching(objects.entries[0].comparison.instances),
        sheets.ranking(objects)[0], sheets.objects(objects.entries[0], "all objects")[0],
    ):  # fmt: skip
        for column in sheet.columns:
            assert column.tip.endswith(".")
            assert all(column.tip_of(row).endswith(".") for row in range(len(sheet)))
    for sheet, names in (
        (sheets.overall(classes.entries[0]), ("accuracy", "kappa", "rand_error", "variation_of_information")),
        (sheets.matching(objects.entries[0].comparison.instances), ("panoptic_quality", "splits", "merges", "f1")),
    ):  # fmt: skip
        said = [sheet.columns[1].tip_of(row) for row in range(len(sheet))]
        assert all(DEFINITIONS[name] in said for name in names)


def test_class_scores_are_those_of_the_comparison_with_units() -> None:
    entry = _classes().entries[0]
    sheet = sheets.classes(entry, {1: "#ff0000"})
    found = entry.comparison
    assert _column(sheet, "Class").values == ["0", "nucleus (1)", "wall (2)"]
    assert sheet.colors == (None, "#ff0000", None)
    assert _column(sheet, "Dice").values == [one.dice for one in found.classes]
    assert _column(sheet, "Hausdorff 95 % (µm)").values == [None, *(one.hausdorff_95 for one in found.borders)]
    assert _column(sheet, "Boundary F1").values[1:] == [one.f1 for one in found.borders]
    assert "The tolerance was" in _column(sheet, "Boundary F1").tip
    assert "Borders were not searched here" in _column(sheet, "Boundary F1").tip_of(0)
    assert "Borders were not searched" not in _column(sheet, "Boundary F1").tip_of(1)
    volume = _column(sheet, "Volume difference")
    wall = found.classes[2]
    assert volume.text(volume.values[2]) == f"{100 * (wall.b_pixels - wall.a_pixels) / wall.a_pixels:+.3g} %"
    copied = [line.split("\t") for line in sheet.text().splitlines()]
    assert copied[0] == [one.title for one in sheet.columns]
    assert copied[1][6] == "–", "label 0 has no border"


def test_objects_are_listed_by_what_became_of_them() -> None:
    entry = _objects().entries[0]
    listed = {
        which: [(row.side, row.label) for row in sheets.objects(entry, which)[1]] for which in sheets.FILTERS
    }  # fmt: skip
    scores = entry.comparison.instances
    assert listed["split"] == [("a", 5)]
    assert listed["merged"] == [("b", 6)]
    assert ("a", 3) in listed["found"]
    assert ("b", 1) in listed["found"]
    assert ("b", 8) in listed["spurious"]
    assert (len(listed["split"]), len(listed["merged"])) == (scores.splits, scores.merges)
    assert (len(listed["missed"]), len(listed["spurious"])) == (scores.at.missed, scores.at.spurious)
    assert len(listed["found"]) == 2 * scores.at.found
    sheet, rows = sheets.objects(entry, "spurious")
    alone = next(i for i, row in enumerate(rows) if row.label == 8)
    assert _column(sheet, "Size (µm²)").values[alone] == 9 * 4
    assert _column(sheet, "Partner").text(_column(sheet, "Partner").values[alone]) == "–"


def test_masks_are_ranked_and_led_back_to_their_entries() -> None:
    found = _classes(3)
    sheet, places = sheets.ranking(found)
    assert [found.entries[i].name for i in places] == _column(sheet, "Mask").values
    dice = _column(sheet, "Mean Dice").values
    assert dice == sorted(dice, reverse=True)
    assert dice == [found.entries[i].comparison.mean_dice for i in places]


def test_sentences_say_the_numbers() -> None:
    found = _classes()
    entry = found.entries[0]
    differ = entry.comparison.overall.different
    assert f"{differ:,} of 2,000 pixels differ" in sheets.headline(found, entry)
    same = study(placed("a", np.eye(4, dtype=int)), [placed("b", np.eye(4, dtype=int))])
    assert sheets.headline(same, same.entries[0]) == "b and a are the same: 0 of 16 pixels differ."
    objects = _objects()
    at = objects.entries[0].comparison.instances.at
    said = sheets.headline(objects, objects.entries[0])
    assert said.startswith(f"{at.found} of 4 objects found")
    assert said.endswith("1 split, 1 merged.")
    matrix = entry.comparison.confusion
    share = 100 * matrix[1][2] / sum(matrix[1])
    assert sheets.cell_tip(found, entry, 1, 2) == (
        f"{matrix[1][2]} pixels are nucleus in hand and wall in mask 0: {share:.3g} % of all nucleus. "
        "Click to see them."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (1234567, "1,234,567"), (0.123456, "0.1235"), (1.0, "1"), (12345.6, "12,346"), (0, "0")],
)
def test_numbers_have_four_digits_and_thousands_apart(value, text) -> None:
    assert sheets.number(value) == text
