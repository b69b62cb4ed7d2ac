"""The command line as a person uses it: results, exit codes, and one line for a mistake."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import zarr
from _keras_side import save_model
from _two_outputs import save_two_outputs
from patience import patience

import napari_fcnseg as nf
from napari_fcnseg.cli import main as cli
from napari_fcnseg.cli import segment as cli_segment
from napari_fcnseg.engine import engine
from napari_fcnseg.imagefile import GrowingZarr, ImageFile, read_image, write_image
from napari_fcnseg.model.sidecar import Sidecar, blank, read_sidecar
from napari_fcnseg.proof import verification
from napari_fcnseg.proof.certificate import Certificate
from napari_fcnseg.run.provenance_file import provenance_of_file

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = [
    ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "relu", "name": "first"}),
    ("MaxPooling2D", {}),
    ("Flatten", {}),
    ("Dense", {"units": 3, "activation": "softmax"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(keras_child, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    keras_child(save_model, {"input": (9, 9, 2), "layers": LAYERS}, str(folder / "a.keras"))
    keras_child(save_model, {"input": (9, 9, 2), "layers": LAYERS, "seed": 1}, str(folder / "b.h5"))
    recurrent = [("Reshape", {"target_shape": (9, 18)}), ("LSTM", {"units": 3, "name": "memory"})]
    keras_child(save_model, {"input": (9, 9, 2), "layers": recurrent}, str(folder / "recurrent.keras"))
    image = np.random.default_rng(0).integers(1, 1000, (2, 40, 50)).astype(np.uint16)
    tifffile.imwrite(
        folder / "image.tif", image, imagej=True, resolution=(2, 2), metadata={"axes": "CYX", "unit": "um"}
    )
    for name, channel in zip("xy", image, strict=True):
        tifffile.imwrite(folder / f"{name}.tif", channel)
    return folder


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_inspect_shows_what_becomes_of_each_layer(folder, capsys) -> None:
    code, out, _ = run(capsys, "inspect", folder / "a.keras")
    assert code == 0
    for text in ("first", "convolution 3 × 3, relu", "max over 2 × 2", "9 × 9", "FLOP per pixel"):
        assert text in out


def test_inspect_as_json_is_the_report(folder, capsys) -> None:
    _, out, _ = run(capsys, "inspect", folder / "a.keras", "--json")
    report = json.loads(out)
    assert report["speedup_ceiling"] == nf.convert(folder / "a.keras").report.speedup_ceiling


def test_segment_writes_labels_and_scores_with_the_image_s_axes_and_pixel_size(folder, capsys, tmp_path) -> None:
    labels, scores = tmp_path / "labels.tif", tmp_path / "scores.tif"
    code, out, _ = run(
        capsys, "segment", folder / "image.tif", "--model", folder / "a.keras", "--model", folder / "b.h5",
        "-o", labels, "--probabilities", scores, "--preprocess", "divide_by_median,clip:0,2", "--tile", 16,
        "--border", "edge",
    )  # fmt: skip
    assert code == 0
    assert "2,000 pixels" in out
    image = np.moveaxis(tifffile.imread(folder / "image.tif"), 0, -1)
    expected = nf.segment(
        image, [folder / "a.keras", folder / "b.h5"], preprocess=["divide_by_median", "clip:0,2"], border="edge",
        probabilities=True,
    )  # fmt: skip
    np.testing.assert_array_equal(tifffile.imread(labels), expected.labels)
    np.testing.assert_allclose(np.moveaxis(tifffile.imread(scores), 0, -1), expected.probabilities, atol=1e-6)
    with tifffile.TiffFile(labels) as tiff:
        assert tiff.series[0].axes == "YX"
        assert tiff.pages.first.tags["XResolution"].value == (2, 1)


def test_from_zarr_to_zarr_axes_and_pixel_size_are_kept_and_the_labels_are_the_same(folder, capsys, tmp_path) -> None:
    pixels = tifffile.imread(folder / "image.tif")
    meaning = ImageFile(pixels, "CYX", {"Y": 0.5, "X": 0.5}, "µm")
    image = GrowingZarr(tmp_path / "image.zarr", (40, 50, 2), (16, 16, 1), pixels.dtype, meaning, classes=True)
    image.array[:, :] = np.moveaxis(pixels, 0, -1)
    image.finish()
    code, out, _ = run(
        capsys, "segment", tmp_path / "image.zarr", "--model", folder / "a.keras", "-o", tmp_path / "labels.zarr",
        "--probabilities", tmp_path / "maps.zarr", "--tile", 16, "--verify",
    )  # fmt: skip
    assert code == 0
    assert "256 of 256 labels" in out
    expected = nf.segment(np.moveaxis(pixels, 0, -1), folder / "a.keras", probabilities=True)
    labels, maps = (read_image([tmp_path / name]) for name in ("labels.zarr", "maps.zarr"))
    assert (labels.axes, maps.axes, labels.unit) == ("YX", "CYX", "µm")
    assert labels.pixel_size == maps.pixel_size == {"Y": 0.5, "X": 0.5}
    np.testing.assert_array_equal(labels.data[:], expected.labels)
    np.testing.assert_allclose(np.moveaxis(maps.data[:], 0, -1), expected.probabilities, atol=1e-6)
    assert (tmp_path / "labels.provenance.json").is_file()
    again = ("segment", tmp_path / "image.zarr", "--model", folder / "a.keras", "-o", tmp_path / "labels.zarr")
    code, _, err = run(capsys, *again)
    assert code == 1
    assert "labels.zarr exists already. Choose another name, or replace it with --overwrite" in err


@pytest.mark.parametrize("form", [3, 2])
def test_labels_and_objects_are_put_into_their_image(folder, capsys, tmp_path, form) -> None:
    pixels = tifffile.imread(folder / "image.tif")
    write_image(tmp_path / "image.zarr", ImageFile(pixels, "CYX", {"Y": 0.5, "X": 0.5}, "µm", zarr_format=form))
    labels = tmp_path / "image.zarr" / "labels" / "classes"
    segment = ("segment", tmp_path / "image.zarr", "--model", folder / "a.keras", "-o", labels)
    code, out, _ = run(capsys, *segment)
    assert code == 0
    assert f"image.labels-classes.zarr is now {labels}." in out
    np.testing.assert_array_equal(
        read_image([labels]).data[:], nf.segment(np.moveaxis(pixels, 0, -1), folder / "a.keras").labels
    )
    code, _, err = run(capsys, *segment)
    assert (code, "classes exists already. Choose another name, or replace it with --overwrite" in err) == (1, True)
    assert run(capsys, *segment, "--overwrite")[0] == 0
    objects = labels.with_name("cells")
    assert run(capsys, "instances", labels, "-o", objects, "--interior", 1)[0] == 0
    group = zarr.open_group(tmp_path / "image.zarr", mode="r")
    about = group["labels"].attrs["ome"] if form == 3 else dict(group["labels"].attrs)
    assert about["labels"] == ["classes", "cells"]
    told = [dict(group[f"labels/{name}"].attrs) for name in about["labels"]]
    told = [one["ome"] for one in told] if form == 3 else told
    assert [one["image-label"]["source"] for one in told] == [{"image": "../../"}] * 2
    assert [one["multiscales"][0].get("version", "0.5") for one in told] == ["0.5" if form == 3 else "0.4"] * 2
    assert [color["label-value"] for color in told[0]["image-label"]["colors"]] == [1, 2, 3]
    assert group["labels/cells/0"].metadata.zarr_format == form
    beside = sorted(path.name for path in tmp_path.iterdir())
    assert beside == ["image.report", "image.zarr"]
    assert provenance_of_file(objects)["instances"]["labels"] == str(labels)
    (tmp_path / "image.zarr" / "labels" / "mine").mkdir()
    code, _, err = run(capsys, *segment[:-1], labels.with_name("mine"))
    assert (code, "mine is there already, and this program has not written it" in err) == (1, True)


def test_some_pixels_patch_by_patch_come_with_their_pixel_size_and_a_time_beforehand(folder, capsys, tmp_path) -> None:
    labels, whole = tmp_path / "some.tif", tmp_path / "whole.tif"
    common = ("segment", folder / "image.tif", "--model", folder / "a.keras", "-o")
    code, _, err = run(
        capsys, *common, labels, "--method", "patchwise", "--every", 3, "--region", "6:40", "0:33"
    )  # fmt: skip
    assert code == 0
    assert "Patch by patch: about" in err
    assert "132 pixels" in err  # 12 x 11
    run(capsys, *common, whole, "--quiet")
    expected = np.zeros((40, 50), np.uint8)
    expected[6:40, :33] = tifffile.imread(whole)[6:40, :33]
    np.testing.assert_array_equal(tifffile.imread(labels), expected[::3, ::3])
    with tifffile.TiffFile(labels) as tiff:
        assert tiff.series[0].axes == "YX"
        count, of = tiff.pages[0].tags["XResolution"].value
        assert count / of == pytest.approx(2 / 3)


def test_frames_and_a_mask_of_a_stack_with_confidence_and_disagreement(folder, capsys, tmp_path) -> None:
    stack = np.random.default_rng(1).integers(1, 1000, (4, 2, 30, 35)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    mask = np.zeros((30, 35), np.uint8)
    mask[4:20, 10:30] = 255
    tifffile.imwrite(tmp_path / "mask.png.tif", mask)
    code, out, err = run(
        capsys, "segment", tmp_path / "stack.tif", "--model", folder / "a.keras", folder / "b.h5", "--verify",
        "-o", tmp_path / "labels.tif", "--confidence", tmp_path / "sure.tif", "--disagreement", tmp_path / "no.zarr",
        "--frames", "1:3", "--mask", tmp_path / "mask.png.tif",
    )  # fmt: skip
    assert code == 0, err
    assert "640 pixels" in out
    assert "256 of 256 labels" in out
    models = [folder / "a.keras", folder / "b.h5"]
    expected = nf.segment(
        np.moveaxis(stack, 1, -1), models, frames=[(1, 3)], mask=mask, confidence=True, disagreement=True
    )
    assert np.count_nonzero(expected.labels) == 2 * 16 * 20
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), expected.labels)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "sure.tif"), expected.confidence)
    disagreement = read_image([tmp_path / "no.zarr"])
    assert disagreement.axes == "ZYX"
    np.testing.assert_array_equal(disagreement.data[:], expected.disagreement)
    provenance = json.loads((tmp_path / "labels.provenance.json").read_text())
    assert provenance["mask"] == expected.provenance["mask"]
    assert provenance["settings"]["frames"] == [[1, 3]]
    code, _, err = run(
        capsys, "segment", folder / "image.tif", "--model", folder / "a.keras", "-o", tmp_path / "x.tif",
        "--mask", tmp_path / "mask.png.tif",
    )  # fmt: skip
    assert (code, "30 × 35" in err, "40 × 50" in err) == (1, True, True)


def test_channels_that_the_file_does_not_name_are_no_axis_of_the_labels(folder, capsys, tmp_path) -> None:
    image, labels = tmp_path / "plain.tif", tmp_path / "labels.tif"
    tifffile.imwrite(image, np.zeros((2, 20, 25), np.float32))
    assert run(capsys, "segment", image, "--model", folder / "a.keras", "-o", labels)[0] == 0
    with tifffile.TiffFile(labels) as tiff:
        assert (tiff.series[0].axes, tiff.series[0].shape) == ("YX", (20, 25))


def test_one_file_per_channel_is_the_same_image(folder, capsys, tmp_path) -> None:
    for name, image in (("a", ["image.tif"]), ("b", ["x.tif", "y.tif"])):
        paths = [folder / i for i in image]
        assert run(capsys, "segment", *paths, "--model", folder / "a.keras", "-o", tmp_path / f"{name}.tif")[0] == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), tifffile.imread(tmp_path / "b.tif"))


def test_verify_says_what_it_found_and_leaves_the_certificate(folder, capsys, tmp_path) -> None:
    arguments = ("verify", folder / "image.tif", "--model", folder / "a.keras", "--points", 50, "--seed", 3)
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert out.startswith("Conversion check passed: 50 of 50 labels")
    beside = folder / "image.a.certificate.json"
    assert f"Certificate: {beside}" in out
    assert (Certificate.load(beside).points, Certificate.load(beside).seed) == (50, 3)
    beside.unlink()
    run(capsys, *arguments, "--certificate", tmp_path / "proof.json")
    assert Certificate.load(tmp_path / "proof.json").passed
    assert "Certificate" not in run(capsys, *arguments, "--no-certificate")[1]
    assert not beside.exists()


def test_segment_can_verify_what_it_writes(folder, capsys, tmp_path) -> None:
    arguments = ("segment", folder / "image.tif", "--model", folder / "a.keras", "-o", tmp_path / "l.tif")
    code, out, _ = run(capsys, *arguments, "--verify", "--tile", 16)
    assert code == 0
    assert "Conversion check passed: 256 of 256 labels" in out
    provenance = json.loads((tmp_path / "l.provenance.json").read_text(encoding="utf-8"))
    certificate = Certificate.from_dict(provenance["certificate"])
    assert certificate.tile == tuple(provenance["tile"]) == (16, 16)
    assert certificate.models[0].sha256 == provenance["models"][0]["sha256"]
    assert run(capsys, *arguments)[0] == 1
    assert run(capsys, *arguments, "--overwrite")[0] == 0
    assert "certificate" not in json.loads((tmp_path / "l.provenance.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", ["verify", "segment"])
def test_a_difference_is_told_by_the_exit_code(folder, capsys, tmp_path, monkeypatch, command) -> None:
    real = verification.patchwise_scores
    monkeypatch.setattr(verification, "patchwise_scores", lambda *a: real(*a) + np.float32(0.01))
    place = {"verify": ("--certificate", tmp_path / "proof.json"), "segment": ("--verify", "-o", tmp_path / "l.tif")}
    code, out, _ = run(capsys, command, folder / "image.tif", "--model", folder / "a.keras", "--quiet", *place[command])
    assert code == 3
    assert "Conversion check FAILED" in out
    if command == "verify":
        assert not Certificate.load(tmp_path / "proof.json").passed
    else:
        assert (tmp_path / "l.tif").exists()


def test_inspect_writes_updates_and_shows_the_sidecar(folder, capsys, tmp_path) -> None:
    model = tmp_path / "m.keras"
    model.write_bytes((folder / "a.keras").read_bytes())
    _, out, _ = run(capsys, "inspect", model)
    assert "No sidecar" in out
    assert not read_sidecar(model)
    _, out, _ = run(capsys, "inspect", model, "--write-sidecar")
    assert read_sidecar(model) == blank(classes=3, channels=2, spatial=2)
    code, out, _ = run(
        capsys, "inspect", model, "--write-sidecar", "--class-names", "background,edge,[red]inside", "--channel-names",
        "phase, of light", "DAPI", "--preprocess", "divide_by_median", "clip:0,2", "--pixel-size", 0.65, "--unit", "µm",
        "--citation", "Somebody 2026", "--doi", "10.1000/182", "--name", "HeLa",
    )  # fmt: skip
    assert code == 0
    for text in ("background #999999, edge #0072b2, [red]inside #d55e00", "phase, of light, DAPI", "y 0.65, x 0.65"):
        assert text in out
    sidecar = read_sidecar(model)
    assert sidecar.preprocess == ("divide_by_median", "clip:0,2")
    assert (sidecar.cite[0].text, sidecar.cite[0].doi) == ("Somebody 2026", "10.1000/182")
    run(
        capsys, "inspect", model, "--write-sidecar", "--preprocess", "none", "--class-colors", "#000000,#111111,#222222"
    )
    changed = replace(sidecar, preprocess=(), class_colors=("#000000", "#111111", "#222222"))
    assert read_sidecar(model) == changed
    _, out, _ = run(capsys, "inspect", model, "--json")
    assert Sidecar.from_dict(json.loads(out)["sidecar"]) == changed


def test_a_run_is_prepared_as_the_sidecar_says(folder, capsys, tmp_path) -> None:
    model = tmp_path / "m.keras"
    model.write_bytes((folder / "a.keras").read_bytes())
    run(capsys, "inspect", model, "--write-sidecar", "--preprocess", "clip:0,2")
    steps = {}
    for name, option in (("sidecar", ()), ("none", ("--preprocess", "none")), ("own", ("--preprocess", "sigmoid"))):
        output = tmp_path / f"{name}.npy"
        assert run(capsys, "segment", folder / "image.tif", "--model", model, "-o", output, *option)[0] == 0
        provenance = json.loads((tmp_path / f"{name}.provenance.json").read_text(encoding="utf-8"))
        steps[name] = provenance["settings"]["preprocess"]
    assert steps == {"sidecar": ["clip:0,2"], "none": [], "own": ["sigmoid"]}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--class-names", "a,b"], "'class_names' has 2 entries, and the model has 3 classes"),
        (["--channel-names", "a"], "'channel_names' has 1 entries, and the model has 2 channels"),
        (["--pixel-size", "small"], "a number, or one per axis"),
        (["--pixel-size", "1,2,3"], "'pixel_size' has 3 entries"),
        (["--unit", "furlong"], "instead of a unit of length"),
        (["--class-colors", "red,green,blue"], "instead of a colour"),
        (["--preprocess", "blur"], "no preprocessing step 'blur'"),
        (["--citation", "X", "--doi", "here"], "instead of a DOI"),
    ],
)
def test_a_field_that_does_not_fit_is_not_written(folder, capsys, tmp_path, options, says) -> None:
    model = tmp_path / "m.keras"
    model.write_bytes((folder / "a.keras").read_bytes())
    code, _, err = run(capsys, "inspect", model, "--write-sidecar", *options)
    assert code == 1
    assert says in err
    assert os.listdir(tmp_path) == ["m.keras"]
    assert "add --write-sidecar" in run(capsys, "inspect", model, *options)[2]


def test_of_several_answers_one_is_chosen_and_each_has_names_of_its_own(keras_child, folder, capsys, tmp_path) -> None:
    model = tmp_path / "m.keras"
    keras_child(save_two_outputs, str(model))
    run(capsys, "inspect", model, "--write-sidecar", "--class-names", "background,cell,dirt")
    run(capsys, "inspect", model, "--write-sidecar", "--model-output", "edge", "--class-names", "no,yes")
    kind, edge = nf.load_model(model), nf.load_model(model, output="edge")
    assert (kind.output, kind.class_names) == ("kind", ("background", "cell", "dirt"))
    assert (edge.output, edge.class_names) == ("edge", ("no", "yes"))
    proof = tmp_path / "proof.json"
    arguments = (folder / "image.tif", "--model", model, "--model-output", "edge", "--preprocess", "scale_linear:0.001")
    assert run(capsys, "verify", *arguments, "--certificate", proof)[0] == 0
    assert Certificate.load(proof).models[0].output == "edge"
    assert (
        run(capsys, "segment", *arguments, "-o", tmp_path / "edge.npy", "--probabilities", tmp_path / "p.npy")[0] == 0
    )
    assert np.load(tmp_path / "edge.npy").max() <= 2
    assert np.load(tmp_path / "p.npy").shape == (1, 40, 50)
    code, _, err = run(capsys, "inspect", model, "--model-output", "egde")
    assert code == 1
    assert "'kind', 'edge'" in err


def test_a_sidecar_that_cannot_be_read_is_replaced_only_when_told(folder, capsys, tmp_path) -> None:
    model = tmp_path / "m.keras"
    model.write_bytes((folder / "a.keras").read_bytes())
    (tmp_path / "m.fcnseg.json").write_text("my notes", encoding="utf-8")
    code, _, err = run(capsys, "inspect", model, "--write-sidecar")
    assert code == 1
    assert "no valid JSON" in err
    assert (tmp_path / "m.fcnseg.json").read_text(encoding="utf-8") == "my notes"
    assert run(capsys, "inspect", model, "--write-sidecar", "--replace-sidecar")[0] == 0
    assert read_sidecar(model) == blank(classes=3, channels=2, spatial=2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("segment {f}/gone.tif --model {f}/a.keras -o {o}/l.tif", "no image file"),
        ("segment {f}/image.tif --model {f}/gone.keras -o {o}/l.tif", "no such file"),
        ("segment {f}/image.tif --model {f}/recurrent.keras -o {o}/l.tif", "'memory' (LSTM)"),
        ("segment {f}/image.tif --model {f}/image.tif -o {o}/l.tif", "cannot be used as a model"),
        ("segment {f}/x.tif --model {f}/a.keras -o {o}/l.tif", "takes 2 channels"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/no/l.tif", "no folder"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.gif", "no ending"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.tif --border wrap", "no border rule"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.tif --tile 0", "at least 1"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.tif --preprocess blur", "no preprocessing step"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.tif --device TPU", "no device"),
        ("inspect {f}/recurrent.keras", "it is recurrent"),
        ("verify {f}/image.tif --model {f}/a.keras --points 0", "at least 1"),
        ("verify {f}/image.tif --model {f}/a.keras --certificate {o}/no/p.json", "There is no folder {o}/no"),
        ("demo --sample fish --output {o}", "no sample 'fish'"),
    ],
)
def test_a_mistake_is_one_line_without_a_traceback(folder, capsys, tmp_path, arguments, says) -> None:
    code, _, err = run(capsys, *arguments.format(f=folder, o=tmp_path).split())
    assert code == 1
    message = [line for line in err.splitlines() if line.startswith("napari-fcnseg: ")]
    assert len(message) == 1
    assert says.format(o=tmp_path) in message[0]
    assert "Traceback" not in err
    assert not list(tmp_path.glob("*.tif"))


def test_a_wrong_command_line_is_usage(capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["segment"])
    assert "usage" in capsys.readouterr().err


def test_a_real_process_gives_only_the_sentence_and_the_exit_code(folder, tmp_path) -> None:
    command = [sys.executable, "-m", "napari_fcnseg.cli.main", "segment", str(folder / "image.tif")]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [*command, "--model", str(folder / "recurrent.keras"), "-o", str(tmp_path / "l.tif")],
        capture_output=True, text=True, timeout=60 * patience(), env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_what_was_done_before_the_engine_died_is_kept(folder, capsys, tmp_path, monkeypatch) -> None:
    def die_after_two(done: int, total: int) -> None:
        if done == 2:  # stopped first, so that something waits for it when it dies: it is replaced otherwise
            os.kill(pid := engine().pid, signal.SIGSTOP)
            threading.Timer(0.5 * patience(), os.kill, (pid, signal.SIGKILL)).start()

    monkeypatch.setattr(cli_segment, "progress_bar", lambda *_: contextlib.nullcontext(die_after_two))
    arguments = ("segment", folder / "image.tif", "--model", folder / "a.keras", "--tile", 8, "-o", tmp_path / "l.tif")
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert "computing process ended" in err
    assert "of 35 tiles are done and kept" in err
    assert "The same command goes on." in err
    kept = np.asarray(read_image([tmp_path / "l.tif.partial.zarr"]).data)
    whole = nf.segment(np.moveaxis(tifffile.imread(folder / "image.tif"), 0, -1), folder / "a.keras").labels
    assert 2 * 60 < np.count_nonzero(kept) < kept.size
    np.testing.assert_array_equal(kept[kept > 0], whole[kept > 0])
    monkeypatch.undo()
    assert run(capsys, *arguments)[0] == 0
    assert any("of 35 tiles were there already" in note for note in provenance_of_file(tmp_path / "l.tif")["notes"])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "l.tif"), whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["l.provenance.json", "l.tif"]
