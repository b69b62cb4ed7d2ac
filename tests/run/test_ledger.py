"""A run into Zarr goes on where it was, whatever ended it, to the same bits; another run begins anew and says why."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr

import napari_fcnseg as nf
from napari_fcnseg.arrays import frame_source
from napari_fcnseg.errors import OutputError
from napari_fcnseg.preprocess.statistics import Statistics
from napari_fcnseg.run.ledger import Ledger
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.system.saving.names import ledger_of

if TYPE_CHECKING:
    from pathlib import Path

MODEL = SAMPLES["cells"].model_path
CHOSEN = {"preprocess": SAMPLES["cells"].preprocess, "channel_axis": -1, "tile": (40, 50)}
PART = "labels.partial.zarr"


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.ascontiguousarray(SAMPLES["cells"].image()[:150, :200])


@pytest.fixture(scope="module")
def whole(pixels) -> nf.Segmentation:
    return nf.segment(pixels, MODEL, probabilities=True, **CHOSEN)


class StopError(Exception):
    """Ends a run as nothing that the program expects does."""


def stop_after(tiles: int):
    def progress(done: int, total: int) -> None:
        if done >= tiles:
            raise StopError

    return progress


def stopped(pixels, folder: Path, tiles: int = 5, **more) -> None:
    with pytest.raises(StopError):
        nf.segment(pixels, MODEL, out=folder / "labels.zarr", progress=stop_after(tiles), **{**CHOSEN, **more})


def goes_on(pixels, folder: Path, **more) -> tuple[nf.Segmentation, int]:
    """Run again; return the result and how many tiles were computed."""
    seen: list[int] = []
    chosen = {**CHOSEN, "progress": lambda done, total: seen.append(done), **more}
    return nf.segment(pixels, MODEL, out=folder / "labels.zarr", **chosen), len(seen)


def test_the_same_call_goes_on_to_the_same_bits(pixels, whole, tmp_path) -> None:
    stopped(pixels, tmp_path)
    result, computed = goes_on(pixels, tmp_path)
    assert 0 < computed < 16
    assert any("tiles were there already" in note for note in result.provenance["notes"])
    np.testing.assert_array_equal(result.labels[:], whole.labels)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.zarr"], "neither a part nor a ledger is left"


def test_probabilities_are_kept_and_gone_on_with(pixels, whole, tmp_path) -> None:
    out = {"probabilities_out": tmp_path / "p.zarr"}
    stopped(pixels, tmp_path, 7, **out)
    result, computed = goes_on(pixels, tmp_path, **out)
    assert computed < 16
    np.testing.assert_array_equal(result.labels[:], whole.labels)
    np.testing.assert_array_equal(result.probabilities[:], whole.probabilities)


SCRIPT = """
import os, sys
import numpy as np
import napari_fcnseg as nf

pixels = np.load(sys.argv[1])
nf.segment(pixels, sys.argv[2], out=sys.argv[3], preprocess=["divide_by_median", "subtract_local_mean:61"],
           channel_axis=-1, tile=(40, 50), progress=lambda done, total: done < 6 or os.kill(os.getpid(), 9))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_run_goes_on(pixels, whole, tmp_path) -> None:
    assert list(SAMPLES["cells"].preprocess) == ["divide_by_median", "subtract_local_mean:61"]
    np.save(tmp_path / "pixels.npy", pixels)
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = [str(tmp_path / "pixels.npy"), str(MODEL), str(folder / "labels.zarr")]
    assert subprocess.run([sys.executable, "-c", SCRIPT, *arguments], check=False).returncode == -9
    assert ledger_of(folder / PART).is_file()
    result, computed = goes_on(pixels, folder)
    assert computed < 16
    np.testing.assert_array_equal(result.labels[:], whole.labels)
    assert not ledger_of(folder / PART).exists()


def test_statistics_of_a_large_frame_are_not_taken_again(pixels, whole, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(frame_source, "_HELD", 1000)
    stopped(pixels, tmp_path)

    def taken_again(self, ranks) -> None:
        pytest.fail("they were there")

    monkeypatch.setattr(Statistics, "numbers_at", taken_again)
    result, computed = goes_on(pixels, tmp_path)
    assert 0 < computed < 16
    np.testing.assert_array_equal(result.labels[:], whole.labels)


def test_what_is_not_as_the_ledger_says_is_computed_again(pixels, whole, tmp_path) -> None:
    stopped(pixels, tmp_path, 16 - 1)
    store = tmp_path / PART
    chunk = next(path for path in store.rglob("*") if path.is_file() and path.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:7])
    with ledger_of(store).open("ab") as file:
        file.write(b"[[],[[0,40],[0,")
    result, computed = goes_on(pixels, tmp_path)
    assert computed
    np.testing.assert_array_equal(result.labels[:], whole.labels)


