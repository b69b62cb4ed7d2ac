"""Edge variants share the columns of their sums: fewer products, the same numbers, whatever the tiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from _keras_side import save_model

import napari_fcnseg as nf
from napari_fcnseg.conversion.dense_network import DenseConv
from napari_fcnseg.conversion.shared_sums import sharings
from napari_fcnseg.conversion.ways import WAY, by_step, ways_of, with_ways
from napari_fcnseg.errors import SettingsError

KERNELS = {"threes": (3, 3), "fives": (5, 3), "wide and high": ((3, 5), (5, 3)), "even": (2, 4)}


def spec(sizes: tuple, pool: int = 2, last: str = "relu") -> dict:
    same = {"padding": "same", "activation": last}
    return {
        "input": (24, 20, 3),
        "layers": [
            ("Conv2D", {"filters": 21, "kernel_size": sizes[0], **same}), ("MaxPooling2D", {"pool_size": pool}),
            ("Conv2D", {"filters": 37, "kernel_size": sizes[1], **same}), ("MaxPooling2D", {"pool_size": pool}),
            ("Flatten", {}), ("Dense", {"units": 3, "activation": "softmax"}),
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def models(keras_child, tmp_path_factory) -> dict[str, nf.PatchModel]:
    folder = tmp_path_factory.mktemp("shared")
    specs = {name: spec(sizes) for name, sizes in KERNELS.items()}
    specs["not rectified"] = spec((3, 3), last="tanh")
    for name, one in specs.items():
        keras_child(save_model, one, str(folder / f"{name}.keras"))
    return {name: nf.load_model(folder / f"{name}.keras") for name in specs}


def convolved(reads: list[tuple[np.ndarray, np.ndarray, tuple[int, int]]], shape: tuple[int, int]) -> np.ndarray:
    """Return a sum of dilated correlations by its definition."""
    total = np.zeros((*shape, reads[0][1].shape[-1]))
    for image, kernel, dilation in reads:
        for row, column in itertools.product(*map(range, kernel.shape[:2])):
            a, b = row * dilation[0], column * dilation[1]
            total += image[a : a + shape[0], b : b + shape[1]] @ kernel[row, column].astype(np.float64)
    return total


@pytest.mark.parametrize("name", [*KERNELS, "not rectified"])
def test_the_columns_add_up_to_each_convolution(models, name) -> None:
    network, rng, tile = models[name].fcn.network, np.random.default_rng(0), (5, 7)
    found = sharings(network)
    assert found
    for sharing in found:
        sources = {source.step for n in sharing.steps for source in network.steps[n].inputs}
        maps = {n: rng.random((*network.steps[n].shape(tile), network.steps[n].channels)) for n in sources}
        depth = [sum(term.depth for term in terms) for terms in sharing.columns]
        assert sum(depth) < sum(depth[use.column] for uses in sharing.uses for use in uses)
        for number, uses in zip(sharing.steps, sharing.uses, strict=True):
            step = network.steps[number]
            shape = step.shape(tile)
            assert isinstance(step.op, DenseConv)
            kernels = zip(step.op.kernels, step.op.dilations, step.op.side_by_side, strict=True)
            reads, inputs = [], iter(step.inputs)
            for kernel, dilation, count in kernels:
                given = [next(inputs) for _ in range(count)]
                cut = [maps[s.step][s.before[0] :, s.before[1] :] for s in given]
                sides = [min(part.shape[axis] for part in cut) for axis in (0, 1)]
                joined = np.concatenate([part[: sides[0], : sides[1]] for part in cut], axis=-1)
                reads.append((joined, kernel, dilation))
            total = np.zeros((*shape, step.channels))
            for use in uses:
                for term in sharing.columns[use.column]:
                    for row, matrix in zip(term.rows, term.weights, strict=True):
                        part = maps[term.source][row : row + shape[0], use.shift : use.shift + shape[1]]
                        total += part @ matrix.astype(np.float64)
            np.testing.assert_allclose(total, convolved(reads, shape), rtol=1e-9)


@pytest.mark.parametrize("name", [*KERNELS, "not rectified"])
def test_what_is_computed_together_has_the_model_s_numbers(models, name, monkeypatch) -> None:
    monkeypatch.setenv(WAY, "shared")  # however little it gains
    model = models[name]
    image = np.random.default_rng(1).standard_normal((83, 330, 3)).astype(np.float32)
    taken = ways_of(model.fcn.network)
    assert "shared" in taken
    plain = nf.segment(image, model, probabilities=True, method="dense", ways="plain")
    whole = nf.segment(image, model, probabilities=True, method="dense", ways=taken)
    np.testing.assert_allclose(whole.probabilities, plain.probabilities, atol=1e-5)
    assert (whole.probabilities != plain.probabilities).any()
    for tile in ((83, 330), (9, 200), (31, 47)):
        again = nf.segment(image, model, probabilities=True, method="dense", ways=taken, tile=tile)
        np.testing.assert_array_equal(again.probabilities, whole.probabilities)


def test_they_are_together_or_none_of_them_is(models, monkeypatch) -> None:
    monkeypatch.setenv(WAY, "shared")
    network = models["threes"].fcn.network
    names = list(by_step(network).values())
    names[names.index("shared")] = "direct"
    with pytest.raises(SettingsError, match="cannot be computed by 'shared'"):
        by_step(with_ways(network, ", ".join(names)))


def test_nothing_is_shared_where_it_does_not_pay(models, keras_child, tmp_path, monkeypatch) -> None:
    valid = {**spec((3, 3)), "layers": [("Conv2D", {"filters": 8, "kernel_size": 3}), ("Flatten", {}),
                                        ("Dense", {"units": 2, "activation": "softmax"})]}  # fmt: skip
    keras_child(save_model, valid, str(tmp_path / "valid.keras"))
    assert not sharings(nf.load_model(tmp_path / "valid.keras").fcn.network)
    network = models["threes"].fcn.network
    monkeypatch.setenv(WAY, "quickest")
    layers = {network.steps[number].layer for number, way in by_step(network).items() if way == "shared"}
    assert layers == {"conv2d_1"}  # the first has three channels: its products are as quick as sums
