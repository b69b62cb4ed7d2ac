"""The claim of the program: the dense network gives the patch model's own numbers, whatever the network.

The reference is Keras itself: the model it saved is applied to patches that plain NumPy cut out. ``make prove`` asks
the same of as many architectures as wanted.
"""

from __future__ import annotations

import json
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from _keras_side import portable_difference, predict, predict_whole, save_model
from architectures import keras_model
from architectures.draw import draw_architecture
from architectures.proof import Outcome, check, draw_case
from architectures.recipes import RECIPES
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

from napari_fcnseg import convert, load_model, segment
from napari_fcnseg.plan import method

if TYPE_CHECKING:
    from collections.abc import Callable

    Spec = dict[str, Any]


def prove(child: Callable[..., Any], case: dict[str, Any]) -> Outcome:
    """Compare our segmentation with Keras, which lives in the child; fail where they differ."""
    functions = (keras_model.make, keras_model.answers, keras_model.exact_answers)
    outcome = check(case, *(partial(child, function) for function in functions))
    assert outcome.passed, f"{outcome}\n{json.dumps(case)}"
    return outcome


#: Dimensions and number of architectures, in parts that each end well before pytest's time limit. `make test-processors
#: SHORT=1`, which follows in CI, draws others.
PARTS = [(1, 7), *[(2, 8)] * 2, (3, 5)]


@pytest.mark.parametrize(("part", "rank", "number"), [(part, *which) for part, which in enumerate(PARTS)])
def test_random_architectures_equal_keras(keras_child, monkeypatch, part: int, rank: int, number: int) -> None:
    outcomes: list[Outcome] = []
    if part % 4 == 1:  # small images are not worth it otherwise
        monkeypatch.setattr(method, "WORTH_STRIPS", 0)

    @seed(part)  # `make prove` draws others each time
    @settings(max_examples=number, suppress_health_check=list(HealthCheck))
    @given(random=st.randoms(use_true_random=False))
    def each(random: Random) -> None:
        case = draw_case(random, draw_architecture(random, rank))
        note(json.dumps(case))
        outcomes.append(prove(keras_child, case))

    each()
    assert len(outcomes) >= number
    assert sum(outcome.telling for outcome in outcomes) > 0.7 * number, "answers that never vary prove nothing"
    assert sum(outcome.way == "dense" for outcome in outcomes) > 0.9 * number
    assert sum(outcome.maps > 1 for outcome in outcomes) > 0.2 * number, "padding inside the patch is what is hard"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.__name__)
def test_what_people_build_equals_keras(keras_child, recipe: Callable[[], Spec]) -> None:
    outcome = prove(keras_child, draw_case(Random(4), recipe()))
    assert outcome.telling
    assert outcome.way == "dense"


PATCH16 = {
    "input": (16, 13, 2),
    "layers": [
        ("Conv2D", {"filters": 6, "kernel_size": 3, "activation": "relu"}),
        ("MaxPooling2D", {"pool_size": 2}),
        ("SeparableConv2D", {"filters": 4, "kernel_size": 2}),
        ("BatchNormalization", {}),
        ("AveragePooling2D", {"pool_size": 2, "strides": 1}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip


#: The same with padding inside the patch: every kind of map that it makes.
PADDED16 = {
    **PATCH16,
    "layers": [
        (name, {**arguments, "padding": "same"} if "Conv" in name or "Pooling" in name else arguments)
        for name, arguments in PATCH16["layers"]
    ],
}  # fmt: skip


@pytest.fixture(scope="module", params=[PATCH16, PADDED16], ids=["valid", "same"])
def even_patch(request, keras_child, tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("models") / "even.keras")
    keras_child(save_model, request.param, path)
    return path


def test_the_file_written_by_save_gives_the_same_numbers_in_keras(keras_child, even_patch, tmp_path) -> None:
    image = np.random.default_rng(1).standard_normal((30, 25, 2)).astype(np.float32)
    fcn = convert(even_patch)
    written = fcn.save(tmp_path / "dense.keras")
    whole = keras_child(predict_whole, str(written), image)
    inside = segment(image, even_patch, border="valid", probabilities=True, method="dense").probabilities[8:23, 6:19]
    np.testing.assert_allclose(whole[:15, :13], inside, atol=1e-6)


def test_the_layers_portable_form_equals_the_native_one(keras_child, even_patch) -> None:
    image = np.random.default_rng(2).standard_normal((24, 24, 2)).astype(np.float32)
    assert keras_child(portable_difference, even_patch, image) <= 1e-6


def test_predict_is_the_patch_network_itself(keras_child, even_patch) -> None:
    patches = np.random.default_rng(3).standard_normal((7, 16, 13, 2)).astype(np.float32)
    truth = keras_child(predict, even_patch, patches)
    np.testing.assert_allclose(load_model(even_patch).predict(patches), truth, atol=1e-6)
