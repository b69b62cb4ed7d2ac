"""Packages of bioimage.io come in: patch classifiers with what is said of them, and nothing of what is hostile."""

from __future__ import annotations

import copy
import io
import json
import stat
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from napari_fcnseg import PatchModel, errors, load_model
from napari_fcnseg.cli.main import main
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.guard import yaml_text
from napari_fcnseg.readers.likely import likely_model, likely_models
from napari_fcnseg.samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CELLS = SAMPLES["cells"].model_path
#: What another program might say of the sample's patch network.
FOREIGN: dict[str, Any] = {
    "type": "model",
    "format_version": "0.5.4",
    "name": "Cells, by somebody else",
    "description": "Nuclei and cytoplasm.",
    "cite": [{"text": "Somebody (2020)", "doi": "10.1000/182"}],
    "inputs": [
        {
            "id": "patch",
            "axes": [
                {"type": "batch"},
                {"type": "space", "id": "y", "size": 31, "scale": 0.65, "unit": "micrometer"},
                {"type": "space", "id": "x", "size": 31, "scale": 0.65, "unit": "micrometer"},
                {"type": "channel", "channel_names": ["dna", "no"]},
            ],
            "preprocessing": [
                {"id": "ensure_dtype", "kwargs": {"dtype": "uint16"}},
                {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"]}},
            ],
        }
    ],
    "outputs": [
        {"id": "class", "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["off", "edge", "inside"]}]}
    ],
    "weights": {
        "pytorch_state_dict": {"source": "weights.pt", "architecture": {"source": "net.py", "callable": "Net"}},
        "keras_v3": {"source": "cells.keras"},
    },
}  # fmt: skip
OLD: dict[str, Any] = {
    "format_version": "0.4.9",
    "name": "old",
    "inputs": [
        {
            "name": "raw",
            "axes": "byxc",
            "shape": [1, 31, 31, 2],
            "preprocessing": [
                {
                    "name": "zero_mean_unit_variance",
                    "kwargs": {"mode": "fixed", "axes": "yx", "mean": [1.5, 2], "std": [3, 4]},
                },
                {"name": "scale_range", "kwargs": {"mode": "per_sample", "axes": "cyx", "min_percentile": 1}},
            ],
        }
    ],
    "outputs": [{"name": "class", "axes": "bc", "shape": [1, 3]}],
    "weights": {"keras_v3": {"source": "cells.keras"}},
}


def changed(data: dict[str, Any], *keys: Any, to: Any) -> dict[str, Any]:
    """Return a copy with another value at a place."""
    data = copy.deepcopy(data)
    *way, last = keys
    place: Any = data
    for key in way:
        place = place[key]
    place[last] = to
    return data


def described(data: Any) -> bytes:
    return data if isinstance(data, bytes) else yaml.safe_dump(data).encode()


def zipped(path: Path, data: Any, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rdf.yaml", described(data))
        for name, content in {"cells.keras": CELLS.read_bytes(), **files}.items():
            archive.writestr(name, content)
    return path


def unpacked(path: Path, data: Any) -> Path:
    path.mkdir()
    (path / "rdf.yaml").write_bytes(described(data))
    (path / "cells.keras").write_bytes(CELLS.read_bytes())
    return path


def opened(path: Path) -> PatchModel:
    """Read a model as the reading process does, without its start."""
    return PatchModel(read_model(path), path)


@pytest.mark.parametrize("way", ["zip", "folder", "rdf.yaml"])
def test_another_s_patch_classifier_comes_with_what_is_said_of_it(tmp_path, way) -> None:
    path = zipped(tmp_path / "their.zip", FOREIGN) if way == "zip" else unpacked(tmp_path / "their", FOREIGN)
    model = load_model(path / "rdf.yaml" if way == "rdf.yaml" else path)
    assert model.patch_shape == (31, 31)
    for mine, theirs in zip(load_model(CELLS).network.nodes, model.network.nodes, strict=True):
        assert mine.name == theirs.name
    sidecar = model.sidecar
    assert sidecar is not None
    assert model.class_names == ("off", "edge", "inside"), "YAML 1.2: 'off' and 'no' are texts"
    assert sidecar.channel_names == ("dna", "no")
    assert sidecar.preprocess == ("zero_mean_unit_variance",)
    assert (sidecar.axes, sidecar.pixel_size, sidecar.unit) == (("y", "x"), (0.65, 0.65), "micrometer")
    assert sidecar.cite[0].doi == "10.1000/182"
    assert len(model.sha256) == 64
    assert path / "rdf.yaml" in model.files or way != "folder"


def test_what_the_user_says_beside_a_package_comes_first(tmp_path) -> None:
    path = zipped(tmp_path / "their.zip", FOREIGN)
    (tmp_path / "their.fcnseg.json").write_text(json.dumps({"class_names": ["a", "b", "c"]}))
    assert load_model(path).class_names == ("a", "b", "c")


def test_the_older_version_s_steps_are_understood(tmp_path) -> None:
    sidecar = opened(zipped(tmp_path / "old.zip", OLD)).sidecar
    assert sidecar is not None
    assert sidecar.preprocess == ("fixed_zero_mean_unit_variance:1.5/2,3/4", "scale_range@all:1")


def test_what_is_to_be_done_after_the_network_is_said(tmp_path) -> None:
    after = [{"id": "softmax", "kwargs": {"axis": "channel"}}, {"id": "binarize", "kwargs": {"threshold": 0.5}}]
    model = opened(zipped(tmp_path / "a.zip", changed(FOREIGN, "outputs", 0, "postprocessing", to=after)))
    assert [note for note in model.network.notes if "asks for binarize after the network" in note]


def own(name: Any) -> dict[str, Any]:
    """Return the description of what claims to be a package of this program."""
    return {**FOREIGN, "config": {"napari_fcnseg": {"patch_model": name}}}


DENSE = [{"type": "batch"}, {"type": "space", "id": "y", "size": {"tensor_id": "patch", "axis_id": "y"}}]
#: What is refused, and words of the sentence.
REFUSED: dict[str, tuple[Any, str]] = {
    "a U-Net": (changed(FOREIGN, "outputs", 0, "axes", to=DENSE), "labels every pixel by itself"),
    "PyTorch alone": (changed(FOREIGN, "weights", to={"pytorch_state_dict": {}}), "weights as pytorch_state_dict"),
    "weights elsewhere": (
        changed(FOREIGN, "weights", "keras_v3", "source", to="https://example.org/cells.keras"),
        "at the address.*nothing is fetched",
    ),
    "a way out": (changed(FOREIGN, "weights", "keras_v3", "source", to="../cells.keras"), "no file inside the package"),
    "the system's": (changed(FOREIGN, "weights", "keras_v3", "source", to="/etc/passwd"), "no file inside the package"),
    "a drive": (changed(FOREIGN, "weights", "keras_v3", "source", to="C:\\cells.keras"), "no file inside the package"),
    "another hash": (changed(FOREIGN, "weights", "keras_v3", "sha256", to="0" * 64), "by its hash"),
    "code": (
        changed(FOREIGN, "inputs", 0, "preprocessing", to=[{"id": "custom", "callable": "run", "source": "run.py"}]),
        "preprocessing",
    ),
    "10,000 tensors": (changed(FOREIGN, "inputs", to=FOREIGN["inputs"] * 10_000), "inputs|values"),
    "17 tensors": (changed(FOREIGN, "inputs", to=FOREIGN["inputs"] * 17), "17 inputs"),
    "columns first": (
        changed(FOREIGN, "inputs", 0, "axes", to=[FOREIGN["inputs"][0]["axes"][n] for n in (0, 2, 1, 3)]),
        "rows, then columns",
    ),
    "another size": (changed(FOREIGN, "inputs", 0, "axes", 1, "size", to=41), "41 × 31.*31 × 31"),
    "our own, a way out": (own("../cells.keras"), "no file inside the package"),
    "our own, no name": (own({"a": 1}), "which file the patch model is"),
    "our own, a pickle": (own("cells.pkl"), "holds no 'cells.fcnseg.json'"),
    "our own, without a sidecar": (own("cells.keras"), "holds no 'cells.fcnseg.json'"),
    "a data set": (changed(FOREIGN, "type", to="dataset"), "'dataset' and no model"),
    "version 0.3": (changed(FOREIGN, "format_version", to="0.3.2"), "version '0.3.2'"),
    "whole data sets": (
        changed(OLD, "inputs", 0, "preprocessing", 1, "kwargs", "mode", to="per_dataset"),
        "numbers of a whole data set",
    ),
    "its code in YAML": (b"!!python/object/apply:os.system ['touch pwned']", "the tag"),
    "nothing": (b"- 1", "describes nothing"),
    "no YAML": (b"a: [1, 2", "no valid YAML"),
    "twice": (b"a: 1\na: 2", "same key twice"),
    "deep": (b"[" * 60 + b"]" * 60, "nested more than"),
    "abysmal": (b"[" * 5000 + b"]" * 5000, "nest"),
    "many": (b"a: [" + b"1," * 300_000 + b"1]", "values"),
    "laughs": (
        b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 10)) for n in range(98, 108)),
        "values",
    ),
    "itself": (b"a: &a [*a]", "values"),
    "large": (b"a: " + b"x" * 2**20, "larger than"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_reason(tmp_path, monkeypatch, case) -> None:
    monkeypatch.chdir(tmp_path)
    data, sentence = REFUSED[case]
    with pytest.raises(errors.FcnSegError, match=sentence) as caught:
        opened(zipped(tmp_path / "a.zip", data)).sidecar  # noqa: B018 - what is said is checked here
    assert "a.zip" in str(caught.value) or "package" in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]


def bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rdf.yaml", described(FOREIGN))
        archive.writestr("cells.keras", b"\0" * 10**8)
    return path


def link(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rdf.yaml", described(FOREIGN))
        member = zipfile.ZipInfo("cells.keras")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, str(CELLS))
    return path


def linked_folder(path: Path) -> Path:
    folder = unpacked(path.with_suffix(""), FOREIGN)
    (folder / "cells.keras").unlink()
    (folder / "cells.keras").symlink_to(CELLS)
    return folder


def without_weights(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rdf.yaml", described(FOREIGN))
    return path


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (bomb, "would grow more than 200-fold"),
        (link, "is a link, which is not followed"),
        (linked_folder, "is a link to elsewhere"),
        (without_weights, "holds no 'cells.keras'"),
    ],
)
def test_an_archive_that_is_a_trap_is_refused(tmp_path, made: Callable[[Path], Path], sentence) -> None:
    with pytest.raises(errors.ModelFileError, match=sentence):
        opened(made(tmp_path / "a.zip"))