def test_a_run_that_was_stopped_twice_goes_on_with_both_parts(pixels, whole, tmp_path) -> None:
    stopped(pixels, tmp_path, 4)
    stopped(pixels, tmp_path, 9)
    result, computed = goes_on(pixels, tmp_path)
    assert computed <= 16 - 4
    np.testing.assert_array_equal(result.labels[:], whole.labels)


@pytest.mark.parametrize(
    ("what", "change"),
    [("image", {}), ("settings", {"border": "edge"}), ("tile size", {"tile": 64}), ("mask", {"mask": True})],
)
def test_another_run_begins_anew_and_says_why(pixels, tmp_path, caplog, what, change) -> None:
    stopped(pixels, tmp_path)
    other = pixels[::-1].copy() if what == "image" else pixels
    if "mask" in change:
        change = {"mask": np.ones(pixels.shape[:2], bool)}
    with caplog.at_level(logging.WARNING):
        result, _ = goes_on(other, tmp_path, **change)
    words = "other settings" if what == "settings" else f"another {what}"
    assert f"{PART} was of {words}. It is begun anew." in caplog.text
    expected = nf.segment(other, MODEL, **{**CHOSEN, **change})
    np.testing.assert_array_equal(result.labels[:], expected.labels)


def test_a_tile_that_memory_chose_is_that_of_the_earlier_run(pixels, tmp_path, monkeypatch) -> None:
    from napari_fcnseg.plan import default_tile

    chosen = {**CHOSEN, "tile": None}
    for name in ("_WORK", "_STRIP_WORK"):
        monkeypatch.setattr(default_tile, name, 3e8)
    with pytest.raises(StopError):
        nf.segment(pixels, MODEL, out=tmp_path / "labels.zarr", progress=stop_after(2), **chosen)
    small = Ledger.of(tmp_path / PART)["tile"]
    monkeypatch.undo()
    result, _ = goes_on(pixels, tmp_path, tile=None)
    assert result.provenance["tile"] == small
    np.testing.assert_array_equal(
        result.labels[:], nf.segment(pixels, MODEL, **{**CHOSEN, "tile": tuple(small)}).labels
    )


def test_a_part_without_its_ledger_is_refused_as_before(pixels, tmp_path) -> None:
    stopped(pixels, tmp_path)
    ledger_of(tmp_path / PART).unlink()
    with pytest.raises(OutputError, match="an earlier run"):
        goes_on(pixels, tmp_path)
    shutil.rmtree(tmp_path / PART)
    assert goes_on(pixels, tmp_path)[1] >= 16
    assert zarr.open_array(tmp_path / "labels.zarr").shape == pixels.shape[:2]


def test_a_command_that_ended_with_everything_computed_only_gives_the_names(
    pixels, whole, tmp_path, monkeypatch
) -> None:
    from napari_fcnseg.cli import main as cli
    from napari_fcnseg.run.result import ResultArrays
    from napari_fcnseg.run.run import Run

    np.save(tmp_path / "pixels.npy", pixels)
    steps = ", ".join(CHOSEN["preprocess"])
    command = ["segment", "pixels.npy", "--model", str(MODEL), "-o", "labels.zarr", "--probabilities", "p.zarr"]
    command += ["--preprocess", steps, "--tile", "50", "--quiet"]
    monkeypatch.chdir(tmp_path)

    def killed(self) -> None:
        raise StopError

    with monkeypatch.context() as patched:
        patched.setattr(ResultArrays, "finish", killed)
        with pytest.raises(StopError):
            cli.main(command)
    assert (tmp_path / "labels.provenance.json").is_file()
    assert not (tmp_path / "labels.zarr").exists()
    tiles: list[int] = []
    tile = Run._tile
    monkeypatch.setattr(Run, "_tile", lambda self, *job: tiles.append(1) or tile(self, *job))
    assert cli.main(command) == 0
    assert not tiles
    written = json.loads((tmp_path / "labels.provenance.json").read_text(encoding="utf-8"))
    assert written["devices"] == ["CPU:0"]
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "labels.zarr" / "0")[:], whole.labels)
    assert cli.main(command) == 1, "it is there now"
