"""A run from the dock on a cluster: the numbers of the plain run, Cancel and Resume, and what it cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest
import zarr
from napari_helpers import finish, give, run, settle, small_model
from qtpy.QtWidgets import QFileDialog
from store_server import StoreServer
from zarr.storage import FsspecStore

from napari_fcnseg import load_model, segment
from napari_fcnseg._napari.layers.channels import full_resolution
from napari_fcnseg._napari.segment.models.preferences import Preferences
from napari_fcnseg._napari.segment.run import request as request_module
from napari_fcnseg.imagefile import pyramid, read_image
from napari_fcnseg.samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

distributed = pytest.importorskip("distributed")
SAMPLE = SAMPLES["cells"]


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with distributed.LocalCluster(1, threads_per_worker=2, host="127.0.0.1", dashboard_address=None) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def pixels() -> np.ndarray:
    return np.stack([np.tile(SAMPLE.image(), (2, 2, 1))[n : 300 + n, :300] for n in range(16)])


def prefer(monkeypatch, cluster: str) -> None:
    monkeypatch.setattr(request_module, "preferred", lambda: Preferences(cluster=cluster))


@pytest.mark.timeout(120)
def test_a_run_on_a_cluster_is_cancelled_and_resumed_and_is_the_plain_run(
    qtbot, viewer, dock, pixels, scheduler, monkeypatch, tmp_path
) -> None:
    prefer(monkeypatch, scheduler)
    array = zarr.create_array(tmp_path / "cells.zarr", shape=pixels.shape, chunks=(1, 300, 300, 2), dtype=pixels.dtype)
    array[:] = pixels
    viewer.add_image(array, name="cells", channel_axis=None)
    give(dock, load_model(SAMPLE.model_path))
    dock.settings.preprocess.value = "; ".join(SAMPLE.preprocess)
    dock.settings.tile.setValue(150)
    settle(qtbot)
    said: list[str] = []
    advance = dock.run.advance

    def cancel_at_once(done: int, total: int, left: float | None) -> None:
        said.append(dock.run.message.text())
        if len(said) == 1:
            dock.run.cancel.click()
        advance(done, total, left)

    monkeypatch.setattr(dock.run, "advance", cancel_at_once)
    assert run(qtbot, dock).startswith("Stopped: ")
    assert f"On 1 worker at {scheduler}: computing 64 tiles…" in said[0]
    dock.run.resume.click()
    assert finish(qtbot, dock).startswith("Done: 16 × 300 × 300 pixels in ")
    expected = segment(pixels, SAMPLE.model_path, channel_axis=-1, preprocess=SAMPLE.preprocess, tile=150)
    np.testing.assert_array_equal(viewer.layers[-1].data, expected.labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.zarr"]


def test_an_image_in_memory_is_refused_for_a_remote_cluster(qtbot, viewer, dock, pixels, monkeypatch) -> None:
    prefer(monkeypatch, "tcp://127.0.0.1:9")
    viewer.add_image(pixels, name="cells")
    give(dock, load_model(SAMPLE.model_path))
    said = run(qtbot, dock)
    assert said.startswith("The image is only in this computer's memory, and the workers cannot read it. Save it as")
    assert len(viewer.layers) == 1


def saved_as(monkeypatch, path: Path) -> None:
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["channels first", "channels last", "a layer per channel", "colours"])
def test_an_image_in_memory_is_saved_and_the_run_goes_on(
    qtbot, viewer, dock, pixels, scheduler, monkeypatch, tmp_path, kind
) -> None:
    prefer(monkeypatch, scheduler)
    pixels, model = pixels[:3], small_model(2)
    if several := kind in ("channels last", "colours"):
        monkeypatch.setattr(pyramid, "_ENOUGH", 100)
    look = {"name": "cells", "colormap": "magma", "contrast_limits": (3, 900), "scale": (2, 0.5, 0.25)}
    look |= {"units": ("s", "um", "um")}
    if kind == "channels first":
        look |= {"axis_labels": ("t", "c", "y", "x"), "scale": (2, 1, 0.5, 0.25), "units": ("s", "pixel", "um", "um")}
        viewer.add_image(np.moveaxis(pixels, -1, 1), **look)
    elif kind == "channels last":
        look |= {"axis_labels": ("t", "y", "x", "c"), "scale": (2, 0.5, 0.25, 1), "units": ("s", "um", "um", "pixel")}
        viewer.add_image(pixels, **look)
    elif kind == "a layer per channel":
        for channel in range(2):
            viewer.add_image(pixels[..., channel], **{**look, "name": f"cells {channel}"})
    else:
        model = small_model(3)
        colours = np.stack([pixels[..., n % 2] % 256 for n in range(3)], -1).astype(np.uint8)
        viewer.add_image(colours, name="cells", rgb=True, scale=look["scale"], units=look["units"])
    olds = list(viewer.layers)
    path = tmp_path / "model.keras"
    model.save(path)
    give(dock, load_model(path))
    settle(qtbot)
    assert run(qtbot, dock).startswith("The image is only in this computer's memory")
    assert not dock.run.save_image.isHidden()
    saved_as(monkeypatch, tmp_path / "saved.zarr")
    dock.run.save_image.click()
    assert dock.run.message.text().startswith("Saving cells")
    qtbot.waitUntil(lambda: dock.run.message.text().startswith("Done: 3 × 300 × 300 pixels"), timeout=60_000)
    finish(qtbot, dock)
    assert dock.run.save_image.isHidden()
    news = dock.image.source().layers
    assert len(news) == len(olds)
    for old, new in zip(olds, news, strict=True):
        assert (new.name, old.name) == (old.name.removesuffix(" (in memory)"), f"{new.name} (in memory)")
        assert (old.visible, new.visible, new.rgb, new.multiscale) == (False, True, old.rgb, several)
        assert old in viewer.layers
        np.testing.assert_array_equal(np.asarray(full_resolution(new)), old.data)
        assert new.data.dtype == old.data.dtype
        np.testing.assert_array_equal(new.scale, old.scale)
        assert (tuple(new.contrast_limits), new.colormap.name) == (tuple(old.contrast_limits), old.colormap.name)
    first = np.moveaxis(olds[0].data, 1, -1) if kind == "channels first" else olds[0].data
    image = np.stack([old.data for old in olds], -1) if kind == "a layer per channel" else first
    np.testing.assert_array_equal(viewer.layers[-1].data.squeeze(), segment(image, path, channel_axis=-1).labels)
    (file, *more) = sorted(tmp_path.glob("saved*.zarr"))
    assert len(more) == len(olds) - 1
    written = read_image([file])
    assert written.axes == ("TYX" if more else "TCYX")
    assert (written.pixel_size, written.unit) == ({"Y": 0.5, "X": 0.25}, "µm")
    shown = zarr.open_group(file).attrs["ome"]["omero"]["channels"]
    assert len(shown) == written.data.shape[1] if not more else 1
    if kind == "channels first":
        assert shown[0]["window"] == {"min": 3.0, "max": 900.0, "start": 3.0, "end": 900.0}


def test_saving_is_cancelled_or_refused_without_a_trace(qtbot, viewer, dock, pixels, monkeypatch, tmp_path) -> None:
    prefer(monkeypatch, "tcp://127.0.0.1:9")
    viewer.add_image(pixels, name="cells")
    give(dock, load_model(SAMPLE.model_path))
    run(qtbot, dock)
    saved_as(monkeypatch, tmp_path / "saved.zarr")
    dock.run.save_image.click()
    dock.run.cancel.click()
    assert finish(qtbot, dock) == "Stopped."
    qtbot.waitUntil(lambda: not list(tmp_path.iterdir()))
    assert not dock.run.save_image.isHidden()
    (tmp_path / "saved.zarr").mkdir()
    (tmp_path / "saved.zarr" / "mine").touch()
    dock.run.save_image.click()
    assert "saved.zarr" in finish(qtbot, dock)
    assert [path.name for path in tmp_path.rglob("*")] == ["saved.zarr", "mine"]
    assert [layer.name for layer in viewer.layers] == ["cells"]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("", ""))
    dock.run.save_image.click()
    assert not dock.controller.running


@pytest.mark.timeout(120)
def test_a_layer_over_a_remote_store_is_segmented_here_and_by_workers(
    qtbot, viewer, dock, pixels, scheduler, monkeypatch, tmp_path
) -> None:
    array = zarr.create_array(tmp_path / "cells.zarr", shape=(3, 100, 120, 2), chunks=(1, 50, 60, 2), dtype="uint16")
    array[:] = pixels[:3, :100, :120]
    server = StoreServer(tmp_path)
    store = FsspecStore.from_url(f"{server.address}/cells.zarr", read_only=True)
    viewer.add_image(da.from_zarr(zarr.open_array(store)), name="cells", contrast_limits=(0, 999))
    give(dock, load_model(SAMPLE.model_path))
    dock.settings.preprocess.value = "; ".join(SAMPLE.preprocess)
    expected = segment(pixels[:3, :100, :120], SAMPLE.model_path, channel_axis=-1, preprocess=SAMPLE.preprocess).labels
    for cluster in ("", scheduler):
        prefer(monkeypatch, cluster)
        assert run(qtbot, dock).startswith("Done: 3 × 100 × 120 pixels")
        np.testing.assert_array_equal(viewer.layers[-1].data, expected)
    provenance = viewer.layers[-1].metadata["napari_fcnseg"]
    assert provenance["image"]["addresses"] == [f"{server.address}/cells.zarr"]
    server.close()
