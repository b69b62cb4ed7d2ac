"""What was chosen for a model is there again with that very model, wherever its file lies, and with no other."""

from __future__ import annotations

import shutil

from napari_helpers import ONNX, choose, image, run, settle

from napari_fcnseg._napari.segment.models.memory import ModelMemory, recall_model, remember_model
from napari_fcnseg._napari.segment.models.naming_dialog import NamingDialog
from napari_fcnseg.model.patch_model import load_model
from napari_fcnseg.system.cache import cache_folder, remember


def test_steps_border_names_and_colours_come_back_with_the_model(qtbot, viewer, dock, tmp_path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    path = shutil.copy(ONNX / "residual.ts.onnx", here / "a.onnx")
    viewer.add_image(image(2, 20, 22))
    choose(qtbot, dock, path)
    dock.settings.preprocess.value = "zero_mean_unit_variance"
    dock.settings.border.value = "constant"
    assert run(qtbot, dock).startswith("Done")
    dock.dialogs.open_naming()
    (dialog,) = dock.findChildren(NamingDialog)
    dialog.classes.item(0, 0).setText("soil")
    dialog.preprocess.setText("")
    dialog.save()
    qtbot.waitUntil(lambda: "soil" in dock.model.legend.accessibleName(), timeout=30_000)
    assert dock.settings.preprocess.value == "", "what was written last counts"
    dock.settings.preprocess.value = "zero_mean_unit_variance"
    run(qtbot, dock)

    choose(qtbot, dock, ONNX / "norms.ts.onnx")
    assert dock.settings.preprocess.value == ""
    remember("dock", "settings", None)  # as in another session, after another model
    viewer.window.remove_dock_widget(dock)
    again = viewer.window.add_plugin_dock_widget("napari-fcnseg", "Dense segmentation")[1]
    settle(qtbot)
    assert again.settings.border.value == "reflect"
    choose(qtbot, again, shutil.copy(path, there / "b.onnx"))  # without its sidecar
    assert again.settings.preprocess.value == "zero_mean_unit_variance"
    assert again.settings.border.value == "constant"
    assert "soil" in again.model.legend.accessibleName()


def test_a_wrong_memory_does_no_harm_and_what_is_not_chosen_is_not_kept() -> None:
    models = (load_model(ONNX / "residual.ts.onnx"),)
    remember_model(models, border="edge", background=0, class_names=("a", "b"))
    assert recall_model(models) == ModelMemory(border="edge", background=0, class_names=("a", "b"))
    remember_model(models, border=None, background=None, class_names=())
    assert models[0].sha256 not in (cache_folder() / "model-choices.json").read_text()
    for wrong in (3, [1], {"border": 3, "preprocess": ["x"], "class_names": "abc", "background": True}):
        remember("model-choices", models[0].sha256, wrong)
        assert recall_model(models) == ModelMemory()
