"""Ways of computing are plain data: chosen by the whole image's work, written down, and asked for again to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from _keras_side import save_model

import napari_fcnseg as nf
from napari_fcnseg.conversion.network_key import network_key
from napari_fcnseg.conversion.ways import WAY, by_step, possible, ways_of, with_ways
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.plan import method
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.ledger import facts_of
from napari_fcnseg.settings import RunSettings

SPEC = {
    "input": (24, 24, 2),
    "layers": [
        ("Conv2D", {"filters": 16, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {}),
        ("Conv2D", {"filters": 24, "kernel_size": 5, "activation": "relu"}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip
IMAGE = np.random.default_rng(0).standard_normal((70, 64, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def model(keras_child, tmp_path_factory) -> nf.PatchModel:
    path = tmp_path_factory.mktemp("ways") / "model.keras"
    keras_child(save_model, SPEC, str(path))
    return nf.load_model(path)


def taken(model: nf.PatchModel, **settings) -> str:
    return make_plan(IMAGE, [model], RunSettings(**settings)).methods[0].dense.ways


def test_the_whole_image_s_work_decides_whatever_part_is_computed(model, monkeypatch) -> None:
    monkeypatch.delenv(WAY, raising=False)
    monkeypatch.setattr(method, "WORTH_WAYS", 1e11)
    assert taken(model) == taken(model, region=((0, 9), (0, 9))) == "plain"
    monkeypatch.setattr(method, "WORTH_WAYS", 0)
    assert taken(model) == taken(model, region=((0, 9), (0, 9))) == ways_of(model.fcn.network) != "plain"


def test_the_environment_names_a_way_for_what_it_can_compute(model, monkeypatch) -> None:
    names = {}
    for way in ("plain", "direct", "winograd", "fourier"):
        monkeypatch.setenv(WAY, way)
        names[way] = set(by_step(model.fcn.network).values())
    assert names["plain"] == {"plain"}
    assert names["direct"] == {"direct", "pooling"}
    assert all(way in names[way] for way in ("winograd", "fourier"))


def test_every_way_that_is_possible_has_the_model_s_numbers(model) -> None:
    plain = nf.segment(IMAGE, model, probabilities=True, ways="plain")
    assert plain.provenance["models"][0]["ways"] == "plain"
    network = model.fcn.network
    choices = [[*possible(network.steps[number].op), "plain"] for number in by_step(network)]
    for turn in range(max(map(len, choices))):
        ways = ", ".join(ways[turn % len(ways)] for ways in choices)
        found = nf.segment(IMAGE, model, probabilities=True, ways=ways)
        again = nf.segment(IMAGE, model, probabilities=True, ways=found.provenance["models"][0]["ways"])
        np.testing.assert_array_equal(found.probabilities, again.probabilities)
        np.testing.assert_allclose(found.probabilities, plain.probabilities, atol=1e-5)
        assert (found.probabilities != plain.probabilities).any()  # it was really computed otherwise


def test_a_network_has_a_key_for_each_of_its_ways(model) -> None:
    network = model.fcn.network
    plain, quick = with_ways(network, "plain"), with_ways(network, ways_of(network))
    assert len({network_key(n) for n in (network, plain, quick)}) == 3
    assert network_key(plain) == network_key(with_ways(nf.load_model(model.path).fcn.network, "plain"))


def test_a_run_begun_in_other_ways_is_another_run(model) -> None:
    plans = [make_plan(IMAGE, [model], RunSettings(ways=ways)) for ways in (None, "plain")]
    assert facts_of(plans[0], [], {})["ways"] != facts_of(plans[1], [], {})["ways"]


@pytest.mark.parametrize(
    ("ways", "sentence"),
    [
        ("quickly", "'quickly' are no ways of computing. Write them as a result's provenance has them"),
        ("winograd, -1 direct", "are no ways of computing"),
        ("2 direct", "name 2, and the model .* has 5 convolutions and pools here"),
        ("1000000000 direct", "name 6, and the model"),
        ("5 fourier", "The layer .* cannot be computed by 'fourier'. Choose one of: direct, winograd, plain"),
        (("plain", "plain"), "for 2 models, not for 1. Give one text for each model"),
    ],
)
def test_ways_that_do_not_fit_are_refused(model, ways, sentence) -> None:
    with pytest.raises(SettingsError, match=sentence):
        taken(model, ways=ways)
