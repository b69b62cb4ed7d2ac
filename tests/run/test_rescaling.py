"""A model sees an image with pixels of its size, and labels lie on the image's own: in Python, a terminal, a batch."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_fcnseg as nf
from napari_fcnseg.arrays.rescaled import Grid, Rescaled
from napari_fcnseg.cli import main as cli
from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.imagefile import read_image
from napari_fcnseg.model.sidecar import Sidecar, write_sidecar
from napari_fcnseg.run.recipe import Inputs, as_command_line, as_python

MODEL = Path(__file__).resolve().parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"  # 14 x 14 patches, RGB
IMAGE = np.random.default_rng(0).integers(0, 255, (2, 30, 26, 3)).astype(np.uint8)


def expected(image: np.ndarray, factors: tuple[float, float], **options) -> tuple[Grid, nf.Segmentation]:
    """Return what a run on the rescaled image gives, taken back pixel by pixel."""
    grid = Grid.of(image.shape[-3:-1], factors)
    axes = (image.ndim - 3, image.ndim - 2)
    return grid, nf.segment(np.asarray(Rescaled(image, axes, grid)), MODEL, channel_axis=-1, **options)


def test_labels_and_numbers_lie_on_the_image_s_own_pixels(tmp_path) -> None:
    factors = (1.5, 0.8)
    grid, there = expected(IMAGE, factors, probabilities=True, confidence=True)
    found = nf.segment(IMAGE, MODEL, rescale=factors, channel_axis=-1, probabilities=True, confidence=True, tile=16)
    assert found.labels.shape == IMAGE.shape[:-1]
    np.testing.assert_array_equal(found.labels, grid.back(there.labels, first=1))
    np.testing.assert_allclose(found.probabilities, grid.back(there.probabilities, first=1), atol=1e-6)
    np.testing.assert_allclose(found.confidence, grid.back(there.confidence, first=1), atol=1e-6)
    assert found.provenance["rescale"] == list(factors)
    assert found.provenance["image"] == {"shape": list(IMAGE.shape), "dtype": "uint8"}
    out = np.zeros(IMAGE.shape[:-1], np.uint8)
    on_disk = nf.segment(
        IMAGE, MODEL, rescale=factors, channel_axis=-1, out=out, probabilities_out=tmp_path / "p.zarr", tile=16
    )
    np.testing.assert_array_equal(out, found.labels)
    np.testing.assert_allclose(on_disk.probabilities[:], found.probabilities, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rescale": 0}, "takes one number or 2"), ({"rescale": (2, 2, 2)}, "takes one number or 2"),
        ({"rescale": 2, "every": 2}, "leave out the rescaling, or every"),
        ({"rescale": 2, "region": [(0, 9), (0, 9)]}, "or region"),
        ({"rescale": 2, "mask": np.ones((30, 26))}, "or mask"),
    ],
)  # fmt: skip
def test_what_cannot_be_rescaled_is_said(options, says) -> None:
    with pytest.raises(FcnSegError, match=says):
        nf.segment(IMAGE[0], MODEL, **options)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    for file in MODEL.parent.glob(f"{MODEL.name}*"):
        shutil.copy(file, tmp_path)
    write_sidecar(tmp_path / MODEL.name, Sidecar(pixel_size=(0.5, 0.5), unit="micrometer"))
    (tmp_path / "in").mkdir()
    tifffile.imwrite(
        tmp_path / "in" / "a.tif", IMAGE[0], photometric="rgb", resolution=(1e4, 1e4), resolutionunit="CENTIMETER"
    )  # 1 µm
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_line_says_the_factor_and_rescales_by_it(folder, capsys) -> None:
    grid, there = expected(IMAGE[0], (2, 2))
    labels = grid.back(there.labels)
    command = "segment in/a.tif --model multi.dynamo.onnx --quiet -o"
    assert cli.main(f"{command} plain.tif".split()) == 0
    said = capsys.readouterr().err
    assert "The pixels of the image are 1 µm, and those that the model was trained on 0.5 µm." in said
    assert "2 times as large with --rescale" in said
    np.testing.assert_array_equal(tifffile.imread("plain.tif"), nf.segment(IMAGE[0], MODEL).labels)
    for name, more in (("a.tif", ["--rescale"]), ("b.zarr", ["--rescale", "2"]), ("c.tif", ["--rescale", "2", "2"])):
        assert cli.main([*command.split(), name, *more, "--verify"]) == 0
        assert "times as large" not in capsys.readouterr().err
        result = read_image([name], indices=True)
        np.testing.assert_array_equal(np.asarray(result.data[...]), labels)
        assert result.pixel_size == pytest.approx({"Y": 1.0, "X": 1.0})
    provenance = json.loads((folder / "a.provenance.json").read_text(encoding="utf-8"))
    assert provenance["rescale"] == [2.0, 2.0]
    again = shlex.split(as_command_line(provenance, Inputs(("in/a.tif",)), "again.tif", windows=False))
    assert cli.main(again[1:]) == 0
    np.testing.assert_array_equal(tifffile.imread("again.tif"), labels)
    exec(compile(as_python(provenance, Inputs(("in/a.tif",)), "script.tif"), "script", "exec"), {})
    np.testing.assert_array_equal(tifffile.imread("script.tif"), labels)


def test_a_batch_says_it_in_the_report_and_rescales_each_image_by_its_own_factor(folder, capsys) -> None:
    tifffile.imwrite(
        "in/b.tif", IMAGE[1], photometric="rgb", resolution=(2e4, 2e4), resolutionunit="CENTIMETER"
    )  # 0.5 µm
    np.save("in/c.npy", IMAGE[1])
    assert cli.main("segment in --model multi.dynamo.onnx -o plain".split()) == 0
    lines = {line.split(":")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "2 times as large with --rescale" in lines["a.tif"]
    assert "as large" not in lines["b.tif"] + lines["c.npy"]
    assert cli.main("segment in --model multi.dynamo.onnx -o out --rescale".split()) == 1
    lines = {line.split(":")[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "the image does not say how large a pixel is" in lines["c.npy"]
    grid, there = expected(IMAGE[0], (2, 2))
    np.testing.assert_array_equal(tifffile.imread("out/a.labels.tif"), grid.back(there.labels))
    np.testing.assert_array_equal(tifffile.imread("out/b.labels.tif"), nf.segment(IMAGE[1], MODEL).labels)
