"""The chips of a model's classes: shown and hidden in its results, the background from the start."""

from __future__ import annotations

import pytest
from napari_helpers import give, image, run, small_model
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_fcnseg._napari.segment.models.hints import ModelHints
from napari_fcnseg._napari.segment.models.legend import Legend
from napari_fcnseg.model.classes import likely_background

HINTS = ModelHints(class_names=("Background", "edge & rim", "cell"), class_colors=("#101010", "#20c020", "#3030ff"))


@pytest.mark.parametrize(
    ("names", "label"),
    [(("cell", "background"), 2), (("class 1", "class 2"), 0), (("BG", "a"), 1), (("background cells", "a"), 0)],
)
def test_the_background_is_known_by_its_name(names, label) -> None:
    assert likely_background(names) == label


def test_a_click_shows_and_hides_a_class_and_the_background_is_clear(qtbot, viewer, dock) -> None:
    viewer.add_image(image(30, 32))
    give(dock, small_model(), hints=HINTS)
    chips = dock.model.legend.chips
    assert [chip.isChecked() for chip in chips] == [False, True, True]
    assert [chip.text() for chip in chips] == ["Background", "edge && rim", "cell"]
    assert chips[0].accessibleName() == "Show Background"
    run(qtbot, dock)
    labels = viewer.layers[-1]

    def clear() -> list[bool]:
        return [labels.colormap.map(label)[3] == 0 for label in (1, 2, 3)]

    assert clear() == [True, False, False]
    QTest.mouseClick(chips[2], Qt.MouseButton.LeftButton)
    assert clear() == [True, False, True]
    QTest.mouseClick(chips[0], Qt.MouseButton.LeftButton)
    assert clear() == [False, False, True]
    chips[1].mark.trigger()
    assert dock.model.legend.chips[1].text() == "edge && rim (background)"
    assert dock.model.legend.background == 2
    assert clear() == [False, True, False]
    run(qtbot, dock)
    assert viewer.layers[-1].colormap.map(2)[3] == 0


def test_of_very_many_classes_some_have_chips(qtbot) -> None:
    legend = Legend()
    qtbot.addWidget(legend)
    legend.show_classes([f"class {n}" for n in range(1, 101)], ["#123456"] * 100)
    assert len(legend.chips) == 24
    assert legend._more.text() == "+ 76 more"
    legend.resize(200, legend.heightForWidth(200))
    legend.show()
    assert all(chip.geometry().right() < 200 for chip in legend.chips)
    assert legend.accessibleName().endswith("class 24, …")
