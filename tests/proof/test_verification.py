"""Verification looks where mistakes show, and would find one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from _keras_side import save_model
from _versions import lacking
from hypothesis import given
from hypothesis import strategies as st

import napari_fcnseg as nf
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model.fcn import FCN
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.proof.verification import VerificationSampler, choose_points
from napari_fcnseg.run.result import iter_tiles
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import RunSettings

SPEC = {
    "input": (9, 9, 1),
    "layers": [
        ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def model(keras_child, tmp_path_factory) -> nf.PatchModel:
    path = tmp_path_factory.mktemp("models") / "small.keras"
    keras_child(save_model, SPEC, str(path))
    return nf.load_model(path)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((50, 60), np.float32)


def test_an_exact_result_is_verified(model, image) -> None:
    verification = nf.verify(image, model, tile=16)
    assert verification.passed
    assert verification.label_agreement == 1.0
    assert verification.max_abs_difference <= 1e-5
    if not lacking("tensorflow", "2.17"):  # which happens to compute both ways alike here
        assert verification.max_abs_difference > 0  # two ways of computing never round alike everywhere
    assert len(verification.points) == 256
    assert "256 of 256 labels" in str(verification)


def test_a_dilation_that_is_off_by_one_is_found(model, image) -> None:
    """The same network with a mistake in the method: verification must not pass."""
    network = model.fcn.network
    last = max(n for n, step in enumerate(network.steps) if getattr(step.op, "dilations", None) == ((2, 2),))
    step = network.steps[last]
    wrong_op = dataclasses.replace(step.op, dilations=((2, 1),))
    steps = (*network.steps[:last], dataclasses.replace(step, op=wrong_op), *network.steps[last + 1 :])
    reach = (network.reach[0], network.reach[1] - (step.op.kernels[0].shape[1] - 1))
    broken = nf.PatchModel(model.network)
    broken.__dict__["fcn"] = FCN(dataclasses.replace(network, steps=steps, reach=reach))
    verification = nf.verify(image, broken)
    assert not verification.passed
    assert str(verification).startswith("Conversion check FAILED")


def test_where_numbers_are_doubted_the_sentence_begins_with_the_doubt_and_nothing_is_called_equal(model, image) -> None:
    """Rounding of large numbers is a likely cause; a label that differs is a failure whatever the numbers are."""
    run = Run(make_plan(image * 1000, (model,), RunSettings()))
    sampler = VerificationSampler(run, n=50)
    for tile in iter_tiles(run):
        scores = np.ascontiguousarray(tile.scores)
        scores[tuple(sampler.points[7])] += 2e-5
        sampler.see(dataclasses.replace(tile, scores=scores))
    verification = sampler.verify()
    assert not verification.passed
    assert str(verification).startswith("The model gets values of ")
    assert "Check the normalisation, then verify again: the conversion check has not passed" in str(verification)
    assert "all 50 labels agree" in str(verification)
    wrong = dataclasses.replace(verification, label_agreement=0.98)
    assert str(wrong).startswith("Conversion check FAILED: 49 of 50 labels agree")
    assert not str(dataclasses.replace(verification, doubt="")).startswith("The model gets")


def test_one_wrong_pixel_among_those_watched_is_found(model, image) -> None:
    run = Run(make_plan(image, (model,), RunSettings()))
    sampler = VerificationSampler(run, n=50)
    for tile in iter_tiles(run):
        scores = tile.scores.copy()
        scores[tuple(sampler.points[7])] += 0.01
        sampler.see(dataclasses.replace(tile, scores=scores))
    verification = sampler.verify()
    assert verification.worst_point == tuple(sampler.points[7])
    assert verification.max_abs_difference == pytest.approx(0.01, rel=1e-3)


@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    tile=st.integers(1, 40),
    n=st.integers(1, 300),
    seed=st.integers(0, 5),
)
def test_points_are_inside_different_and_reproducible(model, shape, tile, n, seed) -> None:
    plan = make_plan(np.zeros(shape), (model,), RunSettings(tile=tile))
    points = choose_points(plan, n, seed)
    assert 1 <= len(points) <= n
    assert len(np.unique(points, axis=0)) == len(points)
    assert ((points >= 0) & (points < shape)).all()
    np.testing.assert_array_equal(points, choose_points(plan, n, seed))


def test_corners_borders_and_both_sides_of_seams_are_among_the_points(model, image) -> None:
    plan = make_plan(image, (model,), RunSettings(tile=(25, 30)))
    points = {tuple(p) for p in choose_points(plan, 256, 0)}
    assert {(0, 0), (0, 59), (49, 0), (49, 59), (0, 30), (25, 0), (49, 30), (25, 59)} <= points
    assert {row for row, _ in points} >= {24, 25}
    assert {column for _, column in points} >= {29, 30}


def test_a_stack_is_verified_over_its_frames(model, image) -> None:
    verification = nf.verify(np.stack([image, image + 1, image * 2]), model, n=40)
    assert verification.passed
    assert set(verification.points[:, 0]) == {0, 1, 2}


def test_there_must_be_something_to_verify(model, image) -> None:
    with pytest.raises(SettingsError, match="at least 1"):
        nf.verify(image, model, n=0)
    with pytest.raises(SettingsError, match="at least one tile"):
        VerificationSampler(Run(make_plan(image, (model,), RunSettings()))).verify()
