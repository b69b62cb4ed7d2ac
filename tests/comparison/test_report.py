"""A report says the numbers of the study, shows the pixels of the maps, needs no other file and runs nothing."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from napari_fcnseg.comparison import CompareSettings, Study, placed, study
from napari_fcnseg.comparison.agreement_map import AGREEMENT, BOTH, DIFFERENT, ONLY_A, ONLY_B
from napari_fcnseg.comparison.metrics.scores import DEFINITIONS, title, whole_scores
from napari_fcnseg.comparison.report.html import format_score, render_report, write_report
from napari_fcnseg.comparison.report.pictures import LabelStyle, paint_labels, scenes
from napari_fcnseg.errors import OutputError

HOSTILE = "<script>alert('x')</script> & \"truth\""
ORIGIN = {
    "program": "napari-fcnseg", "models": [{"name": "net<1>", "sha256": "0123456789abcdef" * 4, "method": "dense"}],
    "settings": {"preprocess": ["divide_by_median"], "border": "reflect"}, "device": "CPU:0",
    "versions": {"napari-fcnseg": "0.1.0", "keras": "3.15.1"},
}  # fmt: skip


class Page(HTMLParser):
    """The tables of a page by their headings, its pictures, its words, and whatever else it refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.images: list[np.ndarray] = []
        self.tags: list[str] = []
        self.refers: list[str] = []
        self.words = ""
        self._heading, self._rows = "", []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag begins."""
        self.tags.append(tag)
        self._open = tag
        for key, value in attrs:
            if key == "src":
                kind, data = str(value).split(",", 1)
                assert kind == "data:image/png;base64"
                self.images.append(iio.imread(base64.b64decode(data, validate=True), extension=".png"))
            elif key in ("href", "xlink:href", "action", "data", "srcset", "background") or key.startswith("on"):
                self.refers.append(str(value))
        if tag == "h2":
            self._heading = ""
        elif tag == "table":
            self._rows = self.tables.setdefault(self._heading, [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_data(self, data: str) -> None:
        """Add words to what they are in."""
        self.words += data
        if self._open == "h2":
            self._heading += data
        elif self._open in ("td", "th"):
            self._rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        """Leave what was begun."""
        self._open = ""


def maps(shape: tuple[int, ...] = (60, 80), classes: int = 4) -> tuple[np.ndarray, ...]:
    """Return a truth in patches, and masks that are ever worse."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, shape)
    for axis in (-2, -1):
        truth = truth.take(np.arange(shape[axis]) // 10 * 10, axis=axis)
    worse = (np.where(rng.random(shape) < share, rng.integers(0, classes, shape), truth) for share in (0.05, 0.4, 0.2))
    return (truth, *worse)


def made(kind: str = "classes", names: tuple[str, ...] = ("m0", "m1", "m2"), **more: Any) -> Study:
    truth, *masks = maps(**more)
    size = (0.5,) * truth.ndim
    return study(
        placed(HOSTILE, truth, size),
        [placed(name, mask, size) for name, mask in zip(names, masks, strict=False)],
        CompareSettings(kind), unit="µm", class_names={0: "background", 1: "a <b>bold</b> one", 2: "two"},
        provenance=[{}, ORIGIN, {}, {}],
    )  # fmt: skip


def test_the_numbers_are_the_study_s() -> None:
    found = made()
    page = Page(render_report(found))
    ranking = page.tables["All masks, the best first"]
    assert ranking[0] == ["", "Mask", *map(title, found.ranks)]
    assert [row[1] for row in ranking[1:]] == ["m0", "m2", "m1"]
    assert ranking[2][2:] == [format_score(found.ranked()[1].value(score)) for score in found.ranks]
    best = found.entries[0]
    whole = page.tables["As a whole"][1:]
    assert whole == [[title(score), format_score(best.value(score))] for score in whole_scores(single=best.single)]
    assert float(dict(whole)["Accuracy"]) == pytest.approx((maps()[0] == maps()[1]).mean(), rel=1e-3)
    pixels = page.tables["Pixels: truth (rows), mask (columns)"]
    assert [[int(n.replace(",", "")) for n in row[1:]] for row in pixels[1:]] == [
        list(row) for row in best.comparison.confusion
    ]
    heading, rows = next((key, rows) for key, rows in page.tables.items() if key.startswith("Classes"))
    assert heading == f"Classes (border tolerance {best.comparison.tolerance:.4g} µm)"
    assert rows[0][-1] == "Hausdorff 95 % (µm)"
    for row, one, edge in zip(rows[2:], best.comparison.classes[1:], best.comparison.borders[-3:], strict=True):
        assert (row[1], row[-1]) == (format_score(one.dice), format_score(edge.hausdorff_95))
    for score in ("kappa", "dice", "hausdorff_95"):
        assert DEFINITIONS[score] in page.words
    assert "net<1> (SHA-256 0123456789abcdef…) dense; preprocess divide_by_median; border reflect" in page.words
    assert "keras 3.15.1" in page.words
    assert "not known: painted by hand" in page.words
    assert "pixels of 0.5 × 0.5 µm" in page.words


def test_another_mask_than_the_best_and_single_objects_with_a_curve() -> None:
    assert Page(render_report(made(), 1)).words.startswith("m1 compared with")
    found = made("instances")
    page = Page(render_report(found))
    rows = dict(row for row in page.tables["Single objects, IoU 0.5"][1:])
    best = found.ranked()[0].comparison.instances
    assert rows["Mean AP (0.5–0.95)"] == format_score(best.mean_average_precision)
    assert (rows["Splits"], rows["Found"]) == (format_score(best.splits), format_score(best.at.found))
    assert "IoU threshold: 0.5" in page.words
    assert "svg" in page.tags
    assert not any(key.startswith("Pixels") for key in page.tables)


@pytest.mark.parametrize("kind", ["classes", "instances"])
def test_a_page_needs_nothing_else_and_no_name_is_executed(kind) -> None:
    text = render_report(made(kind, ("<img src=http://x/y onerror=z()>", "$\\frac$", "_hidden")))
    page = Page(text)
    assert set(page.tags).isdisjoint({"script", "link", "iframe", "object"})
    assert all(ref.startswith("#") for ref in page.refers)
    assert HOSTILE in page.words
    assert "url(http" not in text
    assert "@import" not in text


def test_a_page_stays_one_page() -> None:
    """With more masks and classes than there is room for, it says how many there are."""
    truth = maps(classes=20)[0]
    names = [f"a mask whose name is much longer than a line of a table of masks, number {n}" for n in range(12)]
    masks = [placed(name, np.roll(truth, n, axis=0)) for n, name in enumerate(names)]
    page = Page(render_report(study(placed("truth", truth), masks, CompareSettings("classes"))))
    assert len(page.tables["The best 8 of 12 masks"]) == 9
    assert all(len(row[1]) <= 44 for row in page.tables["The best 8 of 12 masks"])
    (rows,) = (rows for key, rows in page.tables.items() if key.startswith("The first 8 of 17 classes"))
    assert len(rows) == 9
    assert not any(key.startswith("Pixels") for key in page.tables)
    assert "The confusion of so many classes is in the exported tables." in page.words


def test_pictures_show_the_pixels_of_the_maps_in_their_colours() -> None:
    found, colors = made(), {1: "#ff0000", 2: "#00ff00"}
    whole, *close = scenes(found, 0, LabelStyle(colors))
    truth, mask = maps()[:2]
    times = 420 // 80
    for picture, labels in ((whole.truth, truth), (whole.mask, mask)):
        assert picture.shape == (60 * times, 80 * times, 3)
        small = picture[::times, ::times]
        np.testing.assert_array_equal((small == (255, 0, 0)).all(-1), labels == 1)
        np.testing.assert_array_equal((small == (0, 255, 0)).all(-1), labels == 2)
        np.testing.assert_array_equal((small == 255).all(-1), labels == 0)
    small = whole.agreement[::times, ::times]
    expected = {
        BOTH: (truth == mask) & (truth != 0), ONLY_A: (truth != 0) & (mask == 0), ONLY_B: (truth == 0) & (mask != 0),
        DIFFERENT: (truth != mask) & (truth != 0) & (mask != 0),
    }  # fmt: skip
    for kind, where in expected.items():
        color = [int(AGREEMENT[kind][1][i : i + 2], 16) for i in (1, 3, 5)]
        np.testing.assert_array_equal((small == color).all(-1), where)
    assert len(close) == 3
    assert all((one.truth != one.mask).any() for one in close), "each shows a difference"
    pictures = Page(render_report(found, look=LabelStyle(colors))).images
    assert len(pictures) == 3 * 4
    np.testing.assert_array_equal(pictures[1], whole.mask)


def test_a_stack_is_shown_where_it_differs_and_an_image_lies_under_the_labels() -> None:
    truth = np.ones((5, 40, 50), int)
    truth[:, :20] = 0
    mask = truth.copy()
    mask[3, 25:35, 10:20] = 0
    found = study(placed("t", truth), [placed("m", mask)], CompareSettings("classes", spatial=2))
    image = np.zeros(truth.shape)
    image[3, :, 25:] = 1
    whole, close = scenes(found, 0, LabelStyle(image=image))
    assert "frame 3" in whole.caption
    assert close.caption == ("Place 1: 100 pixels, frame 3, pixels 18–39 × 3–26")
    small = whole.mask[:: 420 // 50, :: 420 // 50]
    np.testing.assert_array_equal((small[:20, :25] == 0).all(-1), True)
    np.testing.assert_array_equal((small[:20, 25:] == 255).all(-1), True)
    assert (small[21, 5] != small[21, 30]).any(), "the image is seen through the labels"
    np.testing.assert_array_equal((small[25:35, 10:20] == 0).all(-1), True)


def test_a_large_map_is_thinned_and_labels_of_any_number_have_a_colour() -> None:
    truth = np.zeros((3000, 2000), int)
    truth[1000:2000, 500:1500] = -7
    found = study(placed("t", truth), [placed("m", truth.copy())], CompareSettings("classes"))
    (whole,) = scenes(found, 0, LabelStyle())
    assert max(whole.truth.shape) <= 420
    step = -(-3000 // 420)
    np.testing.assert_array_equal((whole.truth != 255).any(-1), truth[::step, ::step] == -7)
    assert (
        paint_labels(np.array([[0, 5, 12]]), {}, None)[0, 1].tolist()
        == paint_labels(np.array([[12]]), {}, None)[0, 0].tolist()
    )


def test_what_cannot_be_written_is_said(tmp_path) -> None:
    found = made(names=("m0",))
    write_report(tmp_path / "r.html", found)
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(OutputError, match="could not be written"):
        write_report(tmp_path / "none" / "r.html", found)
