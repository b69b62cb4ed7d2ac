"""Zarr at an address: the pixels of the file, true sentences, and never zeros for a chunk that could not be read."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import zarr
from store_server import StoreServer
from test_omezarr import PIXELS, SIZE, ome_zarr
from zarr.storage import FsspecStore

from napari_fcnseg.errors import ImageError, OutputError
from napari_fcnseg.imagefile import ImageFile, check_output, read_image, write_image
from napari_fcnseg.imagefile.identity import identity_of
from napari_fcnseg.imagefile.remote import store as store_module
from napari_fcnseg.imagefile.remote.opening import read_remote, remote_arrays
from napari_fcnseg.run.cluster.order import place_of
from napari_fcnseg.system.addresses import address_of, other_scheme, shown
from napari_fcnseg.system.saving import files_behind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = "/c.zarr/c/0/0/0"


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    monkeypatch.setattr(store_module, "_PAUSES", (0.01, 0.01, 0.01))


@pytest.fixture
def server(tmp_path) -> Iterator[StoreServer]:
    (tmp_path / "bucket").mkdir()
    served = StoreServer(tmp_path / "bucket")
    yield served
    served.close()


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Iterator[StoreServer]:
    (tmp_path / "bucket").mkdir()
    served = StoreServer(tmp_path, bucket=True)
    for name, value in {
        "AWS_ENDPOINT_URL": served.address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "geheim",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    yield served
    served.close()


def filled(folder: Path) -> None:
    """Write an image of each kind."""
    ome_zarr(folder / "a.zarr", "0.4")
    ome_zarr(folder / "b.zarr", "0.5")
    zarr.create_array(folder / "c.zarr", data=PIXELS[0], chunks=(1, 16, 16))
    zarr.create_array(folder / "s.zarr", data=PIXELS[0], chunks=(1, 8, 8), shards=(1, 16, 16))


def refusal(address: str, seconds: float = 5.0) -> str:
    """Return why an image cannot be opened or read."""
    with pytest.raises(ImageError) as caught:
        read_remote(address, seconds=seconds).data[:]
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("kind", ["server", "bucket"])
def test_every_kind_of_image_is_the_one_on_the_disk(kind, request) -> None:
    served = request.getfixturevalue(kind)
    folder = served.folder / "bucket" if served.bucket else served.folder
    base = "s3://bucket" if served.bucket else served.address
    filled(folder)
    for name in "abcs":
        image, there = read_image([f"{base}/{name}.zarr"]), read_image([folder / f"{name}.zarr"])
        assert (image.axes, image.pixel_size, image.unit) == (there.axes, there.pixel_size, there.unit)
        assert files_behind(image.data) == ()
        before = len(served.asked)
        np.testing.assert_array_equal(image.data[..., 17:20, 1], there.data[..., 17:20, 1])
        assert len(served.asked) - before <= 2 * 12, "what lies elsewhere is not asked for"
        np.testing.assert_array_equal(image.data[:], there.data[:])
    assert read_image([f"{base}/a.zarr"]).pixel_size == pytest.approx(SIZE)


def test_a_bucket_for_everybody_needs_no_credentials(bucket, monkeypatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    filled(bucket.folder / "bucket")
    np.testing.assert_array_equal(read_image(["s3://bucket/c.zarr"]).data[:], PIXELS[0])
    assert bucket.authorization == {""}


def test_a_server_that_gives_whole_files_alone_is_read_too(server) -> None:
    filled(server.folder)
    server.ranges = False
    np.testing.assert_array_equal(read_image([f"{server.address}/s.zarr"]).data[:], PIXELS[0])


def test_another_part_of_a_file_than_was_asked_for_is_refused(server) -> None:
    filled(server.folder)
    server.failing = {"/s.zarr/c/0/0/0": "shifted"}
    with pytest.raises(ImageError, match=r"s.zarr/c/0/0/0 comes in another part than was asked for"):
        read_image([f"{server.address}/s.zarr"]).data[0, 3, 4]


def test_images_without_listing_are_found_by_what_describes_them(server) -> None:
    group = zarr.create_group(server.folder / "p.zarr", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    for number in "01":
        ome_zarr(server.folder / "p.zarr" / number, "0.4")
    assert read_image([f"{server.address}/p.zarr"]).data.path == "0/full"
    group.create_group("OME", attributes={"series": ["1"]})
    assert read_image([f"{server.address}/p.zarr"], 0).data.path == "1/full"
    zarr.create_group(server.folder / "g.zarr").create_array("one", data=PIXELS[0])
    assert f"Name the image: {server.address}/g.zarr/NAME" in refusal(f"{server.address}/g.zarr")
    assert read_image([f"{server.address}/g.zarr/one"]).data.shape == PIXELS[0].shape


def test_a_chunk_that_is_not_there_is_the_fill_value_and_no_other_is(server) -> None:
    zarr.create_array(server.folder / "c.zarr", data=PIXELS[0], chunks=(1, 16, 16), fill_value=7)
    shutil.rmtree(server.folder / "c.zarr/c/0/0")
    there = read_image([server.folder / "c.zarr"]).data[:]
    assert (there[0, :16] == 7).all()
    np.testing.assert_array_equal(read_image([f"{server.address}/c.zarr"]).data[:], there)


@pytest.mark.parametrize("image", ["c", "s"])
@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (401, "refuses it (401)"),
        (403, "refuses it (403). Ask whoever keeps it for permission"),
        (410, "failed (410). Try again later."),
        (500, "failed (500), 4 times."),
        (503, "failed (503), 4 times."),
        ("cut", "was lost, 4 times. Check the network"),
        ("page", "is a web page, and not a part of a Zarr image"),
    ],
)
def test_a_chunk_that_cannot_be_read_is_never_zeros(server, failure, sentence, image) -> None:
    filled(server.folder)
    server.failing = {f"/{image}.zarr/c/0/0/0": failure}
    said = refusal(f"{server.address}/{image}.zarr")
    assert sentence in said
    assert server.address in said


@pytest.mark.parametrize("image", ["c", "s"])
@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (403, "the bucket bucket refuses it. Ask"),
        (500, "the bucket bucket failed (InternalError), 4 times"),
        ("cut", "the connection to the bucket bucket was lost, 4 times"),
    ],
)
def test_a_chunk_of_a_bucket_that_cannot_be_read_is_never_zeros(bucket, failure, sentence, image) -> None:
    filled(bucket.folder / "bucket")
    bucket.failing = {f"/{image}.zarr/c/0/0/0": failure}
    said = refusal(f"s3://bucket/{image}.zarr")
    assert sentence in said
    assert "geheim" not in said


def test_what_passes_is_waited_for(server) -> None:
    filled(server.folder)
    for failure in (500, "cut"):
        server.failing, server.times = {CHUNK: failure}, {CHUNK: 2}
        np.testing.assert_array_equal(read_image([f"{server.address}/c.zarr"]).data[:], PIXELS[0])
        assert server.times[CHUNK] == 0


@pytest.mark.parametrize("what", ["taken away", "changed"])
def test_an_image_that_goes_while_it_is_read_is_no_image_of_zeros(server, what) -> None:
    filled(server.folder)
    image = read_image([f"{server.address}/c.zarr"]).data
    shutil.rmtree(server.folder / "c.zarr")
    if what == "changed":
        zarr.create_array(server.folder / "c.zarr", shape=PIXELS[0].shape, dtype="f4", chunks=(1, 40, 50))
    with pytest.raises(ImageError, match=f"{server.address}/c.zarr was {what} while it was read"):
        image[:]


def test_what_is_at_an_address_is_said(server) -> None:
    filled(server.folder)
    (server.folder / "a.tif").write_bytes(b"II*\0")
    here = server.address
    assert refusal(f"{here}/none.zarr") == (
        f"There is no Zarr image at {here}/none.zarr: neither zarr.json nor .zarray nor .zgroup is there. Check the "
        "address."
    )
    assert "a.tif is no Zarr image, and at an address only those are read. Download" in refusal(f"{here}/a.tif")
    assert refusal("http://nowhere.invalid/a.zarr").endswith(
        "there is no computer called nowhere.invalid. Check the address and the network."
    )
    closed = StoreServer(server.folder)
    closed.close()
    assert f"127.0.0.1:{closed.port} refuses the connection." in refusal(f"{closed.address}/a.zarr")
    assert "is no address of an image" in refusal("https:///a.zarr")
    with pytest.raises(ImageError, match="Zarr is read from http://, https:// and s3://, not from gs://"):
        read_image(["gs://bucket/a.zarr"])


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (403, "c.zarr cannot be read: 127.0.0.1:PORT refuses it (403)"),
        (502, "c.zarr cannot be read: 127.0.0.1:PORT failed (502)"),
        ("page", "c.zarr is a web page, and not a part of a Zarr image"),
        ("slow", "c.zarr cannot be read: 127.0.0.1:PORT did not answer within 0.3 s"),
    ],
)
def test_a_description_that_cannot_be_read_is_said(server, failure, sentence) -> None:
    filled(server.folder)
    server.failing = dict.fromkeys((".json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"), failure)
    assert sentence.replace("PORT", str(server.port)) in refusal(f"{server.address}/c.zarr", 0.3)


def test_a_store_that_refuses_what_it_has_not_is_read(server) -> None:
    """As buckets that may not be listed do over HTTPS."""
    filled(server.folder)
    server.failing = dict.fromkeys(("zarr.json", ".zmetadata"), 403)
    np.testing.assert_array_equal(read_image([f"{server.address}/a.zarr"]).data[:], PIXELS)


def test_nothing_is_fetched_from_another_server(server, tmp_path) -> None:
    filled(server.folder)
    other = StoreServer(server.folder)
    server.failing = {CHUNK: f"moved:{other.address}{CHUNK}"}
    said = refusal(f"{server.address}/c.zarr")
    assert f"is said to be at another place now, {other.address}, and nothing is fetched from there" in said
    assert other.asked == []
    other.close()
    server.failing = {CHUNK: "moved:/b.zarr/../c.zarr/c/0/0/1"}
    server.times = {CHUNK: 1}
    shutil.copy(server.folder / "c.zarr/c/0/0/0", server.folder / "c.zarr/c/0/0/1")
    np.testing.assert_array_equal(read_image([f"{server.address}/c.zarr"]).data[0, :16, :16], PIXELS[0, 0, :16, :16])
    server.failing, server.times = {CHUNK: f"moved:{server.address}{CHUNK}"}, {}
    assert "in a circle" in refusal(f"{server.address}/c.zarr")


def test_secrets_reach_the_server_and_nobody_else(server) -> None:
    filled(server.folder)
    address = f"http://me:geheim@127.0.0.1:{server.port}/c.zarr?signature=geheim"
    image = read_image([address]).data
    np.testing.assert_array_equal(image[:], PIXELS[0])
    assert all(path.endswith("?signature=geheim") for path, _ in server.asked)
    assert {value.partition(" ")[0] for value in server.authorization} == {"Basic"}
    assert "geheim" not in repr([image.store, identity_of(image), image])
    server.failing = {CHUNK: 403}
    assert "geheim" not in refusal(address)
    assert "geheim" not in refusal(address.replace("c.zarr", "none.zarr"))
    assert "geheim" not in refusal(address.replace(str(server.port), "9"))


def test_another_image_at_an_address_is_told_from_the_first(server) -> None:
    filled(server.folder)
    for server.validators in (True, False):

        def identity() -> dict[str, Any] | None:
            return identity_of(read_image([f"{server.address}/c.zarr"]).data)

        first = identity()
        assert first is not None
        assert first == identity()
        shutil.rmtree(server.folder / "c.zarr")
        time.sleep(0.01)
        changed = np.where(np.arange(50) < 40, PIXELS[0], PIXELS[0] // 2 + server.validators)
        zarr.create_array(server.folder / "c.zarr", data=changed, chunks=(1, 16, 16))
        assert first != identity()


def test_the_store_of_another_program_is_known_too(server) -> None:
    filled(server.folder)
    layer = da.from_zarr(zarr.open_array(FsspecStore.from_url(f"{server.address}/c.zarr", read_only=True)))
    ours = read_image([f"{server.address}/c.zarr"]).data
    assert len(remote_arrays(layer)) == 1
    assert identity_of(layer) == identity_of(ours)
    memory = zarr.create_array(FsspecStore.from_url("memory://a.zarr"), data=PIXELS[0], chunks=(1, 16, 16))
    before = identity_of(memory)
    assert before == identity_of(memory)
    memory[0, 0, 0] += 1
    assert before != identity_of(memory)
    assert files_behind(memory, layer) == ()


def test_files_of_this_computer_are_files_whatever_reads_them(tmp_path) -> None:
    filled(tmp_path)
    plain = zarr.open_array(tmp_path / "c.zarr")
    through = zarr.open_array(FsspecStore.from_url(f"file://{tmp_path}/c.zarr", read_only=True))
    for array in (through, da.from_zarr(through), da.from_zarr(str(tmp_path / "c.zarr"))):
        assert files_behind(array) == files_behind(plain) == (tmp_path / "c.zarr",)
        assert remote_arrays(array) == ()
        assert identity_of(array) == identity_of(plain)
        assert place_of(array) == place_of(plain)


def test_what_is_missing_is_said_with_the_line_that_installs_it(server, monkeypatch) -> None:
    for module, address in (("aiohttp", f"{server.address}/a.zarr"), ("s3fs", "s3://bucket/a.zarr")):
        monkeypatch.setitem(sys.modules, module, None)
        said = refusal(address)
        assert f'({module}) is not installed. Install it: pip install "napari-fcnseg[remote]".' in said


def test_nothing_is_written_to_an_address(server, tmp_path) -> None:
    for name in (f"{server.address}/labels.zarr", "s3://bucket/labels.zarr"):
        with pytest.raises(OutputError, match=f"{name} is on another computer, which is only read: write to a folder"):
            write_image(tmp_path.__class__(name), ImageFile(PIXELS[0, 0], "YX"))
        with pytest.raises(OutputError, match="only read"):
            check_output(tmp_path.__class__(name))
    assert server.asked == []
    filled(server.folder)
    with pytest.raises(ValueError, match="read"):
        read_image([f"{server.address}/c.zarr"]).data[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://a.org/b.zarr", "https://a.org/b.zarr"),
        ("https:/a.org/b.zarr/", "https://a.org/b.zarr"),
        (PureWindowsPath("https://a.org/b.zarr"), "https://a.org/b.zarr"),
        ("HTTP://a.org/b", "http://a.org/b"),
        ("s3://bucket/b.zarr", "s3://bucket/b.zarr"),
        ("gs://bucket/b.zarr", ""),
        ("C:/images/b.zarr", ""),
        ("C:\\images\\b.zarr", ""),
        ("images/b.zarr", ""),
        ("/images/http:/b.zarr", ""),
    ],
)
def test_an_address_is_told_from_a_path(given, address) -> None:
    assert address_of(given) == address


def test_an_address_is_shown_without_what_opens_it() -> None:
    assert shown("https://me:word@a.org:81/b.zarr/?sig=1#x") == "https://a.org:81/b.zarr"
    assert (other_scheme("gs://b/c"), other_scheme("C:/b"), other_scheme("https://a/b")) == ("gs", "", "")
