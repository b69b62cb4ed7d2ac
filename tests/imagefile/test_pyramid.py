"""Results as OME-Zarr: coarser levels, names and colours, both versions, several chunks in a file."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import zarr
from ome_zarr_models import open_ome_zarr
from ome_zarr_models.v04.image_label import ImageLabelAttrs
from ome_zarr_models.v04.omero import Omero

from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile import ChannelLook, GrowingZarr, ImageFile, pyramid, read_image, write_image
from napari_fcnseg.system.saving.stores import is_one_image

LABELS = np.random.default_rng(0).integers(0, 3, (2, 37, 90)).astype(np.uint8)
MEANING = ImageFile(
    LABELS, "ZYX", {"Z": 2.0, "Y": 0.5, "X": 0.25}, "µm", is_labels=True, class_names=("sky", "sea"),
    class_colors=("#0000ff", "#00ff7f"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch) -> None:
    monkeypatch.setattr(pyramid, "_ENOUGH", 20)


@pytest.mark.parametrize("form", [3, 2])
def test_labels_have_levels_of_every_other_pixel_with_names_and_colours(tmp_path, form) -> None:
    write_image(tmp_path / "a.zarr", replace(MEANING, zarr_format=form))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r", zarr_format=form)
    assert [group[str(n)].shape for n in range(4)] == [(2, 37, 90), (2, 19, 45), (2, 10, 23), (2, 5, 12)]
    for n in range(1, 4):
        np.testing.assert_array_equal(group[str(n)][:], LABELS[:, :: 2**n, :: 2**n])
    assert "4" not in group
    attributes = dict(group.attrs)
    if form == 3:
        image = open_ome_zarr(group)
        assert (type(image).__name__, image.ome_zarr_version) == ("ImageLabel", "0.5")
        found = image.attributes.ome.image_label.model_dump()
    else:
        assert attributes["image-label"]["version"] == _described(group)["version"] == "0.4"
        found = ImageLabelAttrs.model_validate(attributes).image_label.model_dump()
    assert {c["label_value"]: list(c["rgba"]) for c in found["colors"]} == {1: [0, 0, 255, 255], 2: [0, 255, 127, 255]}
    assert [(p["label_value"], p["class"]) for p in found["properties"]] == [(1, "sky"), (2, "sea")]
    scales = [d["coordinateTransformations"] for d in _described(group)["datasets"]]
    assert scales[2] == [{"type": "scale", "scale": [2.0, 2.0, 1.0]}]
    again = read_image([tmp_path / "a.zarr"])
    np.testing.assert_array_equal(again.data[:], LABELS)
    assert (again.axes, again.pixel_size, again.unit) == ("ZYX", MEANING.pixel_size, "µm")
    assert is_one_image(tmp_path / "a.zarr")
    write_image(tmp_path / "a.zarr", MEANING, overwrite=True)


def _described(group: zarr.Group) -> dict:
    return dict(group.attrs).get("ome", dict(group.attrs))["multiscales"][0]


def test_numbers_are_averaged_and_lie_between_the_pixels(tmp_path) -> None:
    numbers = np.random.default_rng(1).random((3, 33, 34), np.float32)
    write_image(tmp_path / "a.zarr", ImageFile(numbers, "CYX", {"Y": 0.5, "X": 0.5}, "µm"))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    padded = np.pad(numbers, ((0, 0), (0, 1), (0, 0)), mode="edge").astype(float)
    expected = padded.reshape(3, 17, 2, 17, 2).mean((2, 4))
    np.testing.assert_allclose(group["1"][:], expected, rtol=1e-6)
    assert group["1"].dtype == np.float32
    _, second = _described(group)["datasets"]
    assert second["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 1.0, 1.0]}, {"type": "translation", "translation": [0.0, 0.25, 0.25]},
    ]  # fmt: skip
    assert type(open_ome_zarr(group)).__name__ == "Image"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint64", "bool"])
def test_an_image_of_whole_numbers_is_averaged_where_that_is_said(tmp_path, dtype) -> None:
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, min(np.iinfo(dtype).max, 2**40))
    pixels = np.random.default_rng(1).integers(low, high, (2, 40, 44), endpoint=True).astype(dtype)
    looks = (ChannelLook("DAPI", 3, 200, "#0000ff"), ChannelLook("GFP", 0, 100))
    write_image(tmp_path / "a.zarr", ImageFile(pixels, "CYX", {"Y": 0.5, "X": 0.5}, "µm", averaged=True, looks=looks))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    blocks = pixels.astype(float).reshape(2, 20, 2, 22, 2)
    expected = pixels[:, ::2, ::2] if dtype == "bool" else np.rint(blocks.mean((2, 4))).astype(dtype)
    np.testing.assert_array_equal(group["0"][:], pixels)
    np.testing.assert_array_equal(group["1"][:], expected)
    assert group["1"].dtype == dtype
    shown = Omero.model_validate(open_ome_zarr(group).attributes.ome.omero).channels
    assert [(c.label, c.color, c.window.start, c.window.end) for c in shown] == [
        ("DAPI", "0000FF", 3, 200),
        ("GFP", "FFFFFF", 0, 100),
    ]


def test_what_stops_the_writing_of_an_image_leaves_nothing(tmp_path) -> None:
    calls: list[int] = []

    def proceed() -> None:
        calls.append(1)
        if len(calls) == 3:  # in the coarser levels
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_image(tmp_path / "a.zarr", MEANING, proceed=proceed)
    assert list(tmp_path.iterdir()) == []


def test_planes_are_halved_once_they_lie_as_close_as_rows(tmp_path) -> None:
    volume = np.zeros((16, 90, 90), np.uint16)
    write_image(tmp_path / "a.zarr", ImageFile(volume, "ZYX", {"Z": 1.0, "Y": 0.5, "X": 0.5}, "µm", is_labels=True))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert [group[str(n)].shape for n in range(4)] == [(16, 90, 90), (16, 45, 45), (8, 23, 23), (4, 12, 12)]


def test_many_chunks_share_files_and_levels_are_built_a_few_of_them_at_a_time(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pyramid, "_MANY", 30)
    monkeypatch.setattr("napari_fcnseg.imagefile.writing._CHUNK", 4)
    sizes = []

    def parts(shape: tuple[int, ...], chunks: tuple[int, ...]):
        sizes.append(chunks)
        return real(shape, chunks, 300)

    real = pyramid.parts_of
    monkeypatch.setattr(pyramid, "parts_of", parts)
    labels = np.random.default_rng(0).integers(0, 9, (50, 61)).astype(np.uint16)
    write_image(tmp_path / "a.zarr", ImageFile(labels, "YX", is_labels=True))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert (group["0"].chunks, group["0"].shards, group["1"].shards) == ((4, 4), (16, 16), (16, 16))
    assert sizes == [(16, 16), (4, 4)]
    np.testing.assert_array_equal(group["0"][:], labels)
    np.testing.assert_array_equal(group["2"][:], labels[::4, ::4])
    assert sum(path.is_file() for path in (tmp_path / "a.zarr" / "0" / "c").rglob("*")) == 16


def test_levels_that_a_killed_process_left_are_built_anew(tmp_path, monkeypatch) -> None:
    growing = GrowingZarr(tmp_path / "a.zarr", LABELS.shape, (1, 16, 16), LABELS.dtype, MEANING)
    growing.array[:] = LABELS
    reduced = pyramid._reduced

    def full(*arguments: object, **options: object) -> np.ndarray:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(pyramid, "_reduced", full)
    with pytest.raises(OutputError, match=r"a\.partial\.zarr\. (Make|Free)"):
        growing.complete()
    part = zarr.open_group(tmp_path / "a.partial.zarr")
    part.create_array("7", shape=(3,), dtype="u1")
    assert len(_described(part)["datasets"]) == 1  # a reader of what is not complete finds what there is
    monkeypatch.setattr(pyramid, "_reduced", reduced)
    again = GrowingZarr(tmp_path / "a.zarr", LABELS.shape, (1, 16, 16), LABELS.dtype, MEANING, go_on=True)
    again.finish()
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert sorted(group) == ["0", "1", "2", "3"]
    np.testing.assert_array_equal(group["3"][:], LABELS[:, ::8, ::8])


def test_levels_of_others_are_not_replaced(tmp_path) -> None:
    group = zarr.create_group(tmp_path / "theirs.zarr")
    for name in "01":
        group.create_array(name, shape=(4, 4), dtype="u1")
    assert not is_one_image(tmp_path / "theirs.zarr")
    with pytest.raises(OutputError, match="more than one result"):
        write_image(tmp_path / "theirs.zarr", MEANING, overwrite=True)
