"""Labels are shown in the colours of their classes, which have their names; the numbers are the labels."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_fcnseg.imagefile import ImageFile, read_image, write_image

LABELS = np.random.default_rng(0).integers(0, 4, (48, 60)).astype(np.uint8)
NAMES, COLORS = ("cell", "edge", "Zellkern µ"), ("#ff0000", "#00ff80", "#123456")
SHOWN = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 128), (0x12, 0x34, 0x56)], np.uint8)


def labels(pixels: np.ndarray = LABELS, axes: str = "YX") -> ImageFile:
    return ImageFile(pixels, axes, {"Y": 0.5, "X": 0.5}, "µm", class_names=NAMES, class_colors=COLORS)


def test_a_png_has_a_palette_and_the_numbers_are_the_labels(tmp_path) -> None:
    write_image(tmp_path / "a.png", labels())
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.asarray(picture), LABELS)
    np.testing.assert_array_equal(iio.imread(tmp_path / "a.png")[..., :3], SHOWN[LABELS])
    np.testing.assert_array_equal(read_image([tmp_path / "a.png"], indices=True).data, LABELS)
    write_image(tmp_path / "deep.png", labels(LABELS.astype(np.uint16)))
    np.testing.assert_array_equal(read_image([tmp_path / "deep.png"]).data, LABELS)


@pytest.mark.parametrize(("shape", "axes"), [((48, 60), "YX"), ((3, 16, 60), "ZYX")])
def test_a_tiff_has_imagej_s_table_and_the_names(tmp_path, shape, axes) -> None:
    pixels = LABELS.reshape(shape)
    write_image(tmp_path / "a.tif", labels(pixels, axes))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_imagej
        np.testing.assert_array_equal(file.asarray(), pixels)
        assert (file.pages[0].colormap[:, :4].T >> 8 == SHOWN).all()
        assert "1: cell\n2: edge\n3: Zellkern µ" in file.imagej_metadata["Info"]
    image = read_image([tmp_path / "a.tif"])
    np.testing.assert_array_equal(image.data, pixels)
    assert (image.axes, image.pixel_size, image.notes) == (axes, {"Y": 0.5, "X": 0.5}, ())


@pytest.mark.parametrize("name", ["a.ome.tif", "b.tif"])
def test_other_tiffs_have_the_names(tmp_path, name) -> None:
    pixels = LABELS if name == "a.ome.tif" else LABELS.astype(np.uint32)  # which ImageJ's kind cannot hold
    write_image(tmp_path / name, labels(pixels))
    with tifffile.TiffFile(tmp_path / name) as file:
        np.testing.assert_array_equal(file.asarray(), pixels)
        text = file.ome_metadata if file.is_ome else str(file.shaped_metadata)
        assert "2: edge" in text
    assert read_image([tmp_path / name]).axes == "YX"


def test_without_classes_nothing_is_coloured(tmp_path) -> None:
    for name in ("a.png", "a.tif"):
        write_image(tmp_path / name, ImageFile(LABELS, "YX"))
        np.testing.assert_array_equal(iio.imread(tmp_path / name), LABELS)
