"""Images and results of any size: read and written tile by tile, with the labels that arrays in memory give."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import zarr
from _keras_side import save_model

import napari_fcnseg as nf
from napari_fcnseg.arrays import frame_source as source_module
from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile import read_image
from napari_fcnseg.run import result as canvas_module

LAYERS = [
    ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "relu"}),
    ("MaxPooling2D", {}),
    ("Flatten", {}),
    ("Dense", {"units": 3, "activation": "softmax"}),
]  # fmt: skip
IMAGE = np.random.default_rng(0).integers(1, 1000, (90, 110, 2)).astype(np.uint16)


@pytest.fixture(scope="module")
def model(keras_child, tmp_path_factory) -> nf.PatchModel:
    path = tmp_path_factory.mktemp("canvas") / "a.keras"
    keras_child(save_model, {"input": (9, 9, 2), "layers": LAYERS}, str(path))
    return nf.load_model(path)


@pytest.fixture
def piecewise(monkeypatch) -> None:
    """Have small images treated as large ones."""
    for name, value in {"_HELD": 0, "_BLOCK": 2000, "_CELL": 1, "_CACHE": 20_000}.items():
        monkeypatch.setattr(source_module, name, value)


class Endless:
    """An image far larger than any memory, whose pixels follow from where they are; and a result that notes tiles."""

    def __init__(self, side: int) -> None:
        self.shape, self.dtype = (side, side), np.dtype("uint16")
        self.largest = self.tiles = 0

    def __getitem__(self, where: tuple[slice, ...]) -> np.ndarray:
        rows, columns = (np.arange(w.start, w.stop) for w in where)
        self.largest = max(self.largest, len(rows) * len(columns))
        return ((rows[:, None] * 40503 ^ columns * 30011) % 997).astype(np.uint16)

    def __setitem__(self, where: tuple[slice, ...], values: np.ndarray) -> None:
        self.tiles += 1
        assert values.all()


@pytest.mark.usefixtures("piecewise")
@pytest.mark.parametrize("border", ["reflect", "edge", "constant", "valid"])
def test_from_disk_to_disk_gives_the_same_as_in_memory_to_the_last_bit(model, tmp_path, monkeypatch, border) -> None:
    on_disk = zarr.create_array(tmp_path / "image.zarr", data=IMAGE, chunks=(16, 20, 2))
    steps = ["divide_by_median", "subtract_local_mean:7", "zero_mean_unit_variance@all"]
    chosen = {"preprocess": steps, "border": border, "tile": (30, 37), "channel_axis": 2}
    out = {"out": tmp_path / "labels.zarr", "probabilities_out": tmp_path / "scores.zarr"}
    streamed = nf.segment(on_disk, model, **chosen, **out)
    monkeypatch.undo()
    held = nf.segment(IMAGE, model, **chosen, probabilities=True)
    assert isinstance(streamed.labels, zarr.Array)
    np.testing.assert_array_equal(streamed.labels[:], held.labels)
    np.testing.assert_array_equal(streamed.probabilities[:], held.probabilities)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "labels.zarr")[:], held.labels)
    assert streamed.provenance["settings"] == held.provenance["settings"]


def test_of_an_endless_image_no_more_is_read_at_once_than_a_tile_needs(keras_child, tmp_path) -> None:
    keras_child(save_model, {"input": (9, 9, 1), "layers": LAYERS}, str(tmp_path / "one.keras"))
    image, result = Endless(2**20), Endless(2**20)
    result.dtype = np.dtype("uint8")
    where = [(700_000, 700_100), (1_048_500, 1_048_576)]
    nf.segment(image, tmp_path / "one.keras", region=where, tile=50, out=result)
    assert result.tiles == 4
    assert 0 < image.largest <= (50 + 8) ** 2
    corner = image[700_000 - 4 : 700_104, 1_048_496:1_048_576]  # what the region's pixels see, but the border
    expected = nf.segment(corner, tmp_path / "one.keras", tile=50).labels[4:-4, 4:]
    ours = np.zeros((100, 76), np.uint8)
    for tile in nf.iter_segment(image, tmp_path / "one.keras", region=where, tile=50):
        ours[tuple(slice(w.start - a, w.stop - a) for w, (a, _) in zip(tile.where, where, strict=True))] = tile.labels
    np.testing.assert_array_equal(ours, expected)


def test_tiles_go_into_an_array_that_is_given(model, tmp_path) -> None:
    expected = nf.segment(IMAGE, model, channel_axis=2, border="valid", probabilities=True)
    labels = np.lib.format.open_memmap(tmp_path / "labels.npy", "w+", np.uint16, (90, 110))
    labels[:] = 9
    scores = zarr.create_array({}, shape=(90, 110, 3), dtype="float64", chunks=(64, 64, 3))
    result = nf.segment(IMAGE, model, channel_axis=2, border="valid", tile=40, out=labels, probabilities_out=scores)
    assert result.labels is labels
    assert result.probabilities is scores
    inside = (slice(4, -4), slice(4, -4))
    np.testing.assert_array_equal(labels[inside], expected.labels[inside])
    assert (labels[:4] == 9).all()  # what has no prediction is left as it was
    np.testing.assert_allclose(scores[inside], expected.probabilities[inside], atol=1e-6)


def test_what_cannot_take_a_result_is_said_before_the_run(model, tmp_path, monkeypatch) -> None:
    dask = pytest.importorskip("dask.array")
    monkeypatch.setattr(canvas_module, "iter_tiles", lambda _: pytest.fail("it has begun"))
    readonly = np.zeros((90, 110), np.uint8)
    readonly.flags.writeable = False
    zarr.create_array(tmp_path / "there.zarr", data=readonly)
    for out, says in (
        (np.zeros((90, 111), np.uint8), r"90 × 111; it has to be 90 × 110"),
        (np.zeros((90, 110), bool), r"type bool, which cannot hold uint8"),
        (readonly, "reading only"),
        (zarr.open_array(tmp_path / "there.zarr", mode="r"), "reading only"),
        (dask.zeros((90, 110), dtype="uint8"), r"cannot be written into a Array"),
        ([], "cannot be written into a list"),
        (tmp_path / "there.zarr", "exists already"),
        (tmp_path / "no" / "labels.zarr", "no folder"),
        (tmp_path / "labels.tif", r"ends with \.zarr"),
    ):
        with pytest.raises(OutputError, match=says):
            nf.segment(IMAGE, model, channel_axis=2, out=out)
    with pytest.raises(OutputError, match=r"array for the probabilities has the type uint8"):
        nf.segment(IMAGE, model, channel_axis=2, probabilities_out=np.zeros((90, 110, 3), np.uint8))
    monkeypatch.setattr(canvas_module, "free_memory", lambda: 5000)
    with pytest.raises(OutputError, match=r"takes 9.67 KiB of memory and 4.88 KiB are free.*\.zarr"):
        nf.segment(IMAGE, model, channel_axis=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there.zarr"]


def test_a_run_that_ends_early_leaves_its_tiles_under_another_name(model, tmp_path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == 9
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nf.segment(IMAGE, model, channel_axis=2, tile=40, out=tmp_path / "labels.zarr", progress=stop)
    assert [p.name for p in tmp_path.iterdir() if p.name[0] != "."] == ["labels.partial.zarr"]
    kept = read_image([tmp_path / "labels.partial.zarr"]).data[:]
    expected = nf.segment(IMAGE, model, channel_axis=2, tile=40).labels
    np.testing.assert_array_equal(kept[kept > 0], expected[kept > 0])
    assert 4 * 30 * 36 <= np.count_nonzero(kept) <= 4 * 30 * 37  # four tiles, whatever their order
    again = {"channel_axis": 2, "tile": 40, "out": tmp_path / "labels.zarr"}
    np.testing.assert_array_equal(nf.segment(IMAGE, model, **again).labels[:], expected)
    assert [p.name for p in tmp_path.iterdir()] == ["labels.zarr"]


class Full:
    """An array on a disk that is soon full."""

    shape, dtype = (90, 110), np.dtype("uint8")

    def __init__(self) -> None:
        self.pixels = np.zeros(self.shape, self.dtype)
        self.room = 3

    def __setitem__(self, where: tuple[slice, ...], values: np.ndarray) -> None:
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.pixels[where] = values


def test_a_full_disk_is_said_and_what_is_written_stays(model) -> None:
    full = Full()
    with pytest.raises(OutputError, match=r"the disk is full.*Make room and run again"):
        nf.segment(IMAGE, model, channel_axis=2, tile=40, out=full)
    expected = nf.segment(IMAGE, model, channel_axis=2, tile=40).labels
    written = full.pixels > 0
    np.testing.assert_array_equal(full.pixels[written], expected[written])
    assert 3 * 30 * 36 <= np.count_nonzero(written) <= 3 * 30 * 37


def test_stored_chunks_are_whole_tiles(model, tmp_path) -> None:
    for tile, chunks in ((40, (90, 110)), ((1000, 13), (90, 110))):
        path = tmp_path / f"{chunks[0]}-{tile}.zarr"
        assert nf.segment(IMAGE, model, channel_axis=2, tile=tile, out=path).labels.chunks == chunks
