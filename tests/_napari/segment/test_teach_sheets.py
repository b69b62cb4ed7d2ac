"""What is painted on: axes, classes, and what comes back; no window, no trainer."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_fcnseg._napari.layers.axes import AxisChoice
from napari_fcnseg._napari.layers.channels import ImageLayers, InputSpec
from napari_fcnseg._napari.layers.pixel_size import differing_pixels
from napari_fcnseg._napari.segment.teach.book import Book
from napari_fcnseg._napari.segment.teach.choice import TeachChoice, source_without_model
from napari_fcnseg._napari.segment.teach.sheet import Sheet
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.teaching.kept import KeptStrokes

NAMES, COLORS = ("one", "two", "three"), ("#ff0000", "#00ff00", "#0000ff")


def source(*shape: int, need: InputSpec | None = None, choice: AxisChoice | None = None, **options) -> ImageLayers:
    return ImageLayers.of([Image(np.zeros(shape, np.float32), name="a", **options)], need or InputSpec(1, 2), choice)


@pytest.mark.parametrize(
    ("made", "shape", "choice", "need"),
    [
        ("plain", (20, 30), None, InputSpec(1, 2)),
        ("frames in the middle", (30, 4, 28), AxisChoice(None, (2, 0)), InputSpec(1, 2)),
        ("channels after a stack", (5, 2, 20, 30), AxisChoice(1), InputSpec(2, 2)),
        ("channels last", (20, 30, 2), None, InputSpec(2, 2)),
    ],
)
def test_a_stroke_in_the_layer_is_where_the_image_has_it(made, shape, choice, need):
    image = source(*shape, need=need, choice=choice)
    sheet = Sheet(0, image, NAMES, COLORS)
    layout = image.layout
    assert sheet.painted().shape == layout.result_shape, made
    place = tuple(n // 2 for n in sheet.strokes.data.shape)
    sheet.strokes.data[place] = 3
    (found,) = np.argwhere(sheet.painted())
    index, point = tuple(found[: -layout.spatial]), found[-layout.spatial :]
    region = tuple((int(at), int(at) + 1) for at in point)
    sheet.show(index, region, np.full((1,) * layout.spatial, 2, np.uint8))
    np.testing.assert_array_equal(np.argwhere(sheet.preview.data), [place])
    np.testing.assert_array_equal(sheet.strokes.scale, sheet.preview.scale)


def test_a_deleted_class_takes_its_strokes_along_and_the_others_move_up():
    book = Book()
    book.sheets = [Sheet(0, source(20, 30), NAMES, COLORS)]
    data = book.sheets[0].strokes.data
    data[1, 1:4] = 1, 2, 3
    book.set_classes(("one", "three"), ("#ff0000", "#0000ff"), gone=2)
    np.testing.assert_array_equal(book.sheets[0].strokes.data[1, 1:4], [1, 0, 2])
    assert list(book.sheets[0].preview.features["class"]) == ["not labelled", "one", "three"]


def test_strokes_that_were_kept_come_back_by_the_names_of_their_classes():
    painted = np.zeros((20, 30), np.uint8)
    painted[2, 2:6], painted[9, 2:6] = 1, 2
    kept = KeptStrokes.of(painted, ("two", "dirt"), ("#00ff00", "#111111"))
    book = Book()
    first, second = (Sheet(n, source(20, 30), NAMES, COLORS) for n in (0, 1))
    book.sheets, book.names, book.colors = [first, second], NAMES, COLORS
    first.strokes.data[0, 0] = 1
    assert "are back (8 px)" in book.restore({0: kept, 1: kept})
    assert book.names == (*NAMES, "dirt")
    np.testing.assert_array_equal(np.unique(second.strokes.data), [0, 2, 4])
    assert np.count_nonzero(first.strokes.data) == 1


def test_without_strokes_the_classes_are_those_of_the_model_and_with_some_they_stay():
    book = Book()
    book.begin(TeachChoice(source(20, 30), None, RunSettings()), [])
    assert book.names == ("class 1", "class 2")
    sheet = Sheet(0, source(20, 30), book.names, book.colors)
    book.sheets = [sheet]
    sheet.strokes.data[0, 0] = 1
    layers = [sheet.strokes, *sheet.source.layers]
    book.begin(TeachChoice(source(20, 30), None, RunSettings(), NAMES, COLORS), layers)
    assert book.names == ("class 1", "class 2")
    book.begin(TeachChoice(source(20, 30), None, RunSettings(), NAMES, COLORS), [])
    assert (book.names, book.sheets) == (NAMES, [])


def test_an_image_without_a_model_has_its_colours_or_the_axis_named_c_as_channels():
    colours = Image(np.zeros((20, 30, 3), np.uint8), rgb=True)
    named = Image(np.zeros((4, 20, 30)), axis_labels=("C", "Y", "X"))
    stack = Image(np.zeros((4, 20, 30)))
    found = [source_without_model(layer, AxisChoice()).layout for layer in (colours, named, stack)]
    assert [layout.channel_axis for layout in found] == [2, 0, None]
    assert found[2].stack_shape == (4,)


def test_images_with_pixels_of_another_size_are_not_taught_together_unsaid():
    one, other, same = (source(20, 30, scale=(s, s), units=("um", "um")) for s in (0.5, 1.0, 0.51))
    assert "those of 'a' 0.5 µm. Make the images alike" in differing_pixels(one, other)
    assert differing_pixels(one, same) == ""
    assert differing_pixels(one, source(20, 30)) == ""
