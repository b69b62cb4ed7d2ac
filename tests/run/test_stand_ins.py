"""A run into a TIFF, or on a rescaled image, goes on where it was, too: its tiles lie in a Zarr folder until then."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tifffile

import napari_fcnseg as nf
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.system.saving.names import growing_at, ledger_of, stand_in

SAMPLE = SAMPLES["cells"]
SETTINGS = {"preprocess": SAMPLE.preprocess, "channel_axis": 0}

#: The command, in a process that ends itself as a power cut would once some tiles are written.
KILLED = """
import os, sys
from napari_fcnseg.cli.main import main
from napari_fcnseg.run.result import ResultArrays

written, put = [], ResultArrays._put

def count(self, tile):
    put(self, tile)
    written.append(tile)
    if len(written) == 5:
        os.kill(os.getpid(), 9)

ResultArrays._put = count
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def pixels(tmp_path_factory) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(SAMPLE.image()[:150, :200], -1, 0))


@pytest.fixture
def command(pixels, tmp_path) -> list[str]:
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "image.tif", pixels, photometric="minisblack", metadata={"axes": "CYX"})
    (tmp_path / "out").mkdir()
    steps = [part for step in SAMPLE.preprocess for part in ("--preprocess", step)]
    return ["--model", str(SAMPLE.model_path), "--tile", "50", *steps]


def run(arguments: list[str], *, killed: bool = False) -> subprocess.CompletedProcess[str]:
    how = ["-c", KILLED] if killed else ["-m", "napari_fcnseg.cli.main"]
    return subprocess.run([sys.executable, *how, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
@pytest.mark.parametrize(("name", "rescale"), [("labels.tif", None), ("labels.npy", 1.5), ("labels.zarr", 0.8)])
def test_a_killed_command_goes_on_to_the_same_bits(pixels, command, tmp_path, name, rescale) -> None:
    out = tmp_path / "out"
    scale = ["--rescale", str(rescale)] if rescale else []
    arguments = ["segment", str(tmp_path / "in" / "image.tif"), *command, *scale, "-o", str(out / name)]
    assert run(arguments, killed=True).returncode == -9
    part = growing_at(stand_in(out / name))
    assert part.name == f"{name}.partial.zarr"
    assert part.is_dir()
    assert ledger_of(part).is_file()
    ended = run(arguments)
    assert ended.returncode == 0, ended.stderr
    assert "tiles were there already" in ended.stderr
    left = sorted(path.name for path in out.iterdir())
    assert left == sorted([name, "labels.provenance.json"]), "nothing that stood for the result is left"
    expected = nf.segment(pixels, SAMPLE.model_path, tile=50, rescale=rescale, **SETTINGS)
    found = nf.imagefile.read_image([out / name]).data
    np.testing.assert_array_equal(np.asarray(found), expected.labels)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_another_rescaling_begins_anew(command, tmp_path) -> None:
    arguments = ["segment", str(tmp_path / "in" / "image.tif"), *command, "-o", str(tmp_path / "out" / "labels.tif")]
    assert run([*arguments, "--rescale", "1.5"], killed=True).returncode == -9
    ended = run([*arguments, "--rescale", "1.501"])  # as many pixels
    assert ended.returncode == 0, ended.stderr
    assert "was of another image. It is begun anew." in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_batch_goes_on_within_a_tiff(command, tmp_path) -> None:
    arguments = ["segment", str(tmp_path / "in"), *command, "-o", str(tmp_path / "out")]
    assert run(arguments, killed=True).returncode == -9
    ended = run(arguments)
    assert ended.returncode == 0, ended.stderr
    assert "tiles were there already" in (tmp_path / "out" / "report.csv").read_text(encoding="utf-8")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert not [name for name in names if "partial" in name or name.endswith(".ledger")]


def test_python_goes_on_with_a_rescaled_run(pixels, tmp_path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    chosen = {"tile": 50, "rescale": 1.5, "out": tmp_path / "labels.zarr", **SETTINGS}
    with pytest.raises(KeyboardInterrupt):
        nf.segment(pixels, SAMPLE.model_path, progress=stop, **chosen)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".ledger"] == ["labels.zarr.partial.zarr"]
    result = nf.segment(pixels, SAMPLE.model_path, **chosen)
    assert any("tiles were there already" in note for note in result.provenance["notes"])
    expected = nf.segment(pixels, SAMPLE.model_path, **{**chosen, "out": None})
    np.testing.assert_array_equal(result.labels[:], expected.labels)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.zarr"]


def test_numbers_in_memory_beside_labels_on_disk_do_not_stop_a_run(pixels, tmp_path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    chosen = {"tile": 50, "confidence": True, "out": tmp_path / "labels.zarr", **SETTINGS}
    with pytest.raises(KeyboardInterrupt):
        nf.segment(pixels, SAMPLE.model_path, progress=stop, **chosen)
    result = nf.segment(pixels, SAMPLE.model_path, overwrite=True, **chosen)
    expected = nf.segment(pixels, SAMPLE.model_path, tile=50, confidence=True, **SETTINGS)
    np.testing.assert_array_equal(result.labels[:], expected.labels)
    np.testing.assert_array_equal(result.confidence, expected.confidence)


def test_a_run_of_one_tile_needs_none(pixels, command, tmp_path) -> None:
    arguments = [str(tmp_path / "in" / "image.tif"), *command[:2], "-o", str(tmp_path / "out" / "l.tif")]
    killed = run(["segment", *arguments], killed=True)  # which comes after five tiles
    assert killed.returncode == 0, killed.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["l.provenance.json", "l.tif"]
