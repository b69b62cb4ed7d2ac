"""A full disk, a name that leads in a circle, names that differ in capitals: the true reason, and what helps."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_fcnseg.cli import main as cli
from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile import ImageFile, read_image, write_image
from napari_fcnseg.system.saving import Plan, same_file, save_text
from napari_fcnseg.system.saving.names import lock_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = Path(__file__).resolve().parent.parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"
POSIX = pytest.mark.skipif(os.name == "nt", reason="limits and links of POSIX")
LABELS = ImageFile(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8), "YX")


@pytest.fixture
def full(tmp_path) -> Iterator[Path]:
    """Return a folder on a disk of which nothing is left."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True).returncode
    except OSError:
        done = 1
    if done:
        pytest.skip("no disk can be made here")
    try:
        (folder / "rest").write_bytes(b"x" * 4096)
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def images(folder: Path) -> Path:
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", np.zeros((20, 24, 3), np.uint8))
    return folder


def test_a_batch_onto_a_full_disk_names_that_and_no_report(full, tmp_path, capsys) -> None:
    assert cli.main(["segment", str(images(tmp_path / "in")), "--model", str(MODEL), "-o", str(full)]) == 1
    out, err = capsys.readouterr()
    assert "report.partial.csv cannot be written: the disk is full. Make room there, or choose a folder on" in err
    assert "Report:" not in out + err
    assert "1 not done" in err
    assert [path.name for path in full.iterdir()] == ["rest"]


@POSIX
def test_a_batch_where_files_may_not_be_that_large_names_that_and_no_report(tmp_path, capsys) -> None:
    source = images(tmp_path / "in")
    (tmp_path / "out").mkdir()
    with largest_file(10):
        code = cli.main(["segment", str(source), "--model", str(MODEL), "-o", str(tmp_path / "out")])
    assert code == 1
    out, err = capsys.readouterr()
    assert "report.partial.csv cannot be written: it is larger than files may be there." in err
    assert "Report:" not in out + err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("ending", [".tif", ".ome.tif", ".png", ".npy", ".zarr"])
def test_a_result_for_a_full_disk_is_kept_or_has_advice_that_helps(full, tmp_path, monkeypatch, ending) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OutputError, match="the disk is full") as caught:
        write_image(full / f"labels{ending}", LABELS)
    said = str(caught.value)
    if ending == ".zarr":
        assert "Make room there, or choose a folder on another disk." in said
    else:
        (kept,) = tmp_path.glob("rescued-*")
        assert str(kept) in said
        np.testing.assert_array_equal(read_image([kept]).data, LABELS.data)
    assert [path.name for path in full.iterdir()] == ["rest"]


def test_a_text_for_a_full_disk_is_said(full) -> None:
    with pytest.raises(OutputError, match=r"could not be written: the disk is full\. Make room there"):
        save_text(full / "a.csv", "mask,of,score,value\n", overwrite=False)


@POSIX
def test_an_output_whose_links_lead_in_a_circle_is_refused_before_anything_is_made(tmp_path, capsys) -> None:
    image = images(tmp_path / "in") / "a.tif"
    (tmp_path / "a.tif").symlink_to("b.tif")
    (tmp_path / "b.tif").symlink_to("a.tif")
    before = sorted(tmp_path.iterdir())
    for option in ("-o", "-o x.tif --probabilities"):
        command = f"segment {image} --model {MODEL} {option.replace('x.tif', str(tmp_path / 'x.tif'))}".split()
        for more in ((), ("--overwrite",)):
            assert cli.main([*command, str(tmp_path / "a.tif"), *more]) == 1
            assert (
                "a.tif cannot be written: its links lead in a circle. Choose another name." in capsys.readouterr().err
            )
    assert sorted(tmp_path.iterdir()) == before


def tells_capitals(folder: Path) -> bool:
    (folder / "probe").touch()
    found = not (folder / "PROBE").exists()
    (folder / "probe").unlink()
    return found


def test_names_that_differ_in_capitals_are_two_files_where_the_disk_says_so(tmp_path) -> None:
    two = tells_capitals(tmp_path)
    small, capital = tmp_path / "n.tif", tmp_path / "N.tif"
    assert same_file(small, capital) is not two
    assert (lock_of(small) != lock_of(capital)) is two
    assert same_file(small, tmp_path / "sub" / ".." / "n.tif") or not (tmp_path / "sub").exists()
    if two:
        with Plan((small, capital)).claim():
            pass
        write_image(small, LABELS)
        write_image(capital, LABELS)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["N.tif", "n.tif"]
    else:
        with pytest.raises(OutputError, match="are one file"), Plan((small, capital)).claim():
            pass
    composed, taken_apart = tmp_path / "\u00e9.tif", tmp_path / "e\u0301.tif"
    composed.touch()
    one = taken_apart.exists()
    composed.unlink()
    assert same_file(composed, taken_apart) is one


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts as Linux does")
def test_names_that_differ_in_capitals_are_one_file_where_the_disk_says_so(tmp_path) -> None:
    disk, folder = tmp_path / "disk", tmp_path / "fat"
    folder.mkdir()
    with disk.open("wb") as file:
        file.truncate(2**20)
    try:
        subprocess.run(["mkfs.vfat", str(disk)], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", str(disk), str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no such disk can be made here")
    try:
        assert same_file(folder / "n.tif", folder / "N.tif")
        assert lock_of(folder / "n.tif") == lock_of(folder / "N.tif")
    finally:
        subprocess.run(["umount", str(folder)], check=True)
