"""What a glance takes for a model: every kind that can be read, and nothing that merely ends like one."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from readers.reader_forge import BIAS, CONV, KERNEL, arrays_file, entry, h5_file, sequential
from readers.reader_forge_savedmodel import SavedModel
from readers.reader_weights_files import main as write_weights

from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.likely import likely_model, likely_models, models_in

ONNX = Path(__file__).parent / "onnx"
CELLS = Path(__file__).resolve().parents[2] / "src" / "napari_fcnseg" / "samples" / "models" / "cells31.keras"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    layers = [entry("Conv2D", "conv", **CONV), entry("GlobalAveragePooling2D", "pool")]
    return SavedModel(sequential(*layers, keras=2), [{"kernel": KERNEL, "bias": BIAS}, {}]).write(tmp_path / "saved")


def ordinary(path: Path) -> Path:
    """Write an HDF5 file as microscopes do."""
    with h5py.File(path, "w") as file:
        file["t0/s00/0/cells"] = np.zeros((40, 50), np.uint16)
        file.attrs["software"] = "a microscope"
    return path


def test_what_can_be_read_is_seen_and_an_ordinary_file_is_not(tmp_path: Path, saved: Path) -> None:
    whole = h5_file(tmp_path / "whole.h5", sequential(entry("Conv2D", "conv2d", **CONV), entry("GlobalMaxPooling2D")))
    assert read_model(whole).channels == 1
    weights = tmp_path / "w.weights.h5"
    weights.write_bytes(arrays_file({"layers/conv2d": [KERNEL, BIAS]}))
    with h5py.File(tmp_path / "w2.hdf5", "w") as file:  # as Keras 1 and 2 write weights alone
        file.attrs["layer_names"] = ["convolution2d_1"]
    for model in (whole, tmp_path / "w2.hdf5", saved, saved / "saved_model.pb", CELLS, ONNX / "two.ts.onnx"):
        assert likely_model(model)
    (tmp_path / "text.h5").write_text("model_config layer_names")
    for other in (ordinary(tmp_path / "data.h5"), tmp_path / "text.h5", tmp_path, tmp_path / "gone.keras", "\0.keras"):
        assert not likely_model(other)


def test_what_keras_itself_writes_is_seen(keras_files: Path, tmp_path: Path, keras_child) -> None:
    keras_child(write_weights, tmp_path)
    written = [*keras_files.glob("*.h5"), *keras_files.glob("*.keras"), *tmp_path.glob("*.weights.h5")]
    assert len(written) > 20
    assert [path.name for path in written if not likely_model(path)] == []


def test_several_are_models_all_or_none_and_a_folder_of_models_stands_for_them(tmp_path: Path, saved: Path) -> None:
    a, b = (Path(shutil.copy(CELLS, tmp_path / name)) for name in ("a.keras", "b.keras"))
    assert likely_models([a, saved, b]) == [str(a), str(saved), str(b)]
    assert likely_models([saved / "saved_model.pb"]) == [str(saved)]
    assert likely_models([a, tmp_path / "a.fcnseg.json"]) == [str(a)]
    assert likely_models([a, ordinary(tmp_path / "data.h5")]) == []
    assert likely_models([]) == []
    folder = tmp_path / "ensemble"
    folder.mkdir()
    assert likely_models([folder]) == []
    for name in ("2.keras", "1.keras"):
        shutil.copy(a, folder / name)
    (folder / "1.fcnseg.json").write_text("{}")
    (folder / ".DS_Store").write_text("")
    both = [str(folder / "1.keras"), str(folder / "2.keras")]
    assert likely_models([folder]) == both
    (folder / "cells.tif").write_text("")  # now it is a folder of something else, with models in it
    assert likely_models([folder]) == []
    assert list(map(str, models_in(folder))) == both
    assert models_in(tmp_path / "gone") == []