def test_yaml_is_read_by_the_rules_of_its_version_1_2() -> None:
    text = b"%YAML 1.2\n---\na: [no, on, 012, 1e3, 1:30, 2020-01-02, .inf, ~, 'true', true]\n<<: {b: 1}\n"
    values = ["no", "on", 12, 1000.0, "1:30", "2020-01-02", float("inf"), None, "true", True]
    assert yaml_text.parse(text, "it") == {"a": values, "<<": {"b": 1}}


def test_a_package_is_known_at_a_glance(tmp_path) -> None:
    package = zipped(tmp_path / "any.zip", FOREIGN)
    folder = unpacked(tmp_path / "any", FOREIGN)
    plain = tmp_path / "images.zip"
    with zipfile.ZipFile(plain, "w") as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(3))
        archive.writestr("a.npy", buffer.getvalue())
    assert [likely_model(path) for path in (package, folder, folder / "rdf.yaml", plain)] == [True, True, True, False]
    assert likely_models([folder / "rdf.yaml"]) == [str(folder / "rdf.yaml")]


def test_a_sidecar_written_beside_a_package_begins_with_what_it_says(tmp_path, capsys) -> None:
    path = zipped(tmp_path / "their.zip", FOREIGN)
    assert main(["inspect", str(path)]) == 0
    assert f"Sidecar {path}" in capsys.readouterr().out
    assert main(["inspect", str(path), "--write-sidecar", "--class-names", "a", "b", "c"]) == 0
    model = load_model(path)
    assert model.sidecar is not None
    assert model.class_names == ("a", "b", "c")
    assert model.sidecar.preprocess == ("zero_mean_unit_variance",)
    assert model.sidecar_place == tmp_path / "their.fcnseg.json"
