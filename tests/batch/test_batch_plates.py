"""A plate in, a plate out: each field has the labels that it gets alone, and the plate is one at any time."""

from __future__ import annotations

import csv
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import zarr
from _plates import describe, edit, write_field, write_plate
from ome_zarr_models import open_ome_zarr
from ome_zarr_models.v04.hcs import HCSAttrs
from ome_zarr_models.v04.image import ImageAttrs
from ome_zarr_models.v04.image_label import ImageLabelAttrs
from ome_zarr_models.v04.well import WellAttrs

import napari_fcnseg as nf
from napari_fcnseg.batch import Batch, BatchProgress, ReportLine, images_in
from napari_fcnseg.errors import ImageError, OutputError, SettingsError
from napari_fcnseg.imagefile import read_image
from napari_fcnseg.instances.settings import InstanceSettings
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.settings import RunSettings

MODEL = Path(__file__).resolve().parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"  # 14 x 14 patches, RGB
SETTINGS = RunSettings(border="edge", device="CPU")
VERSIONS = ("0.4", "0.5")


@pytest.fixture(scope="module")
def models() -> tuple[nf.PatchModel, ...]:
    return as_ensemble(MODEL)


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (3, *shape)).astype(np.uint8)


FIELDS = {"A/1/0": pixels(0, 20, 24), "A/1/1": pixels(1, 20, 24), "B/3/0": pixels(2, 30, 17)}


def batch(models, plate: Path, out: Path, wells: tuple[str, ...] = (), **options: object) -> Batch:
    found = images_in(plate, wells=wells)
    settings = options.pop("settings", SETTINGS)
    about = {"left_out": found.left_out, "inputs": found.others, "plate": found.plate}
    return Batch(found.items, models, settings, out, **about, **options)


def do(*args: object, **options: object) -> dict[str, ReportLine]:
    return {line.input: line for line in batch(*args, **options).execute() if isinstance(line, ReportLine)}


def ends(lines: dict[str, ReportLine]) -> dict[str, str]:
    return {name: line.status for name, line in lines.items()}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def said(folder: Path) -> dict:
    """Return what OME-Zarr says in a folder."""
    attributes = dict(zarr.open_group(folder, mode="r").attrs)
    return attributes.get("ome", attributes)


def check(path: Path, names: list[str]) -> None:
    """Check by another program's rules that a plate is valid and has these fields, and no other."""
    group = zarr.open_group(path, mode="r")
    if group.metadata.zarr_format == 3:
        plate = open_ome_zarr(group)
        assert (type(plate).__name__, plate.ome_zarr_version) == ("HCS", "0.5")
    else:  # ome-zarr-models 1.6 opens no image of 0.4 with labels: its class for those is not fully defined
        HCSAttrs.model_validate(dict(group.attrs))
    found = []
    for well in said(path)["plate"]["wells"]:
        found += [f"{well['path']}/{image['path']}" for image in said(path / well["path"])["well"]["images"]]
    assert found == names
    for name in names:
        if group.metadata.zarr_format == 3:
            assert type(open_ome_zarr(group[name])).__name__ == "Image"
            assert type(open_ome_zarr(group[f"{name}/labels/classes"])).__name__ == "ImageLabel"
            continue
        WellAttrs.model_validate(dict(group[name.rpartition("/")[0]].attrs))
        ImageAttrs.model_validate(dict(group[name].attrs))
        ImageLabelAttrs.model_validate(dict(group[f"{name}/labels/classes"].attrs))
        group[name][said(path / name)["multiscales"][0]["datasets"][-1]["path"]]


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in the arrays below a folder, but for the descriptions, which hold a mark of each run."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in files if not path.name.startswith(("zarr", ".z"))
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_each_field_has_the_labels_that_it_gets_alone_in_a_plate_of_that_version(models, tmp_path, version) -> None:
    about = {"name": "screen 7", "acquisitions": [{"id": 0, "name": "day 1"}]}
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS, version, **about), tmp_path / "out.zarr"
    before = contents(plate)
    lines = do(models, plate, out)
    assert ends(lines) == dict.fromkeys(FIELDS, "done")
    check(out, list(FIELDS))
    assert said(out)["plate"]["name"] == "screen 7"
    assert said(out)["plate"]["acquisitions"] == about["acquisitions"]
    assert [well["rowIndex"] for well in said(out)["plate"]["wells"]] == [0, 1]
    for name, image in FIELDS.items():
        alone = nf.segment(np.moveaxis(image, 0, -1), models, border="edge", device="CPU").labels
        for place in (out / name, out / name / "labels" / "classes"):
            labels = read_image([place])
            np.testing.assert_array_equal(labels.data[...], alone)
            assert (labels.axes, labels.pixel_size, labels.unit) == ("YX", {"Y": 0.5, "X": 0.5}, "µm")
        assert said(out / name / "labels") == {**said(out / name / "labels"), "labels": ["classes"]}
    assert read_image([out / "A/1/0/labels/classes"]).is_labels
    report = tmp_path / "out.report"
    assert [(row["file"], row["well"], row["field"], row["status"]) for row in rows(report / "report.csv")] == [
        ("A/1/0", "A1", "0", "done"), ("A/1/1", "A1", "1", "done"), ("B/3/0", "B3", "0", "done"),
    ]  # fmt: skip
    assert (report / rows(report / "report.csv")[0]["result"]).resolve() == out / "A/1/0/labels/classes"
    assert ends(do(models, plate, out)) == dict.fromkeys(FIELDS, "kept")
    assert contents(plate) == before
    assert not list(out.rglob(".fcnseg*"))


