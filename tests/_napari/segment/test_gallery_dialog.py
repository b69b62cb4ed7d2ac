"""The gallery's window: what is here and elsewhere, what a model expects, and fetching one into the dock."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from gallery.gallery_server import Served
from qtpy.QtGui import QPixmap
from readers.unet_files import description, package, unet

from napari_fcnseg._napari.segment.models.gallery.dialog import GalleryDialog
from napari_fcnseg._napari.segment.models.preferences import Preferences

WEIGHTS = unet().SerializeToString()


@pytest.fixture
def served():
    made = Served()
    entry = {"source": "weights.onnx", "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    made.files = {
        "/rdf.yaml": yaml.safe_dump(description(weights={"onnx": entry})).encode(),
        "/torch.yaml": yaml.safe_dump(description(weights={"torchscript": {"source": "w.pt"}})).encode(),
        "/weights.onnx": WEIGHTS,
        "/collection.json": json.dumps(
            {"collection": [{"type": "model", "id": name, "name": f"<b>{name}</b>", "rdf_source": source}
                            for name, source in (("shark", "rdf.yaml"), ("torch", "torch.yaml"))]}
        ).encode(),
    }  # fmt: skip
    yield made
    made.close()


@pytest.fixture
def dialog(qtbot, dock, served, tmp_path, monkeypatch) -> GalleryDialog:
    package(tmp_path / "mine.bioimage.zip", description(), unet())
    chosen = Preferences(str(tmp_path), collection=f"{served.address}/collection.json")
    monkeypatch.setattr("napari_fcnseg._napari.segment.models.gallery.dialog.preferred", lambda: chosen)
    qtbot.waitUntil(lambda: dock.model.window() is dock.window())  # the dock lays itself out a moment later
    dock.model.gallery.click()
    made = dock.findChildren(GalleryDialog)[-1]
    qtbot.waitUntil(lambda: names(made) == ["Tiny U-Net"])
    return made


def names(dialog: GalleryDialog) -> list[str]:
    items = (dialog.models.item(row) for row in range(dialog.models.count()))
    return [item.text() for item in items if item.data(256) is not None]


def row_of(dialog: GalleryDialog, name: str) -> None:
    rows = [row for row in range(dialog.models.count()) if dialog.models.item(row).text() == name]
    dialog.models.setCurrentRow(rows[0])


def choose_model(qtbot, dialog: GalleryDialog, name: str) -> None:
    row_of(dialog, name)
    qtbot.waitUntil(lambda: "Takes" in dialog.about.text())


@pytest.mark.timeout(120)
def test_a_model_is_found_looked_at_fetched_and_opened(qtbot, dock, dialog, served, tmp_path) -> None:
    assert served.asked == [], "opening the window contacts nobody"
    assert "Nothing is contacted" in dialog.about.text()
    dialog.refresh.click()
    qtbot.waitUntil(lambda: len(names(dialog)) == 3)
    assert [path for path, _ in served.asked] == ["/collection.json"]
    dialog.search.setText("torch")
    assert names(dialog) == ["<b>torch</b>"]
    choose_model(qtbot, dialog, "<b>torch</b>")
    qtbot.waitUntil(lambda: "weights as torchscript" in dialog.about.text())
    assert "<b>torch" not in dialog.about.text()
    assert not dialog.download.isEnabled()
    dialog.search.clear()
    choose_model(qtbot, dialog, "<b>shark</b>")
    assert "1 channel (dna), axes y, x" in dialog.about.text()
    dialog.download.click()
    assert dialog.cancel.isEnabled()
    qtbot.waitUntil(lambda: dialog.message.text() == f"Saved as {tmp_path / 'shark'}.", timeout=20_000)
    qtbot.waitUntil(lambda: len(names(dialog)) == 4)
    assert names(dialog) == ["Tiny U-Net (mine.bioimage.zip)", "Tiny U-Net (shark)", "<b>shark</b> ✓", "<b>torch</b>"]
    assert dialog.current is not None
    assert dialog.current.path == tmp_path / "shark"
    assert dialog.message.text() == f"Saved as {tmp_path / 'shark'}.", "still said of it"
    row_of(dialog, "<b>shark</b> ✓")
    assert not dialog.download.isEnabled()
    assert dialog.open_button.isEnabled()
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    assert dock.models[0].labels_every_pixel
    dialog.close()


def test_an_error_is_shown_with_its_own_model_alone(qtbot, dock, dialog, served) -> None:
    dialog.refresh.click()
    qtbot.waitUntil(lambda: len(names(dialog)) == 3)
    choose_model(qtbot, dialog, "<b>shark</b>")
    served.files["/weights.onnx"] = b"another"
    dialog.download.click()
    qtbot.waitUntil(lambda: "by its hash" in dialog.message.text())
    choose_model(qtbot, dialog, "Tiny U-Net")
    assert dialog.message.text() == ""
    choose_model(qtbot, dialog, "<b>shark</b>")
    assert "by its hash" in dialog.message.text(), "it is still so"
    del served.files["/torch.yaml"]
    row_of(dialog, "<b>torch</b>")
    qtbot.waitUntil(lambda: "404" in dialog.message.text())
    assert not dialog.download.isEnabled()
    dialog.search.setText("torch")
    assert not dialog.download.isEnabled(), "nor after the list was made anew"
    dialog.search.clear()
    choose_model(qtbot, dialog, "Tiny U-Net")
    assert dialog.message.text() == ""
    dialog.close()


@pytest.mark.timeout(120)
def test_a_fetched_model_that_cannot_be_used_is_said_at_once_and_not_opened(qtbot, dock, dialog, served, tmp_path):
    opened = []
    dialog.opened.connect(opened.append)
    served.files["/rdf.yaml"] = yaml.safe_dump(description(weights={"onnx": {"source": "weights.onnx"}})).encode()
    served.files["/weights.onnx"] = WEIGHTS[:900]
    dialog.refresh.click()
    qtbot.waitUntil(lambda: len(names(dialog)) == 3)
    choose_model(qtbot, dialog, "<b>shark</b>")
    dialog.download.click()
    qtbot.waitUntil(lambda: "Tell whoever keeps the collection." in dialog.message.text(), timeout=20_000)
    assert f"kept as {tmp_path / 'shark'}, but cannot be used" in dialog.message.text()
    assert opened == []
    dialog.close()


def test_nothing_found_and_nothing_there_are_said(qtbot, dock, dialog, monkeypatch, tmp_path) -> None:
    dialog.search.setText("unheard-of")
    assert [dialog.models.item(row).text() for row in range(dialog.models.count())] == ["No model has these words."]
    dialog.close()
    (tmp_path / "empty").mkdir()
    chosen = Preferences(str(tmp_path / "empty"))
    monkeypatch.setattr("napari_fcnseg._napari.segment.models.gallery.dialog.preferred", lambda: chosen)
    empty = GalleryDialog(dock)
    qtbot.addWidget(empty)
    assert "There are no models here yet" in empty.about.text()
    assert "https://example.org/collection.json" in empty.about.text()
    empty.close()


def test_a_model_without_a_picture_leaves_the_room_to_its_text(qtbot, dock, dialog, served) -> None:
    choose_model(qtbot, dialog, "Tiny U-Net")
    assert dialog.picture.isHidden()
    picture = QPixmap(8, 8)
    picture.fill()
    picture.save(str(Path(dialog.folder) / "cover.png"))
    dialog.picture.show_picture((Path(dialog.folder) / "cover.png").read_bytes())
    assert not dialog.picture.isHidden()
    dialog.close()


def test_cancel_offline_and_an_empty_place_are_sentences(qtbot, dock, dialog, served, tmp_path) -> None:
    dialog.refresh.click()
    qtbot.waitUntil(lambda: len(names(dialog)) == 3)
    choose_model(qtbot, dialog, "<b>shark</b>")
    served.slow.clear()
    dialog.download.click()
    qtbot.wait(50)
    dialog.cancel.click()
    served.slow.set()
    qtbot.waitUntil(lambda: dialog.message.text().startswith("Stopped."))
    assert not (tmp_path / "shark").exists()
    assert dialog.download.isEnabled()
    dialog.place.setText("http://127.0.0.1:9/collection.json")
    dialog.refresh.click()
    qtbot.waitUntil(lambda: "cannot be reached" in dialog.message.text())
    assert len(names(dialog)) == 3, "what was listed stays"
    dialog.place.clear()
    dialog.refresh.click()
    assert "Write the address" in dialog.message.text()
    dialog.close()
