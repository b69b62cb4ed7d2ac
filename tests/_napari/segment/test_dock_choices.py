"""What is segmented is what was chosen: a click in the layer list, an own output or a new layer never changes it."""

from __future__ import annotations

import numpy as np
from napari.layers import Image, Labels
from napari_helpers import finish, give, image, run, settle, small_model

from napari_fcnseg import segment
from napari_fcnseg._napari.layers.metadata import METADATA


def test_selecting_a_layer_never_changes_what_is_segmented(qtbot, viewer, dock) -> None:
    first = viewer.add_image(image(30, 32), name="mine")
    give(dock, small_model())
    dock.settings.confidence.value = True
    dock.settings.probabilities.value = True
    run(qtbot, dock)
    other = viewer.add_image(image(30, 32, seed=5), name="from another plugin")
    layers = list(viewer.layers)
    assert len(layers) == 7
    for layer in layers:
        viewer.layers.selection.active = layer
        settle(qtbot)
        assert dock.image.first is first
    dock.where.follow.setChecked(True)

    def grown() -> None:
        assert len(viewer.layers) > len(layers), (dock.where.follow.isChecked(), dock.run.message.text())

    qtbot.waitUntil(grown, timeout=40_000)
    finish(qtbot, dock)
    assert viewer.layers[-1].name.startswith("mine · ")
    dock.where.follow.setChecked(False)
    give(dock, small_model(seed=3))
    settle(qtbot)
    assert dock.image.first is first
    viewer.layers.remove(first)
    settle(qtbot)
    assert dock.image.first is other, "what is left and no output"
    viewer.layers.remove(other)
    settle(qtbot)
    assert dock.image.first is None


def test_an_own_output_is_an_image_only_when_it_is_chosen(qtbot, viewer, dock) -> None:
    result = {METADATA: {"program": "napari-fcnseg"}}
    confidence = viewer.add_image(image(20, 20), name="confidence", metadata=result)
    settle(qtbot)
    assert dock.image.first is None
    mine = viewer.add_image(image(20, 20, seed=1), name="mine")
    give(dock, small_model())
    settle(qtbot)
    assert dock.image.first is mine
    combo = dock.image.combos[0]
    assert [combo.itemText(i) for i in range(combo.count())][1:] == ["mine", "confidence"]
    combo.setCurrentIndex(2)
    combo.activated.emit(2)
    give(dock, small_model(2))
    give(dock, small_model())
    settle(qtbot)
    assert dock.image.first is confidence, "the user's choice stays"
    run(qtbot, dock)
    np.testing.assert_array_equal(viewer.layers[-1].data, segment(confidence.data, small_model()).labels)


def test_a_second_channel_that_comes_later_is_filled_in_and_the_first_stays(qtbot, viewer, dock) -> None:
    give(dock, small_model(2))
    one = viewer.add_image(image(20, 21), name="one")
    settle(qtbot)
    assert [combo.layer for combo in dock.image.combos] == [one, None]
    two = viewer.add_image(image(20, 21, seed=1), name="two")
    settle(qtbot)
    assert [combo.layer for combo in dock.image.combos] == [one, two]
    viewer.add_image(image(20, 21, seed=2), name="three")
    settle(qtbot)
    assert [combo.layer for combo in dock.image.combos] == [one, two]


def test_a_sample_that_is_chosen_is_what_is_segmented(qtbot, viewer, dock) -> None:
    mine = viewer.add_image(image(20, 20), name="mine")
    settle(qtbot)
    dock.choice.choose_sample("cells")
    qtbot.waitUntil(lambda: dock.ready and len(viewer.layers) == 3, timeout=60_000)
    settle(qtbot)
    assert [combo.layer.name for combo in dock.image.combos] == [layer.name for layer in viewer.layers[1:]]
    dock.image.combos[0].layer = mine
    dock.choice.choose_sample("cells")
    qtbot.waitUntil(lambda: dock.ready, timeout=60_000)
    assert dock.image.first is not mine


def test_a_map_of_agreement_is_neither_classes_nor_a_result(qtbot, viewer, dock) -> None:
    about = {METADATA: {"program": "napari-fcnseg", "comparison": {"truth": "t"}}}
    agreement = Labels(np.ones((20, 20), np.uint8), name="t ≠ a", metadata=about)
    viewer.add_layer(agreement)
    settle(qtbot)
    assert dock.instances.layer is None
    assert dock.result.layer is None
    viewer.add_layer(Image(image(20, 20), name="noise"))
    give(dock, small_model())
    run(qtbot, dock)
    viewer.layers.selection.active = agreement
    settle(qtbot)
    assert dock.instances.layer is viewer.layers[-1]
    assert dock.result.layer is viewer.layers[-1]
