"""A batch on a real Dask cluster: the files of a batch on one computer, whichever workers die."""

from __future__ import annotations

import csv
import os
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import tifffile
import zarr
from _plates import write_plate

import napari_fcnseg as nf
from napari_fcnseg.batch import Batch, BatchProgress, ReportLine, batch_on, images_in, named_items
from napari_fcnseg.batch.on_cluster import ClusterBatch
from napari_fcnseg.batch.plate_results import ResultPlate
from napari_fcnseg.cli import main as cli
from napari_fcnseg.errors import ClusterError, InMemoryError, OutputError
from napari_fcnseg.imagefile import ImageFile, read_image
from napari_fcnseg.instances.settings import InstanceSettings
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.run.provenance_file import provenance_of_file
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

distributed = pytest.importorskip("distributed")
SETTINGS = RunSettings(border="edge", device="CPU")
OBJECTS = InstanceSettings(interior=1)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, host="127.0.0.1", dashboard_address=None, memory_limit=0, silence_logs=50
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def model(request) -> Path:
    return request.path.parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"  # 14 x 14 patches, RGB


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (3, *shape)).astype(np.uint8)


def folder_of(tmp_path: Path, sizes: dict[str, int]) -> Path:
    """Write a folder of images, and one file that cannot be read."""
    folder = tmp_path / "in"
    folder.mkdir()
    for seed, (name, side) in enumerate(sizes.items()):
        tifffile.imwrite(folder / f"{name}.tif", pixels(seed, side, side + 5), photometric="minisblack")
    (folder / "z.tif").write_text("none", encoding="utf-8")
    return folder


def do(cluster: Any, found: Any, models: Any, out: Path, **options: Any) -> dict[str, ReportLine]:
    settings = options.pop("settings", SETTINGS)
    about = {"left_out": found.left_out, "inputs": found.others, "plate": found.plate, **options}
    batch = batch_on(cluster, found.items, models, settings, out, **about)
    lines = {line.input: line for line in batch.execute() if isinstance(line, ReportLine)}
    assert {row["file"]: row["status"] for row in rows(batch.report)} == {n: line.status for n, line in lines.items()}
    return lines


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_on_a_cluster_has_the_files_of_one_computer(client, model, tmp_path, monkeypatch) -> None:
    folder_of(tmp_path, {"a": 40, "b": 64, "c": 33})
    monkeypatch.chdir(tmp_path)  # relative paths, which mean another place to the workers
    found, models = images_in("in"), as_ensemble(model)
    options = {"objects": OBJECTS}
    here = do(None, found, models, tmp_path / "here", **options)
    there = do(client, found, models, type(tmp_path)("there"), **options)
    assert {name: line.status for name, line in there.items()} == {name: line.status for name, line in here.items()}
    for name, line in here.items():
        assert (there[name].pixels, there[name].objects) == (line.pixels, line.objects)
        assert line.status == "done" or there[name].sentence == f"{tmp_path}/{line.sentence}"  # it names the file
    for name in "abc":
        for kind in ("labels", "objects"):
            one, other = (tifffile.imread(tmp_path / where / f"{name}.{kind}.tif") for where in ("here", "there"))
            np.testing.assert_array_equal(other, one)
        said = [provenance_of_file(tmp_path / where / f"{name}.labels.tif") for where in ("here", "there")]
        assert said[0]["batch"] == said[1]["batch"]
    assert rows(tmp_path / "there" / "objects.csv") == rows(tmp_path / "here" / "objects.csv")
    again = do(client, found, models, tmp_path / "there", **options)
    assert {name: line.status for name, line in again.items()} == {
        "a.tif": "kept", "b.tif": "kept", "c.tif": "kept", "z.tif": "failed",
    }  # fmt: skip


@pytest.mark.parametrize("inside", [False, True])
def test_a_plate_on_a_cluster_has_the_labels_of_one_computer(client, model, tmp_path, inside) -> None:
    fields = {"A/1/0": pixels(0, 20, 24), "A/1/1": pixels(1, 20, 24), "B/3/0": pixels(2, 30, 17)}
    plate = write_plate(tmp_path / "plate.zarr", fields)
    out = plate / "labels" / "cells" if inside else tmp_path / "out.zarr"
    lines = do(client, images_in(plate), as_ensemble(model), out)
    assert {name: line.status for name, line in lines.items()} == dict.fromkeys(fields, "done")
    for name, image in fields.items():
        alone = nf.segment(np.moveaxis(image, 0, -1), model, border="edge", device="CPU").labels
        place = plate / name / "labels" / "cells" if inside else out / name
        np.testing.assert_array_equal(read_image([place]).data[...], alone)


def test_a_field_without_room_counts_in_its_well_as_on_one_computer(client, model, tmp_path, monkeypatch) -> None:
    plate = write_plate(tmp_path / "plate.zarr", {"A/1/0": pixels(0, 20, 24), "A/1/1": pixels(1, 20, 24)})
    prepare = ResultPlate.prepare

    def full(places: ResultPlate, item: Any) -> None:
        if item.name == "A/1/1":
            raise OutputError("There is no room.")
        prepare(places, item)

    monkeypatch.setattr(ResultPlate, "prepare", full)
    wells = []
    for cluster in (None, client):
        out = tmp_path / f"{cluster is None}.zarr"
        lines = do(cluster, images_in(plate), as_ensemble(model), out)
        assert (lines["A/1/0"].status, lines["A/1/1"].sentence) == ("done", "There is no room.")
        wells.append(rows(out.with_suffix(".report") / "wells.csv"))
    assert wells[0] == wells[1]
    assert wells[0][0]["fields"] == "2"


