"""Files of microscopes and of ilastik, plates of OME-Zarr: written here, and read with their axes and pixel size."""

from __future__ import annotations

import gzip
import json
import struct
import sys

import h5py
import numpy as np
import pytest
import zarr
from nd2_file import write_nd2
from zarr.storage import ZipStore

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile import formats, hdf5, read_image
from napari_fcnseg.imagefile.series import Planes

RANDOM = np.random.default_rng(0)
ZCYX = RANDOM.integers(0, 60000, (3, 2, 48, 60)).astype(np.uint16)


def refusal(path, **options) -> str:
    with pytest.raises(ImageError) as caught:
        read_image([path], **options)
    return str(caught.value)


def write_czi(path, scenes=(0,), pixels=ZCYX) -> None:
    czi = pytest.importorskip("pylibCZIrw.czi")
    with czi.create_czi(str(path)) as file:
        for scene in scenes:
            for z, channels in enumerate(pixels):
                for c, plane in enumerate(channels):
                    data = plane[: 48 - 20 * scene]
                    data = data if data.ndim == 3 else data[..., None]
                    place = (100 * scene, 0)
                    file.write(data=np.ascontiguousarray(data), plane={"C": c, "Z": z}, location=place, scene=scene)
        file.write_metadata("a", scale_x=0.3e-6, scale_y=0.4e-6, scale_z=1e-6)


@pytest.mark.parametrize("large", [False, True])
def test_czi(tmp_path, monkeypatch, large) -> None:
    write_czi(tmp_path / "a.czi")
    if large:
        monkeypatch.setattr(formats, "_LARGE", 100)
    image = read_image([tmp_path / "a.czi"])
    assert (image.axes, image.channel_axis, image.unit, image.notes) == ("ZCYX", 1, "µm", ())
    assert image.pixel_size == pytest.approx({"X": 0.3, "Y": 0.4, "Z": 1.0})
    assert isinstance(image.data, np.ndarray) is not large
    np.testing.assert_array_equal(np.asarray(image.data[...]), ZCYX)
    np.testing.assert_array_equal(np.asarray(image.data[1, :, 5:40, 7]), ZCYX[1, :, 5:40, 7])


def test_czi_of_several_scenes_and_of_colours(tmp_path) -> None:
    write_czi(tmp_path / "a.czi", scenes=(0, 1))
    image = read_image([tmp_path / "a.czi"])
    assert "'scene 0', 3 × 2 × 48 × 60; 1: 'scene 1', 3 × 2 × 28 × 60" in image.notes[0]
    np.testing.assert_array_equal(image.data, ZCYX)
    np.testing.assert_array_equal(read_image([tmp_path / "a.czi"], series=1).data, ZCYX[:, :, :28])
    bgr = RANDOM.integers(0, 255, (1, 1, 48, 60, 3)).astype(np.uint8)
    write_czi(tmp_path / "rgb.czi", pixels=bgr)
    image = read_image([tmp_path / "rgb.czi"])
    assert image.axes == "YXS"
    np.testing.assert_array_equal(image.data, bgr[0, 0, ..., ::-1])


def write_lif(path, pixels) -> None:
    """Write planes ``(z, y, x)`` as Leica's LAS does: a head, a description in XML, and a block of memory."""
    planes, rows, columns = pixels.shape
    size = pixels.dtype.itemsize
    dimensions = "".join(
        f'<DimensionDescription DimID="{number}" NumberOfElements="{n}" Origin="0" Length="{(n - 1) * step}" Unit="m" '
        f'BytesInc="{inc}" BitInc="0"/>'
        for number, n, step, inc in (
            (1, columns, 3e-7, size), (2, rows, 4e-7, size * columns), (3, planes, 1e-6, size * columns * rows)
        )
    )  # fmt: skip
    text = (
        '<LMSDataContainerHeader Version="2"><Element Name="a" Visibility="1"><Data/><Memory Size="0" '
        'MemoryBlockID="MemBlock_1"/><Children><Element Name="cells"><Data><Image><ImageDescription><Channels>'
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{8 * size}" NameOfMeasuredQuantity="" Min="0" '
        'Max="255" Unit="" LUTName="Gray" IsLUTInverted="0" BytesInc="0" BitInc="0"/></Channels><Dimensions>'
        f"{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{pixels.nbytes}" MemoryBlockID="MemBlock_2"/></Element></Children></Element>'
        "</LMSDataContainerHeader>"
    )
    xml, name = text.encode("utf-16-le"), "MemBlock_2".encode("utf-16-le")
    head = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(text)) + xml
    block = struct.pack("<IIBQBI", 0x70, 22 + len(name), 0x2A, pixels.nbytes, 0x2A, 10) + name + pixels.tobytes()
    path.write_bytes(head + block)


