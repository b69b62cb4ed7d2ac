"""Files as they are found: every compression, several images in one, palettes, transparency, colours that are grey."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile import ImageFile, read_image, tiff, write_image
from napari_fcnseg.plan.layout import Layout

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 255, (48, 60)).astype(np.uint8)
RGB = RANDOM.integers(0, 255, (48, 60, 3)).astype(np.uint8)


def refusal(path, **options) -> str:
    with pytest.raises(ImageError) as caught:
        read_image([path], **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("lzw", {}), ("lzw", {"predictor": True}), ("zlib", {"predictor": True}), ("zstd", {}),
        ("zstd", {"predictor": True}), ("packbits", {}), ("lzma", {}),
        ("jpeg2000", {"compressionargs": {"reversible": True}}), ("png", {}),
        ("jpegxl", {"compressionargs": {"lossless": True}}), ("lerc", {}),
        ("deflate", {"dtype": "float32", "predictor": 3}),
        ("lzw", {"dtype": "uint16", "predictor": True}),
    ],
)  # fmt: skip
def test_every_compression_gives_the_numbers_that_were_written(tmp_path, monkeypatch, codec, options, large) -> None:
    options = dict(options)
    pixels = GREY.astype(options.pop("dtype", "uint8"))
    tifffile.imwrite(tmp_path / "a.tif", pixels, tile=(16, 16), compression=codec, **options)
    monkeypatch.setattr(tiff, "LARGE", 100 if large else 2**28)
    image = read_image([tmp_path / "a.tif"])
    np.testing.assert_array_equal(np.asarray(image.data[...]), pixels)
    assert (image.axes, image.notes) == ("YX", ())


def test_jpeg_and_webp_are_read(tmp_path) -> None:
    smooth = np.add.outer(np.arange(48), np.arange(60)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "jpeg.tif", smooth, compression="jpeg", compressionargs={"level": 95})
    assert np.abs(read_image([tmp_path / "jpeg.tif"]).data.astype(int) - smooth).max() <= 3
    tifffile.imwrite(
        tmp_path / "webp.tif",
        RGB,
        photometric="rgb",
        compression="webp",
        compressionargs={"lossless": True, "level": 100},
    )
    np.testing.assert_array_equal(read_image([tmp_path / "webp.tif"]).data, RGB)


def test_a_fax_is_read(tmp_path) -> None:
    Image.fromarray(GREY > 100).save(tmp_path / "fax.tif", compression="group4")
    if not hasattr(imagecodecs, "CCITTFAX4"):
        assert "compressed with CCITT_T6, which this program cannot undo" in refusal(tmp_path / "fax.tif")
        pytest.skip(f"imagecodecs {imagecodecs.__version__} cannot undo it")
    fax = read_image([tmp_path / "fax.tif"])
    np.testing.assert_array_equal(fax.data, GREY > 100)
    assert "one bit per pixel: its numbers are 0 and 1" in fax.notes[0]


@pytest.mark.parametrize("codec", ["lzw", "zstd", "jpeg", "jpeg2000", "zlib"])
def test_a_broken_compression_is_named(tmp_path, codec) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, compression=codec)
    with tifffile.TiffFile(path) as file:
        start, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    data[start : start + count] = b"\x55" * count
    path.write_bytes(data)
    said = refusal(path).lower()
    assert {"zlib": "deflate"}.get(codec, codec) in said
    assert "damaged: its" in said


@pytest.mark.parametrize(("codec", "named"), [("lzw", "LZW"), ("zstd", "ZSTD"), ("jpeg2000", "JPEG2K")])
def test_a_broken_compression_of_a_file_that_stays_on_disk_is_named_when_it_is_met(
    tmp_path, monkeypatch, codec, named
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, compression=codec, tile=(16, 16))
    with tifffile.TiffFile(path) as file:
        start, count = file.pages[0].dataoffsets[-1], file.pages[0].databytecounts[-1]
    data = bytearray(path.read_bytes())
    data[start : start + count] = b"\x55" * count
    path.write_bytes(data)
    monkeypatch.setattr(tiff, "LARGE", 100)
    image = read_image([path]).data
    frame = Layout.of(image.shape, 1, 2).source(image, ())
    with pytest.raises(ImageError, match=f"its {named} compression cannot be undone"):
        frame.read(((32, 48), (48, 60)))


def test_an_unknown_compression_is_named(tmp_path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, compression="lzw")
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["Compression"].overwrite(64999)
    assert "64999" in refusal(path)


def test_the_largest_of_several_images_is_taken_and_the_others_are_offered(tmp_path) -> None:
    movie = RANDOM.integers(0, 255, (5, 48, 60)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "movie.tif") as file:
        file.write(GREY[:16, :20])
        file.write(movie, metadata={"axes": "TYX"})
    image = read_image([tmp_path / "movie.tif"])
    np.testing.assert_array_equal(image.data, movie)
    (note,) = image.notes
    for part in ("holds 2 images (0: 16 × 20; 1: 5 × 48 × 60)", "Image 1 is taken, the largest", "--series N"):
        assert part in note
    first = read_image([tmp_path / "movie.tif"], series=0)
    np.testing.assert_array_equal(first.data, GREY[:16, :20])
    assert first.notes == ()
    assert "has no image 2: it holds 2 images, numbers 0 to 1" in refusal(tmp_path / "movie.tif", series=2)
    with tifffile.TiffWriter(tmp_path / "two.ome.tif", ome=True) as file:
        for pixels, name, size in ((GREY[:20, :24], "label image", 4.0), (GREY, "specimen", 0.5)):
            metadata = {"axes": "YX", "Name": name, "PhysicalSizeX": size, "PhysicalSizeY": size}
            file.write(pixels, metadata=metadata)
    image = read_image([tmp_path / "two.ome.tif"])
    assert "0: 'label image', 20 × 24; 1: 'specimen', 48 × 60" in image.notes[0]
    assert image.pixel_size == {"X": 0.5, "Y": 0.5}
    assert read_image([tmp_path / "two.ome.tif"], series=0).pixel_size == {"X": 4.0, "Y": 4.0}


def test_a_pyramid_and_a_thumbnail_are_no_further_images(tmp_path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GREY, subifds=1, tile=(16, 16))
        file.write(GREY[::2, ::2], subfiletype=1, tile=(16, 16))
        file.write(GREY[::4, ::4], subfiletype=1)
    image = read_image([tmp_path / "a.tif"])
    np.testing.assert_array_equal(image.data, GREY)
    assert image.notes == ()


@pytest.mark.parametrize("large", [False, True])
def test_pages_that_were_appended_are_a_stack(tmp_path, monkeypatch, large) -> None:
    monkeypatch.setattr(tiff, "LARGE", 100 if large else 2**28)
    movie = RANDOM.integers(0, 255, (4, 48, 60)).astype(np.uint16)
    for frame in movie:
        tifffile.imwrite(tmp_path / "a.tif", frame, append=True)
    image = read_image([tmp_path / "a.tif"])
    assert (image.axes, image.channel_axis) == ("IYX", None)
    np.testing.assert_array_equal(np.asarray(image.data[...]), movie)
    np.testing.assert_array_equal(np.asarray(image.data[2, 3:5, 7:9]), movie[2, 3:5, 7:9])
    assert "4 images of one size" in image.notes[0]
    np.testing.assert_array_equal(np.asarray(read_image([tmp_path / "a.tif"], series=3).data[...]), movie[3])


def test_a_palette_is_colours_but_for_labels_and_imagej(tmp_path) -> None:
    table = RANDOM.integers(0, 255, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "p.tif", GREY, photometric="palette", colormap=table)
    colours = (table >> 8).astype(np.uint8).T[GREY]
    image = read_image([tmp_path / "p.tif"])
    np.testing.assert_array_equal(image.data, colours)
    assert (image.axes, "stand for colours" in image.notes[0]) == ("YXS", True)
    np.testing.assert_array_equal(read_image([tmp_path / "p.tif"], indices=True).data, GREY)
    tifffile.imwrite(tmp_path / "ij.tif", GREY, imagej=True, colormap=table)
    np.testing.assert_array_equal(read_image([tmp_path / "ij.tif"]).data, GREY)
    few = Image.fromarray(RGB).quantize(64)
    few.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_image([tmp_path / "p.png"]).data, np.asarray(few.convert("RGB")))
    np.testing.assert_array_equal(read_image([tmp_path / "p.png"], indices=True).data, np.asarray(few))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_that_are_all_grey_are_grey_for_a_model_of_one_channel(tmp_path, mode) -> None:
    Image.fromarray(GREY).convert(mode).save(tmp_path / "a.png")
    grey = read_image([tmp_path / "a.png"]).for_model(1)
    assert (grey.axes, grey.channel_axis) == ("YX", None)
    np.testing.assert_array_equal(grey.data, GREY)
    coloured = GREY.copy()
    image = ImageFile(np.stack([GREY, GREY, coloured], -1), "YXS")
    coloured[5, 7] ^= 1
    assert ImageFile(np.stack([GREY, GREY, coloured], -1), "YXS").for_model(1).axes == "YXS"
    assert image.for_model(3) is image


def test_grey_colours_that_stay_on_disk_are_found_and_read_in_parts(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tiff, "LARGE", 100)
    for name, planar in (("a.tif", "contig"), ("b.tif", "separate")):
        same = np.stack([GREY] * 3, 0 if planar == "separate" else -1)
        tifffile.imwrite(
            tmp_path / name, same, photometric="rgb", planarconfig=planar, tile=(16, 16), compression="lzw"
        )
    grey = read_image([tmp_path / "a.tif"]).for_model(1)
    np.testing.assert_array_equal(np.asarray(grey.data[3:9, 4:50]), GREY[3:9, 4:50])
    assert grey.data.shape == GREY.shape


def test_transparency_is_no_channel_of_a_grey_picture(tmp_path) -> None:
    alpha = np.full(GREY.shape, 255, np.uint8)
    Image.fromarray(np.stack([GREY, alpha], -1)).save(tmp_path / "a.png")
    image = read_image([tmp_path / "a.png"])
    assert (image.axes, image.notes) == ("YX", ())
    np.testing.assert_array_equal(image.data, GREY)
    alpha[0, 0] = 0
    Image.fromarray(np.stack([GREY, alpha], -1)).save(tmp_path / "b.png")
    assert "transparent pixels: they are taken like the others" in read_image([tmp_path / "b.png"]).notes[0]


def test_sixteen_bits_per_colour_are_kept(tmp_path) -> None:
    deep = RANDOM.integers(0, 65535, (48, 60, 3)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
    image = read_image([tmp_path / "a.png"])
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(image.data, deep)


def test_what_is_stored_another_way_than_it_is_shown_is_said(tmp_path) -> None:
    picture, turned = Image.fromarray(RGB), Image.Exif()
    turned[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=turned)
    image = read_image([tmp_path / "turned.png"])
    np.testing.assert_array_equal(image.data, RGB)
    assert "shown turned or mirrored: it is taken as it is stored" in image.notes[0]
    tifffile.imwrite(tmp_path / "white.tif", GREY, photometric="miniswhite")
    image = read_image([tmp_path / "white.tif"])
    np.testing.assert_array_equal(image.data, GREY)
    assert "0 is white" in image.notes[0]
    picture.convert("CMYK").save(tmp_path / "inks.jpg", quality=100, subsampling=0)
    image = read_image([tmp_path / "inks.jpg"])
    assert (image.axes, image.data.shape, "CMYK" in image.notes[0]) == ("YXS", RGB.shape, True)
    inks = RANDOM.integers(0, 255, (48, 60, 4)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "inks.tif", inks, photometric="separated")
    image = read_image([tmp_path / "inks.tif"])
    light = (255 - inks[..., :3].astype(float)) * (255 - inks[..., 3:].astype(float)) / 255
    assert np.abs(image.data - light).max() <= 0.5
    assert "CMYK" in image.notes[0]


def test_a_file_is_known_by_its_content(tmp_path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image([tmp_path / "a.tif"]).data, RGB)
    tifffile.imwrite(tmp_path / "b.tif", GREY)
    (tmp_path / "b.tif").rename(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image([tmp_path / "b.png"]).data, GREY)
    for name, said in (("a.tif", "cannot be read as a TIFF: by its content it is a text"), ("a.npy", "it is a text")):
        (tmp_path / name).write_text("shopping list", encoding="utf-8")
        assert said in refusal(tmp_path / name)
    (tmp_path / "a.ims").write_bytes(b"x")
    assert "there is no reader for .ims here. Open it in Fiji" in refusal(tmp_path / "a.ims")


def test_a_moving_picture_is_a_stack(tmp_path) -> None:
    frames = [Image.fromarray(RANDOM.integers(0, 255, (20, 30)).astype(np.uint8)) for _ in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    image = read_image([tmp_path / "a.gif"]).for_model(1)
    assert image.axes == "QYX"
    np.testing.assert_array_equal(image.data, np.stack([np.asarray(frame) for frame in frames]))


def test_an_array_whose_colours_could_be_at_two_places_leaves_that_open(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((40, 3, 3)))
    assert read_image([tmp_path / "a.npy"]).channel_axis is None
    np.save(tmp_path / "b.npy", np.zeros((40, 30, 3)))
    assert read_image([tmp_path / "b.npy"]).channel_axis == 2
    write_image(tmp_path / "c.npy", ImageFile(GREY, "YX"))
    assert read_image([tmp_path / "c.npy"]).axes == "YX"
