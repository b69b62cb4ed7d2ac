"""OME-Zarr keeps axes and pixel size both ways; a result has its name only once it is complete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import zarr

from napari_fcnseg.arrays.frame_source import ChannelStack, chunk_shape_of
from napari_fcnseg.errors import ImageError, OutputError
from napari_fcnseg.imagefile import GrowingZarr, ImageFile, check_output, read_image, reading, tiff

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.random.default_rng(0).integers(0, 999, (2, 3, 40, 50)).astype(np.uint16)
SIZE = {"Z": 2.0, "Y": 0.5, "X": 0.25}


def ome_zarr(path: Path, version: str) -> Path:
    """Write an image with two levels as the specification of a version says."""
    old = version == "0.4"
    group = zarr.create_group(path, zarr_format=2 if old else 3)
    for level, data in (("full", PIXELS), ("half", PIXELS[..., ::2, ::2])):
        group.create_array(level, shape=data.shape, dtype=data.dtype, chunks=(1, 1, 16, 16))[:] = data
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"
    ]
    datasets = [
        {"path": "full", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 0.25, 0.125]}]},
        {"path": "half", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 0.5, 0.25]}]},
    ]
    everything = [{"type": "scale", "scale": [1, 2, 2, 2]}]
    scales = [{"axes": axes, "datasets": datasets, "coordinateTransformations": everything, "version": version}]
    group.attrs.update({"multiscales": scales} if old else {"ome": {"version": version, "multiscales": scales}})
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_finest_level_is_opened_with_axes_and_pixel_size(tmp_path, version) -> None:
    image = read_image([ome_zarr(tmp_path / "image.ome.zarr", version)])
    assert (image.axes, image.channel_axis, image.unit) == ("CZYX", 0, "µm")
    assert image.pixel_size == pytest.approx(SIZE)
    assert chunk_shape_of(image.data) == (1, 1, 16, 16)  # on disk: nothing was read
    np.testing.assert_array_equal(image.data[:], PIXELS)


def test_a_plain_array_is_an_image_without_names(tmp_path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=PIXELS[0])
    image = read_image([tmp_path / "a.zarr"])
    assert (image.axes, image.channel_axis, image.pixel_size) == ("QYX", None, {})
    zarr.create_array(tmp_path / "b.zarr", data=PIXELS[0], dimension_names=["t", "y", "x"])
    assert read_image([tmp_path / "b.zarr"]).axes == "TYX"
    stack = read_image([tmp_path / "a.zarr", tmp_path / "b.zarr"])
    assert isinstance(stack.data, ChannelStack)
    np.testing.assert_array_equal(
        stack.data[(slice(0, 2), slice(3, 9), slice(4, 5), slice(None))][..., 0], PIXELS[0, :2, 3:9, 4:5]
    )


def test_a_group_without_an_image_is_said(tmp_path) -> None:
    group = zarr.create_group(tmp_path / "many.zarr")
    for name in "ab":
        group.create_array(name, shape=(4, 4), dtype="u1")
    with pytest.raises(ImageError, match=r"holds 2 arrays"):
        read_image([tmp_path / "many.zarr"])
    with pytest.raises(ImageError, match="no image file"):
        read_image([tmp_path / "gone.zarr"])


@pytest.mark.parametrize("axes", ["ZYX", "CZYX", "ZCYX"])
def test_labels_and_scores_keep_axes_and_pixel_size(tmp_path, axes) -> None:
    meaning = ImageFile(PIXELS, axes, SIZE, "µm")
    labels = GrowingZarr(tmp_path / "labels.zarr", (3, 40, 50), (1, 16, 16), np.dtype("u1"), meaning)
    scores = GrowingZarr(tmp_path / "s.zarr", (3, 40, 50, 2), (1, 16, 16, 1), np.dtype("f4"), meaning, classes=True)
    numbers = np.random.default_rng(1).random((3, 20, 50, 2), np.float32)
    labels.array[:, 20:, :] = 7
    for plane in range(3):
        scores.array[(plane, slice(20, 40), slice(0, 50))] = numbers[plane]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels.partial.zarr", "s.partial.zarr"]
    assert labels.finish()[2, 20, 3] == 7
    scores.finish()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["labels.zarr", "s.zarr"]
    again, maps = read_image([tmp_path / "labels.zarr"]), read_image([tmp_path / "s.zarr"])
    assert (again.axes, again.pixel_size, again.unit) == ("ZYX", SIZE, "µm")
    assert (maps.axes, maps.pixel_size, maps.data.dtype) == ("CZYX", SIZE, np.float32)
    assert again.data[:].sum() == 7 * 3 * 20 * 50
    np.testing.assert_array_equal(maps.data[:, :, 20:], np.moveaxis(numbers, -1, 0))
    described = json.loads((tmp_path / "s.zarr" / "zarr.json").read_text())["attributes"]["ome"]
    assert described["version"] == "0.5"
    (scale,) = described["multiscales"]
    assert [axis["type"] for axis in scale["axes"]] == ["channel", "space", "space", "space"]
    assert scale["axes"][1] == {"name": "z", "type": "space", "unit": "micrometer"}
    assert scale["datasets"][0]["coordinateTransformations"] == [{"type": "scale", "scale": [1.0, 2.0, 0.5, 0.25]}]


def test_axes_that_the_specification_has_no_place_for_are_no_ome_zarr(tmp_path) -> None:
    meaning = ImageFile(np.zeros((2, 2, 4, 4)), "QPYX")
    grown = GrowingZarr(tmp_path / "a.zarr", (2, 2, 4, 4), (1, 1, 4, 4), np.dtype("u1"), meaning)
    grown.finish()
    assert "ome" not in zarr.open_group(tmp_path / "a.zarr").attrs
    assert read_image([tmp_path / "a.zarr"]).data.shape == (2, 2, 4, 4)


def test_what_is_there_is_not_written_over(tmp_path) -> None:
    zarr.create_array(tmp_path / "there.zarr", data=PIXELS)
    with pytest.raises(OutputError, match=r"there\.zarr exists already"):
        check_output(tmp_path / "there.zarr")
    (tmp_path / "mine.partial.zarr").mkdir()
    with pytest.raises(OutputError, match="is in the way"):
        GrowingZarr(tmp_path / "mine.zarr", (4,), (4,), np.dtype("u1"))


def test_nothing_is_left_of_runs_that_were_killed_again_and_again(tmp_path) -> None:
    path, meaning = tmp_path / "labels.zarr", ImageFile(PIXELS[0, 0], "YX", SIZE, "µm")
    for _ in range(3):  # a killed process ends without a word to what it writes
        growing = GrowingZarr(path, (40, 50), (16, 16), np.dtype("u1"), meaning, batch=True)
    growing.array[:] = 1
    growing.finish()
    assert [found.name for found in tmp_path.iterdir()] == ["labels.zarr"]


@pytest.mark.parametrize(("compression", "kind"), [(None, np.memmap), ("zlib", zarr.Array)])
def test_a_large_tiff_stays_on_disk(tmp_path, monkeypatch, compression, kind) -> None:
    path = tmp_path / "large.tif"
    tifffile.imwrite(
        path, PIXELS[0, 0], compression=compression, rowsperstrip=8, resolution=(2e4, 2e4), resolutionunit=3
    )
    at_once = read_image([path])
    monkeypatch.setattr(tiff, "LARGE", 100)
    monkeypatch.setattr(reading, "_LARGE", 100)
    image = read_image([path])
    assert isinstance(image.data, kind)
    assert (image.axes, image.pixel_size, image.unit) == (at_once.axes, at_once.pixel_size, at_once.unit)
    np.testing.assert_array_equal(image.data[5:30, 7:9], at_once.data[5:30, 7:9])
    np.save(tmp_path / "large.npy", PIXELS)
    assert isinstance(read_image([tmp_path / "large.npy"]).data, np.memmap)
