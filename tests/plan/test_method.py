"""Dense or patch by patch, everywhere, at some pixels or in a region: the same numbers, and a time beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from _keras_side import save_model

import napari_fcnseg as nf
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.plan import method
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.run import Run
from napari_fcnseg.run.time_estimate import estimate_run
from napari_fcnseg.settings import RunSettings

SPEC = {
    "input": (12, 9, 2),
    "layers": [
        ("Conv2D", {"filters": 6, "kernel_size": 3, "padding": "same", "activation": "relu"}),
        ("MaxPooling2D", {}),
        ("Conv2D", {"filters": 6, "kernel_size": 3, "padding": "same", "activation": "relu"}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip
#: Nothing but padding: every position of a patch is a map of its own.
PADDED = {
    "input": (9, 9, 2),
    "layers": [
        *[("Conv2D", {"filters": 8, "kernel_size": 5, "padding": "same", "activation": "relu"})] * 5,
        ("GlobalAveragePooling2D", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def model(keras_child, tmp_path_factory) -> nf.PatchModel:
    path = tmp_path_factory.mktemp("models") / "same.keras"
    keras_child(save_model, SPEC, str(path))
    return nf.load_model(path)


@pytest.fixture(scope="module")
def padded(keras_child, tmp_path_factory) -> nf.PatchModel:
    path = tmp_path_factory.mktemp("models") / "padded.keras"
    keras_child(save_model, PADDED, str(path))
    return nf.load_model(path)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((41, 38, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def everywhere(model, image) -> nf.Segmentation:
    return nf.segment(image, model, probabilities=True, method="dense")


def test_patch_by_patch_gives_the_numbers_of_the_dense_network(model, image, everywhere) -> None:
    slow = nf.segment(image, model, probabilities=True, method="patchwise", tile=17)
    assert slow.provenance["models"][0]["method"] == "patchwise"
    assert everywhere.provenance["models"][0]["method"] == "dense"
    np.testing.assert_allclose(slow.probabilities, everywhere.probabilities, atol=1e-5)
    np.testing.assert_array_equal(slow.labels, everywhere.labels)


@pytest.mark.parametrize("method", ["dense", "patchwise"])
@pytest.mark.parametrize(("every", "tile"), [(2, None), (3, 10), (7, 5), (100, None)])
def test_every_so_manieth_pixel_is_that_pixel_s_own_result(model, image, everywhere, method, every, tile) -> None:
    some = nf.segment(image, model, probabilities=True, method=method, every=every, tile=tile)
    np.testing.assert_allclose(some.probabilities, everywhere.probabilities[::every, ::every], atol=1e-5)
    np.testing.assert_array_equal(some.labels, everywhere.labels[::every, ::every])


@pytest.mark.parametrize("method", ["dense", "patchwise"])
def test_outside_a_region_nothing_is_predicted_and_inside_the_same(model, image, everywhere, method) -> None:
    some = nf.segment(image, model, method=method, region=((5, 20), (0, 300)), every=2)
    expected = np.zeros((41, 38), everywhere.labels.dtype)
    expected[5:20] = everywhere.labels[5:20]
    np.testing.assert_array_equal(some.labels, expected[::2, ::2])


def test_without_a_border_the_pixels_without_a_full_patch_stay_unlabelled(model, image) -> None:
    whole = nf.segment(image, model, border="valid").labels
    np.testing.assert_array_equal(nf.segment(image, model, border="valid", every=3).labels, whole[::3, ::3])


def test_what_is_slower_densely_is_run_patch_by_patch_unless_asked_otherwise(padded, image) -> None:
    assert padded.fcn.report.cheaper == "patchwise"
    assert "better way" in padded.fcn.report.summary()
    small = image[:12, :13]
    auto = nf.segment(small, padded, probabilities=True)
    dense = nf.segment(small, padded, probabilities=True, method="dense")
    assert auto.provenance["models"][0]["method"] == "patchwise"
    np.testing.assert_allclose(auto.probabilities, dense.probabilities, atol=1e-5)
    pinned = nf.segment(small, padded, probabilities=True, ways="plain")  # which are those of the dense network
    assert pinned.provenance["models"][0]["method"] == "dense"


def test_a_few_pixels_are_not_worth_building_a_network_or_starting_another_framework(model, monkeypatch) -> None:
    def methods() -> list[str]:
        images = (np.zeros((places, places, 2)) for places in (5, 1000))
        return [make_plan(image, (model,), RunSettings(channel_axis=2)).methods[0].name for image in images]

    assert len(model.fcn.network.steps) > 50
    assert methods() == ["dense", "dense"]
    monkeypatch.setattr(method, "_REFERENCE", 0)
    assert methods() == ["patchwise", "dense"]


def test_an_ensemble_may_go_both_ways(model, keras_child, tmp_path, image) -> None:
    path = tmp_path / "padded.keras"
    keras_child(save_model, PADDED, str(path))
    small = image[:13, :14]
    whole = make_plan(np.zeros((1000, 1000, 2)), (model, nf.load_model(path)), RunSettings(channel_axis=2))
    assert [method.name for method in whole.methods] == ["dense", "patchwise"]
    both = nf.segment(small, [model, path], probabilities=True)
    each = [nf.segment_patchwise(small, m).probabilities for m in (model, path)]
    np.testing.assert_allclose(both.probabilities, np.mean(each, axis=0), atol=1e-5)


def test_points_are_counted_as_the_labels_are(model, image, everywhere) -> None:
    some = nf.segment_patchwise(image, model, points=[[0, 0], [5, 6]], every=3)
    np.testing.assert_array_equal(some.labels, [everywhere.labels[0, 0], everywhere.labels[15, 18]])


def test_verification_asks_about_the_pixels_that_have_a_result(model, image) -> None:
    verification = nf.verify(image, model, n=60, every=4, tile=16)
    assert verification.passed
    assert (verification.points < (11, 10)).all()


def test_an_estimate_says_what_is_going_to_be_done_and_takes_the_work_into_account(model, image) -> None:
    small = nf.estimate(np.tile(image, (4, 4, 1)), model, method="patchwise")
    large = nf.estimate(np.tile(image, (16, 16, 1)), model, method="patchwise")
    assert (small.methods, small.pixels, large.pixels) == (("patchwise",), 16 * 41 * 38, 256 * 41 * 38)
    assert 4 < large.seconds / small.seconds < 64  # 16 times the pixels, on a machine that is not alone
    assert "CPU" in large.device


def test_a_dense_tile_is_estimated_with_its_halo(model, image) -> None:
    run = Run(make_plan(image, (model,), RunSettings(tile=4, method="dense")))
    whole = Run(make_plan(image, (model,), RunSettings(method="dense")))
    assert run.total == 11 * 10
    assert estimate_run(run).seconds > estimate_run(whole).seconds > 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"method": "fast"}, "no method 'fast'"),
        ({"every": 0}, "at least 1"),
        ({"region": ((5, 5), (0, 9))}, "stops after its start"),
        ({"region": ((0, 5),)}, "1 axes and the model 2"),
        ({"region": ((60, 90), (0, 9))}, "no pixel"),
        ({"region": "all"}, "one \\(start, stop\\) per axis"),
        ({"region": ((1, 3), (1, 3)), "every": 7}, "every=7"),
    ],
)
def test_what_cannot_be_is_said(model, image, settings, says) -> None:
    with pytest.raises(SettingsError, match=says):
        nf.segment(image, model, **settings)
