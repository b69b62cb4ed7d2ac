"""``napari-fcnseg compare`` as it is typed: what files mean, what is printed, and what is never written over."""

from __future__ import annotations

import json
import os
import threading

import numpy as np
import pytest
import tifffile

from napari_fcnseg import compare, score_probability
from napari_fcnseg.cli import main as cli

TRUTH = np.zeros((40, 50), np.uint8)
TRUTH[5:15, 5:20] = 1
TRUTH[20:30, 30:45] = 2
SCORES = np.random.default_rng(0).dirichlet((1, 1), TRUTH.shape)  # (row, column, class)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("truth.npy", TRUTH)
    np.save("mask.npy", np.roll(TRUTH, 1))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["npy", "tif"])
def test_maps_without_names_of_axes_have_their_channels_where_the_rest_is_the_truth(first, kind) -> None:
    maps = np.moveaxis(SCORES, -1, 0) if first else SCORES
    np.save("maps.npy", maps)
    tifffile.imwrite("maps.tif", maps.astype(np.float32), photometric="minisblack", metadata=None)
    assert cli.main(f"compare truth.npy --probabilities maps.{kind} --json out.json".split()) == 0
    with open("out.json", encoding="utf-8") as file:
        data = json.load(file)
    assert data["notes"] == []
    for label, found in enumerate(data["probabilities"], start=1):
        expected = score_probability(
            TRUTH, SCORES[..., label - 1].astype(np.float32 if kind == "tif" else float), label
        )
        assert (found["label"], found["average_precision"]) == (label, pytest.approx(expected.average_precision))


def test_maps_of_which_no_axis_can_be_the_channels_are_refused(capsys) -> None:
    np.save("maps.npy", np.zeros((2, 41, 50)))
    assert cli.main("compare truth.npy --probabilities maps.npy".split()) == 1
    assert "the shape 2 × 41 × 50 and the truth 40 × 50" in capsys.readouterr().err


def test_names_are_printed_whole_and_tell_files_apart(capsys) -> None:
    names = ["m[old].npy", f"{'long ' * 18}1.npy", f"{'long ' * 18}2.npy", "a/same.npy", "b/same.npy"]
    for folder in "ab":
        os.mkdir(folder)
    for name in names:
        np.save(name, TRUTH)
    assert cli.main(["compare", "truth.npy", *names]) == 0
    out = "".join(capsys.readouterr().out.split())
    for name in names:
        assert out.count("".join(name.split())) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--probabilities maps.npy --report r.html", "--report is for masks"),
        ("--probabilities maps.npy --spatial 3", "--spatial is for masks"),
        ("mask.npy --label 1", "--label says which label each map"),
        ("mask.npy --csv mask.npy", "mask.npy is read: it is never written over"),
        ("mask.npy --csv out.txt --json ./out.txt", "Two results would be written into out.txt"),
        ("mask.npy --ignore 99999999999999999999", "whole numbers of at most 63 bits"),
    ],
)
def test_what_does_not_belong_together_is_said_before_anything_is_written(words, said, capsys) -> None:
    np.save("maps.npy", SCORES)
    before = sorted(os.listdir())
    assert cli.main(["compare", "truth.npy", *words.split()]) == 1
    assert said in capsys.readouterr().err
    assert sorted(os.listdir()) == before
    np.testing.assert_array_equal(np.load("mask.npy"), np.roll(TRUTH, 1))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has named pipes")
def test_a_pipe_is_written_to_and_a_link_stays_one() -> None:
    os.mkfifo("pipe")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(open("pipe", encoding="utf-8").read()), daemon=True)
    reader.start()
    assert cli.main("compare truth.npy mask.npy --json pipe".split()) == 0
    reader.join(10)
    assert json.loads(got[0])["masks"][0]["mask"] == "mask.npy"
    os.symlink("target.json", "link.json")
    assert cli.main("compare truth.npy mask.npy --json link.json".split()) == 0
    assert os.path.islink("link.json")
    assert os.path.isfile("target.json")


def test_each_axis_of_ome_tiff_has_its_own_unit() -> None:
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 500.0, "PhysicalSizeYUnit": "nm"}
    tifffile.imwrite("truth.ome.tif", TRUTH, metadata={"axes": "YX", **sizes})
    tifffile.imwrite("mask.ome.tif", np.roll(TRUTH, 1, 0), metadata={"axes": "YX", **sizes})
    assert cli.main("compare truth.ome.tif mask.ome.tif --json out.json".split()) == 0
    with open("out.json", encoding="utf-8") as file:
        found = json.load(file)["masks"][0]
    expected = compare(TRUTH, np.roll(TRUTH, 1, 0), spacing=(0.5, 0.5), unit="µm")
    assert (found["spacing"], found["unit"]) == ([0.5, 0.5], "µm")
    assert found["borders"][0]["hausdorff"] == expected.borders[0].hausdorff == 0.5
    assert found["overall"]["accuracy"] == expected.overall.accuracy
