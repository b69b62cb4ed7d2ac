"""The networks published with DeepCell in 2016, from their weights alone: recognised, and computing the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from readers.reader_evaluate import evaluate
from readers.reader_keras1 import PROGRAMS, Keras1, Trained

from napari_fcnseg.errors import ModelFileError
from napari_fcnseg.graph.ops import BatchNorm, Conv
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.deepcell.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_fcnseg.graph.network import Network


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_family_is_recognized_and_computes_what_keras_1_computed(tmp_path: Path, name: str) -> None:
    patch, program, normalized = PROGRAMS[name]
    channels, classes = (1, 3) if patch < 61 else (2, 4)
    keras = Keras1(normalized=normalized, classes=classes)
    x = np.random.default_rng(1).normal(size=(channels, patch, patch))
    expected = keras.run(program, x)
    assert expected.max() < 0.999  # no answer so clear that anything would give it
    network = read_model(keras.save_weights(tmp_path / "weights.h5"))
    assert network.input_shape == (patch, patch, channels)
    assert name in network.notes[0]
    assert f"subtract_local_mean:{patch}" in network.notes[1]
    assert ("1.0.7" in " ".join(network.notes)) == normalized
    np.testing.assert_allclose(evaluate(network, x.transpose(1, 2, 0)[None])[0], expected, rtol=0, atol=1e-6)


def test_every_family_has_its_program_here() -> None:
    assert [family.name for family in FAMILIES] == list(PROGRAMS)


def test_layers_are_told_by_their_numbers_not_by_their_place_in_the_file(tmp_path: Path) -> None:
    patch, program, normalized = PROGRAMS["bn_feature_net_multires_31x31"]
    keras = Keras1(normalized=normalized, first=8)  # the process had made seven layers before: 8, 9, 10 …
    x = np.random.default_rng(1).normal(size=(1, patch, patch))
    expected = keras.run(program, x)
    network = read_model(keras.save_weights(tmp_path / "weights.h5", order=lambda name: name[::-1]))
    np.testing.assert_allclose(evaluate(network, x.transpose(1, 2, 0)[None])[0], expected, rtol=0, atol=1e-6)


def test_published_files_are_the_models_made_of_them(shared_data: Path) -> None:
    """Of the same weights there are Keras 3 files, whose maps are known to be the authors'."""
    folder = shared_data / "deepcell-3t3"
    for number in range(5):
        ours, theirs = (
            read_model(folder / name) for name in (f"keras1_weights_{number}.h5", f"patch61_{number}.keras")
        )
        assert ours.input_shape == theirs.input_shape
        kernels, others = (
            [op for node in net.nodes for op in node.ops if isinstance(op, Conv)] for net in (ours, theirs)
        )
        for op, other in zip(kernels, others, strict=True):
            np.testing.assert_array_equal(op.kernel, other.kernel)
            np.testing.assert_array_equal(op.bias, other.bias)
        norms, others = (
            [op for node in n.nodes for op in node.ops if isinstance(op, BatchNorm)] for n in (ours, theirs)
        )
        for op, other in zip(norms, others, strict=True):
            np.testing.assert_array_equal(op.gamma, other.gamma)
            variance = [np.float64(n.variance) + n.epsilon for n in (op, other)]
            np.testing.assert_allclose(*variance, rtol=2e-6)
    x = np.random.default_rng(0).normal(0, 0.2, (2, *ours.input_shape))
    np.testing.assert_allclose(evaluate(ours, x), evaluate(theirs, x), rtol=0, atol=1e-6)


def _squared(file: h5py.File) -> None:
    """Turn standard deviations into variances, as Keras 1.0.7 and later would have kept them."""
    for layer, group in file.items():
        if layer.startswith("batchnormalization"):
            group[f"{layer}_running_std"][...] = np.square(group[f"{layer}_running_std"][()])


@pytest.mark.parametrize("number", range(5))
def test_published_files_keep_standard_deviations_and_their_squares_are_variances(
    shared_data: Path, tmp_path: Path, number: int
) -> None:
    """All five published networks are told from what a later Keras would have written, without a doubt."""
    content = (shared_data / "deepcell-3t3" / f"keras1_weights_{number}.h5").read_bytes()
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    ours = read_model(path)
    assert "running_std are standard deviations" in ours.notes[-1]
    with h5py.File(path, "r+") as file:
        _squared(file)
    later = read_model(path)
    assert "running_std are variances" in later.notes[-1]
    for op, other in zip(*(_norms(network) for network in (ours, later)), strict=True):
        np.testing.assert_allclose(other.variance, op.variance, rtol=1e-4)  # without the fuzz factor, and squared
        assert (op.epsilon, other.epsilon) == (0.0, 1e-3)