def test_the_table_of_wells_sums_what_is_in_their_fields(models, tmp_path) -> None:
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS), tmp_path / "out.zarr"
    run = batch(models, plate, out, objects=InstanceSettings(interior=2, minimum_size=3))
    lines = {line.input: line for line in run.execute() if isinstance(line, ReportLine)}
    assert run.wells == tmp_path / "out.report" / "wells.csv"
    found = {row["well"]: row for row in rows(run.wells)}
    for well, names in {"A1": ["A/1/0", "A/1/1"], "B3": ["B/3/0"]}.items():
        labels = np.concatenate([read_image([out / name]).data[...].ravel() for name in names])
        row = found[well]
        assert (row["fields"], row["segmented"], row["pixels"]) == (str(len(names)),) * 2 + (str(labels.size),)
        assert int(row["objects"]) == sum(lines[name].objects for name in names)
        for number, name in enumerate(models[0].class_names or [f"class {n + 1}" for n in range(models[0].classes)], 1):
            assert int(row[f"pixels of {name}"]) == (labels == number).sum()
            assert float(row[f"{name} (µm²)"]) == pytest.approx((labels == number).sum() * 0.25)
    for name in FIELDS:
        objects = read_image([out / name / "labels" / "objects"]).data[...]
        assert objects.max() == lines[name].objects
        assert said(out / name / "labels")["labels"] == ["classes", "objects"]
        assert said(out / name / "labels" / "objects")["image-label"]["source"] == {"image": "../../"}
    assert {row["image"] for row in rows(run.table)} == set(FIELDS)
    assert run.table.parent == tmp_path / "out.report"
    assert ends(do(models, plate, out, objects=InstanceSettings(interior=2, minimum_size=3))) == dict.fromkeys(
        FIELDS, "kept"
    )


