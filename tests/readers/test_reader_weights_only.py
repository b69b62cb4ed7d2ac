"""An architecture as JSON and its weights beside it: one model, whichever of the two is opened."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from readers.reader_evaluate import evaluate
from readers.reader_forge import BIAS, CONV, KERNEL, arrays_file, entry, sequential
from readers.reader_weights_files import main

from napari_fcnseg.errors import FcnSegError, ModelFileError
from napari_fcnseg.readers import read_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODEL = sequential(entry("Conv2D", "conv", **CONV))


def weights(path: Path, change: Callable[[h5py.File], None] | None = None) -> Path:
    """Write weights as Keras 2 does."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["conv"]
        group = file.create_group("conv")
        group.attrs["weight_names"] = ["conv/kernel:0", "conv/bias:0"]
        group["conv/kernel:0"], group["conv/bias:0"] = KERNEL, BIAS
        if change is not None:
            change(file)
    return path


def weights_3(path: Path) -> Path:
    """Write weights as Keras 3 does."""
    path.write_bytes(arrays_file({"layers/conv2d": [KERNEL, BIAS]}))
    return path


def architecture(path: Path, model: Any = MODEL) -> Path:
    path.write_text(model if isinstance(model, str) else json.dumps(model))
    return path


def problem(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_model(path)
    return str(caught.value)


def arrays_of(path: Path) -> dict[tuple[str, str], np.ndarray] | str:
    try:
        nodes = read_model(path).nodes
    except FcnSegError as error:
        return str(error)
    values = {
        (node.name, f"{i} {name}"): v for node in nodes for i, op in enumerate(node.ops) for name, v in vars(op).items()
    }
    return {key: value for key, value in values.items() if isinstance(value, np.ndarray)}


def _description(whole: Path) -> str:
    """Give the text of ``model.to_json()`` that a whole file has in it."""
    if whole.suffix == ".keras":
        with zipfile.ZipFile(whole) as archive:
            return archive.read("config.json").decode()
    with h5py.File(whole) as file:
        return str(file.attrs["model_config"])


@pytest.mark.parametrize("whole", ["h5", "keras"])
def test_weights_of_the_zoo_are_those_of_the_whole_models(shared_data: Path, tmp_path: Path, whole: str) -> None:
    files = sorted((shared_data / "model-zoo").glob("*/m*.weights.h5"))
    assert len(files) >= 38
    read = 0
    for file in files:
        model = file.with_name(f"{file.name.split('.')[0]}.{whole}")
        text, beside = tmp_path / f"{model.stem}.json", tmp_path / file.name
        architecture(text, _description(model))
        beside.write_bytes(file.read_bytes())
        expected, found = arrays_of(model), arrays_of(text)
        if isinstance(expected, str):
            assert isinstance(found, str)
            assert found.rpartition(": ")[2] == expected.rpartition(": ")[2]
            continue
        assert isinstance(found, dict), (file, found)
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=f"{file}: {key}")
        read += 1
        truth = file.with_name(f"{model.stem}.io.npz")
        if whole == "keras" and truth.exists():
            io, network = np.load(truth), read_model(beside)
            answer = io["y"][0] if network.outputs else io["y"]  # the first of several
            np.testing.assert_allclose(evaluate(network, io["x"]), answer, rtol=1e-4, atol=1e-5)
    assert read >= 28


def test_the_installed_keras_writes_both(keras_child: Callable[..., Any], tmp_path: Path) -> None:
    keras_child(main, tmp_path)
    for name in ("plain", "shared"):
        truth = np.load(tmp_path / f"{name}.npz")
        for end in ("json", "weights.h5"):
            found = evaluate(read_model(tmp_path / f"{name}.{end}"), truth["x"])
            np.testing.assert_allclose(found, truth["y"], rtol=0, atol=2e-6)


@pytest.mark.parametrize("write", [weights, weights_3])
@pytest.mark.parametrize(
    ("text", "arrays"),
    [
        ("cells.json", "cells.weights.h5"),
        ("cells.json", "cells_weights.h5"),
        ("cells.json", "cells.h5"),
        ("cells.json", "cells.hdf5"),
        ("cells_architecture.json", "cells_weights.h5"),
        ("Cells_Model.json", "cells-weights.h5"),
        ("cells.config.json", "cells.model.weights.h5"),
        ("model.json", "model.h5"),
        ("model.json", "weights.h5"),
        ("config.json", "model.weights.h5"),
        ("model_architecture.json", "model_weights.h5"),
    ],
)
def test_either_file_opens_the_model(tmp_path: Path, text: str, arrays: str, write: Callable[[Path], Path]) -> None:
    for path in (architecture(tmp_path / text), write(tmp_path / arrays)):
        if path.name == text:
            write(tmp_path / arrays)
        network = read_model(path)
        assert network.files == (({text, arrays} - {path.name}).pop(),)
        op = network.nodes[0].ops[0]
        np.testing.assert_array_equal(op.kernel, KERNEL)
        np.testing.assert_array_equal(op.bias, BIAS)


