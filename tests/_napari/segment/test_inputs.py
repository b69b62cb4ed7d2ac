"""The image of a result is found again in its files, or saved: never another image than the one that was segmented."""

from __future__ import annotations

from types import SimpleNamespace

import dask.array as da
import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from napari.layers import Image
from napari.layers._source import layer_source

from napari_fcnseg._napari.layers.channels import ImageLayers, InputSpec
from napari_fcnseg._napari.segment.models.sample_data import sample_layers
from napari_fcnseg._napari.segment.results import inputs
from napari_fcnseg._napari.segment.results.inputs import inputs_of
from napari_fcnseg.errors import ImageError, OutputError
from napari_fcnseg.imagefile import GrowingZarr, read_image
from napari_fcnseg.run.recipe import Inputs

DATA = np.random.default_rng(0).integers(0, 2**16, (2, 30, 40)).astype(np.uint16)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_FCNSEG_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "inputs"


def layer_of(data, path=None, **options) -> Image:
    with layer_source(path=None if path is None else str(path)):
        return Image(data, **options)


def order_of(*layers, channels=2, inside=None):
    return SimpleNamespace(source=ImageLayers.of(layers, InputSpec(channels, 2)), inside=inside)


def again(found: Inputs, request) -> np.ndarray:
    """Read what was found as a run would; the channels last."""
    read = read_image(found.files).for_model(request.source.need.channels).data
    axis = request.source.layout.channel_axis if found.channel_axis is None else found.channel_axis
    return np.asarray(read) if axis is None else np.moveaxis(np.asarray(read), axis, -1)


def test_a_file_is_taken_where_it_holds_the_very_pixels(tmp_path, folder) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, DATA, imagej=True, metadata={"axes": "CYX"})
    for data in (DATA, da.from_array(DATA, chunks=(1, 16, 16))):
        found, notes = inputs_of(order_of(layer_of(data, path)))
        assert (found, notes) == (Inputs((str(path),)), [])
    assert not folder.exists()
    changed = DATA.copy()
    changed[1, 29, 39] += 1
    request = order_of(layer_of(changed, path))
    found, notes = inputs_of(request)
    assert found.files[0].startswith(str(folder))
    assert "saved as" in notes[0]
    np.testing.assert_array_equal(again(found, request), np.moveaxis(changed, 0, -1))
    assert inputs_of(request, save=False) == (Inputs(), [])


def test_layers_of_one_channel_are_found_in_their_files_or_in_the_one_that_they_were_split_from(tmp_path) -> None:
    paths = [tmp_path / f"{n}.tif" for n in range(2)]
    for path, channel in zip(paths, DATA, strict=True):
        tifffile.imwrite(path, channel)
    apart = order_of(*(layer_of(channel, path) for path, channel in zip(paths, DATA, strict=True)))
    found, _ = inputs_of(apart)
    assert found == Inputs(tuple(map(str, paths)))
    both = tmp_path / "both.zarr"
    growing = GrowingZarr(both, DATA.shape, (1, 16, 16), DATA.dtype, None)
    growing.array[:] = DATA
    growing.finish()
    whole = layer_of(DATA, both)
    split = []
    for channel in DATA:
        with layer_source(parent=whole):
            split.append(Image(channel))
    request = order_of(*split)
    found, _ = inputs_of(request)
    assert found == Inputs((str(both),), channel_axis=0)
    np.testing.assert_array_equal(again(found, request), np.moveaxis(DATA, 0, -1))
    swapped = order_of(*split[::-1])
    found, notes = inputs_of(swapped)
    assert len(found.files) == 2
    assert " and " in notes[0]
    np.testing.assert_array_equal(again(found, swapped), np.moveaxis(DATA[::-1], 0, -1))


def test_what_a_file_calls_channels_and_the_run_took_for_frames_is_not_that_file(tmp_path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, DATA, imagej=True, metadata={"axes": "CYX"})
    request = order_of(layer_of(DATA, path), channels=1)
    found, _ = inputs_of(request)
    assert found.files != (str(path),)
    np.testing.assert_array_equal(again(found, request), DATA)
    assert read_image(found.files).channel_axis is None


def test_colours_without_their_transparency(tmp_path) -> None:
    path = tmp_path / "image.png"
    rgba = np.random.default_rng(1).integers(0, 256, (20, 30, 4), np.uint8)
    iio.imwrite(path, rgba)
    request = order_of(layer_of(rgba, path, rgb=True), channels=3)
    found, _ = inputs_of(request)
    assert found == Inputs((str(path),))
    request = order_of(layer_of(rgba, rgb=True), channels=3)
    found, _ = inputs_of(request)
    np.testing.assert_array_equal(again(found, request), rgba[..., :3])


def test_a_sample_has_a_name_as_long_as_it_is_as_it_came() -> None:
    layers = [Image(data, **options) for data, options, _ in sample_layers("cells")]
    assert inputs_of(order_of(*layers)) == (Inputs(sample="cells"), [])
    assert len(inputs_of(order_of(*layers), samples=False)[0].files) == 2
    layers[0].data = layers[0].data[:50, :60]
    layers[1].data = layers[1].data[:50, :60]
    assert inputs_of(order_of(*layers))[0].sample == ""


def test_the_same_array_is_saved_once_and_a_region_too(folder) -> None:
    mask = np.zeros((30, 40), bool)
    mask[3:9, 4:30] = True
    request = order_of(layer_of(DATA), inside=SimpleNamespace(mask=lambda: mask))
    first, notes = inputs_of(request)
    assert "The region was saved as" in notes[1]
    np.testing.assert_array_equal(np.load(first.mask), mask)
    assert inputs_of(request)[0] == first
    assert len(list(folder.iterdir())) == 2
    flat = order_of(layer_of(DATA.reshape(2, 40, 30)))  # the same bytes in another shape
    assert inputs_of(flat)[0].files != first.files


def test_what_is_too_large_or_cannot_be_written_is_said(folder, monkeypatch) -> None:
    request = order_of(layer_of(da.from_array(DATA)))
    folder.parent.mkdir()
    folder.write_text("in the way")
    with pytest.raises(OutputError, match="could not be saved in"):
        inputs_of(request)
    monkeypatch.setattr(inputs, "_MOST", 100)
    for large in (request, order_of(*map(layer_of, DATA))):
        with pytest.raises(ImageError, match="is in no file as it was segmented and takes"):
            inputs_of(large)
