"""A model that takes patches of any size: the dock asks which, and keeps the answer beside the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from readers.onnx_files import model, node, write

from napari_fcnseg._napari.segment.models.model_box import ModelBox
from napari_fcnseg.errors import ModelFileError, PatchSizeError
from napari_fcnseg.model.patch_model import load_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    nodes = [node("Conv", "x w", "a"), node("GlobalAveragePool", "a", "b"), node("Flatten", "b")]
    arrays = {"w": np.ones((3, 2, 3, 3), np.float32)}
    return write(tmp_path / "any.onnx", model(nodes, arrays, ("n", 2, "h", "w")))


def test_the_dock_asks_and_the_answer_is_kept_beside_the_model(path: Path, qtbot) -> None:
    box = ModelBox()
    qtbot.addWidget(box)
    box.show_loading([str(path)])
    with pytest.raises(PatchSizeError) as caught:
        load_model(path)
    box.show_refusal(caught.value)
    assert not box.patch_size.isHidden()
    assert [size.isHidden() for size in box.patch_size.sizes] == [False, False, True]
    beside = path.with_name("any.fcnseg.json")
    beside.write_text(json.dumps({"mine": 1}))
    for size, number in zip(box.patch_size.sizes, (9, 7), strict=False):
        size.setValue(number)
    with qtbot.waitSignal(box.files_chosen) as chosen:
        box.patch_size.use.click()
    assert chosen.args == [[str(path)]]
    assert json.loads(beside.read_text()) == {"mine": 1, "patch_size": [9, 7]}
    assert load_model(path).patch_shape == (9, 7)
    assert load_model(path).sidecar is not None
    box.show_loading([str(path)])
    assert box.patch_size.isHidden()


def test_it_asks_for_nothing_else_and_says_why_it_cannot_be_kept(path: Path, qtbot) -> None:
    box = ModelBox()
    qtbot.addWidget(box)
    box.show_loading([str(path)])
    box.show_refusal(ModelFileError("It is damaged."))
    assert box.patch_size.isHidden()
    box.show_refusal(PatchSizeError("It takes patches of any size.", 2))
    path.with_name("any.fcnseg.json").write_text("no JSON")
    box.patch_size.use.click()
    assert "any.fcnseg.json" in box.about.text()
    box.show_loading([str(path), str(path)])
    box.show_refusal(PatchSizeError("They take patches of any size.", 2))
    assert box.patch_size.isHidden(), "of an ensemble it is not known which"
