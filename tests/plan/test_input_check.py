"""What reaches a model is doubted where it cannot be what the model was trained on, and left alone where it can."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.frame_source import MemorySource
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Affine, BatchNorm, Conv, Dense, Flatten
from napari_fcnseg.model.patch_model import PatchModel, load_model
from napari_fcnseg.model.sidecar import blank
from napari_fcnseg.plan.first_layer import leading, saturation
from napari_fcnseg.plan.input_check import check_image, check_prepared, one_class, sample_of
from napari_fcnseg.samples import SAMPLES

RANDOM = np.random.default_rng(0)


def model(*first, activation: str = "relu", gain: float = 1.0, channels: int = 1, steps: tuple[str, ...] = ()):
    """Return a small patch model that begins with some operations, and perhaps says how it is fed."""
    kernel = (gain * RANDOM.standard_normal((3, 3, channels, 4)) / 3).astype(np.float32)
    chains = [
        *((op,) for op in first),
        (Conv(kernel, np.zeros(4, np.float32), (1, 1), (1, 1)), Activation(activation)),
        (Flatten(),),
        (Dense(RANDOM.standard_normal((36, 3)).astype(np.float32), None), Activation("softmax", {"axis": -1})),
    ]
    nodes, previous = [], INPUT
    for number, chain in enumerate(chains):
        nodes.append(Node(f"n{number}", "Layer", chain, (previous,)))
        previous = f"n{number}"
    made = PatchModel(Network("m", (5, 5, channels), tuple(nodes), previous))
    if steps:
        from dataclasses import replace

        made.__dict__["sidecar"] = replace(blank(classes=3, channels=channels, spatial=2), preprocess=steps)
    return made


def microscope(dtype: str, low: float, high: float, shape: tuple[int, ...] = (200, 220, 1)) -> np.ndarray:
    """Return an image as a camera takes it: dim, with some bright spots."""
    values = low + (high - low) * RANDOM.gamma(1, 0.12, shape).clip(0, 1)
    return values.astype(dtype)


def doubt(image: np.ndarray, *models, steps: str = ""):
    return check_image(MemorySource(image.astype(np.float32)), image.dtype, models, preprocess.parse(steps))


def test_raw_counts_are_doubted_and_standardising_them_is_likely() -> None:
    found = doubt(microscope("uint16", 82, 3032), model())
    assert found is not None
    assert "networks are usually trained on about -3 to 3" in found.reason
    assert found.suggestion == ("zero_mean_unit_variance",)
    assert str(found).endswith("Try zero_mean_unit_variance, a guess: only who trained the model knows.")
    assert doubt(microscope("uint16", 82, 3032), model(), steps="zero_mean_unit_variance") is None


def test_bytes_are_divided_by_255_and_what_is_divided_by_too_much_is_doubted() -> None:
    image = microscope("uint8", 0, 255)
    found = doubt(image, model())
    assert found.suggestion == ("scale_linear:0.00392156862745098,0",)
    assert doubt(image, model(), steps=found.suggestion[0]) is None
    dim = doubt(microscope("uint16", 82, 700), model(), steps="scale_linear:1.5259e-05,0")
    assert "nearly the same everywhere" in dim.reason
    assert dim.suggestion == ("zero_mean_unit_variance",)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_around_0_and_from_0_to_1_are_plausible(dtype) -> None:
    assert doubt(RANDOM.standard_normal((64, 70, 1)).astype(dtype), model()) is None
    assert doubt(RANDOM.random((64, 70, 1)).astype(dtype), model()) is None
    assert doubt(np.zeros((64, 70, 1), dtype), model()) is None, "an empty image is no fault of the steps"


def test_what_the_model_does_itself_is_taken_into_account() -> None:
    one = np.ones(1, np.float32)
    rescaling = model(Affine(np.float32(0), np.float32(1 / 255), np.float32(0)))
    norm = model(BatchNorm(one, 0 * one, 120 * one, 900 * one, 1e-3))
    image = microscope("uint8", 0, 255)
    for own in (rescaling, norm):
        assert len(leading(own.network)) == 1
        assert doubt(image, own) is None
        divided = doubt(image, own, steps="scale_linear:0.0039,0")
        assert "after the model's own normalisation" in divided.reason
        assert divided.suggestion == (), "no preprocessing at all"
    assert doubt(microscope("uint16", 82, 60000), rescaling) is not None


def test_the_models_own_steps_come_first_and_what_they_cannot_save_is_doubted() -> None:
    adaptive = ("divide_by_median", "subtract_local_mean:31")
    image = microscope("uint16", 82, 60000)
    assert doubt(image, model(steps=adaptive)).suggestion == adaptive
    assert doubt(image, model(steps=adaptive), steps=", ".join(adaptive)) is None
    bytes_only = model(steps=("scale_linear:0.0039,0",))
    assert doubt(image, bytes_only, steps="scale_linear:0.0039,0") is not None, "an 8-bit rule on 16 bits"


def test_a_saturated_first_layer_is_doubted() -> None:
    image = (3 + 5 * RANDOM.random((80, 90, 1))).astype(np.float32)
    tame, wild = model(activation="tanh", gain=0.01), model(activation="tanh", gain=50)
    assert saturation(image, tame.network) == 0
    assert saturation(image, wild.network) > 0.9
    assert doubt(image, tame) is None
    assert "saturate its first layer" in doubt(image, wild).reason


def test_a_run_looks_at_what_it_computes_and_at_nothing_else() -> None:
    raw = np.zeros((400, 500, 1), np.float32)
    raw[:, 250:] = microscope("uint16", 82, 3032, (400, 250, 1))
    read: list = []

    class Watched(MemorySource):
        def read(self, region):
            read.append(region)
            return super().read(region)

    left = [((y, y + 40), (x, x + 50)) for y in range(0, 400, 40) for x in range(0, 250, 50)]
    assert check_prepared(Watched(raw), [model()], (), left) == ""
    right = [(y, (low + 250, high + 250)) for y, (low, high) in left]
    assert "networks are usually trained" in check_prepared(Watched(raw), [model()], (), right)
    assert 0 < len(read) <= 18
    for part in read:
        assert any(all(a <= b < c <= d for (a, d), (b, c) in zip(tile, part, strict=True)) for tile in left + right), (
            part
        )
    rest = ((0, 3), (7, 9))
    assert check_prepared(MemorySource(raw), [model()], (), [rest, ((0, 400), (300, 500)), rest])


def test_one_of_several_models_is_enough_and_a_suggestion_suits_all() -> None:
    image = microscope("uint8", 0, 255)
    rescaling = model(Affine(np.float32(0), np.float32(1 / 255), np.float32(0)))
    found = doubt(image, rescaling, model())
    assert found is not None
    assert found.suggestion == ("zero_mean_unit_variance",) or found.suggestion is None


@pytest.mark.parametrize("name", list(SAMPLES))
def test_the_samples_are_prepared_right_and_doubted_without_their_steps(name) -> None:
    sample = SAMPLES[name]
    image = sample.image()
    channels = np.moveaxis(image, sample.channel_axis, -1) if sample.channel_axis is not None else image
    network = load_model(sample.model_path)
    assert doubt(channels, network, steps=", ".join(sample.preprocess)) is None
    if sample.preprocess:
        assert doubt((1000 + 50 * channels).astype(np.uint16), network) is not None


@pytest.mark.parametrize("shape", [(5, 6, 1), (500, 3, 2), (9, 400, 401, 1), (2000, 2001, 1)])
def test_a_sample_is_small_and_holds_the_ends(shape) -> None:
    image = RANDOM.random(shape, np.float32)
    sample = sample_of(MemorySource(image))
    assert sample.size <= 3 * 384 * 384 * shape[-1]
    assert sample.shape[-1] == shape[-1]
    for corner in (0, -1):
        np.testing.assert_array_equal(sample[(corner,) * (len(shape) - 1)], image[(corner,) * (len(shape) - 1)])


def test_one_class_nearly_everywhere_is_said() -> None:
    def name(label: int) -> str:
        return "soil" if label == 1 else "root"

    assert one_class(Counter({0: 5000, 1: 2000}), name).startswith("All pixels are soil.")
    assert one_class(Counter({1: 9, 2: 99991}), name).startswith("99.99 % of pixels are root.")
    assert one_class(Counter({1: 900, 2: 99100}), name) == ""
    assert one_class(Counter({1: 900}), name) == "", "a few pixels say nothing"
    assert one_class(Counter(), name) == ""