@pytest.mark.parametrize("large", [False, True])
def test_lif(tmp_path, monkeypatch, large) -> None:
    pytest.importorskip("liffile")
    if large:
        monkeypatch.setattr(formats, "_LARGE", 100)
    write_lif(tmp_path / "a.lif", ZCYX[:, 0])
    image = read_image([tmp_path / "a.lif"])
    assert (image.axes, image.unit) == ("ZYX", "µm")
    assert image.pixel_size == pytest.approx({"X": 0.3, "Y": 0.4, "Z": 1.0})
    np.testing.assert_array_equal(np.asarray(image.data), ZCYX[:, 0])


@pytest.mark.parametrize("large", [False, True])
def test_nd2(tmp_path, monkeypatch, large) -> None:
    pytest.importorskip("nd2")
    if large:
        monkeypatch.setattr(formats, "_LARGE", 100)
    write_nd2(tmp_path / "a.nd2", ZCYX, [(4, 3, 1.5)], 0.3)
    image = read_image([tmp_path / "a.nd2"])
    assert (image.axes, image.channel_axis, image.unit, image.notes) == ("ZCYX", 1, "µm", ())
    assert image.pixel_size == pytest.approx({"X": 0.3, "Y": 0.3, "Z": 1.5})
    np.testing.assert_array_equal(np.asarray(image.data[...]), ZCYX)
    np.testing.assert_array_equal(np.asarray(image.data[1, :, 5:40, 7]), ZCYX[1, :, 5:40, 7])


def test_nd2_of_several_positions_and_without_a_pixel_size(tmp_path) -> None:
    pytest.importorskip("nd2")
    places = RANDOM.integers(0, 60000, (6, 1, 20, 30)).astype(np.uint16)
    write_nd2(tmp_path / "a.nd2", places, [(2, 2, 0.0), (4, 3, 0.0)], 0.0)
    image = read_image([tmp_path / "a.nd2"])
    assert "'position 0', 3 × 20 × 30; 1: 'position 1'" in image.notes[0]
    assert (image.axes, image.pixel_size) == ("ZYX", {})
    np.testing.assert_array_equal(image.data, places[:3, 0])
    np.testing.assert_array_equal(read_image([tmp_path / "a.nd2"], series=1).data, places[3:, 0])


@pytest.mark.parametrize("large", [False, True])
def test_mrc_and_nifti(tmp_path, monkeypatch, large) -> None:
    if large:
        monkeypatch.setattr(formats, "_LARGE", 100)
    mrcfile, nibabel = pytest.importorskip("mrcfile"), pytest.importorskip("nibabel")
    volume = ZCYX[:, 0]
    with mrcfile.new(str(tmp_path / "a.mrc")) as file:
        file.set_data(volume)
        file.voxel_size = (30.0, 40.0, 100.0)
    image = read_image([tmp_path / "a.mrc"])
    assert image.axes == "ZYX"
    assert image.pixel_size == pytest.approx({"X": 0.003, "Y": 0.004, "Z": 0.01})
    np.testing.assert_array_equal(image.data, volume)
    made = nibabel.Nifti1Image(volume.T, np.diag([0.3, 0.4, 1.0, 1.0]))
    made.header.set_xyzt_units("micron")
    for name in ("a.nii", "a.nii.gz"):
        nibabel.save(made, str(tmp_path / name))
        image = read_image([tmp_path / name])
        assert image.axes == "ZYX"
        assert image.pixel_size == pytest.approx({"X": 0.3, "Y": 0.4, "Z": 1.0})
        np.testing.assert_array_equal(np.asarray(image.data), volume)


@pytest.mark.parametrize("ending", [".czi", ".nd2", ".lif", ".oib", ".mrc", ".nii", ".nii.gz"])
def test_rubbish_is_refused_by_its_name_and_a_missing_reader_with_the_line_that_installs_it(
    tmp_path, monkeypatch, ending
) -> None:
    package = formats.FORMATS[ending][0]
    path = tmp_path / f"a{ending}"
    path.write_bytes(gzip.compress(b"\0" * 2000) if ending == ".nii.gz" else b"\0" * 2000)
    pytest.importorskip(package)
    said = refusal(path)
    assert f"{path} cannot be read as a" in said
    assert "image program" not in said
    monkeypatch.setitem(sys.modules, package, None)
    said = refusal(path)
    assert f"the reader for {ending} ({package.partition('.')[0]}) is not installed" in said
    assert 'pip install "napari-fcnseg[formats]"' in said


