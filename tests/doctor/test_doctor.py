"""The doctor's report: of this computer, really started and timed."""

from __future__ import annotations

import json
import os

import numpy as np

from napari_fcnseg.cli.main import main
from napari_fcnseg.engine import engine
from napari_fcnseg.samples import SAMPLES


def test_the_report_says_what_is_here_and_times_it(capsys) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["facts"]["system"]
    assert report["versions"]["tensorflow"][0].isdigit()
    assert str(os.cpu_count()) in report["computer"]["processor"]
    assert "CPU:0" in [device["key"] for device in report["devices"]]
    exact, *others = report["timings"]
    assert (exact["device"], exact["precision"]) == (report["devices"][0]["key"], "float32")
    assert exact["seconds"] > 0
    assert {"tensorflow:CPU:0 float32", "tensorflow:CPU:0 bfloat16"} <= {
        f"{t['device']} {t['precision']}" for t in others
    }
    assert all(0 < t["max_abs_difference"] < 0.2 < t["label_agreement"] < 1.0001 for t in others)
    assert report["findings"]
    assert engine().warm, "the next run need not wait"


def test_the_report_is_text_too(capsys) -> None:
    assert main(["doctor", "--no-timing"]) == 0
    out, error = capsys.readouterr()
    lines = out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == [
        "Findings", "Devices", "Installed", "Computer"
    ]  # fmt: skip
    assert any(line.split()[:1] == ["CPU:0"] and "taken where none is chosen" in line for line in lines)
    assert "Starting" in error


def test_segment_says_what_a_precision_costs_before_it_runs(tmp_path, capsys) -> None:
    image = tmp_path / "image.npy"
    np.save(image, np.random.default_rng(0).random((40, 40, 2), np.float32))
    arguments = ["segment", str(image), "--model", str(SAMPLES["cells"].model_path), "-o", str(tmp_path / "labels.tif")]
    assert main([*arguments, "--precision", "bfloat16", "--preprocess", "none"]) == 0
    assert "× as fast as float32" in capsys.readouterr().err
    written = json.loads((tmp_path / "labels.provenance.json").read_text())
    assert written["precision"] == "bfloat16"
    assert main([*arguments, "--precision", "float8"]) == 1
    assert "no precision 'float8'" in capsys.readouterr().err


def test_a_device_that_is_not_there_points_to_the_doctor(tmp_path, capsys) -> None:
    image = tmp_path / "image.npy"
    np.save(image, np.zeros((40, 40, 2), np.float32))
    arguments = ["segment", str(image), "--model", str(SAMPLES["cells"].model_path), "-o", str(tmp_path / "labels.tif")]
    assert main([*arguments, "--device", "GPU:77", "--preprocess", "none"]) == 1
    assert "napari-fcnseg doctor" in capsys.readouterr().err