def test_two_passes_of_a_well_are_not_added_up(models, tmp_path) -> None:
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS), tmp_path / "out.zarr"
    edit(zarr.open_group(plate, mode="r+"), "plate", acquisitions=[{"id": 4}, {"id": 7}])
    images = [{"path": "0", "acquisition": 4}, {"path": "1", "acquisition": 7}]
    edit(zarr.open_group(plate / "A/1", mode="r+"), "well", images=images)
    edit(zarr.open_group(plate / "B/3", mode="r+"), "well", images=[{"path": "0", "acquisition": 7}])
    do(models, plate, out)
    table = rows(tmp_path / "out.report" / "wells.csv")
    assert [(row["well"], row["acquisition"], row["pixels"]) for row in table] == [
        ("A1", "4", "480"), ("A1", "7", "480"), ("B3", "7", "510"),
    ]  # fmt: skip
    check(out, list(FIELDS))
    assert said(out / "A/1")["well"]["images"] == images


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plate_that_was_stopped_is_one_of_what_is_complete_and_goes_on(models, tmp_path, version) -> None:
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS, version), tmp_path / "out.zarr"
    stop, settings = threading.Event(), RunSettings(border="edge", device="CPU", tile=10, confidence=True)
    for entry in batch(models, plate, out, settings=settings).execute(stop):
        if isinstance(entry, BatchProgress) and entry.number == 1 and entry.done == 2:
            stop.set()
    check(out, ["A/1/0"])
    assert (out / "A/1/1/labels/classes.partial").is_dir()
    lines = do(models, plate, out, settings=settings)
    assert ends(lines) == {"A/1/0": "kept", "A/1/1": "done", "B/3/0": "done"}
    assert "tiles were there already" in lines["A/1/1"].sentence
    check(out, list(FIELDS))
    do(models, plate, tmp_path / "whole.zarr", settings=settings)
    assert contents(out) == contents(tmp_path / "whole.zarr")
    assert read_image([out / "B/3/0/confidence"]).data.shape == (30, 17)


def test_wells_are_added_to_a_plate_that_holds_others(models, tmp_path) -> None:
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS), tmp_path / "out.zarr"
    assert ends(do(models, plate, out, ("b03",))) == {"B/3/0": "done"}
    check(out, ["B/3/0"])
    assert ends(do(models, plate, out, ("A1",))) == {"A/1/0": "done", "A/1/1": "done"}
    check(out, list(FIELDS))
    with pytest.raises(SettingsError, match=r"has no well C1\. It has A1, B3"):
        images_in(plate, wells=["C1"])
    with pytest.raises(SettingsError, match="Wells are chosen of a plate"):
        images_in(tmp_path, wells=["A1"])


def test_a_run_that_was_killed_before_a_field_was_listed_lists_it_and_keeps_what_others_wrote(models, tmp_path) -> None:
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS), tmp_path / "out.zarr"
    do(models, plate, out)
    edit(zarr.open_group(out / "A/1", mode="r+"), "well", images=[{"path": "0"}])
    edit(zarr.open_group(out, mode="r+"), "plate", wells=said(out)["plate"]["wells"][:1])
    check(out, ["A/1/0"])
    shutil.rmtree(out / "A/1/0/labels/classes")
    shutil.copytree(out / "A/1/1/labels/classes", out / "A/1/1/labels/corrected")
    group = zarr.open_group(out / "A/1/1/labels", mode="r+")
    describe(group, "0.5", labels=["corrected", "classes"])
    group.attrs["of"] = "hand"
    assert ends(do(models, plate, out)) == {"A/1/0": "done", "A/1/1": "kept", "B/3/0": "kept"}
    check(out, list(FIELDS))
    assert said(out / "A/1/1/labels")["labels"] == ["classes", "corrected"]
    assert zarr.open_group(out / "A/1/1/labels", mode="r").attrs["of"] == "hand"


def test_results_of_other_settings_stay_unless_they_may_be_replaced(models, tmp_path) -> None:
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS), tmp_path / "out.zarr"
    do(models, plate, out)
    before, other = contents(out), RunSettings(border="reflect", device="CPU")
    lines = do(models, plate, out, settings=other)
    assert ends(lines) == dict.fromkeys(FIELDS, "failed")
    assert "is of another image, model or settings" in lines["A/1/0"].sentence
    assert contents(out) == before
    check(out, list(FIELDS))
    assert ends(do(models, plate, out, settings=other, overwrite=True)) == dict.fromkeys(FIELDS, "done")
    assert contents(out) != before
    check(out, list(FIELDS))