@pytest.mark.parametrize("large", [False, True])
def test_what_ilastik_exports_is_read_by_its_name_or_without(tmp_path, monkeypatch, large) -> None:
    if large:
        monkeypatch.setattr(hdf5, "_LARGE", 100)
    pixels = np.moveaxis(ZCYX, 1, -1)[None]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("exported_data", data=pixels, chunks=(1, 1, 16, 16, 1), compression="gzip")
        data.attrs["axistags"] = json.dumps({"axes": [{"key": key, "typeFlags": 1} for key in "tzyxc"]})
        data.attrs["element_size_um"] = [1.0, 0.4, 0.3]
        file.create_dataset("other", data=ZCYX[0, 0])
        file.create_dataset("table", data=np.zeros(5))
    for name in ("a.h5", "a.h5/exported_data"):
        image = read_image([tmp_path / name])
        assert (image.axes, image.channel_axis) == ("TZYXC", 4)
        assert image.pixel_size == {"Z": 1.0, "Y": 0.4, "X": 0.3}
        np.testing.assert_array_equal(np.asarray(image.data[...]), pixels)
    assert read_image([tmp_path / "a.h5/other"]).data.shape == (48, 60)
    assert "There is no image 'gone'" in refusal(tmp_path / "a.h5/gone")


def test_hdf5_that_is_no_image_or_holds_several_says_so(tmp_path) -> None:
    with h5py.File(tmp_path / "two.h5", "w") as file:
        for name in ("a", "group/b"):
            file[name] = ZCYX[0, 0]
    assert f"holds 2 arrays (a, group/b). Name one of them: {tmp_path / 'two.h5'}/a" in refusal(tmp_path / "two.h5")
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["text"] = "hello"
    assert "holds no image" in refusal(tmp_path / "none.h5")
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = "{}"
        file["model_weights/dense/kernel"] = np.zeros((3, 4))
    assert "is a model of Keras" in refusal(tmp_path / "model.h5")
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    assert "cannot be read as an HDF5 file" in refusal(tmp_path / "broken.h5")


@pytest.mark.parametrize(("version", "form"), [("0.4", 2), ("0.5", 3)])
def test_a_plate_names_its_images_and_gives_each(tmp_path, version, form) -> None:
    root = zarr.open_group(tmp_path / "p.zarr", mode="w", zarr_format=form)

    def describe(group, **what) -> None:
        group.attrs.update(what if form == 2 else {"ome": {"version": version, **what}})

    describe(root, plate={"wells": [{"path": "A/1"}, {"path": "B/2"}], "version": version})
    for number, well in enumerate(("A/1", "B/2")):
        group = root.require_group(well)
        describe(group, well={"images": [{"path": "0"}], "version": version})
        field = group.create_group("0")
        pixels = ZCYX[number]  # zarr 3.0.8 takes no data when a group makes an array
        field.create_array("0", shape=pixels.shape, dtype=pixels.dtype)[...] = pixels
        axes = [{"name": name} for name in "cyx"]
        describe(field, multiscales=[{"axes": axes, "datasets": [{"path": "0"}], "version": version}])
    said = refusal(tmp_path / "p.zarr")
    assert "is a plate with 2 images" in said
    assert str(tmp_path / "p.zarr/A/1/0") in said
    for number, well in enumerate(("A/1", "B/2")):
        for image in (
            read_image([tmp_path / "p.zarr"], series=number), read_image([tmp_path / "p.zarr" / well / "0"]),
            read_image([tmp_path / "p.zarr" / well]),
        ):  # fmt: skip
            assert image.axes == "CYX"
            np.testing.assert_array_equal(image.data[...], ZCYX[number])
    assert "has no image 2" in refusal(tmp_path / "p.zarr", series=2)


def test_a_zarr_in_a_zip_is_read(tmp_path) -> None:
    store = ZipStore(tmp_path / "a.zarr.zip", mode="w")
    zarr.create_array(store, data=ZCYX)
    store.close()
    np.testing.assert_array_equal(read_image([tmp_path / "a.zarr.zip"]).data[...], ZCYX)


def test_planes_are_read_like_an_array() -> None:
    def read(index, window):
        top, bottom, left, right = window
        return ZCYX[index][top:bottom, left:right]

    planes = Planes((3, 2), (48, 60), ZCYX.dtype, read, (16, 16))
    places = (
        (...,), (1,), (2, 1), (slice(None), 0, slice(3, 9)), (..., slice(5, 50, 7), 4), (0, slice(1, 2), -1),
        (1, ..., 3), (slice(0, 0), 1),
    )  # fmt: skip
    for where in places:
        np.testing.assert_array_equal(planes[where], ZCYX[where])
