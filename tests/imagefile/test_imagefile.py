"""Images keep their axes and pixel size through a run; a result is whole or not there, and never lost."""

from __future__ import annotations

import errno

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_fcnseg.errors import ImageError, OutputError
from napari_fcnseg.imagefile import ImageFile, check_output, read_image, write_image, writing

LABELS = np.arange(4 * 30 * 20, dtype=np.uint8).reshape(4, 30, 20)


def test_imagej_axes_and_pixel_size_go_through(tmp_path) -> None:
    source = tmp_path / "in.tif"
    data = np.zeros((4, 2, 30, 20), np.uint16)
    tifffile.imwrite(
        source, data, imagej=True, resolution=(4, 2), metadata={"axes": "ZCYX", "unit": "um", "spacing": 1.5}
    )
    image = read_image([source])
    assert (image.axes, image.channel_axis, image.unit) == ("ZCYX", 1, "µm")
    assert image.pixel_size == {"X": 0.25, "Y": 0.5, "Z": 1.5}
    for name in ("labels.tif", "labels.ome.tif"):
        write_image(tmp_path / name, image.labelled(LABELS))
        again = read_image([tmp_path / name])
        np.testing.assert_array_equal(again.data, LABELS)
        assert (again.axes, again.unit) == ("ZYX", "µm")
        assert again.pixel_size == pytest.approx(image.pixel_size)


def test_ome_pixel_size_goes_through(tmp_path) -> None:
    source = tmp_path / "in.ome.tif"
    metadata = {"axes": "YX", "PhysicalSizeX": 0.3, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.4}
    tifffile.imwrite(source, np.zeros((30, 20), np.float32), ome=True, metadata=metadata)
    image = read_image([source])
    assert image.pixel_size == {"X": 0.3, "Y": 0.4}
    assert image.unit == "nm"


def test_resolution_in_centimetres_is_in_micrometres(tmp_path) -> None:
    tifffile.imwrite(
        tmp_path / "in.tif", np.zeros((30, 20), np.uint8), resolution=(20000, 10000), resolutionunit="CENTIMETER"
    )
    image = read_image([tmp_path / "in.tif"])
    assert image.pixel_size == pytest.approx({"X": 0.5, "Y": 1.0})
    assert image.unit == "µm"


def test_scores_become_channels(tmp_path) -> None:
    scores = np.random.default_rng(0).random((4, 30, 20, 3), np.float32)
    image = ImageFile(np.zeros((4, 30, 20)), "ZYX")
    write_image(tmp_path / "scores.tif", image.scored(scores))
    with tifffile.TiffFile(tmp_path / "scores.tif") as tiff:
        assert tiff.series[0].axes == "ZCYX"
        np.testing.assert_array_equal(tiff.asarray(), np.moveaxis(scores, -1, 1))
    write_image(tmp_path / "scores.zarr", image.scored(scores))
    again = read_image([tmp_path / "scores.zarr"])
    assert again.axes == "CZYX"  # as OME-Zarr has them
    np.testing.assert_array_equal(again.data[:], np.moveaxis(scores, -1, 0))


def test_what_a_kind_of_file_has_no_place_for_is_said(tmp_path) -> None:
    with pytest.raises(OutputError, match=r"cannot hold this image.*\.npy"):
        write_image(tmp_path / "a.ome.tif", ImageFile(np.zeros((3, 4), np.int64), "YX"))
    assert list(tmp_path.iterdir()) == []


def test_one_file_per_channel_is_stacked_in_order(tmp_path) -> None:
    for n in (1, 2):
        tifffile.imwrite(tmp_path / f"{n}.tif", np.full((30, 20), n, np.uint8))
    image = read_image([tmp_path / "2.tif", tmp_path / "1.tif"])
    assert (image.axes, image.channel_axis, image.data.shape) == ("YXC", 2, (30, 20, 2))
    assert image.data[0, 0].tolist() == [2, 1]


