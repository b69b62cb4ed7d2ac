"""Which files of a folder are images: none of a person's is left out without a word, and no result is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import tifffile

from napari_fcnseg.batch import Batch, ReportLine, images_in
from napari_fcnseg.cli import main as cli
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.settings import RunSettings

MODEL = Path(__file__).resolve().parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"


def image(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.full((20, 24, 3), value, np.uint8))
    return path


def taken(folder: Path, **options: object) -> tuple[set[str], dict[str, str]]:
    """Return the images that are taken, and why each other file is not."""
    found = images_in(folder, **options)
    return {item.name for item in found.items}, {line.input: line.sentence for line in found.left_out}


def test_an_image_beside_the_provenance_of_another_file_is_taken(tmp_path) -> None:
    for name in ("cell.jpg.tif", "i1.tif", "i2.tif"):
        image(tmp_path / name)
    (tmp_path / "i1.provenance.json").write_text(json.dumps({"made by": "my microscope"}))
    about = {"program": "napari-fcnseg", "files": {"i2.png": {"bytes": 1, "modified": "0", "sha256": "0"}}}
    (tmp_path / "i2.provenance.json").write_text(json.dumps(about))
    assert taken(tmp_path)[0] == {"cell.jpg.tif", "i1.tif", "i2.tif"}


def test_a_result_is_passed_over_and_one_that_was_changed_is_said(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    image(tmp_path / "a.tif")
    mask = tmp_path / "mask.tif"
    tifffile.imwrite(mask, np.ones((8, 8), np.uint8))
    assert cli.main("instances mask.tif --interior 1 -o cells.tif".split()) == 0
    assert taken(tmp_path) == ({"a.tif", "mask.tif"}, {})
    tifffile.imwrite(tmp_path / "cells.tif", np.zeros((9, 9), np.uint8))
    names, why = taken(tmp_path)
    assert names == {"a.tif", "mask.tif"}
    assert "changed since" in why["cells.tif"]


def test_what_a_stopped_run_left_and_what_lies_among_the_results_is_said(tmp_path) -> None:
    for name in ("a.tif", "x.partial.tif", "out/x.tif", "out/deep/y.tif"):
        image(tmp_path / name)
    names, why = taken(tmp_path, recursive=True, results=tmp_path / "out")
    assert names == {"a.tif"}
    assert "stopped run" in why["x.partial.tif"]
    assert "folder for the results" in why["out/x.tif"]
    assert "folder for the results" in why["out/deep/y.tif"]


def test_a_name_that_is_too_long_for_its_results_stops_no_other_image(tmp_path) -> None:
    names = ["a.tif", "y" * 236 + ".tif", "z" * 248 + ".tif"]
    for name in names:
        image(tmp_path / name)
    found = images_in(tmp_path)
    batch = Batch(found.items, as_ensemble(MODEL), RunSettings(border="valid"), tmp_path / "out")
    lines = {line.input: line for line in batch.execute() if isinstance(line, ReportLine)}
    assert [lines[name].status for name in names] == ["done", "failed", "failed"]
    for name in names[1:]:
        assert "too long" in lines[name].sentence
        assert "should not have" not in lines[name].sentence


def test_hdf5_is_an_image_where_it_holds_one_and_is_no_model(tmp_path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exported_data"] = np.zeros((4, 4))
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = "{}"
        file["model_weights/kernel"] = np.zeros((4, 4))
    (tmp_path / "b.nii.gz").touch()
    (tmp_path / "c.gz").touch()
    found = images_in(tmp_path)
    assert [item.name for item in found.items] == ["a.h5", "b.nii.gz"]
    assert {line.input: line.sentence.split(". ")[0] for line in found.left_out} == {
        "model.h5": "It is an HDF5 file without an image: a model, or something else.",
        "c.gz": "Files that end with .gz are not read",
    }