def test_labels_of_others_in_a_field_do_not_make_it_another_image(models, tmp_path) -> None:
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS), tmp_path / "out.zarr"
    do(models, plate, out)
    labels = zarr.open_group(plate / "A/1/0", mode="r+").create_group("labels")
    describe(labels, "0.5", labels=["mine"])
    assert ends(do(models, plate, out)) == dict.fromkeys(FIELDS, "kept")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_wrong_in_a_plate_is_a_line_and_the_rest_is_done(models, tmp_path, version) -> None:
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS, version), tmp_path / "out.zarr"
    write_plate(tmp_path / "outside.zarr", {"A/1/0": pixels(9, 20, 20)}, version)
    root = zarr.open_group(plate, mode="r+")
    wells = [
        *said(plate)["plate"]["wells"], {"path": "../outside.zarr/A"}, {"path": "A/1"}, {"path": "a/1"},
        {"path": "C/1"}, {"path": "/etc"}, {"path": "D/1"}, {"path": "E/1"}, {"path": "F/1"}, {"other": 1}, "text",
        {"path": "G/1"},
    ]  # fmt: skip
    edit(root, "plate", wells=wells)
    for name in ("D/1", "F/1"):
        root.require_group(name)
    describe(
        root["D/1"], version, well={"images": [{"path": "../../A/1/0"}, {"path": "0"}, {"path": "1"}, {"path": "2"}]}
    )
    (plate / "D/1/0").symlink_to(tmp_path / "outside.zarr/A/1/0")
    root.require_group("D/1/1")
    write_field(root, "D/1/2", pixels(3, 20, 24), version)
    shutil.rmtree(plate / "D/1/2/0")
    (plate / "D/1/2/0").symlink_to(tmp_path / "outside.zarr/A/1/0/0")
    root.require_group("G/1")
    described = plate / "G/1" / ("zarr.json" if version == "0.5" else ".zattrs")
    described.unlink(missing_ok=True)
    described.symlink_to(tmp_path / "outside.zarr/A/1" / described.name)
    (plate / "E").mkdir()
    (plate / "E" / "1").symlink_to(tmp_path / "outside.zarr/A/1")
    before = contents(tmp_path / "outside.zarr")
    lines = do(models, plate, out)
    assert {name for name, line in lines.items() if line.status == "done"} == set(FIELDS)
    wrong = {name: line.sentence for name, line in lines.items() if line.status == "failed"}
    for name, words in {
        "../outside.zarr/A": "which is not followed", "A/1": "listed twice", "a/1": "capital letters alone",
        "C/1": "it is not there", "/etc": "which is not followed", "D/1/../../A/1/0": "which is not followed",
        "D/1/0": "leads out of the plate", "D/1/1": "does not say which is the image",
        "D/1/2": "leads out of the plate", "E/1": "leads out of the plate",
        "F/1": "lists no image", "G/1": "leads out of the plate", "a well without a path": "without saying where",
    }.items():  # fmt: skip
        assert words in wrong.pop(name), name
    assert not wrong
    check(out, list(FIELDS))
    assert contents(tmp_path / "outside.zarr") == before
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["A", "B"]


@pytest.mark.parametrize("wells", [[], None, "A/1", 3])
def test_a_plate_without_a_well_is_said(tmp_path, wells) -> None:
    plate = write_plate(tmp_path / "plate.zarr", FIELDS)
    edit(zarr.open_group(plate, mode="r+"), "plate", wells=wells)
    with pytest.raises(ImageError, match="lists no well"):
        images_in(plate)


