"""The command line as a person uses it: results, exit codes, and one line for a mistake."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from _keras_side import save_model

import napari_fcnseg as nf
from napari_fcnseg import cli
from napari_fcnseg.engine import engine

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
    same = [("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same", "name": "padded"}), *LAYERS[1:]]
    keras_child(save_model, {"input": (9, 9, 2), "layers": same}, str(folder / "same.keras"))
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


def test_one_file_per_channel_is_the_same_image(folder, capsys, tmp_path) -> None:
    for name, image in (("a", ["image.tif"]), ("b", ["x.tif", "y.tif"])):
        paths = [folder / i for i in image]
        assert run(capsys, "segment", *paths, "--model", folder / "a.keras", "-o", tmp_path / f"{name}.tif")[0] == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), tifffile.imread(tmp_path / "b.tif"))


def test_verify_says_what_it_found(folder, capsys) -> None:
    code, out, _ = run(capsys, "verify", folder / "image.tif", "--model", folder / "a.keras", "--points", 50)
    assert code == 0
    assert out.startswith("Verified: 50 of 50 pixels")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("segment {f}/gone.tif --model {f}/a.keras -o {o}/l.tif", "no image file"),
        ("segment {f}/image.tif --model {f}/gone.keras -o {o}/l.tif", "no such file"),
        ("segment {f}/image.tif --model {f}/same.keras -o {o}/l.tif", "'padded' (Conv2D)"),
        ("segment {f}/image.tif --model {f}/image.tif -o {o}/l.tif", "cannot be used as a model"),
        ("segment {f}/x.tif --model {f}/a.keras -o {o}/l.tif", "takes 2 channels"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/no/l.tif", "no folder"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.gif", "no ending"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.tif --border wrap", "no border rule"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.tif --tile 0", "at least 1"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.tif --preprocess blur", "no preprocessing step"),
        ("segment {f}/image.tif --model {f}/a.keras -o {o}/l.tif --device TPU", "no device"),
        ("inspect {f}/same.keras", 'padding="same"'),
        ("verify {f}/image.tif --model {f}/a.keras --points 0", "at least 1"),
        ("demo --sample fish --output {o}", "no sample 'fish'"),
    ],
)
def test_a_mistake_is_one_line_without_a_traceback(folder, capsys, tmp_path, arguments, says) -> None:
    code, _, err = run(capsys, *arguments.format(f=folder, o=tmp_path).split())
    assert code == 1
    message = [line for line in err.splitlines() if line.startswith("napari-fcnseg: ")]
    assert len(message) == 1
    assert says in message[0]
    assert "Traceback" not in err
    assert not list(tmp_path.glob("*.tif"))


def test_a_wrong_command_line_is_usage(capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["segment"])
    assert "usage" in capsys.readouterr().err


def test_a_real_process_gives_only_the_sentence_and_the_exit_code(folder, tmp_path) -> None:
    command = [sys.executable, "-m", "napari_fcnseg.cli", "segment", str(folder / "image.tif")]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [*command, "--model", str(folder / "same.keras"), "-o", str(tmp_path / "l.tif")],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_what_was_done_before_the_engine_died_is_kept(folder, capsys, tmp_path, monkeypatch) -> None:
    def die_after_two(done: int, total: int) -> None:
        if done == 2:
            os.kill(engine().pid, signal.SIGKILL)

    monkeypatch.setattr(cli, "_progress", lambda *_: contextlib.nullcontext(die_after_two))
    arguments = ("segment", folder / "image.tif", "--model", folder / "a.keras", "--tile", 8, "-o", tmp_path / "l.tif")
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert "computing process ended" in err
    assert "of 35 tiles are done and kept" in err
    kept = tifffile.imread(tmp_path / "l.partial.tif")
    whole = nf.segment(np.moveaxis(tifffile.imread(folder / "image.tif"), 0, -1), folder / "a.keras").labels
    assert 2 * 60 < np.count_nonzero(kept) < kept.size
    np.testing.assert_array_equal(kept[kept > 0], whole[kept > 0])