def test_without_the_other_file_the_sentence_says_what_is_looked_for(tmp_path: Path) -> None:
    weights(tmp_path / "other.weights.h5")
    architecture(tmp_path / "third.json")
    architecture(tmp_path / "cells.fcnseg.json")  # a sidecar, no architecture
    said = problem(architecture(tmp_path / "cells.json"))
    assert "without its weights" in said
    assert "cells.weights.h5" in said
    (tmp_path / "cells.json").unlink()
    said = problem(weights(tmp_path / "cells_weights.h5"))
    assert "weights of a model only" in said
    assert "cells.json" in said
    assert "model.save('my_model.keras')" in said


def test_several_candidates_are_named(tmp_path: Path) -> None:
    path = architecture(tmp_path / "cells.json")
    weights(tmp_path / "cells.weights.h5")
    weights(tmp_path / "cells.h5")
    said = problem(path)
    assert "cells.weights.h5" in said
    assert "cells.h5" in said
    assert read_model(tmp_path / "cells.h5").nodes  # which one is meant is clear here
    architecture(tmp_path / "cells_model.json")
    assert "several files" in problem(tmp_path / "cells.h5")


def test_a_whole_model_beside_the_architecture(tmp_path: Path) -> None:
    def whole(file: h5py.File) -> None:
        file.attrs["model_config"] = json.dumps(MODEL)

    path = architecture(tmp_path / "cells.json")
    weights(tmp_path / "cells.h5", whole)
    assert "holds no weights alone" in problem(path)


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    architecture(tmp_path / "cells.json", sequential(entry("Conv2D", "another", **CONV)))
    assert "kernel" in problem(weights(tmp_path / "cells.h5"))
    architecture(tmp_path / "cells.json", sequential(entry("Conv2D", "conv", filters=3, kernel_size=[3, 3])))
    assert "shape" in problem(tmp_path / "cells.h5")


def test_links_to_the_other_file_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    text, arrays = architecture(tmp_path / "a" / "cells.json"), weights(tmp_path / "a" / "cells.h5")
    (tmp_path / "b" / "cells.json").symlink_to(text)
    (tmp_path / "b" / "cells.h5").symlink_to(arrays)
    for name in ("cells.json", "cells.h5"):
        assert "link to elsewhere" in problem(tmp_path / "b" / name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no valid JSON"),
        ("{}", "class_name"),
        ('{"class_name": "Sequential", "class_name": "Sequential"}', "twice"),
        ('{"a":' * 100 + "1" + "}" * 100, "nested"),
        ('{"class_name": "MyModel", "config": {}}', "Python code"),
        ('{"class_name": "Sequential", "config": {"layers": []}}', "0 layers"),
        ('{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {}}]}}', ""),
        (" " * (33 * 2**20) + "{}", "larger than 32 MiB"),
    ],
)
def test_hostile_descriptions(tmp_path: Path, text: str, says: str) -> None:
    weights(tmp_path / "cells.h5")
    path = architecture(tmp_path / "cells.json", text)
    for opened in (tmp_path / "cells.h5", path) if not text.startswith(" ") else (tmp_path / "cells.h5",):
        with pytest.raises(FcnSegError) as caught:
            read_model(opened)
        assert says in str(caught.value)


def _linked(link: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["conv/conv/kernel:0"]
        file["conv/conv/kernel:0"] = link

    return change


def _names(*names: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file["conv"].attrs["weight_names"] = list(names)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_linked(h5py.SoftLink("/conv/conv/bias:0")), "link"),
        (_linked(h5py.ExternalLink("other.h5", "/x")), "link"),
        (_linked(np.full_like(KERNEL, np.inf)), "not finite"),
        (_linked(KERNEL[..., :1]), "shape"),
        (_names("../conv/kernel:0"), "unusual name"),
        (_names("conv/kernel:0", "nowhere"), "missing"),
        (_names("conv/kernel:0"), "bias"),
    ],
)
def test_hostile_weights(tmp_path: Path, change: Callable[[h5py.File], None], says: str) -> None:
    path = architecture(tmp_path / "cells.json")
    weights(tmp_path / "cells.h5", change)
    for opened in (path, tmp_path / "cells.h5"):
        assert says in problem(opened)


def test_cut_weights(tmp_path: Path) -> None:
    path = architecture(tmp_path / "cells.json")
    whole = weights(tmp_path / "whole.weights").read_bytes()
    for length in range(0, len(whole), 211):
        (tmp_path / "cells.h5").write_bytes(whole[:length])
        assert isinstance(arrays_of(path), str)
        assert isinstance(arrays_of(tmp_path / "cells.h5"), str)
