"""What is no image is called what it is, with advice that helps, and nothing is waited for."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import zarr

from napari_fcnseg.batch import images_in
from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile import read_image

if TYPE_CHECKING:
    from collections.abc import Iterator

POSIX = pytest.mark.skipif(os.name == "nt", reason="pipes and permissions of POSIX")
NOBODY = 65534


def refusal(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_image([path])
    said = str(caught.value)
    assert str(path) in said
    assert "\n" not in said
    assert "image program" not in said  # advice for what can be opened there
    return said


@POSIX
@pytest.mark.parametrize("ending", [".tif", ".png", ".npy", ".zarr", ".czi", ""])
def test_a_pipe_is_not_waited_for(tmp_path, ending) -> None:
    os.mkfifo(tmp_path / f"pipe{ending}")
    assert "is a pipe" in refusal(tmp_path / f"pipe{ending}")
    (tmp_path / f"link{ending}").symlink_to(tmp_path / f"pipe{ending}")
    assert "is a pipe" in refusal(tmp_path / f"link{ending}")


@POSIX
def test_a_folder_with_pipes_in_it_is_gone_through(tmp_path) -> None:
    for name in ("a.csv", "report.csv", "b", "c.tif", "c.provenance.json"):
        os.mkfifo(tmp_path / name)
    np.save(tmp_path / "d.npy", np.zeros((4, 4)))
    found = images_in(tmp_path)
    assert [item.name for item in found.items] == ["c.tif", "d.npy"]
    with pytest.raises(ImageError, match="is a pipe"):
        found.items[0].read()


@POSIX
def test_devices_sockets_and_links_are_called_so(tmp_path, monkeypatch) -> None:
    assert "is a device" in refusal(Path(os.devnull))
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("plug.tif")
        assert "is a socket" in refusal(tmp_path / "plug.tif")
    (tmp_path / "a.tif").symlink_to(tmp_path / "b.tif")
    (tmp_path / "b.tif").symlink_to(tmp_path / "a.tif")
    assert "links lead in a circle" in refusal(tmp_path / "a.tif")
    (tmp_path / "c.tif").symlink_to("gone.tif")
    assert "is a link to gone.tif, which is not there" in refusal(tmp_path / "c.tif")


@pytest.mark.parametrize("ending", [".tif", ".ome.tiff", ".png", ".jpg", ".gif", ".npy", ".zarr", ".h5", ".nd2"])
def test_a_file_without_a_byte_is_called_empty(tmp_path, ending) -> None:
    (tmp_path / f"a{ending}").touch()
    assert "is empty: it has 0 bytes. Copy it again" in refusal(tmp_path / f"a{ending}")


def test_folders_that_are_no_zarr_image_are_told_apart(tmp_path) -> None:
    for name in ("a", "a.zarr", "b.zarr"):
        (tmp_path / name).mkdir()
    (tmp_path / "b.zarr" / "0").touch()
    assert "is a folder and holds no Zarr image" in refusal(tmp_path / "a")
    assert "the folder is empty" in refusal(tmp_path / "a.zarr")
    assert "lacks the file that describes it" in refusal(tmp_path / "b.zarr")
    zarr.create_array(tmp_path / "c.zarr", shape=(4, 4), dtype="u1")
    (tmp_path / "c.zarr" / "zarr.json").write_bytes(b"")
    assert "its zarr.json is empty" in refusal(tmp_path / "c.zarr")
    (tmp_path / "d.zarr").write_bytes(b"hello")
    assert "is a file, and a Zarr image is a folder" in refusal(tmp_path / "d.zarr")


@contextmanager
def somebody() -> Iterator[None]:
    """Be somebody who has no rights of the superuser: who is one anyway stays so."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that everybody may enter, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="fcnseg-"))
    folder.chmod(0o755)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@POSIX
def test_who_may_not_read_an_image_is_told_so(open_folder) -> None:
    tifffile.imwrite(open_folder / "a.tif", np.zeros((4, 4), np.uint8))
    np.save(open_folder / "a.npy", np.zeros((4, 4), np.uint8))
    zarr.create_array(open_folder / "a.zarr", shape=(4, 4), dtype="u1")
    (open_folder / "deep").mkdir()
    np.save(open_folder / "deep" / "a.npy", np.zeros((4, 4), np.uint8))
    names = ("a.tif", "a.npy", "a.zarr", "deep/a.npy")
    for name in names:
        read_image([open_folder / name])
    for name in ("a.tif", "a.npy", "a.zarr", "deep", "a.zarr/zarr.json"):
        (open_folder / name).chmod(0)
    said = {}
    with somebody():
        for name in names:
            said[name] = refusal(open_folder / name)
    (open_folder / "a.zarr").chmod(stat.S_IRWXU | stat.S_IXOTH | stat.S_IROTH)
    with somebody():
        said["zarr.json"] = refusal(open_folder / "a.zarr")
    for sentence in said.values():
        assert "you have no permission. Ask its owner for it" in sentence
