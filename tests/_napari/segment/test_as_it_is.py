"""A model that labels every pixel in the dock: run as it is, with nothing offered that only a patch model has."""

from __future__ import annotations

import numpy as np
from napari_helpers import choose, give, image, settle, small_model
from readers.unet_files import description, package, unet

from napari_fcnseg import segment


def test_it_runs_and_says_that_there_is_nothing_to_prove(qtbot, viewer, dock, tmp_path) -> None:
    picture = image(60, 52) * 100 + 50
    viewer.add_image(picture)
    choose(qtbot, dock, package(tmp_path / "unet.zip", description(), unet()))
    settle(qtbot)
    assert "Not converted, no proof needed: it already labels every pixel." in dock.model.about.text()
    assert "1 channel (dna)" in dock.model.about.text()
    assert not dock.run.verify.isEnabled()
    assert "no proof needed" in dock.run.verify.toolTip()
    assert not dock.model.export.isEnabled()
    assert not dock.model.report.isEnabled()
    assert "nothing to export" in dock.model.export.toolTip()
    assert "nothing was converted" in dock.model.report.toolTip()
    dock.run.run.click()
    qtbot.waitUntil(lambda: dock.run.run.isEnabled() and not dock.controller.running, timeout=60_000)
    assert not dock.run.verify.isEnabled(), "not after a run either"
    labels = dock.result.layer.data
    np.testing.assert_array_equal(labels, segment(picture, dock.models).labels)
    dock.teach.start.click()
    settle(qtbot)
    assert "Teaching begins with a patch model" in dock.teach.message.text()
    give(dock, small_model())
    assert dock.run.verify.isEnabled()
    assert dock.model.export.isEnabled()
    assert "for other programs to run" in dock.model.export.toolTip()
    assert "What became of each layer" in dock.model.report.toolTip()