def test_what_a_plate_of_results_may_be_called(models, tmp_path) -> None:
    plate = write_plate(tmp_path / "plate.zarr", FIELDS)
    taken = tmp_path / "taken.zarr"
    zarr.create_array(taken, shape=(3,), dtype="u1")
    other = write_plate(tmp_path / "other.zarr", {"H/1/0": pixels(0, 20, 20)})
    do(models, other, tmp_path / "others.zarr")
    for out, words in {
        "out": "does not end with .zarr", "plate.zarr": "is read", "plate.zarr/A/2.zarr": "lies in",
        "taken.zarr": "is no plate of results", "other.zarr": "is no plate of results",
        "others.zarr": "another name or layout", "taken.zarr/b.zarr": "lies in a Zarr folder",
    }.items():  # fmt: skip
        with pytest.raises(OutputError, match=words):
            do(models, plate, tmp_path / out)
    assert list(said(tmp_path / "other.zarr")) == list(said(other))


def test_a_damaged_description_is_a_sentence(models, tmp_path) -> None:
    plate, out = write_plate(tmp_path / "plate.zarr", FIELDS), tmp_path / "out.zarr"
    (plate / "A/1/zarr.json").write_text("{" * 9, encoding="utf-8")
    text = json.loads((plate / "B/3/0/zarr.json").read_text(encoding="utf-8"))
    text["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = "../../../../plate.zarr/A/1/0/0"
    (plate / "B/3/0/zarr.json").write_text(json.dumps(text), encoding="utf-8")
    lines = do(models, plate, out)
    assert ends(lines) == {"A/1": "failed", "B/3/0": "failed"}
    assert "cannot be used" in lines["A/1"].sentence
    assert "cannot be read" in lines["B/3/0"].sentence
    assert not (out / "B").exists()
    assert os.listdir(out) == ["zarr.json"]


@pytest.mark.parametrize("version", VERSIONS)
def test_labels_are_put_into_the_fields_of_the_plate_itself(models, tmp_path, version) -> None:
    plate, objects = write_plate(tmp_path / "plate.zarr", FIELDS, version), InstanceSettings(interior=2)
    out, group = plate / "labels" / "cells", zarr.open_group(plate / "A/1/0", mode="r+")
    describe(group.create_group("labels"), version, labels=["mine"])
    (plate / "B/3/0/0" / ("zarr.json" if version == "0.5" else ".zarray")).write_text("{", encoding="utf-8")
    before = contents(plate)
    lines = do(models, plate, out, objects=objects)
    assert ends(lines) == {"A/1/0": "done", "A/1/1": "done", "B/3/0": "failed"}
    assert not (plate / "B/3/0/labels").exists()
    for name, listed in {"A/1/0": ["mine", "cells", "cells_objects"], "A/1/1": ["cells", "cells_objects"]}.items():
        assert said(plate / name / "labels")["labels"] == listed
        labels = zarr.open_group(plate / name / "labels/cells", mode="r")
        assert labels.metadata.zarr_format == (3 if version == "0.5" else 2)
        ImageLabelAttrs.model_validate({**said(plate / name / "labels/cells"), "version": "0.4"})
        alone = nf.segment(np.moveaxis(FIELDS[name], 0, -1), models, border="edge", device="CPU").labels
        np.testing.assert_array_equal(labels["0"][...], alone)
        np.testing.assert_array_equal(read_image([plate / name]).data[...], FIELDS[name])
    assert before.items() <= contents(plate).items()
    assert not list(plate.rglob(".fcnseg*"))
    assert (tmp_path / "plate.report" / "cells" / "wells.csv").is_file()
    assert ends(do(models, plate, out, objects=objects)) == {"A/1/0": "kept", "A/1/1": "kept", "B/3/0": "failed"}
    lines = do(models, plate, plate / "labels" / "other", overwrite=True)
    assert lines["A/1/1"].status == "done"
    zarr.open_group(plate / "A/1/1/labels", mode="r+").create_group("hand")
    lines = do(models, plate, plate / "labels" / "hand", overwrite=True)
    assert "has not written it" in lines["A/1/1"].sentence
    with pytest.raises(OutputError, match="names of letters and digits"):
        do(models, plate, plate / "labels" / "a.b")
    with pytest.raises(OutputError, match="Leave out confidence"):
        do(models, plate, out, settings=RunSettings(border="edge", confidence=True))
