"""The thinned network gives every Nth answer of the whole one, exactly, whatever the network.

The reference is the whole dense network itself, which is proven against Keras elsewhere; both run in the engine.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from architectures import keras_model
from architectures.draw import draw_architecture
from hypothesis import HealthCheck, assume, given, note, seed, settings
from hypothesis import strategies as st

from napari_fcnseg.conversion import convert_network
from napari_fcnseg.conversion.cost import flop_per_pixel
from napari_fcnseg.conversion.strided import subsampled
from napari_fcnseg.engine import engine
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Conv, Dense, Flatten, Pool
from napari_fcnseg.readers import read_model

if TYPE_CHECKING:
    from napari_fcnseg.conversion.dense_network import DenseNetwork

if TYPE_CHECKING:
    from random import Random

    from napari_fcnseg.conversion.dense_network import DenseNetwork

_STEPS = 100  # a network of more takes the engine seconds to compile


def answers(network: DenseNetwork, image: np.ndarray) -> np.ndarray:
    """Apply a network to the part of an image that a whole number of its places see."""
    return engine().run(network, engine().device("CPU"), image[None]).result()[0]


def compare(network: DenseNetwork, every: tuple[int, ...], places: tuple[int, ...]) -> None:
    """Compare the thinned network with every ``every``-th answer of the whole one."""
    some = subsampled(network, every)
    image = np.random.default_rng(0).standard_normal((*some.window(places), network.channels)).astype(np.float32)
    whole = answers(network, image)[tuple(slice(None, None, k) for k in every)]
    found = answers(some, image)
    assert found.shape == (*places, network.outputs)
    scale = max(1.0, float(np.abs(whole).max()))
    np.testing.assert_allclose(found, whole, atol=1e-5 * scale, err_msg=f"every {every}")


def chain(*sizes: int) -> DenseNetwork:
    """Return 3 x 3 convolutions with a pool of each size between them, in a patch that ends with one position."""
    random = np.random.default_rng(0)
    nodes, channels, patch = [], 1, 3
    for size in reversed(sizes):
        patch = patch * size + 2
    for number, size in enumerate(sizes):
        kernel = random.standard_normal((3, 3, channels, 4)).astype(np.float32) / 3
        nodes.append(Node(f"conv{number}", "Conv2D", (Conv(kernel, None, (1, 1), (1, 1)), Activation("relu")), ()))
        nodes.append(Node(f"pool{number}", "MaxPooling2D", (Pool("max", (size, size), (size, size)),), ()))
        channels = 4
    nodes.append(Node("flat", "Flatten", (Flatten(),), ()))
    kernel = random.standard_normal((9 * channels, 3)).astype(np.float32)
    nodes.append(Node("dense", "Dense", (Dense(kernel, None),), ()))
    names = [INPUT, *(node.name for node in nodes)]
    linked = tuple(Node(n.name, n.layer_type, n.ops, (before,)) for n, before in zip(nodes, names, strict=False))
    return convert_network(Network("chain", (patch, patch, 1), linked, "dense"))


@pytest.mark.parametrize(("rank", "number"), [(1, 4), (2, 3), (3, 3)])
def test_random_architectures_thinned_give_every_so_manieth_answer(keras_child, tmp_path, rank, number) -> None:
    seen: list[tuple[int, ...]] = []

    @seed(rank + 20)
    @settings(max_examples=number, suppress_health_check=list(HealthCheck))
    @given(random=st.randoms(use_true_random=False))
    def each(random: Random) -> None:
        spec = draw_architecture(random, rank)
        note(json.dumps(spec))
        path = tmp_path / f"model.{spec['file']}"
        network = convert_network(read_model(path, keras_child(keras_model.make, spec, str(path))))
        own = network.strides
        assume(network.steps and len(network.steps) <= _STEPS and max(own) > 1)
        places = tuple(random.randint(1, 4) for _ in range(rank))
        for every in {own, tuple(random.randint(1, 7) for _ in range(rank))}:
            compare(network, every, places)
        seen.append(own)

    each()
    assert len(seen) >= number


@pytest.mark.parametrize("every", [1, 2, 3, 4, 5, 6, 8, 12, 24])
def test_any_distance_between_places_is_exact_be_it_a_divisor_or_not(every) -> None:
    compare(chain(2, 3), (every, max(every - 1, 1)), (3, 4))


def test_at_every_pixel_nothing_changes() -> None:
    network = chain(2, 2)
    same = subsampled(network, (1, 1))
    assert [(s.inputs, s.stride, s.density, s.extra) for s in same.steps] == [
        (s.inputs, s.stride, s.density, s.extra) for s in network.steps
    ]


def test_in_its_own_strides_it_is_the_patch_network() -> None:
    network = chain(2, 3)
    assert network.strides == (6, 6)
    coarse = subsampled(network, (6, 6))
    convs = [step for step in coarse.steps if step.layer.startswith("conv") or step.layer == "dense"]
    assert all(set(step.op.dilations) == {(1, 1)} for step in convs if hasattr(step.op, "dilations"))
    assert [step.density for step in convs if hasattr(step.op, "dilations")] == [(6, 6), (3, 3), (1, 1)]
    first, second, last = 2 * 9 * 4, 2 * 9 * 4 * 4, 2 * 9 * 4 * 3
    pools = (1 * 3 * 6 + 1 * 3 * 3 + 2 * 1 * 3 + 2 * 1 * 1) * 4
    assert flop_per_pixel(coarse) == 36 * first + 9 * second + last + pools
