"""Folders that other programs export: used where a patch classifier is inside, else refused for what they are."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from readers.reader_forge import BIAS, CONV, KERNEL, arrays_file, entry, keras_file, sequential
from readers.reader_forge_savedmodel import SavedModel, saved_model
from readers.unet_files import description, unet

from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.readers import read_model

if TYPE_CHECKING:
    from pathlib import Path

CSBDEEP = {"n_dim": 2, "axes": "YXC", "n_channel_in": 1, "n_channel_out": 1, "unet_n_depth": 2, "probabilistic": False}
#: What the settings of a program's model hold beside CSBDeep's own, and words of the sentence.
KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "CARE": ({}, "CARE model of CSBDeep, which restores images and labels nothing"),
    "N2V": ({"n2v_patch_shape": [64, 64]}, "Noise2Void.*removes noise from images and labels nothing"),
    "StarDist": ({"n_rays": 32, "grid": [2, 2], "backbone": "unet"}, "StarDist.*distances to the border of objects"),
    "DenoiSeg": ({"denoiseg_alpha": 0.5, "n2v_patch_shape": [64, 64]}, "DenoiSeg.*labels every pixel by itself"),
}
DEEPIMAGEJ = "<?xml version='1.0'?><Model><ModelInformation/><ModelCharacteristics><PatchSize>256</PatchSize>"


def problem(path: Path) -> str:
    with pytest.raises(FcnSegError) as caught:
        read_model(path)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_csbdeep_folder_is_refused_for_what_it_is_whichever_file_is_opened(tmp_path, kind) -> None:
    more, sentence = KINDS[kind]
    (tmp_path / "config.json").write_text(json.dumps({**CSBDEEP, **more}))
    (tmp_path / "weights_best.h5").write_bytes(arrays_file({"layers/conv2d": [KERNEL, BIAS]}))
    with zipfile.ZipFile(tmp_path / "TF_SavedModel.zip", "w") as archive:
        archive.writestr("saved_model.pb", saved_model())
    for path in (tmp_path, *sorted(tmp_path.iterdir())):
        what = "folder" if path == tmp_path else "file"
        with pytest.raises(FcnSegError, match=f"^The {what} .*{sentence}"):
            read_model(path)


def test_a_whole_model_beside_a_csbdeep_config_is_read_all_the_same(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CSBDEEP))
    path = keras_file(tmp_path / "cells.keras", sequential(entry("Conv2D", **CONV), entry("Flatten")))
    assert read_model(path).patch_shape == (7, 7)


def test_a_config_of_something_else_changes_nothing(tmp_path) -> None:
    for text in ("{}", "[1", json.dumps({"n_dim": 2})):
        (tmp_path / "config.json").write_text(text)
        assert "it is a folder" in problem(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").symlink_to("/etc/passwd")
    assert "it is a folder" in problem(tmp_path)


def patch_model() -> SavedModel:
    layers = [entry("Conv2D", "conv", **CONV), entry("Flatten", "flat")]
    return SavedModel(sequential(*layers, keras=2), [{"kernel": KERNEL, "bias": BIAS}, {}])


def test_a_deepimagej_folder_of_a_patch_classifier_is_used_and_its_macro_said(tmp_path) -> None:
    folder = patch_model().write(tmp_path / "dij")
    plain = read_model(folder)
    (folder / "config.xml").write_text(DEEPIMAGEJ)
    (folder / "preprocessing.txt").write_text("run('Divide...', 'value=255');")
    network = read_model(folder)
    np.testing.assert_array_equal(network.nodes[0].ops[0].kernel, plain.nodes[0].ops[0].kernel)
    assert "macro of ImageJ, 'preprocessing.txt'" in network.notes[-1]
    assert "It is not run" in network.notes[-1]


def test_a_deepimagej_folder_without_layers_says_where_they_are_missing(tmp_path) -> None:
    (tmp_path / "config.xml").write_text(DEEPIMAGEJ)
    (tmp_path / "saved_model.pb").write_bytes(saved_model("tensorflow"))
    said = problem(tmp_path)
    start = f"The folder {str(tmp_path)!r} cannot be used as a model: it is in a folder of deepImageJ, and "
    assert said.startswith(start)
    assert "and its SavedModel holds computations, not the model's layers (there is no 'keras_metadata.pb'" in said


def test_a_deepimagej_folder_with_a_model_yaml_is_a_package(tmp_path) -> None:
    (tmp_path / "weights.onnx").write_bytes(unet().SerializeToString())
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(description()))
    assert read_model(tmp_path).maps == 3
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(description(format_version="0.3.2")))
    assert "version '0.3.2'" in problem(tmp_path)
    assert "bioimageio update-format" in problem(tmp_path)
    (tmp_path / "model.yaml").write_text("backend: tensorflow\nclass_name: Sequential\n")
    assert "it is a folder" in problem(tmp_path)


@pytest.mark.parametrize("layer", ["UpsampleLike", "deepcell>Location2D"])
def test_a_network_of_deepcell_for_whole_images_is_told_from_a_patch_model(tmp_path, layer) -> None:
    config = sequential(entry("Conv2D", **CONV), {"class_name": layer, "config": {"name": "it"}, "module": "deepcell"})
    assert "label every pixel by themselves" in problem(keras_file(tmp_path / "a.keras", config))
