"""A run from the dock on a cluster: the numbers of the plain run, Cancel and Resume, and what it cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from napari_helpers import finish, give, run, settle

from napari_fcnseg import load_model, segment
from napari_fcnseg._napari.segment.models.preferences import Preferences
from napari_fcnseg._napari.segment.run import request as request_module
from napari_fcnseg.samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

distributed = pytest.importorskip("distributed")
SAMPLE = SAMPLES["cells"]


@pytest.fixture
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