@pytest.mark.parametrize("name", ["rgb.png", "rgb.jpg", "rgb.tif"])
def test_rgb_samples_are_channels(tmp_path, name) -> None:
    iio.imwrite(tmp_path / name, np.zeros((30, 20, 3), np.uint8))
    image = read_image([tmp_path / name])
    assert image.channel_axis == 2
    assert image.labelled(LABELS[0]).axes == "YX"


@pytest.mark.parametrize(
    ("axes", "channel", "left"),
    [("QYX", 2, "YX"), ("QYX", 0, "YX"), ("ZQYX", 3, "ZYX"), ("QYX", 1, "YX"), ("YX", 1, "X")],
)
def test_channels_along_what_was_taken_for_the_plane_leave_the_plane_to_the_others(axes, channel, left) -> None:
    image = ImageFile(np.zeros((8,) * len(axes)), axes).with_channels_along(channel)
    assert (image.channel_axis, image.result_axes) == (channel, left)


def test_transparency_is_dropped_for_a_model_of_three_channels(tmp_path) -> None:
    rgba = np.arange(30 * 20 * 4, dtype=np.uint8).reshape(30, 20, 4)
    iio.imwrite(tmp_path / "rgba.png", rgba)
    image = read_image([tmp_path / "rgba.png"])
    np.testing.assert_array_equal(image.for_model(3).data, rgba[..., :3])
    assert image.for_model(4) is image


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_labels_can_be_written_as(tmp_path, name) -> None:
    write_image(tmp_path / name, ImageFile(LABELS[0], "YX"))
    np.testing.assert_array_equal(read_image([tmp_path / name]).data, LABELS[0])


def test_unreadable_images_are_said(tmp_path) -> None:
    (tmp_path / "text.tif").write_text("no image")
    (tmp_path / "text.png").write_text("no image")
    for name, says in (("gone.tif", "no image file"), ("text.tif", "cannot be read"), ("text.png", "cannot be read")):
        with pytest.raises(ImageError, match=says):
            read_image([tmp_path / name])
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ImageError, match="cannot be read"):
        read_image([tmp_path / "object.npy"])


def test_channels_of_different_shapes_are_said(tmp_path) -> None:
    iio.imwrite(tmp_path / "a.tif", np.zeros((30, 20), np.uint8))
    iio.imwrite(tmp_path / "b.tif", np.zeros((30, 21), np.uint8))
    with pytest.raises(ImageError, match="same shape"):
        read_image([tmp_path / "a.tif", tmp_path / "b.tif"])


def test_an_output_that_cannot_be_written_is_found_before_the_run(tmp_path) -> None:
    for path, says in (
        (tmp_path / "a.jpeg", r"\.tif"),
        (tmp_path / "no" / "a.tif", "no folder"),
        (tmp_path, "no ending"),
    ):
        with pytest.raises(OutputError, match=says):
            check_output(path)
    check_output(tmp_path / "a.tif")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder_is_said(tmp_path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    # root may write anywhere, so the operating system's answer is given here
    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    with pytest.raises(OutputError, match=r"no permission.*another folder"):
        check_output(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError("262144 requested and 65200 written")]
)
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, error) -> None:
    """The target's disk is full, another one is not: the result is there, and no half file is left."""
    target, spare = tmp_path / "full", tmp_path / "spare"
    target.mkdir()
    spare.mkdir()
    real = writing._write_tiff

    def write(path, image, *, ome) -> None:
        if path.parent == target:
            path.write_bytes(b"half a file")
            raise error
        real(path, image, ome=ome)

    monkeypatch.setattr(writing, "_write_tiff", write)
    monkeypatch.setattr(writing.tempfile, "gettempdir", lambda: str(spare))
    with pytest.raises(OutputError, match=r"disk is full\. The result was kept as"):
        write_image(target / "labels.tif", ImageFile(LABELS, "ZYX"))
    assert list(target.iterdir()) == []
    (kept,) = spare.iterdir()
    np.testing.assert_array_equal(tifffile.imread(kept), LABELS)
