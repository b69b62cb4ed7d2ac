"""A network that labels every pixel by itself is run as it is: the same numbers, whole and in tiles."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from readers.unet_files import HALO, description, one_map, package, truth, unet

from napari_fcnseg import (
    PatchModel,
    convert,
    errors,
    load_model,
    segment,
    segment_patchwise,
    teach,
    verify,
    write_package,
)
from napari_fcnseg.cli.main import main
from napari_fcnseg.readers import read_model
from napari_fcnseg.run.time_estimate import estimate


def picture(*shape: int) -> Any:
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(3).random(shape)
    return (gaussian_filter(noise, 1.5) * 900 - 400).round().astype(np.int16)


IMAGE = picture(93, 78)


def opened(path) -> PatchModel:
    """Read a model as the reading process does, without its start."""
    return PatchModel(read_model(path), path)


def prepared(image: Any) -> Any:
    return image.astype(np.float32) * np.float32(0.01) - np.float32(0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unets")


@pytest.fixture(scope="module")
def model(folder):
    return load_model(package(folder / "unet.zip", description(), unet()))


def test_tiles_have_the_numbers_of_the_whole_and_those_of_the_definition(model) -> None:
    whole = segment(IMAGE, model, probabilities=True, tile=1000)
    padded = np.pad(prepared(IMAGE), ((16, 17), (16, 16)), mode="reflect")
    expected = truth(unet(), padded)[16:-17, 16:-16]
    assert whole.probabilities.shape == (93, 78, 3)
    np.testing.assert_allclose(whole.probabilities, expected, atol=1e-5)
    assert len(np.unique(whole.labels)) == 3
    assert (whole.labels == expected.argmax(-1) + 1).mean() > 0.999
    for tile in (23, (17, 50)):
        tiled = segment(IMAGE, model, probabilities=True, tile=tile)
        np.testing.assert_allclose(tiled.probabilities, whole.probabilities, atol=1e-6)
    assert whole.provenance["models"][0]["method"] == "as it is"
    assert "onnxruntime" in whole.provenance["versions"]


def test_what_was_asked_for_is_named_and_nothing_else(model, folder, capsys) -> None:
    asked = {
        "check": lambda: verify(IMAGE, model),
        "export": lambda: write_package(model, folder / "a.zip", licence="MIT"),
        "teach": lambda: teach(IMAGE, np.eye(93, 78, dtype=np.uint8) + 1, model),
        "convert": lambda: convert(model),
    }
    for what, ask in asked.items():
        with pytest.raises(errors.ConversionError, match=rf"run as it is: there is nothing to {what}\. Choose a patch"):
            ask()
    assert main(["inspect", str(model.path)]) == 0
    assert "unet: 1 channel, 3 classes." in capsys.readouterr().out


def test_regions_frames_every_and_the_border_rule_hold(model) -> None:
    whole = segment(IMAGE, model).labels
    part = segment(IMAGE, model, region=[(20, 61), (5, 33)]).labels
    assert (part[20:61, 5:33] == whole[20:61, 5:33]).all()
    assert not part[:20].any()
    assert (segment(IMAGE, model, every=3, tile=40).labels == whole[::3, ::3]).all()
    stack = segment(np.stack([IMAGE.T[:70, :50], IMAGE[:70, :50]]), model, border="valid").labels
    assert (stack[1, HALO : 70 - HALO, HALO : 50 - HALO] == whole[HALO : 70 - HALO, HALO : 50 - HALO]).all()
    assert not stack[:, :HALO].any()
    assert segment(IMAGE[:9, :11], model).labels.shape == (9, 11), "smaller than the least window"
    assert estimate(IMAGE, model).methods == ("as it is",)


@pytest.mark.parametrize("size", [64, 40])
def test_a_network_of_one_size_is_run_in_windows_of_that_size(folder, model, size) -> None:
    data = description()
    for axis in data["inputs"][0]["axes"][2:]:
        axis["size"] = size
    fixed = opened(package(folder / f"fixed-{size}.zip", data, unet()))
    assert fixed.source.least == (size, size)
    for tile in (None, 13):
        ours = segment(IMAGE, fixed, probabilities=True, tile=tile).probabilities
        np.testing.assert_allclose(ours, segment(IMAGE, model, probabilities=True).probabilities, atol=1e-6)


def test_what_has_no_answer_at_the_frame_of_a_window_is_no_seam(folder) -> None:
    weights = unet(pad=0)  # its last convolution pads nothing: the map is 2 pixels smaller
    data = description()
    for axis in data["outputs"][0]["axes"][2:]:
        axis["size"] = {**axis["size"], "offset": -2}
    smaller = opened(package(folder / "valid.zip", data, weights))
    assert smaller.source.crop == (1, 1)
    ours = segment(IMAGE, smaller, probabilities=True, tile=31).probabilities
    padded = np.pad(prepared(IMAGE), ((16, 17), (16, 16)), mode="reflect")
    np.testing.assert_allclose(ours, truth(weights, padded)[15:-16, 15:-15], atol=1e-5)


def test_a_halo_that_nobody_says_is_worked_out(folder, model) -> None:
    data = description()
    for axis in data["outputs"][0]["axes"][2:]:
        del axis["halo"]
    silent = opened(package(folder / "silent.zip", data, unet()))
    assert "worked out" in " ".join(silent.source.notes)
    assert silent.source.grid == (2, 2)
    assert 7 <= silent.source.halo[0] <= 16
    ours = segment(IMAGE, silent, probabilities=True, tile=19).probabilities
    np.testing.assert_allclose(ours, segment(IMAGE, model, probabilities=True).probabilities, atol=1e-6)


def test_a_single_map_is_foreground_above_one_half(folder) -> None:
    weights = unet(maps=1, last="Sigmoid")
    single = opened(package(folder / "one.zip", one_map(description()), weights))
    result = segment(IMAGE, single, probabilities=True)
    padded = np.pad(prepared(IMAGE), ((16, 17), (16, 16)), mode="reflect")
    expected = truth(weights, padded)[16:-17, 16:-16, 0]
    assert single.class_names == ("background", "nuclei")
    np.testing.assert_allclose(result.probabilities[..., 1], expected, atol=1e-5)
    clear = abs(expected - 0.5) > 1e-4
    assert ((result.labels == 2) == (expected > 0.5))[clear].all()
    assert set(np.unique(result.labels)) == {1, 2}
    assert "foreground where that is above 0.5" in " ".join(single.source.notes)


def test_steps_after_the_network_are_done(folder) -> None:
    raw = unet(maps=2, last="Identity")
    data = description()
    data["outputs"][0]["axes"][1]["channel_names"] = ["nucleus", "border"]
    data["outputs"][0]["postprocessing"] = [
        {"id": "sigmoid"},
        {"id": "binarize", "kwargs": {"threshold": 0.7}},
    ]
    several = opened(package(folder / "several.zip", data, raw))
    assert several.class_names == ("background", "nucleus", "border")
    padded = np.pad(prepared(IMAGE), ((16, 17), (16, 16)), mode="reflect")
    maps = 1 / (1 + np.exp(-truth(raw, padded)[16:-17, 16:-16]))
    expected = np.where(maps.max(-1) > 0.7, maps.argmax(-1) + 2, 1)
    labels = segment(IMAGE, several).labels
    assert (labels == expected).mean() > 0.999
    assert set(np.unique(labels)) == {1, 2, 3}


def test_volumes_and_channels_last(folder) -> None:
    cube = picture(9, 12, 10)
    data = description("zyx")
    whole = opened(package(folder / "cube.zip", data, unet(axes=3)))
    ours = segment(cube, whole, probabilities=True).probabilities
    padded = np.pad(prepared(cube), [(HALO, HALO + n % 2) for n in cube.shape], mode="reflect")
    expected = truth(unet(axes=3), padded)
    np.testing.assert_allclose(ours, expected[tuple(slice(HALO, HALO + n) for n in cube.shape)], atol=1e-5)
    tiled = segment(cube, whole, probabilities=True, tile=(5, 12, 6)).probabilities
    np.testing.assert_allclose(tiled, ours, atol=1e-6)


def test_what_only_a_patch_model_has_is_refused_in_a_sentence(model, tmp_path) -> None:
    assert model.labels_every_pixel
    for refused in (
        lambda: convert(model),
        lambda: verify(IMAGE, model, n=4),
        lambda: write_package(model, tmp_path / "a.zip", licence="MIT"),
        lambda: model.predict(np.zeros((1, 17, 17, 1))),
        lambda: model.save(tmp_path / "a.keras"),
    ):
        with pytest.raises(errors.FcnSegError, match="already labels every pixel"):
            refused()
    with pytest.raises(errors.SettingsError, match="method auto"):
        segment_patchwise(IMAGE, model, [[3, 3]])
    with pytest.raises(errors.SettingsError, match="precision float32"):
        segment(IMAGE, model, precision="float16")
    with pytest.raises(errors.SettingsError, match="no patches"):
        load_model(model.path, patch_size=(31, 31))
    assert list(tmp_path.iterdir()) == []


def test_an_ensemble_of_them_is_averaged(folder, model) -> None:
    other = unet()
    for stored in other.graph.initializer:
        if stored.name == "b4":
            stored.raw_data = (
                (np.frombuffer(stored.raw_data, np.float32) + np.array([0.5, -0.5, 0])).astype("<f4").tobytes()
            )
    second = opened(package(folder / "second.zip", description(), other))
    alone = [segment(IMAGE, each, probabilities=True).probabilities for each in (model, second)]
    both = segment(IMAGE, [model, second], probabilities=True, tile=45).probabilities
    np.testing.assert_allclose(both, np.mean(alone, axis=0), atol=1e-6)


def test_a_map_of_another_size_than_described_is_said(folder) -> None:
    # At the size that is looked at all is well; the least windows of a small image have another shape.
    data = copy.deepcopy(description())
    for axis in data["inputs"][0]["axes"][2:]:
        axis["size"] = {"min": 17, "step": 1}
    odd = opened(package(folder / "odd.zip", data, unet()))
    with pytest.raises(errors.FcnSegError, match="tile size"):
        segment(IMAGE[:17, :17], odd)
