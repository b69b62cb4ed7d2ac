"""The parts of teaching, each against what it is defined by."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_fcnseg import load_model
from napari_fcnseg.conversion import convert_network
from napari_fcnseg.model.patch_model import PatchModel
from napari_fcnseg.plan.layout import Layout
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.teaching.cover import cover
from napari_fcnseg.teaching.features import features_at, views
from napari_fcnseg.teaching.settings import TeachSettings
from napari_fcnseg.teaching.starter import starter_network
from napari_fcnseg.teaching.strokes import read_strokes
from napari_fcnseg.teaching.taps import feature_network


@pytest.mark.parametrize("seed", range(4))
def test_a_cover_holds_every_point_once_and_costs_no_more_than_one_rectangle(seed):
    random = np.random.default_rng(seed)
    middles = random.integers(0, 900, (12, 2))
    points = (middles[random.integers(0, 12, 400)] + random.integers(0, 25, (400, 2))).astype(np.intp)
    parts = cover(points, (31, 31), (300, 200))
    assert sorted(np.concatenate([mine for _, mine in parts]).tolist()) == list(range(400))
    for region, mine in parts:
        low, high = np.array(region).T
        assert ((points[mine] >= low) & (points[mine] < high)).all()
        assert (high - low <= (300, 200)).all()
    cost = sum(np.prod([stop - start + 30 for start, stop in region]) for region, _ in parts)
    assert cost <= np.prod(np.ptp(points, axis=0) + 31)


def test_a_stroke_is_what_touches_and_is_of_one_class():
    painted = np.zeros((40, 50), np.uint8)
    painted[5:8, 5:20] = 1
    painted[8:11, 20:30] = 1  # touches at a corner
    painted[8:11, 30:40] = 2  # another class beside it
    painted[30:33, 5:20] = 2
    strokes = read_strokes([painted], [Layout.of((40, 50), 1, 2)])
    expected = sum(ndimage.label(painted == label, np.ones((3, 3)))[1] for label in (1, 2))
    assert len(np.unique(strokes.stroke)) == expected == 3
    assert (painted[tuple(strokes.points[0].T)] == strokes.labels).all()


@pytest.mark.parametrize("name", ["cells", "tissue"])
@pytest.mark.parametrize("turned", [False, True])
def test_numbers_at_points_are_those_of_the_network_itself(name, turned):
    sample = SAMPLES[name]
    network = PatchModel(feature_network(load_model(sample.model_path).network), outputs_are_classes=True)
    image = sample.image()[:70, :90]
    points = np.random.default_rng(0).integers(0, (70, 90), (20, 2)).astype(np.intp)
    plan = make_plan(image, [network], RunSettings(2, sample.preprocess), separate=True)
    found = features_at(plan, points, turned=turned)
    source = make_plan(image, [network], RunSettings(2, sample.preprocess))
    from napari_fcnseg.run.run import Run

    frame = Run(source).source(())
    pixels = frame.read(frame.everything())
    for numbers, view in zip(found, views(2, turned=turned), strict=True):
        seen = np.transpose(pixels, (*view.order, 2))[tuple(slice(None, None, -1 if b else 1) for b in view.backwards)]
        padded = np.pad(seen, ((15, 15), (15, 15), (0, 0)), mode="reflect")
        patches = np.stack([padded[r : r + 31, c : c + 31] for r, c in view.seen(points, (70, 90))])
        scale = max(1.0, float(np.abs(numbers).max()))
        assert np.abs(network.predict(patches) - numbers).max() <= 1e-5 * scale


def test_what_is_read_of_a_network_ends_with_its_scores():
    model = load_model(SAMPLES["cells"].model_path)
    network = feature_network(model.network)
    patches = np.random.default_rng(0).normal(0, 1, (6, 31, 31, 2)).astype(np.float32)
    numbers = PatchModel(network, outputs_are_classes=True).predict(patches)
    scores = numbers[:, -3:]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert np.abs(odds / odds.sum(axis=1, keepdims=True) - model.predict(patches)).max() <= 1e-6
    assert numbers.shape[1] == convert_network(network).outputs > 50


def test_the_starter_sees_slopes_and_bends_the_same_from_all_sides():
    model = PatchModel(starter_network(1), outputs_are_classes=True)
    size = model.patch_shape[0]
    rows, cols = np.mgrid[:size, :size] - size // 2
    ramp = [0.1 * (np.sin(a) * rows + np.cos(a) * cols) for a in (0.0, 0.4, 1.2)]
    numbers = model.predict(np.stack(ramp)[..., None])
    names = [node.name for node in model.network.nodes]
    assert names.count("near_0_strengths") == 1
    place = 9 + 2  # places of scale 0, most bent, least bent, then how steep it is
    assert np.ptp(numbers[:, place]) <= 0.1 * abs(numbers[:, place]).max()  # eight directions
    assert np.abs(numbers[:, 9 : 9 + 2]).max() < 1e-4  # a ramp is not bent


def test_settings_come_back_from_json():
    settings = TeachSettings(preprocess=("divide_by_median",), seed=3, turned=False)
    assert TeachSettings.from_json(settings.to_json()) == settings
