"""``napari-fcnseg instances``: the file, its axes and pixel size, where it comes from, and one line for a mistake."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_fcnseg import InstanceSettings, find_instances
from napari_fcnseg.cli import main as cli
from napari_fcnseg.imagefile import read_image, write_image
from napari_fcnseg.instances import blocks
from napari_fcnseg.samples.synthetic import fluorescence_cells

if TYPE_CHECKING:
    from pathlib import Path


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["instances", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def labels(tmp_path) -> Path:
    path = tmp_path / "labels.tif"
    classes = fluorescence_cells(3, (96, 128))[1]
    tifffile.imwrite(path, classes, imagej=True, resolution=(2, 2), metadata={"axes": "YX", "unit": "um"})
    (tmp_path / "labels.provenance.json").write_text(json.dumps({"program": "napari-fcnseg", "tile": [64, 64]}))
    return path


def test_instances_are_those_of_the_api_with_the_labels_pixel_size(labels, capsys, tmp_path) -> None:
    output = tmp_path / "cells.tif"
    code, out, _ = run(
        capsys, labels, "-o", output, "--interior", 3, "--edge", 2, "--minimum-size", 30, "--fill-holes", 9
    )
    settings = InstanceSettings(3, 2, minimum_size=30, fill_holes=9)
    expected = find_instances(tifffile.imread(labels), settings)
    written = read_image([output])
    median = np.median(np.bincount(expected.ravel())[1:])
    assert code == 0
    assert out.strip() == f"{output}: {expected.max()} objects, median {median:g} px ({median / 4:.3g} µm²)."
    np.testing.assert_array_equal(written.data, expected)
    assert (written.axes, written.pixel_size, written.unit) == ("YX", {"X": 0.5, "Y": 0.5}, "µm")
    made = json.loads((tmp_path / "cells.provenance.json").read_text())
    assert made["tile"] == [64, 64]
    assert InstanceSettings.from_dict(made["instances"]["settings"]) == settings
    assert (made["instances"]["labels"], made["instances"]["spatial"]) == (str(labels), 2)


def test_labels_on_disk_are_searched_block_by_block_into_the_same_files(labels, capsys, tmp_path, monkeypatch) -> None:
    """The objects are never in memory at once: nothing asks for more of an array on disk than a block."""
    monkeypatch.setattr(blocks, "_ROOM", 2**11)
    write_image(tmp_path / "labels.zarr", replace(read_image([labels]), class_names=()))
    made = {}
    for ending in (".tif", ".zarr"):
        output = tmp_path / f"own-{ending[1:]}{ending}"
        own = {"--table": output.with_suffix(".csv"), "--outlines": output.with_suffix(".geojson")}
        options = (part for option in own.items() for part in option)
        code, out, err = run(
            capsys, labels.with_suffix(ending), "-o", output, "--interior", 3, "--edge", 2, *options, "--image", labels,
        )  # fmt: skip
        assert (code, [line for line in err.splitlines() if not line.startswith("Searching")]) == (0, [])
        assert "27/27 blocks" in err
        made[ending] = (
            out.split(": ")[1].split(". ")[0], np.asarray(read_image([output]).data).tolist(),
            *(path.read_text() for path in own.values()),
        )  # fmt: skip
    assert made[".tif"] == made[".zarr"]
    assert not list(tmp_path.glob(".fcnseg*"))
    assert read_image([tmp_path / "own-zarr.zarr"]).pixel_size == {"X": 0.5, "Y": 0.5}


def test_a_stack_is_searched_slice_by_slice_or_as_a_volume(tmp_path, capsys) -> None:
    stack = np.zeros((3, 8, 8), np.uint8)
    stack[:, 2:5, 2:5] = 1
    np.save(tmp_path / "stack.npy", stack)
    arguments = (tmp_path / "stack.npy", "-o", tmp_path / "found.npy", "--interior", 1, "--overwrite")
    assert "3 objects, median 9 px." in run(capsys, *arguments)[1]
    assert "1 object, 27 px." in run(capsys, *arguments, "--volume")[1]
    assert np.load(tmp_path / "found.npy").max() == 1
    assert run(capsys, *arguments, "--quiet")[1] == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--interior", 3, "--edge", 3), "cannot be interior and edge"),
        (("--interior", 1, "--method", "magic"), "components, watershed"),
        (("--interior", 1, "--volume"), "no volume. Leave --volume out"),
        (("--interior", 1, "--connectivity", 3), "at most the number of axes"),
    ],
)
def test_a_mistake_is_one_line(labels, tmp_path, capsys, arguments, says) -> None:
    code, _, err = run(capsys, labels, "-o", tmp_path / "out.tif", *arguments)
    assert (code, err.count("\n")) == (1, 1)
    assert says in err
    assert not (tmp_path / "out.tif").exists()


def test_no_instance_is_explained_and_no_mistake(labels, tmp_path, capsys) -> None:
    code, out, err = run(capsys, labels, "-o", tmp_path / "out.tif", "--interior", 9)
    assert code == 0
    assert "out.tif: No objects." in out
    assert "no pixel is of class 9. The labels hold the classes 1, 2, 3: choose one of them." in err
    assert not tifffile.imread(tmp_path / "out.tif").any()


def test_an_image_with_channels_is_no_label_image(tmp_path, capsys) -> None:
    np.save(tmp_path / "rgb.npy", np.zeros((8, 8, 3), np.uint8))
    code, _, err = run(capsys, tmp_path / "rgb.npy", "-o", tmp_path / "out.tif", "--interior", 1)
    assert code == 1
    assert "labels have none" in err


def test_they_are_measured_and_outlined(labels, capsys, tmp_path) -> None:
    image = tmp_path / "image.tif"
    tifffile.imwrite(image, np.full((96, 128), 7, np.uint16))
    table, outlines = tmp_path / "cells.csv", tmp_path / "cells.geojson"
    arguments = (labels, "-o", tmp_path / "a.tif", "--interior", 3, "--table", table, "--outlines", outlines)
    code, out, _ = run(capsys, *arguments, "--image", image)
    assert code == 0
    assert f"{table} and {outlines} written." in out
    found = np.asarray(read_image([tmp_path / "a.tif"]).data)
    head, *rows = (line.split(",") for line in table.read_text().splitlines())
    assert head[:3] == ["label", "area (px)", "area (µm²)"]
    assert [int(row[1]) for row in rows] == np.bincount(found.ravel())[1:].tolist()
    assert float(rows[0][2]) == float(rows[0][1]) / 4
    assert {row[head.index("mean channel 1")] for row in rows} == {"7"}
    assert len(json.loads(outlines.read_text())["features"]) == len(rows)
    code, _, err = run(capsys, labels, "-o", tmp_path / "b.tif", "--interior", 3, "--table", tmp_path / "t.txt")
    assert (code, "has to end with .csv" in err) == (1, True)


@pytest.mark.parametrize("axis", [0, -1])
def test_channels_that_a_file_does_not_name_are_what_the_labels_lack(labels, capsys, tmp_path, axis) -> None:
    image = tmp_path / "image.tif"
    channels = [np.full((96, 128), number, np.uint16) for number in (7, 8)]
    tifffile.imwrite(image, np.stack(channels, axis=axis), photometric="minisblack")
    arguments = (labels, "-o", tmp_path / "a.tif", "--interior", 3, "--table", tmp_path / "cells.csv")
    code, _, err = run(capsys, *arguments, "--image", image)
    assert (code, err) == (0, "")
    head, *rows = (line.split(",") for line in (tmp_path / "cells.csv").read_text().splitlines())
    for number in (1, 2):
        assert {row[head.index(f"mean channel {number}")] for row in rows} == {str(number + 6)}


def test_a_class_that_no_pixel_has_is_said_even_when_quiet(labels, tmp_path, capsys) -> None:
    for number, (classes, said) in enumerate({
        (9,): "No objects: no pixel is of class 9.",
        (1, 9): "No pixel of the labels is of class 9, which you asked for.",
    }.items()):  # fmt: skip
        code, out, err = run(capsys, labels, "-o", tmp_path / f"{number}.tif", "--interior", *classes, "--quiet")
        assert (code, out) == (0, "")
        assert said in err
    code, _, err = run(capsys, labels, "-o", tmp_path / "e.tif", "--interior", 1, "--edge", 9, "--quiet")
    assert (code, "of class 9, which you asked for" in err) == (0, True)


def test_classes_go_by_the_names_that_the_labels_have(labels, capsys, tmp_path) -> None:
    beside = tmp_path / "labels.provenance.json"
    beside.write_text(json.dumps({"program": "napari-fcnseg", "classes": ["Background", "edge", "Nucleus"]}))
    output = tmp_path / "cells.tif"
    assert run(capsys, labels, "-o", output, "--interior", "nucleus", "--edge", "edge")[0] == 0
    np.testing.assert_array_equal(
        tifffile.imread(output), find_instances(tifffile.imread(labels), InstanceSettings(3, 2))
    )
    code, _, err = run(capsys, labels, "-o", tmp_path / "no.tif", "--interior", "nuclei")
    assert code == 1
    assert "There is no class 'nuclei'. Did you mean 'Nucleus'? The classes are 1 'Background', 2 'edge'" in err
    beside.unlink()
    assert (
        "do not say what their classes are called"
        in run(capsys, labels, "-o", tmp_path / "no.tif", "--interior", "nucleus")[2]
    )
