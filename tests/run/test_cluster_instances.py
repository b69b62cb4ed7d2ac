"""Objects found by the workers of a real Dask cluster: the very numbers of one process, whichever workers die."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from napari_fcnseg import InstanceSettings, find_instances
from napari_fcnseg.cli import main as cli
from napari_fcnseg.errors import ClusterError, ImageError, InMemoryError
from napari_fcnseg.instances.labeling import StoppedError
from napari_fcnseg.instances.scratch import Scratch
from napari_fcnseg.run.cluster.address import connected
from napari_fcnseg.run.cluster.instance_worker import ALIVE, SearchBench
from napari_fcnseg.run.cluster.order import look_at, order_of, place_of
from napari_fcnseg.samples.synthetic import fluorescence_cells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with connected("local:2") as cluster:
        yield cluster.client


def stored(path: Path, pixels: np.ndarray, chunks: tuple[int, ...]) -> Any:
    """Return an array in a folder."""
    zarr.create_array(path, shape=pixels.shape, chunks=chunks, dtype=pixels.dtype)[:] = pixels
    return zarr.open_array(path, mode="r")


def cells() -> np.ndarray:
    """Return labels of cells that touch, with holes."""
    labels = fluorescence_cells(3, (230, 260))[1]
    labels[np.random.default_rng(0).random(labels.shape) < 0.02] = 1
    return labels


@pytest.mark.parametrize(
    "settings",
    [
        InstanceSettings(3, connectivity=2),
        InstanceSettings(3, 2, fill_holes=9, minimum_size=30),
        InstanceSettings((2, 3), method="watershed", fill_holes=4),
    ],
    ids=["components", "watershed", "necks"],
)
def test_workers_find_the_very_objects_of_one_process(client, tmp_path, settings) -> None:
    labels = stored(tmp_path / "labels.zarr", cells(), (64, 50))
    found = find_instances(labels, settings, block=47, output=tmp_path / "objects.zarr", cluster=client)
    expected = find_instances(labels[:], settings)
    assert expected.max() > 20
    np.testing.assert_array_equal(found[:], expected)
    assert found.dtype == expected.dtype
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.zarr", "objects.zarr"]


def test_frames_and_scores_go_to_the_workers(client, tmp_path) -> None:
    rng = np.random.default_rng(1)
    labels = stored(tmp_path / "labels.zarr", rng.integers(1, 4, (5, 40, 30), np.uint8), (1, 16, 30))
    scores = stored(tmp_path / "scores.zarr", rng.random((5, 40, 30, 3), np.float32), (1, 16, 30, 3))
    chosen = InstanceSettings(3, 2)
    found = find_instances(
        labels, chosen, spatial=2, scores=scores, block=13, output=tmp_path / "objects.zarr", cluster=client
    )
    np.testing.assert_array_equal(found[:], find_instances(labels[:], chosen, spatial=2, scores=scores[:]))


@pytest.mark.timeout(120)
def test_a_worker_that_dies_costs_its_blocks_alone(client, tmp_path) -> None:
    labels = stored(tmp_path / "labels.zarr", cells(), (64, 64))
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        if len(asked) == 8:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        return False

    chosen = InstanceSettings(3, 2, fill_holes=9)
    found = find_instances(labels, chosen, block=40, output=tmp_path / "o.zarr", cluster=client, stop=stop)
    assert len(asked) > 8
    np.testing.assert_array_equal(found[:], find_instances(labels[:], chosen))


def test_a_search_on_a_cluster_that_is_stopped_leaves_nothing_and_blames_nobody(client, tmp_path, caplog) -> None:
    labels = stored(tmp_path / "labels.zarr", cells(), (64, 64))
    asked: list[None] = []
    with pytest.raises(StoppedError, match="The search was stopped"):
        find_instances(
            labels, InstanceSettings(3, 2), block=30, output=tmp_path / "objects.zarr", cluster=client,
            stop=lambda: len(asked) > 9 or asked.append(None),
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["labels.zarr"]
    assert not [record for record in caplog.records if record.name == "napari_fcnseg"]


def test_what_a_worker_writes_after_the_head_is_gone_is_removed(tmp_path) -> None:
    labels, room = stored(tmp_path / "labels.zarr", cells(), (64, 64)), Scratch(tmp_path / "room")
    order = order_of(
        (), InstanceSettings(3).as_dict(), labels=place_of(labels), look=look_at(labels), scores=None,
        sampling=[1.0, 1.0], shape=list(labels.shape), block=[64, 64], room=str(room.folder),
    )  # fmt: skip
    with pytest.raises(ClusterError, match="does not see the folder of the result"):
        SearchBench(order, {})
    room.begin()
    room.note(ALIVE)
    bench = SearchBench(order, {})
    with bench.at_work():
        room.empty()  # the head goes, while a block is in work
        bench.room.begin()
        bench.room.make("numbers", (4, 4), "u4", (4, 4))
    assert not room.folder.exists()
    with pytest.raises(Exception, match="The search has ended"), bench.at_work():
        pass
    with pytest.raises(ClusterError, match=r"does not see .*other\.zarr as the head does"):
        SearchBench({**order, "labels": {"zarr": str(tmp_path / "other.zarr"), "inside": ""}}, {})


@pytest.mark.timeout(120)
def test_what_a_worker_meets_is_said(client, tmp_path, caplog) -> None:
    pixels = cells().astype(np.int16)
    pixels[200, 200] = -3
    labels = stored(tmp_path / "labels.zarr", pixels, (64, 64))
    with pytest.raises(
        ImageError, match=r"^Labels are whole numbers from 0; these hold -3\. Give the labels of a run\.$"
    ):
        find_instances(labels, InstanceSettings(3), block=64, output=tmp_path / "objects.zarr", cluster=client)
    assert not caplog.records or all("failed" not in record.message for record in caplog.records)
    with pytest.raises(InMemoryError, match=r"The labels are only in .* cannot read them\. Save them as Zarr"):
        find_instances(pixels, InstanceSettings(3), output=tmp_path / "objects.zarr", cluster=client)
    for output in (None, tmp_path / "objects.tif"):
        with pytest.raises(ClusterError, match=r"ends with \.zarr"):
            find_instances(labels, InstanceSettings(3), output=output, cluster=client)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.zarr"]
    scores = stored(tmp_path / "scores.zarr", pixels * 0.5, (64, 64))
    with pytest.raises(ImageError, match="whole numbers"):
        find_instances(scores, InstanceSettings(3), output=tmp_path / "objects.zarr", cluster=client)


def test_the_command_finds_objects_on_a_cluster(client, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    labels = stored(tmp_path / "labels.zarr", cells(), (64, 64))
    command = ["instances", "labels.zarr", "--interior", "3", "--edge", "2", "--minimum-size", "20"]
    where = ["--cluster", client.scheduler.address]
    assert cli.main([*command, "-o", "objects.zarr", "--table", "objects.csv", *where]) == 0
    assert cli.main([*command, "-o", "plain.zarr", "--table", "plain.csv"]) == 0
    said, plain = capsys.readouterr().out.splitlines()
    assert said == plain.replace("plain.", "objects.")
    found, expected = (zarr.open_group(f"{name}.zarr", mode="r") for name in ("objects", "plain"))
    np.testing.assert_array_equal(found["0"][:], expected["0"][:])
    assert found["0"][:].max() > 20
    assert found["0"].shape == labels.shape
    assert (tmp_path / "objects.csv").read_text() == (tmp_path / "plain.csv").read_text()
    assert cli.main([*command, "-o", "objects.tif", *where]) == 1
    assert cli.main([*command, "-o", "other.zarr", "--cluster", "nowhere"]) == 1