def test_an_image_whose_worker_dies_is_done_by_another(client, model, tmp_path) -> None:
    folder = folder_of(tmp_path, {"a": 1200, "b": 1200})
    found, models = images_in(folder), as_ensemble(model)
    settings = RunSettings(border="edge", device="CPU", tile=100, ways=("plain",))  # whatever pays in these tests
    options = {"border": "edge", "device": "CPU", "tile": 100, "ways": ("plain",)}
    images = {path.name: np.moveaxis(tifffile.imread(path), 0, -1) for path in (folder / "a.tif", folder / "b.tif")}
    expected = {name: nf.segment(image, model, **options).labels for name, image in images.items()}
    batch = ClusterBatch(found.items, models, settings, tmp_path / "out", cluster=client)
    lines, killed = {}, False
    for entry in batch.execute():
        if isinstance(entry, ReportLine):
            lines[entry.input] = entry
        elif not killed and list((tmp_path / "out").glob("*.partial.zarr")):  # tiles come
            killed = True
            psutil.Process(next(iter(client.run(os.getpid).values()))).kill()
    assert killed
    assert {name: lines[name].status for name in expected} == dict.fromkeys(expected, "done")
    for name, labels in expected.items():
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / name.replace(".tif", ".labels.tif")), labels)


def test_a_batch_that_is_stopped_goes_on(client, model, tmp_path) -> None:
    folder = folder_of(tmp_path, {"a": 100, **dict.fromkeys("bcdef", 1200)})
    found, models, stop = images_in(folder), as_ensemble(model), threading.Event()
    settings = RunSettings(border="edge", device="CPU", tile=60)
    batch = ClusterBatch(found.items, models, settings, tmp_path / "out", cluster=client)
    lines, seen = [], []
    with closing(batch.execute(stop)) as entries:
        for entry in entries:
            if isinstance(entry, ReportLine):
                lines.append(entry)
                stop.set()
            elif isinstance(entry, BatchProgress):
                seen.append(entry)
    out = tmp_path / "out"
    there = sorted(path.name for path in out.glob("*.labels.tif"))
    assert max(len(entry.others) for entry in seen) > 0
    assert str(seen[-1]).endswith(f"done, on {seen[-1].team}")
    found_statuses = {row["file"]: row["status"] for row in rows(batch.report)}
    assert len(found_statuses) == 7
    assert "stopped" in found_statuses.values()
    done = {name for name, status in found_statuses.items() if status == "done"}
    assert there == [name.replace(".tif", ".labels.tif") for name in sorted(done)]  # the report is true
    time.sleep(2)
    assert there == sorted(path.name for path in out.glob("*.labels.tif"))  # the workers are at rest
    again = do(client, found, models, tmp_path / "out", settings=settings)
    assert {name for name, line in again.items() if line.status == "kept"} >= done
    assert [line.status for line in again.values()].count("failed") == 1
    assert not list((tmp_path / "out").glob("*.partial*"))


def test_a_worker_that_sees_another_file_says_so(client, model, tmp_path) -> None:
    folder = folder_of(tmp_path, {"a": 40})
    found = images_in(folder)
    lies = [True, False, True]  # from the start; then when it is asked for, after a look that was good
    for lie, says in ((lies[:1], "does not see the image a.tif as the head does"), (lies[1:], "sees another file")):
        batch = ClusterBatch(found.items[:1], as_ensemble(model), SETTINGS, tmp_path / "out", cluster=client)
        record, told = batch.work.record, iter(lie)
        batch.work.record = lambda item=None, record=record, told=told: (  # type: ignore[method-assign]
            {**record(item), "input": {"bytes": 1}} if item is not None and next(told) else record(item)
        )
        if lie[0]:
            with pytest.raises(ClusterError, match=f"can take part.*{says}"):
                list(batch.execute())
            assert "Not begun. None of the workers" in rows(batch.report)[0]["what happened"]
        else:
            (line,) = [line for line in batch.execute() if isinstance(line, ReportLine)]
            assert says in line.sentence


def test_layers_are_only_in_memory(model, tmp_path) -> None:
    items = named_items([("layer", ImageFile(pixels(0, 20, 20), "CYX"))])
    with pytest.raises(InMemoryError, match="The image layer is only in this computer's memory"):
        ClusterBatch(items, as_ensemble(model), SETTINGS, tmp_path / "out", cluster="local:1")
    assert type(batch_on(None, items, as_ensemble(model), SETTINGS, tmp_path / "out")) is Batch


def test_the_command_segments_a_folder_on_processes_of_its_own(model, tmp_path, capsys) -> None:
    folder = folder_of(tmp_path, {"a": 40, "b": 41})
    line = ["segment", str(folder), "--model", str(model), "-o", str(tmp_path / "out"), "--border", "edge"]
    line += ["--device", "CPU", "--cluster", "local:1", "--format", "ome-zarr", "--verify"]
    assert cli.main(line) == 1  # for z.tif
    said = capsys.readouterr().out
    assert "a.tif: done." in said
    assert "b.tif: done." in said
    assert said.count("Conversion check passed: 256 of 256") == 2
    assert provenance_of_file(tmp_path / "out" / "a.labels.ome.zarr")["certificate"]["passed"]
    assert zarr.open_array(tmp_path / "out" / "a.labels.ome.zarr", path="0", mode="r").shape == (40, 45)
