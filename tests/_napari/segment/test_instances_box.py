"""Instances in a real window: found, kept up to date while settings are tried, and safe when layers go away."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_fcnseg import InstanceSettings, find_instances
from napari_fcnseg._napari.layers.edits import edited_pixels, note_edits, pixels_in, with_edits
from napari_fcnseg._napari.layers.geometry import geometry
from napari_fcnseg._napari.segment.results.instance_worker import InstanceRequest, instance_layer, pixel_of
from napari_fcnseg._napari.segment.results.instances_box import InstancesBox
from napari_fcnseg.errors import OutOfMemoryError
from napari_fcnseg.samples.synthetic import fluorescence_cells

NAMES = ["not labelled", "background", "edge", "interior"]
PLACE = {
    "scale": (0.5, 0.25), "translate": (3, 4), "rotate": 30, "units": ("µm", "µm"), "axis_labels": ("row", "column")
}  # fmt: skip


def result(data: np.ndarray, name: str = "cells · model", **more: object) -> Labels:
    """Return a layer as a run leaves it."""
    metadata = {"napari_fcnseg": {"program": "napari-fcnseg", "models": [{"patch_shape": [9, 9]}]}}
    return Labels(data, name=name, features={"index": range(4), "class": NAMES}, metadata=metadata, **more)


@pytest.fixture
def box(viewer, own_cache) -> InstancesBox:
    made = InstancesBox(viewer)
    viewer.window.add_dock_widget(made, name="instances")
    return made


def done(qtbot, box: InstancesBox) -> str:
    """Wait until nothing is being found any more; return what the box says."""
    qtbot.waitUntil(lambda: not box.busy, timeout=30_000)
    return box.message.text()


def choose(box: InstancesBox, layer: Labels) -> None:
    """Choose a layer as a user does."""
    index = next(i for i, other in enumerate(box._layers) if other is layer)
    box.labels.setCurrentIndex(index)
    box.labels.activated.emit(index)


def test_a_session(qtbot, viewer, box, monkeypatch) -> None:
    assert not box.button.isEnabled()
    assert "Run a segmentation first" in box.message.text()
    classes = fluorescence_cells(3, (128, 160))[1]
    viewer.add_image(np.zeros((128, 160)))
    parent = viewer.add_layer(result(classes, **PLACE))
    viewer.add_labels(np.zeros((4, 4), int), name="by hand")
    qtbot.wait(20)
    assert [box.labels.itemText(i) for i in range(box.labels.count())] == ["cells · model", "by hand"]
    assert (box.form.interior.currentText(), box.form.edge.currentText()) == ("3: interior", "2: edge")
    box.form.minimum_size.setValue(20)
    assert not box.busy  # nothing happens before Find is pressed

    qtbot.mouseClick(box.button, Qt.MouseButton.LeftButton)
    said = done(qtbot, box)
    expected = find_instances(classes, InstanceSettings(3, 2, minimum_size=20), spacing=(0.5, 0.25))
    layer = viewer.layers[-1]
    np.testing.assert_array_equal(layer.data, expected)
    areas = np.bincount(expected.ravel())[1:]
    assert said == f"{expected.max()} objects, median {np.median(areas):g} px ({np.median(areas) / 8:.3g} µm²)."
    assert layer.name == "cells · model · objects"
    for name, value in geometry(parent).items():
        np.testing.assert_array_equal(geometry(layer)[name], value)
    entry = layer.metadata["napari_fcnseg"]
    assert entry["models"] == [{"patch_shape": [9, 9]}]
    assert InstanceSettings.from_dict(entry["instances"]["settings"]) == InstanceSettings(3, 2, minimum_size=20)
    spot = tuple(np.argwhere(expected == 3)[0])
    status = layer.get_status(layer.data_to_world(spot), world=True)["value"]
    assert f"area (px): {areas[2]}" in status
    assert f"area (µm²): {areas[2] / 8:.3g}" in status

    # Every change shows in the same layer, once things are quiet, and only the last one is looked at.
    asked = []
    original = box._request
    monkeypatch.setattr(box, "_request", lambda: asked.append(original()) or asked[-1])
    for size in (30, 60, 90, 200):
        box.form.minimum_size.setValue(size)
    box.form.fill_holes.setValue(50)
    box.form.corners.setChecked(True)
    done(qtbot, box)
    settings = InstanceSettings(3, 2, minimum_size=200, fill_holes=50, connectivity=2)
    assert [request.settings for request in asked] == [settings]
    np.testing.assert_array_equal(layer.data, find_instances(classes, settings, spacing=(0.5, 0.25)))
    assert len(layer.features) == layer.data.max()
    box.form.method.setCurrentIndex(0)
    assert box.form.edge.isHidden()
    done(qtbot, box)
    few = InstanceSettings(3, minimum_size=200, fill_holes=50, connectivity=2)
    np.testing.assert_array_equal(layer.data, find_instances(classes, few))
    assert len(viewer.layers) == 4

    # The labels change: the dock tells, and the instances follow. None is a sentence, and no mistake.
    parent.data = np.where(classes == 3, 2, classes)
    box.recompute(parent)
    assert done(qtbot, box).startswith("No objects: no pixel is of class 3 (interior). The labels hold the classes 1")
    assert not layer.data.any()
    parent.data = classes
    box.form.method.setCurrentIndex(1)
    box.form.edge.setCurrentIndex(box.form.edge.findData(3))
    assert "cannot be interior and edge at once" in done(qtbot, box)
    box.form.edge.setCurrentIndex(0)
    done(qtbot, box)
    necks = InstanceSettings(3, method="watershed", minimum_size=200, fill_holes=50, connectivity=2)
    np.testing.assert_array_equal(layer.data, find_instances(classes, necks, spacing=(0.5, 0.25)))

    # The instances are removed in the middle: they stay away until Find is pressed.
    box.form.fill_holes.setValue(40)
    box.find_now()
    viewer.layers.remove(layer)
    done(qtbot, box)
    box.form.fill_holes.setValue(30)
    assert not box.busy
    assert len(viewer.layers) == 3
    qtbot.mouseClick(box.button, Qt.MouseButton.LeftButton)
    done(qtbot, box)
    assert viewer.layers[-1].name == "cells · model · objects"

    assert InstancesBox(viewer).form.fill_holes.value() == 30  # it is remembered

    # Another layer is chosen, or this one removed, while a worker runs: its result is dropped.
    later = viewer.layers[-1].data.copy()
    box.form.fill_holes.setValue(0)
    box.form.minimum_size.setValue(0)
    box.find_now()
    choose(box, viewer.layers["by hand"])
    assert "All labels of 'by hand' are 0" in done(qtbot, box) or not box.form.names
    np.testing.assert_array_equal(viewer.layers["cells · model · objects"].data, later)
    choose(box, parent)
    qtbot.mouseClick(box.button, Qt.MouseButton.LeftButton)
    viewer.layers.remove(parent)
    done(qtbot, box)
    qtbot.waitUntil(lambda: "All labels of 'by hand' are 0" in box.message.text())
    np.testing.assert_array_equal(viewer.layers["cells · model · objects"].data, later)


def test_objects_corrected_by_hand_are_kept_when_they_are_found_anew(qtbot, viewer, box) -> None:
    classes = fluorescence_cells(3, (64, 80))[1]
    parent = viewer.add_layer(result(classes))
    qtbot.wait(20)
    qtbot.mouseClick(box.button, Qt.MouseButton.LeftButton)
    done(qtbot, box)
    first = viewer.layers[-1]
    gone = np.nonzero(first.data == 1)
    first.data_setitem(gone, 0)
    note_edits(first, edited_pixels(first))
    assert pixels_in(first.metadata["napari_fcnseg"]) == len(gone[0])
    corrected = first.data.copy()
    box.form.minimum_size.setValue(5)
    said = done(qtbot, box)
    second = viewer.layers[-1]
    assert second is not first
    assert second.name == "cells · model · objects"
    assert f"kept in '{first.name}'" in said
    assert (first.name, first.visible) == ("cells · model · objects · corrected", False)
    np.testing.assert_array_equal(first.data, corrected)
    np.testing.assert_array_equal(second.data, find_instances(classes, InstanceSettings(3, 2, minimum_size=5)))
    box.form.minimum_size.setValue(0)
    done(qtbot, box)
    assert list(viewer.layers) == [parent, first, second], "one that nobody has corrected is updated"


def test_edits_of_the_labels_count_in_the_objects_too() -> None:
    entry = {"instances": {"edited_labels": 7}, "certificate": {"passed": True}}
    said = with_edits(entry, 5)
    assert (pixels_in(said), said["certificate"]["edited_pixels"]) == (12, 12)
    assert pixels_in(with_edits(said, 0)) == 7


def test_labels_without_class_names_in_a_volume(qtbot, viewer, box) -> None:
    """Classes are read from the labels themselves, and slices are joined where that is asked for."""
    stack = np.zeros((3, 20, 20), np.int32)
    stack[:, 4:8, 4:8], stack[:, 12:15, 12:15] = 5, 7
    viewer.add_labels(stack, name="painted", scale=(2, 1, 1), units=("µm", "µm", "µm"))
    qtbot.waitUntil(lambda: bool(box.form.names))
    assert [box.form.interior.itemText(i) for i in range(box.form.interior.count())] == [
        "choose a class", "5: class 5", "7: class 7",
    ]  # fmt: skip
    assert box.form.method.currentData() == "components"
    qtbot.mouseClick(box.button, Qt.MouseButton.LeftButton)
    assert done(qtbot, box).startswith("No interior class was chosen.")  # 7 may be what is around 5
    box.form.interior.setCurrentIndex(1)
    qtbot.mouseClick(box.button, Qt.MouseButton.LeftButton)
    assert done(qtbot, box) == "3 objects, median 16 px (16 µm²)."
    box.form.volume.setChecked(True)
    assert done(qtbot, box) == "1 object, 48 px (96 µm³)."
    assert list(viewer.layers[-1].features) == ["index", "volume (px)", "volume (µm³)"]

    folded = InstancesBox(viewer)  # all labels are read to know the classes, so not before somebody looks
    qtbot.addWidget(folded)
    qtbot.wait(100)
    assert not folded.form.names
    folded.show()
    qtbot.waitUntil(lambda: folded.form.names == box.form.names)


def test_a_narrow_dock_cuts_nothing_off_and_every_control_is_named_and_reached(qtbot, viewer, box) -> None:
    viewer.add_layer(result(fluorescence_cells(3, (64, 64))[1], name="a layer with a name that is far too long " * 3))
    qtbot.wait(20)
    assert box.minimumSizeHint().width() <= 300
    box.labels.setFocus()
    controls = [box.labels, *vars(box.form).values(), box.button]
    controls = [c for c in controls if isinstance(c, QWidget) and c.focusPolicy() & Qt.FocusPolicy.TabFocus]
    assert len(controls) == 10
    for control in controls:
        assert control.toolTip().startswith("<p>")
        assert control.accessibleName() or control.text()
    reached, widget = set(), box.labels
    for _ in range(60):
        reached.add(widget)
        widget = widget.nextInFocusChain()
    assert set(controls) <= reached


def test_the_dock_may_close_in_the_middle(qtbot, viewer, box) -> None:
    viewer.add_layer(result(np.tile(fluorescence_cells(3, (64, 64))[1], (16, 16))))
    qtbot.wait(20)
    qtbot.mouseClick(box.button, Qt.MouseButton.LeftButton)
    request = box._current
    viewer.window.remove_dock_widget(box)
    box.deleteLater()
    del box
    gc.collect()
    qtbot.waitUntil(request.stop.is_set)
    qtbot.wait(300)
    assert len(viewer.layers) == 1


def test_want_of_memory_is_a_sentence(monkeypatch) -> None:
    def find(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("napari_fcnseg.run.find_instances.find_instances", find)
    layer = Labels(np.ones((4, 4), int))
    with pytest.raises(OutOfMemoryError, match="find objects in 4 × 4 pixels"):
        instance_layer(InstanceRequest(layer, layer.data, InstanceSettings(1), 2, {}, None))


def test_the_size_of_a_pixel_in_a_sheared_layer_and_without_a_unit() -> None:
    sheared = Labels(np.zeros((4, 4), int), scale=(2, 3), shear=[1.0], units=("nm", "µm"))
    spacing, size, unit = pixel_of(geometry(sheared), 2)
    np.testing.assert_allclose(size, 2e-3 * 3)
    assert unit == "µm²"
    assert len(spacing) == 2
    assert pixel_of(geometry(Labels(np.zeros((4, 4), int), scale=(2, 3))), 2) == ((2, 3), None, "")
