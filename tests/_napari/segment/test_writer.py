"""Labels in files: what File, Save Selected Layers writes is what is in the layer, and beside it where that is from."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from napari.plugins.io import save_layers
from napari.utils.colormaps import DirectLabelColormap
from npe2 import PluginManager

from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile import read_image

DATA = np.random.default_rng(0).integers(0, 4, (3, 20, 30)).astype(np.uint8)
PROVENANCE = {
    "program": "napari-fcnseg", "models": [{"name": "m", "patch_shape": (9, 9)}], "tile": (20, 30), "seconds": 1.5,
    "image": {"shape": (3, 20, 30), "dtype": "uint16"}, "channel_axis": None, "certificate": {"passed": True},
}  # fmt: skip


@pytest.fixture(autouse=True)
def plugins() -> None:
    """Have napari know this plugin, as it does once it has a window."""
    PluginManager.instance().discover()


def written(layer, path) -> list[str]:
    return save_layers(str(path), [layer], plugin="napari-fcnseg")


def result_layer(data=DATA, **options) -> Labels:
    colors = {None: "transparent", 0: "transparent", 1: "#999999", 2: "#0072b2", 3: "#d55e00"}
    return Labels(
        data, metadata={"napari_fcnseg": PROVENANCE}, colormap=DirectLabelColormap(color_dict=colors),
        features={"index": range(4), "class": ["not labelled", "a", "b", "c"]}, **options,
    )  # fmt: skip


@pytest.mark.parametrize("ending", [".tif", ".ome.tif", ".zarr", ".npy"])
def test_axes_pixel_size_and_where_it_comes_from(tmp_path, ending) -> None:
    place = {"scale": (2, 0.5, 650), "units": ("second", "micrometer", "nanometer"), "axis_labels": ("t", "y", "x")}
    path = tmp_path / f"my labels{ending}"
    files = written(result_layer(**place), path)
    beside = tmp_path / f"{path.stem}.provenance.json"
    assert files == [str(path), str(beside)]
    again = read_image([path])
    np.testing.assert_array_equal(np.asarray(again.data), DATA)
    told = json.loads(beside.read_text(encoding="utf-8"))
    if ending != ".npy":
        assert again.axes == "TYX"
        assert again.pixel_size == pytest.approx({"Y": 500.0, "X": 650.0})
        assert again.unit == "nm"
    assert told["certificate"] == {"passed": True}
    assert (told["class_names"], told["class_colors"]) == (["a", "b", "c"], ["#999999", "#0072b2", "#d55e00"])
    assert (told["written"]["file"], told["written"]["axes"], told["written"]["unit"]) == (path.name, "TYX", "nm")
    assert not [name for name in os.listdir(tmp_path) if "part" in name]


def test_the_axis_of_length_one_over_the_channels_is_left_out(tmp_path) -> None:
    layer = result_layer(DATA[:, None])
    layer.metadata["napari_fcnseg"] = PROVENANCE | {"image": {"shape": (3, 2, 20, 30)}, "channel_axis": 1}
    written(layer, tmp_path / "a.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), DATA)


def test_a_volume_has_planes(tmp_path) -> None:
    layer = result_layer()
    layer.metadata["napari_fcnseg"] = PROVENANCE | {"models": [{"name": "m", "patch_shape": (9, 9, 9)}]}
    written(layer, tmp_path / "a.ome.tif")
    assert read_image([tmp_path / "a.ome.tif"]).axes == "ZYX"


@pytest.mark.parametrize("kind", ["int64", "uint64", "int32", "uint32", "int16", "uint16", "int8"])
@pytest.mark.parametrize("ending", [".tif", ".ome.tif", ".zarr", ".npy", ".png"])
def test_labels_of_others_keep_every_number_and_have_nothing_beside_them(tmp_path, kind, ending) -> None:
    data = np.arange(20 * 30).reshape(20, 30).astype(kind)
    data[5, 5] = np.iinfo(kind).max if np.dtype(kind).itemsize < 4 else 2**31 - 1
    path = tmp_path / f"a{ending}"
    if ending == ".png" and (data.min() < 0 or data.max() >= 2**16):
        with pytest.raises(OutputError, match=r"ends with \.tif"):
            written(Labels(data), path)
        assert os.listdir(tmp_path) == []
        return
    assert written(Labels(data), path) == [str(path)]
    np.testing.assert_array_equal(np.asarray(read_image([path]).data), data)
    assert os.listdir(tmp_path) == [path.name]


def test_of_a_multiscale_layer_the_finest_is_written(tmp_path) -> None:
    fine = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    written(Labels([fine, fine[::2, ::2]], multiscale=True), tmp_path / "a.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), fine)


def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path) -> None:
    (tmp_path / "a.zarr").mkdir()
    for path, says in ((tmp_path / "no" / "a.tif", "There is no folder"), (tmp_path / "a.zarr", "is a folder")):
        with pytest.raises(OutputError, match=says):
            written(result_layer(), path)
    with pytest.raises(OutputError, match="one 2D label image"):
        written(result_layer(), tmp_path / "a.png")
    assert os.listdir(tmp_path) == ["a.zarr"]
