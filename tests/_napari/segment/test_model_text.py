"""What is said of a model, and of a refused one: where the conversion stopped, and what it had made until then."""

from __future__ import annotations

import numpy as np
import pytest
from napari_helpers import small_model

from napari_fcnseg._napari.segment.models.hints import ModelHints
from napari_fcnseg._napari.segment.models.memory import ModelMemory
from napari_fcnseg._napari.segment.models.model_text import describe, refused_sheet, sheets
from napari_fcnseg.conversion.report import COLUMNS
from napari_fcnseg.errors import ConversionError, ModelFileError, UnsupportedLayerError
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Conv, Flatten
from napari_fcnseg.model.patch_model import PatchModel


def test_a_models_sheet_is_its_report_and_can_be_pasted() -> None:
    model = small_model(classes=3)
    (sheet,) = sheets([model])
    assert sheet.rows == tuple(model.fcn.report.rows())
    assert sheet.refused is None
    lines = sheet.as_text(COLUMNS).splitlines()
    assert [tuple(line.split("\t")) for line in lines[2:]] == [COLUMNS, *sheet.rows]
    text, _ = describe([model], ModelHints().completed(model, ModelMemory()))
    assert text.startswith("8 × 8 patches · 1 channel · 3 classes · ")
    assert text.endswith("× less work")


def chain(*nodes: Node, patch: int = 8) -> Network:
    return Network("chain", (patch, patch, 1), nodes, nodes[-1].name, outputs=("first", "second"))


def conv(name: str, before: str, channels: int = 1) -> Node:
    kernel = np.ones((3, 3, channels, 2), np.float32)
    return Node(name, "Conv2D", (Conv(kernel, np.zeros(2, np.float32), (1, 1), (1, 1)),), (before,))


def test_the_conversion_tells_what_the_layers_became_before_the_refused_one() -> None:
    flat = Node("flat", "Flatten", (Flatten(),), ("one",))
    with pytest.raises(UnsupportedLayerError) as caught:
        _ = PatchModel(chain(conv("one", INPUT), flat, conv("two", "flat", 2), conv("three", "two", 2))).fcn
    understood = caught.value.understood
    assert understood.layers == (("one", "Conv2D"), ("flat", "Flatten"), ("two", "Conv2D"), ("three", "Conv2D"))
    assert understood.outputs == ("first", "second")
    assert [row[0] for row in understood.rows] == ["one", "flat"]
    alone = PatchModel(chain(conv("one", INPUT), patch=3)).fcn.report  # the same layer where nothing stops it
    assert understood.rows[0] == alone.rows()[0]
    sheet = refused_sheet("chain", caught.value)
    assert sheet.refused == 2
    assert [row[2] for row in sheet.rows] == [
        "convolution 3 × 3", "nothing: positions keep their place", f"refused: {caught.value.reason}", "not looked at"
    ]  # fmt: skip
    assert all(len(row) == len(COLUMNS) for row in sheet.rows)
    assert sheet.text == str(caught.value)


def test_a_network_that_answers_with_a_map_is_refused_for_its_last_layer() -> None:
    with pytest.raises(ConversionError) as caught:
        _ = PatchModel(chain(conv("one", INPUT), conv("two", "one", 2), patch=12)).fcn
    sheet = refused_sheet("chain", caught.value)
    assert (sheet.refused, len(sheet.rows)) == (1, 2)
    assert sheet.rows[0][2] == "convolution 3 × 3"


def test_a_layer_nobody_listed_has_a_row_and_a_file_that_is_no_model_no_sheet() -> None:
    sheet = refused_sheet("m", UnsupportedLayerError("odd", "Lambda", "it is code", "Do without."))
    assert sheet.rows[0][:3] == ("odd", "Lambda", "refused: it is code")
    assert refused_sheet("m", ModelFileError("It is a text.")) is None
