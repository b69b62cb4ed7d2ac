"""Models that leave the patch's size open: asked for, and taken from the user or the sidecar."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from readers.reader_evaluate import evaluate
from readers.reader_forge import CONV, entry, functional, keras_file, sequential

from napari_fcnseg.errors import ConversionError, ModelFileError, SettingsError, UnsupportedLayerError
from napari_fcnseg.model.patch_model import load_model
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.options import ReadOptions
from napari_fcnseg.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path


FREE = sequential(entry("Conv2D", **CONV), entry("GlobalAveragePooling2D"), shape=(None, None, 1))


def free(folder: Path) -> Path:
    """Write a model of any patch size that averages over all positions."""
    return keras_file(folder / "free.keras", FREE)


def test_the_size_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(
        ConversionError, match=r"--patch-size 61 61 .*patch_size=\(61, 61\).*\"patch_size\": \[61, 61\]"
    ):
        read_model(free(tmp_path))
    with pytest.raises(ConversionError, match=r"and 1 sizes were given.*2 numbers"):
        read_model(free(tmp_path), None, ReadOptions(patch_shape=(9,)))


def test_the_size_is_taken_from_the_user_or_the_sidecar(tmp_path: Path) -> None:
    path = free(tmp_path)
    assert load_model(path, patch_size=(9, 8)).network.input_shape == (9, 8, 1)
    (tmp_path / "free.fcnseg.json").write_text(json.dumps({"patch_size": [7, 6]}))
    model = load_model(path)
    assert model.network.input_shape == (7, 6, 1)
    assert model.sidecar is not None
    assert model.sidecar.patch_size == (7, 6)
    assert load_model(path, patch_size=(9, 8)).patch_shape == (9, 8)


def test_a_model_with_a_size_of_its_own_takes_no_other() -> None:
    path = SAMPLES["cells"].model_path
    own = load_model(path).patch_shape
    assert load_model(path, patch_size=own).patch_shape == own
    with pytest.raises(SettingsError, match=rf"takes patches of {own[0]} × {own[1]} only, not 61 × 61\. Leave"):
        load_model(path, patch_size=(61, 61))


@pytest.mark.parametrize("given", [[0, 1], "61", [61.5, 61], [1, 1, 1, 1]])
def test_what_is_no_size_is_a_sentence(tmp_path: Path, given: Any) -> None:
    path = free(tmp_path)
    (tmp_path / "free.fcnseg.json").write_text(json.dumps({"patch_size": given}))
    with pytest.raises(ModelFileError, match=r"'patch_size'.*up to three whole numbers"):
        load_model(path)
    (tmp_path / "free.fcnseg.json").unlink()
    if isinstance(given, list):
        with pytest.raises(SettingsError, match=r"'patch_size'.*up to three whole numbers"):
            load_model(path, patch_size=given)


@pytest.mark.parametrize(("outputs", "activation", "asked"), [
    (256, "sigmoid", True), (256, "linear", True), (256, "softmax", False), (16, "linear", False),
    (16, "sigmoid", True), (100, "linear", False), (255, "sigmoid", False),
])  # fmt: skip
def test_a_square_of_outputs_without_softmax_is_asked_about(
    tmp_path: Path, outputs: int, activation: str, asked: bool
) -> None:
    layers = entry("Flatten"), entry("Dense", units=outputs, activation=activation)
    arrays = {"layers/dense": [np.ones((25, outputs), np.float32), np.ones(outputs, np.float32)]}
    path = keras_file(tmp_path / "roads.keras", sequential(*layers, shape=(5, 5, 1)), arrays)
    if not asked:
        assert load_model(path).classes == outputs
        return
    edge = int(outputs**0.5)
    with pytest.raises(ConversionError, match=rf"{outputs} numbers.*{edge} × {edge} pixels.*roads\.fcnseg\.json"):
        load_model(path).fcn  # noqa: B018
    (tmp_path / "roads.fcnseg.json").write_text(json.dumps({"outputs_are": "classes"}))
    assert load_model(path).classes == outputs


def test_bands_are_channels_of_the_image(tmp_path: Path) -> None:
    conv = entry("Conv3D", filters=2, kernel_size=[2, 2, 3])
    layers = conv, entry("Flatten"), entry("Dense", units=3, activation="softmax")
    random = np.random.default_rng(0)
    arrays = {
        "layers/conv3d": [random.normal(size=(2, 2, 3, 1, 2)).astype(np.float32), np.ones(2, np.float32)],
        "layers/dense": [random.normal(size=(3 * 3 * 6 * 2, 3)).astype(np.float32), np.ones(3, np.float32)],
    }
    path = keras_file(tmp_path / "hsi.keras", sequential(*layers, shape=(4, 4, 8, 1)), arrays)
    model = load_model(path)
    assert model.network.input_shape == (4, 4, 8)
    assert model.network.tensor_shape == (4, 4, 8, 1)
    assert "8 spectral bands" in model.network.notes[0]
    assert model.fcn.network.patch_shape == model.fcn.network.reach == (4, 4)
    assert all(len(step.extra) == 2 for step in model.fcn.network.steps)
    (tmp_path / "hsi.fcnseg.json").write_text(json.dumps({"bands_axis": -1}))
    volume = load_model(path)
    assert volume.network.input_shape == (4, 4, 8, 1)
    x = random.normal(size=(2, 4, 4, 8)).astype(np.float32)
    np.testing.assert_array_equal(evaluate(model.network, x), evaluate(volume.network, x[..., None]))
    (tmp_path / "hsi.fcnseg.json").write_text(json.dumps({"bands_axis": 0}))
    assert load_model(path).network.input_shape == (4, 8, 4)


def test_keras_2_means_the_training_that_it_writes(tmp_path: Path) -> None:
    def model(keras: int) -> dict[str, Any]:
        layers = (entry("RandomFlip", "flip"), ["input"]), (entry("Conv2D", **CONV), ["flip"])
        built = functional(*layers, outputs=["conv2d"], keras=keras)
        node = built["config"]["layers"][1]["inbound_nodes"][0]
        (node[0][3] if keras == 2 else node["kwargs"])["training"] = True
        return built

    with pytest.raises(UnsupportedLayerError, match=r"'flip'.*training=True"):
        read_model(keras_file(tmp_path / "two.keras", model(2)))
    assert read_model(keras_file(tmp_path / "three.keras", model(3))).output == "conv2d"
