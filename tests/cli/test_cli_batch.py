"""``segment FOLDER -o FOLDER`` as a person uses it: a line per file, exit codes, and going on after Ctrl-C."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from _plates import write_plate

import napari_fcnseg as nf
from napari_fcnseg.cli import main as cli
from napari_fcnseg.imagefile import read_image
from napari_fcnseg.proof.certificate import Certificate
from napari_fcnseg.run import output_files

MODEL = Path(__file__).resolve().parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"  # 14 x 14 patches, RGB


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "images"
    (folder / "week 2").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("1", "2", "10", "week 2/1"):
        tifffile.imwrite(folder / f"{name}.tif", random.integers(0, 255, (20, 24, 3)).astype(np.uint8))
    return folder


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["segment", *map(str, arguments), "--model", str(MODEL)])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_folder_is_segmented_file_by_file_and_a_second_time_nothing_is_left_to_do(folder, capsys, tmp_path) -> None:
    out = tmp_path / "out"
    common = (folder, "-o", out, "--recursive", "--border", "edge", "--confidence", out)
    code, said, _ = run(capsys, *common, "--verify")
    assert code == 0
    lines = said.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["1.tif", "2.tif", "10.tif", "week 2/1.tif"]
    assert all(": done. 480 pixels in " in line and "Conversion check passed: " in line for line in lines[:-1])
    assert lines[-1] == f"4 done. Report: {out / 'report.csv'}"
    for name in ("1", "2", "10", "week 2/1"):
        alone = nf.segment(tifffile.imread(folder / f"{name}.tif"), MODEL, border="edge", confidence=True)
        np.testing.assert_array_equal(tifffile.imread(out / f"{name}.labels.tif"), alone.labels)
        np.testing.assert_allclose(tifffile.imread(out / f"{name}.confidence.tif"), alone.confidence, atol=1e-6)
        provenance = json.loads((out / f"{name}.labels.provenance.json").read_text(encoding="utf-8"))
        assert Certificate.from_dict(provenance["certificate"]).passed
    code, said, _ = run(capsys, *common)
    assert code == 0
    assert said.count(": kept. ") == 4
    (folder / "bad.tif").write_text("x", encoding="utf-8")
    code, said, err = run(capsys, *common, "--quiet")
    assert code == 1
    assert said.startswith("bad.tif: failed. ")
    assert (said.count("\n"), err) == (1, "")
    code, _, _ = run(capsys, folder, "-o", tmp_path / "zarr", "--format", "ome-zarr", "--border", "edge")
    assert code == 1
    labels = read_image([tmp_path / "zarr" / "10.labels.ome.zarr"]).data[...]
    np.testing.assert_array_equal(labels, tifffile.imread(out / "10.labels.tif"))
    assert not (tmp_path / "zarr" / "week 2").exists()


def test_after_ctrl_c_the_files_that_are_done_stay_and_are_not_done_again(folder, capsys, monkeypatch) -> None:
    real, calls = output_files.result_arrays_for, []

    def interrupted(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(output_files, "result_arrays_for", interrupted)
    code, said, err = run(capsys, folder, "-o", folder)
    assert code == 130
    assert "1.tif: done." in said
    assert "1 done, 2 not done, 1 left out." in err
    monkeypatch.undo()
    code, said, _ = run(capsys, folder, "-o", folder)
    assert code == 0
    assert [line.split(". ")[0] for line in said.splitlines()[1:4]] == ["1.tif: kept", "2.tif: done", "10.tif: done"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("{f} -o {o}/labels.tif", "name a folder for the results"),
        ("{f} -o {o} --mask {f}/1.tif", "A mask belongs to one image"),
        ("{f} -o {o} --probabilities {o}/p.tif", "Write --probabilities {o}"),
        ("{f}/1.tif -o {o}/l.tif --recursive", "are for a folder of images"),
        ("{f}/1.tif {f}/2.tif -o {o}/l.tif --format tif", "are for a folder of images"),
        ("{o} -o {o}/out", "There is no image in {o}"),
        ("{f} -o {o} --border wrap", "no border rule"),
    ],
)
def test_a_mistake_is_said_before_the_first_file(folder, capsys, tmp_path, arguments, says) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    code, said, err = run(capsys, *arguments.format(f=folder, o=empty).split())
    assert (code, said) == (1, "")
    assert says.format(o=empty) in err
    assert not [path for path in empty.rglob("*") if path.is_file()]


def test_objects_of_a_folder_are_those_of_instances(folder, capsys, tmp_path) -> None:
    out, one = tmp_path / "out", tmp_path / "one.tif"
    options = ("--minimum-size", 2, "--connectivity", 2)
    code, said, _ = run(capsys, folder, "-o", out, "--border", "edge", "--objects", 1, *options)
    assert code == 0
    assert said.splitlines()[-1].endswith(f", objects: {out / 'objects.csv'}")
    cli.main(["instances", str(out / "10.labels.tif"), "-o", str(one), "--interior", "1", *map(str, options)])
    capsys.readouterr()
    np.testing.assert_array_equal(tifffile.imread(out / "10.objects.tif"), tifffile.imread(one))
    assert tifffile.imread(one).max() > 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--edge", 1), "--edge is about objects. Name their classes with --objects"),
        (("--volume",), "--volume is about objects"),
        (("--objects", 2, "--edge", 2), "interior and edge at once"),
        (("--objects", 2, "--objects-method", "magic"), "no method 'magic'"),
        (("--objects", 9), "There is no class 9 for the objects"),
    ],
)
def test_options_about_objects_that_do_not_fit(folder, capsys, tmp_path, arguments, words) -> None:
    code, _, err = run(capsys, folder, "-o", tmp_path / "out", *arguments)
    assert code == 1
    assert words in err


def test_objects_of_one_image_are_for_another_command(folder, capsys, tmp_path) -> None:
    code, _, err = run(capsys, folder / "1.tif", "-o", tmp_path / "out.tif", "--objects", 2)
    assert code == 1
    assert "run instances on its labels" in err


def test_a_file_for_each_channel_is_an_image_together(folder, capsys, tmp_path) -> None:
    apart, out = tmp_path / "apart", tmp_path / "out"
    apart.mkdir()
    for name in ("1", "2"):
        for channel, letter in enumerate("rgb"):
            if (name, letter) != ("2", "b"):
                colour = tifffile.imread(folder / f"{name}.tif")[..., channel]
                tifffile.imwrite(apart / f"{name}_{letter}.tif", colour)
    options = ("--channels", "*_r.tif", "*_g.tif", "*_b.tif", "--border", "edge", "--objects", "class 2")
    code, said, err = run(capsys, apart, "-o", out, *options)
    assert code == 1, "one image lacks a channel"
    assert "2_r.tif: failed. 2_b.tif is missing beside it." in said
    assert "channel 1 = 1_r.tif, channel 2 = 1_g.tif, channel 3 = 1_b.tif" in err
    alone = nf.segment(tifffile.imread(folder / "1.tif"), MODEL, border="edge")
    np.testing.assert_array_equal(tifffile.imread(out / "1.labels.tif"), alone.labels)
    assert json.loads((out / "1.labels.provenance.json").read_text())["classes"] == ["class 1", "class 2"]
    np.testing.assert_array_equal(
        tifffile.imread(out / "1.objects.tif"), nf.find_instances(alone.labels, nf.InstanceSettings(2))
    )
    assert run(capsys, apart, "-o", out, *options)[1].count(": kept. ") == 1
    assert "--channels is for a folder" in run(capsys, folder / "1.tif", "-o", out / "x.tif", *options)[2]


@pytest.fixture
def plate(tmp_path) -> Path:
    random = np.random.default_rng(0)
    names = ("A/1/0", "A/2/0", "B/2/0")
    return write_plate(
        tmp_path / "plate.zarr", {name: random.integers(0, 255, (3, 20, 24)).astype(np.uint8) for name in names}, "0.4"
    )


def test_a_plate_is_segmented_field_by_field_into_a_plate(plate, capsys, tmp_path) -> None:
    out, report = tmp_path / "out.zarr", tmp_path / "out.report"
    code, said, _ = run(capsys, plate, "-o", out, "--wells", "a01", "B/2", "--verify", "--confidence", out)
    assert code == 0
    lines = said.splitlines()
    assert [line.split(": ")[0] for line in lines[:-1]] == ["A/1/0", "B/2/0"]
    assert all("Conversion check passed" in line for line in lines[:-1])
    assert lines[-1] == f"2 done. Report: {report / 'report.csv'}, wells: {report / 'wells.csv'}"
    code, said, _ = run(capsys, plate, "-o", out, "--confidence", out)
    assert (code, said.count(": kept. "), said.count(": done. ")) == (0, 2, 1)
    for name in ("A/1/0", "A/2/0", "B/2/0"):
        alone = tmp_path / "alone.tif"
        assert run(capsys, plate / name, "-o", alone, "--overwrite", "--quiet")[0] == 0
        np.testing.assert_array_equal(read_image([out / name]).data[...], tifffile.imread(alone))
    code, said, _ = run(capsys, plate, "-o", plate / "labels" / "cells", "--wells", "A2")
    assert (code, said.splitlines()[0].split(". ")[0]) == (0, "A/2/0: done")
    np.testing.assert_array_equal(
        read_image([plate / "A/2/0/labels/cells"]).data[...], read_image([out / "A/2/0"]).data[...]
    )
    (plate / "A/2/0/.zattrs").write_text("{", encoding="utf-8")
    code, said, _ = run(capsys, plate, "-o", tmp_path / "other.zarr", "--quiet")
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("A/2/0: failed. ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("{p} -o {o}/l.tif", "-o NAME.zarr"),
        ("{p} -o {o}/l", "does not end with .zarr"),
        ("{p} -o {p}", "is read"),
        ("{p} -o {o}/l.zarr --wells C4", "has no well C4. It has A1, A2, B2"),
        ("{p} -o {o}/l.zarr --format tif", "--format is for a folder of images"),
        ("{p} -o {o}/l.zarr --recursive", "--recursive is for a folder of images"),
        ("{p} -o {o}/l.zarr --channels *_a.tif *_b.tif", "--channels is for a folder of images"),
        ("{p} -o {o}/l.zarr --mask {p}", "A mask belongs to one image"),
        ("{p} -o {o}/l.zarr --cluster local:0", "names no cluster"),
        ("{p} -o {o}/l.zarr --confidence {o}/c.zarr", "Write --confidence {o}/l.zarr"),
        ("{p} -o {o}/l.zarr --series 1 --wells A1", "--wells is for a plate"),
        ("{p}/A/1/0 -o {o}/l.zarr --wells A1", "--wells is for a plate"),
    ],
)
def test_what_does_not_fit_a_plate_is_said_before_the_first_field(plate, capsys, tmp_path, arguments, says) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    code, said, err = run(capsys, *arguments.format(p=plate, o=empty).split())
    assert (code, said) == (1, "")
    assert says.format(o=empty) in err
    assert not list(empty.iterdir())
