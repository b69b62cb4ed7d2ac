"""Models that leave the patch's size open: asked for, and taken from the user or the sidecar."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from readers.reader_forge import CONV, entry, keras_file, sequential

from napari_fcnseg.errors import ConversionError, ModelFileError, SettingsError
from napari_fcnseg.model.patch_model import load_model
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.options import ReadOptions

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
