"""A disk without room is said before anything is computed."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import napari_fcnseg as nf
from napari_fcnseg.cli import main as cli
from napari_fcnseg.errors import OutputError
from napari_fcnseg.run.run import Run
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.system.saving import room
from napari_fcnseg.system.saving.room import check_room, size_on_disk


@pytest.fixture
def free(monkeypatch) -> SimpleNamespace:
    disk = SimpleNamespace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: disk)
    return disk


def test_files_on_one_disk_are_added_up(free, tmp_path) -> None:
    check_room([(tmp_path / "a", 600), (tmp_path / "missing" / "b", 600)])
    with pytest.raises(
        OutputError, match=r"The results take at least 1.17 KiB on the disk of .*a, of which 1000 bytes"
    ):
        check_room([(tmp_path / "a", 600), (tmp_path / "b", 600)])


def test_nothing_is_computed_for_a_disk_without_room(free, tmp_path, monkeypatch, capsys) -> None:
    sample = SAMPLES["cells"]
    image = sample.image()[:64, :64]
    np.save(tmp_path / "image.npy", image)
    monkeypatch.setattr(Run, "execute", lambda *_, **__: pytest.fail("it has begun"))
    with pytest.raises(OutputError, match="Make room, or choose another disk"):
        nf.segment(image, sample.model_path, out=tmp_path / "l.zarr", probabilities_out=tmp_path / "p.zarr")
    assert not list(tmp_path.glob("*.zarr"))
    line = ["segment", str(tmp_path / "image.npy"), "--model", str(sample.model_path), "-o", str(tmp_path / "l.npy")]
    assert cli.main([*line, "--quiet"]) == 1
    assert "The result takes at least 4 KiB on the disk" in capsys.readouterr().err


def test_what_is_there_already_counts(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.zarr" / "c").mkdir(parents=True)
    (tmp_path / "a.zarr" / "c" / "0").write_bytes(b"1234")
    (tmp_path / "a.zarr" / "zarr.json").write_bytes(b"12")
    assert size_on_disk(tmp_path / "a.zarr") == 6
    assert size_on_disk(tmp_path / "b.zarr") == 0
    monkeypatch.setattr(room, "_MOST_FILES", 1)
    assert size_on_disk(tmp_path / "a.zarr") == float("inf")