@pytest.mark.parametrize("name", ["bn_feature_net_31x31", "bn_feature_net_61x61"])
def test_what_is_kept_is_told_from_the_weights(tmp_path: Path, name: str) -> None:
    """Networks whose statistics are those of a picture that the reader does not have."""
    patch, program, _ = PROGRAMS[name]
    keras = Trained(normalized=True)
    keras.run(program, _speckles(patch + 8 * 12))
    path = keras.save_weights(tmp_path / "weights.h5")
    assert "running_std are standard deviations" in read_model(path).notes[-1]
    with h5py.File(path, "r+") as file:
        _squared(file)
    assert "running_std are variances" in read_model(path).notes[-1]


def test_a_variance_is_computed_as_keras_1_2_did(tmp_path: Path) -> None:
    patch, program, _ = PROGRAMS["bn_feature_net_31x31"]
    keras = Trained(normalized=True)
    keras.run(program, _speckles(patch + 8 * 12))
    path = keras.save_weights(tmp_path / "weights.h5")
    with h5py.File(path, "r+") as file:
        _squared(file)
    x = _speckles(patch, seed=1)
    network = read_model(path)
    for layer in keras.layers.values():
        if "running_std" in layer:
            layer["running_std"] = np.sqrt(np.square(layer["running_std"]) + np.float32(1e-3)) - np.float32(1e-6)
    plain = Keras1(normalized=True)
    plain.layers = keras.layers
    expected = plain.run(program, x)
    np.testing.assert_allclose(evaluate(network, x.transpose(1, 2, 0)[None])[0], expected, rtol=0, atol=1e-6)


def test_where_nothing_tells_the_published_form_is_taken_and_the_doubt_is_said(tmp_path: Path) -> None:
    """Statistics that have nothing to do with the weights."""
    assert "neither the file nor its weights tell" in read_model(_small(tmp_path)).notes[-1]

    def flat(file: h5py.File) -> None:
        for number in range(1, 7):
            file[f"batchnormalization_{number}/batchnormalization_{number}_running_std"][...] = 1

    assert "neither the file nor its weights tell" in read_model(_small(tmp_path, flat)).notes[-1]


def _norms(network: Network) -> list[BatchNorm]:
    return [op for node in network.nodes for op in node.ops if isinstance(op, BatchNorm)]


def _speckles(size: int, seed: int = 0) -> np.ndarray:
    """Give one channel of round bright spots of one size on noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    image = random.normal(0, 0.05, (size, size))
    for _ in range(size * size // 300):
        y, x = random.uniform(0, size, 2)
        image += random.uniform(0.5, 1.5) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 18)
    return (image - image.mean())[None]


def _small(tmp_path: Path, change: Callable[[h5py.File], None] | None = None) -> Path:
    patch, program, normalized = PROGRAMS["bn_feature_net_21x21"]
    keras = Keras1(normalized=normalized)
    keras.run(program, np.zeros((1, patch, patch)))
    path = keras.save_weights(tmp_path / "weights.h5")
    if change is not None:
        with h5py.File(path, "r+") as file:
            change(file)
    return path


def _replace(name: str, values: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        path = f"{name.rpartition('_')[0].removesuffix('_running')}/{name}"
        del file[path]
        file[path] = values

    return change


def _problem(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_model(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("convolution2d_2_W", np.zeros((32, 32, 5, 5), np.float32), "none of the networks published with DeepCell"),
        ("convolution2d_2_W", np.zeros((32, 31, 3, 3), np.float32), "shape"),
        ("convolution2d_1_W", np.zeros((32, 4, 4, 1), np.float32), "none of the networks published with DeepCell"),
        ("convolution2d_2_b", np.zeros(31, np.float32), "shape"),
        ("dense_1_W", np.zeros((200, 199), np.float32), "none of the networks published with DeepCell"),
        ("batchnormalization_1_running_std", np.full(32, -1, np.float32), "running_std is negative"),
        ("batchnormalization_1_gamma", np.full(32, np.nan, np.float32), "not finite"),
        ("batchnormalization_1_gamma", h5py.SoftLink("/dense_2/dense_2_b"), "link"),
        ("dense_2_b", h5py.ExternalLink("other.h5", "/x"), "link"),
        ("dense_2_b", np.zeros((3, 1, 1), np.float32), "none of the networks published with DeepCell"),
    ],
)
def test_what_is_none_of_them_or_damaged_is_a_sentence(tmp_path: Path, name: str, values: object, says: str) -> None:
    assert says in _problem(_small(tmp_path, _replace(name, values)))


def test_other_networks_of_keras_1_are_refused(tmp_path: Path) -> None:
    def without(layer: str) -> Callable[[h5py.File], None]:
        def change(file: h5py.File) -> None:
            file.attrs["layer_names"] = [name for name in file.attrs["layer_names"] if name != layer.encode()]

        return change

    for layer in ("convolution2d_5", "dense_2", "batchnormalization_6"):
        assert "none of the networks published with DeepCell" in _problem(_small(tmp_path, without(layer)))


def test_truncated_files(tmp_path: Path) -> None:
    content = _small(tmp_path).read_bytes()
    for share in (0.02, 0.3, 0.7, 0.99):
        (tmp_path / "cut.h5").write_bytes(content[: int(share * len(content))])
        _problem(tmp_path / "cut.h5")
