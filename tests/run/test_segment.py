"""The public functions: shapes, borders, stacks, ensembles, tiles, and what does not fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from _keras_side import save_model

import napari_fcnseg as nf
from napari_fcnseg.errors import ImageError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

BODY = [
    ("Conv2D", {"filters": 8, "kernel_size": 3, "activation": "relu"}),
    ("MaxPooling2D", {}),
    ("Conv2D", {"filters": 8, "kernel_size": 2, "activation": "relu"}),
    ("Flatten", {}),
]  # fmt: skip


def spec(channels: int = 2, patch: int = 11, classes: int = 3, seed: int = 0, activation: str = "softmax"):
    head = ("Dense", {"units": classes, "activation": activation})
    return {"input": (patch, patch, channels), "layers": [*BODY, head], "seed": seed}


@pytest.fixture(scope="module")
def models(keras_child, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    wanted = {
        "two": spec(),
        "two_b": spec(seed=1),
        "wide": spec(patch=14, seed=2),
        "one": spec(channels=1),
        "four_classes": spec(classes=4),
        "single": spec(classes=1, activation="sigmoid"),
    }
    for name, each in wanted.items():
        keras_child(save_model, each, str(folder / f"{name}.keras"))
    return {name: folder / f"{name}.keras" for name in wanted}


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (37, 45, 2)).astype(np.uint16)


@pytest.mark.parametrize("border", ["reflect", "edge", "constant", "valid"])
def test_dense_equals_patch_by_patch_at_every_pixel(models, image, border) -> None:
    dense = nf.segment(image, models["two"], border=border, probabilities=True)
    slow = nf.segment_patchwise(image, models["two"], border=border)
    np.testing.assert_array_equal(dense.labels, slow.labels)
    np.testing.assert_allclose(dense.probabilities, slow.probabilities, atol=1e-5)


def test_without_border_the_frame_stays_unlabelled(models, image) -> None:
    result = nf.segment(image, models["two"], border="valid", probabilities=True)
    inside = np.zeros(result.labels.shape, bool)
    inside[5 : 37 - 5, 5 : 45 - 5] = True  # H - P + 1 predictions, the centre of an 11-patch being index 5
    assert (result.labels[inside] > 0).all()
    assert not result.labels[~inside].any()
    assert not result.probabilities[~inside].any()


@pytest.mark.parametrize("tile", [1, 7, (5, 23), 36, 1000])
def test_any_tile_gives_the_same_labels(models, image, tile) -> None:
    small = image[:20, :24]
    np.testing.assert_array_equal(
        nf.segment(small, models["two"], tile=tile).labels, nf.segment(small, models["two"]).labels
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (3, 4), (11, 11)])
def test_an_image_smaller_than_the_patch_is_continued_at_its_border(models, shape) -> None:
    image = np.random.default_rng(1).random((*shape, 2))
    dense = nf.segment(image, models["two"], channel_axis=-1)
    np.testing.assert_array_equal(dense.labels, nf.segment_patchwise(image, models["two"], channel_axis=-1).labels)


def test_frames_of_a_stack_are_segmented_alone(models, image) -> None:
    stack = np.stack([image, image[::-1], image // 2])
    steps = ["divide_by_median"]
    together = nf.segment(stack + 1, models["two"], preprocess=steps).labels
    for frame, labels in zip(stack, together, strict=True):
        np.testing.assert_array_equal(nf.segment(frame + 1, models["two"], preprocess=steps).labels, labels)


def test_an_ensemble_is_the_mean_of_its_members_even_with_other_patches(models, image) -> None:
    members = [models["two"], models["two_b"], models["wide"]]
    together = nf.segment(image, members, probabilities=True)
    alone = [nf.segment(image, m, probabilities=True).probabilities for m in members]
    np.testing.assert_allclose(together.probabilities, np.mean(alone, axis=0), atol=1e-6)
    np.testing.assert_array_equal(together.labels, np.mean(alone, axis=0).argmax(-1) + 1)
    slow = nf.segment_patchwise(image, members)
    np.testing.assert_allclose(together.probabilities, slow.probabilities, atol=1e-5)


def test_a_single_output_tells_two_classes_apart(models, image) -> None:
    result = nf.segment(image, models["single"], probabilities=True)
    assert result.probabilities.shape == (37, 45, 1)
    np.testing.assert_array_equal(result.labels, 1 + (result.probabilities[..., 0] > 0.5))
    assert nf.load_model(models["single"]).classes == 2


def test_finished_tiles_come_one_by_one_with_their_place(models, image) -> None:
    whole = nf.segment(image, models["two"], probabilities=True)
    labels = np.zeros_like(whole.labels)
    for number, tile in enumerate(nf.iter_segment(image, models["two"], tile=16), start=1):
        labels[tile.where] = tile.labels
        np.testing.assert_allclose(tile.scores, whole.probabilities[tile.where], atol=1e-6)
        assert (tile.done, tile.total) == (number, 9)
    np.testing.assert_array_equal(labels, whole.labels)


def test_progress_counts_to_the_end(models, image) -> None:
    seen: list[tuple[int, int]] = []
    nf.segment(image, models["two"], tile=20, progress=lambda *counts: seen.append(counts))
    assert seen == [(n, 6) for n in range(1, 7)]


def test_points_are_asked_of_the_patch_model_alone(models, image) -> None:
    points = np.array([[0, 0], [36, 44], [12, 30]])
    result = nf.segment_patchwise(image, models["two"], points)
    whole = nf.segment(image, models["two"], probabilities=True)
    np.testing.assert_array_equal(result.labels, whole.labels[tuple(points.T)])
    np.testing.assert_allclose(result.probabilities, whole.probabilities[tuple(points.T)], atol=1e-5)


def test_provenance_is_plain_data_that_reproduces_the_result(models, image) -> None:
    first = nf.segment(image, models["two"], border="edge", tile=20)
    provenance = json.loads(json.dumps(first.provenance))
    settings = provenance["settings"]
    again = nf.segment(image, provenance["models"][0]["path"], **{**settings, "tile": 20})
    np.testing.assert_array_equal(first.labels, again.labels)
    assert provenance["models"][0]["sha256"] == nf.load_model(models["two"]).sha256
    assert provenance["channel_axis"] == 2


def test_lazy_arrays_are_read_frame_by_frame(models, image) -> None:
    dask = pytest.importorskip("dask.array")
    lazy = dask.from_array(np.stack([image, image]), chunks=(1, 10, 10, 2))
    whole = nf.segment(lazy, models["two"], channel_axis=-1).labels
    np.testing.assert_array_equal(whole[1], nf.segment(image, models["two"]).labels)


@pytest.mark.parametrize(
    ("model", "shape", "settings", "error", "says"),
    [
        ("two", (30, 30, 3), {}, ImageError, "takes 2 channels"),
        ("one", (30, 30, 3), {"channel_axis": -1}, ImageError, "3 channels along axis 2; the model takes 1"),
        ("two", (5, 30, 2), {"border": "valid"}, ImageError, "smaller than the patch"),
        ("two", (0, 30, 2), {}, ImageError, "empty"),
        ("two", (30, 30, 2), {"border": "wrap"}, SettingsError, "no border rule 'wrap'"),
        ("two", (30, 30, 2), {"tile": (4, 4, 4)}, SettingsError, "3 sizes"),
        ("two", (30, 30, 2), {"memory_limit": 10}, SettingsError, "too small"),
        ("two", (30, 30, 2), {"preprocess": ["sharpen"]}, SettingsError, "no preprocessing step"),
    ],
)
def test_what_does_not_fit_is_said_before_the_run(models, model, shape, settings, error, says) -> None:
    with pytest.raises(error, match=says):
        nf.iter_segment(np.ones(shape), models[model], **settings)


@pytest.mark.parametrize(
    ("members", "says"),
    [(["two", "one"], "input channels differ"), (["two", "four_classes"], "outputs differ"), ([], "No model")],
)
def test_models_that_cannot_be_averaged_are_said(models, image, members, says) -> None:
    with pytest.raises(SettingsError, match=says):
        nf.segment(image, [models[m] for m in members])


@pytest.mark.parametrize(
    ("points", "says"), [([[0, 99]], "no prediction"), ([[1.5, 2.0]], "whole numbers"), ([1, 2], r"shape \(n, 2\)")]
)
def test_points_outside_are_said(models, image, points, says) -> None:
    with pytest.raises(SettingsError, match=says):
        nf.segment_patchwise(image, models["two"], points)


def test_preprocessing_that_makes_infinities_is_said(models) -> None:
    image = np.full((20, 20, 2), 1e30, np.float32)
    with pytest.raises(ImageError, match=r"not finite. Choose other steps"):
        nf.segment(image, models["two"], preprocess=["scale_linear:1e30"])


def test_patches_of_the_wrong_shape_are_said(models) -> None:
    with pytest.raises(ImageError, match=r"takes patches of shape \(n, 11, 11, 2\)"):
        nf.load_model(models["two"]).predict(np.zeros((1, 11, 11, 3)))
