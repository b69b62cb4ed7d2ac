"""A run over an image at an address: the bits of the file, and what is done is kept when the connection is lost."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr
from store_server import StoreServer
from zarr.storage import FsspecStore

import napari_fcnseg as nf
from napari_fcnseg.arrays import frame_source
from napari_fcnseg.arrays.frame_source import first_channels, transposed
from napari_fcnseg.cli import main as cli
from napari_fcnseg.errors import ImageError, InMemoryError
from napari_fcnseg.imagefile import ImageFile, read_image, write_image
from napari_fcnseg.imagefile.remote import store as store_module
from napari_fcnseg.run.cluster.order import folder_of, opened, place_of, place_of_files
from napari_fcnseg.samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE = SAMPLES["cells"]
CHOSEN: dict[str, Any] = {"preprocess": SAMPLE.preprocess, "channel_axis": 0, "tile": 48}


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[StoreServer]:
    monkeypatch.setattr(store_module, "_PAUSES", (0.01, 0.01, 0.01))
    (tmp_path / "served").mkdir()
    served = StoreServer(tmp_path / "served")
    pixels = np.moveaxis(SAMPLE.image()[:150, :200], -1, 0)
    zarr.create_array(served.folder / "cells.zarr", data=pixels, chunks=(1, 50, 50))
    yield served
    served.close()


def at(server: StoreServer) -> Any:
    return read_image([f"{server.address}/cells.zarr"]).data


def plain(server: StoreServer) -> np.ndarray:
    return nf.segment(zarr.open_array(server.folder / "cells.zarr")[:], SAMPLE.model_path, **CHOSEN).labels


def test_a_lost_connection_ends_the_run_and_the_same_call_goes_on(server, tmp_path, monkeypatch) -> None:
    chosen = {**CHOSEN, "preprocess": (), "out": tmp_path / "labels.zarr"}
    for name in ("_HELD", "_CELL", "_CACHE"):  # as a large frame, it is read where it is needed
        monkeypatch.setattr(frame_source, name, 1)

    def lose(done: int, total: int) -> None:
        server.failing = {"c/1/2/3": 503}

    with pytest.raises(ImageError, match=r"c/1/2/3 cannot be read: 127.0.0.1:\d+ failed \(503\), 4 times"):
        nf.segment(at(server), SAMPLE.model_path, progress=lose, **chosen)
    server.failing = {}
    assert (tmp_path / "labels.partial.zarr").is_dir()
    result = nf.segment(at(server), SAMPLE.model_path, **chosen)
    assert any("tiles were there already" in note for note in result.provenance["notes"])
    expected = nf.segment(at(server)[:], SAMPLE.model_path, **{**CHOSEN, "preprocess": ()}).labels
    np.testing.assert_array_equal(result.labels[:], expected)


def test_another_image_at_the_address_is_begun_anew(server, tmp_path) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise StopError

    with pytest.raises(StopError):
        nf.segment(at(server), SAMPLE.model_path, out=tmp_path / "labels.zarr", progress=stop, **CHOSEN)
    pixels = zarr.open_array(server.folder / "cells.zarr")[:]
    shutil.rmtree(server.folder / "cells.zarr")
    zarr.create_array(server.folder / "cells.zarr", data=pixels[:, ::-1], chunks=(1, 50, 50))
    result = nf.segment(at(server), SAMPLE.model_path, out=tmp_path / "labels.zarr", **CHOSEN)
    assert any("was of another image. It is begun anew." in note for note in result.provenance["notes"])
    np.testing.assert_array_equal(result.labels[:], plain(server))


def test_the_command_line_takes_an_address_and_notes_it_without_secrets(server, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = np.moveaxis(SAMPLE.image()[:100, :100], -1, 0)
    write_image(server.folder / "ome.zarr", ImageFile(image, "CYX", {"Y": 0.5, "X": 0.5}, "µm"))
    address = f"http://me:geheim@127.0.0.1:{server.port}/ome.zarr?signature=geheim"
    common = ["--model", str(SAMPLE.model_path), "--quiet"]
    assert cli.main(["segment", address, *common, "-o", "labels.zarr"]) == 0
    image = read_image(["labels.zarr"])
    assert (image.pixel_size, image.unit) == ({"Y": 0.5, "X": 0.5}, "µm")
    text = (tmp_path / "labels.provenance.json").read_text(encoding="utf-8")
    assert json.loads(text)["image"]["addresses"] == [f"{server.address}/ome.zarr/0"]
    assert cli.main(["verify", address, *common, "--points", "8"]) == 0
    (certificate,) = tmp_path.glob("ome.*.certificate.json")
    assert cli.main(["segment", f"{server.address}/none.zarr", *common, "-o", "none.zarr"]) == 1
    captured = capsys.readouterr()
    assert f"There is no Zarr image at {server.address}/none.zarr" in captured.err
    assert cli.main(["segment", address, *common, "-o", f"{server.address}/labels.zarr"]) == 1
    assert "is on another computer, which is only read: write to a folder here." in capsys.readouterr().err
    for said in (text, certificate.read_text(encoding="utf-8"), captured.out, captured.err):
        assert "geheim" not in said


def test_a_worker_opens_what_the_head_has_opened(server) -> None:
    address = f"{server.address}/cells.zarr"
    expected = zarr.open_array(server.folder / "cells.zarr")[:]
    foreign = zarr.open_array(FsspecStore.from_url(address, read_only=True))
    for array in (at(server), foreign, da.from_zarr(foreign)):
        place = json.loads(json.dumps(place_of(array)))
        assert place == {"address": address, "inside": ""}
        np.testing.assert_array_equal(opened(place)[:], expected)
    place = place_of_files([address], None, 2)
    assert place["files"] == [address]
    np.testing.assert_array_equal(opened(place)[:], expected)
    with pytest.raises(InMemoryError, match="only in this computer's memory"):
        place_of(zarr.create_array(FsspecStore.from_url("memory://b.zarr"), data=expected))


def test_a_worker_opens_axes_in_another_order_and_the_first_channels(tmp_path) -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (3, 4, 5, 6))
    array = zarr.create_array(tmp_path / "a.zarr", data=pixels)
    moved = first_channels(transposed(array, (2, 3, 0, 1)), 3, 3)
    place = json.loads(json.dumps(place_of(moved)))
    found = opened(place)
    np.testing.assert_array_equal(found[1:3, :, 2, :], pixels.transpose(2, 3, 0, 1)[1:3, :, 2, :3])
    assert folder_of(place) == tmp_path
    assert folder_of({"address": "https://a.org/b.zarr", "inside": ""}) is None
    for only_here in (pixels, transposed(pixels, (1, 0, 2, 3))):
        with pytest.raises(InMemoryError, match="only in this computer's memory"):
            place_of(only_here)


@pytest.mark.timeout(120)
def test_a_cluster_computes_it_to_the_same_bits(server, tmp_path) -> None:
    pytest.importorskip("distributed")
    before = len(server.asked)
    result = nf.segment(at(server), SAMPLE.model_path, out=tmp_path / "l.zarr", cluster="local:1", **CHOSEN)
    np.testing.assert_array_equal(result.labels[:], plain(server))
    assert len(server.asked) - before > 24, "the worker read every chunk by itself"
