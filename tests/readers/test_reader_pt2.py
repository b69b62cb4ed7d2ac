"""Programs exported by PyTorch (``.pt2``): what we read computes what PyTorch computed, and nothing is run."""

from __future__ import annotations

import copy
import importlib.util
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from patience import patience
from readers.onnx_files import answer
from readers.pt2_files import (
    INT,
    KERNEL,
    NODES,
    expected,
    meta,
    node,
    payloads,
    program,
    ref,
    write,
)

from napari_fcnseg.errors import FcnSegError, ModelFileError, UnsupportedLayerError
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PATCHES = np.random.default_rng(0).standard_normal((3, 2, 5, 5)).astype(np.float32)


def test_it_computes_what_its_graph_says_and_keeps_the_names_of_modules(tmp_path: Path) -> None:
    network = read_model(write(tmp_path / "cells.pt2"))
    assert network.input_shape == (5, 5, 2)
    assert [node.name for node in network.nodes] == ["conv", "relu_", "flat", "head", "softmax"]
    assert network.name == "cells"
    assert np.abs(answer(network, PATCHES) - expected(PATCHES)).max() < 1e-6


def test_arrays_that_share_a_storage_or_lie_turned_are_laid_out_as_they_were(tmp_path: Path) -> None:
    config = payloads()
    turned = np.concatenate([np.zeros(7, np.float32), KERNEL.transpose(3, 2, 1, 0).ravel()])
    config["p_w"]["tensor_meta"] |= {
        "strides": [{"as_int": n} for n in (1, 4, 8, 24)],
        "storage_offset": {"as_int": 7},
    }
    network = read_model(write(tmp_path / "m.pt2", config=config, weight_0=turned.tobytes()))
    assert np.abs(answer(network, PATCHES) - expected(PATCHES)).max() < 1e-6


def test_a_patch_of_any_size_is_asked_for(tmp_path: Path) -> None:
    open_size = program(x=("s0", 2, "s1", "s2"))
    with pytest.raises(FcnSegError, match="--patch-size 61 61"):
        read_model(write(tmp_path / "m.pt2", open_size))
    network = read_model(tmp_path / "m.pt2", options=ReadOptions(patch_shape=(5, 5)))
    assert np.abs(answer(network, PATCHES) - expected(PATCHES)).max() < 1e-6


def test_what_reads_a_view_of_what_was_written_over_is_refused(tmp_path: Path) -> None:
    view = node("view.default", "v", self="conv2d", size=[-1, 4, 9])
    nodes = [NODES[0], view, node("relu_.default", "relu_", self="v"), *NODES[2:]]
    path = write(tmp_path / "m.pt2", program(nodes, v=("s0", 4, 9)))
    with pytest.raises(UnsupportedLayerError, match="a part of which was written over in place"):
        read_model(path)


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (node("argmax.default", "softmax", self="linear"), "number of a class instead of scores"),
        (node("pixel_shuffle.default", "softmax", self="linear"), "other positions or channels"),
        (node("frobnicate.default", "softmax", self="linear"), "does not read the operator 'aten.frobnicate"),
        (node("softmax.int", "softmax", self="linear", dim=0), "mixes the patches of a batch"),
        (node("dropout.default", "softmax", input="linear", p=0.5, train=True), "exported while training"),
        (
            {**node("x", "softmax", self="linear"), "target": "torch.ops.higher_order.wrap_with_set_grad_enabled"},
            "run_decompositions",
        ),
        ({**node("x", "softmax", self="linear"), "target": "torch.ops.quantized.linear"}, "quantised network"),
    ],
)
def test_what_is_not_read_is_refused_by_name(last: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayerError, match=reason):
        read_model(write(tmp_path / "m.pt2", program([*NODES[:-1], last])))


def _changed(key: str, **changes: Any) -> dict[str, Any]:
    config = payloads()
    config[key] |= changes
    return config


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "a pickle for an array": ({"config": _changed("p_w", use_pickle=True)}, "Python pickle"),
    "a path out": ({"config": _changed("p_w", path_name="../../../../etc/passwd")}, "holds no"),
    "an absolute path": ({"config": _changed("p_w", path_name="/etc/passwd")}, "holds no"),
    "a huge shape": ({"config": _changed("p_w", tensor_meta=meta((2**31, 2**31)))}, "does not fit"),
    "more than there is": ({"config": _changed("p_w", tensor_meta=meta((5, 2, 3, 3)))}, "does not fit"),
    "one number repeated": (
        {"config": _changed("p_b", tensor_meta=meta((2**20,), strides=[{"as_int": 0}]))},
        "does not fit",
    ),
    "strides beyond the end": (
        {"config": _changed("p_b", tensor_meta=meta((4,), strides=[{"as_int": 2**30}]))},
        "reaches beyond",
    ),
    "a start before the beginning": (
        {"config": _changed("p_b", tensor_meta=meta((4,), storage_offset={"as_int": -1}))},
        "malformed",
    ),
    "complex numbers": ({"config": _changed("p_w", tensor_meta=meta((4, 2, 3, 3), 10))}, "quantised, complex"),
    "a list for a type": ({"config": _changed("p_w", tensor_meta=meta((4, 2, 3, 3), [7]))}, "quantised, complex"),  # type: ignore[arg-type]
    "whole numbers for weights": ({"config": _changed("p_b", tensor_meta=meta((4,), INT))}, "whole numbers"),
    "an array that is missing": ({"config": {k: v for k, v in payloads().items() if k != "p_h"}}, "missing"),
    "another byte order": ({"byteorder": b"big"}, "another kind of processor"),
    "no JSON": ({"model.json": b"\x80\x04cos\nsystem\n(S'ls'\ntR."}, "no valid JSON"),
    "deep JSON": ({"model.json": b"[" * 10**5 + b"]" * 10**5}, "levels deep"),
    "an endless zip": ({"weight_0": b"\0" * 2**24}, "grow more than"),
    "no arrays": ({"weight_2": b""}, "does not fit"),
    "a later version": ({"graph": {**program(), "schema_version": {"major": 9, "minor": 0}}}, "of a version"),
    "a result before its maker": ({"graph": program(NODES[::-1])}, "before anything makes it"),
    "a shape that lies": ({"graph": program(conv2d=("s0", 4, 999, 3))}, ""),
    "no shape": ({"graph": program([node("flatten.using_ints", "softmax", self="nothing")])}, "shape of 'nothing'"),
    "an argument of another kind": ({"graph": program([node("conv2d.default", "softmax", input="x")])}, "'weight'"),
    "twenty thousand nodes": ({"graph": program(NODES * 4001)}, "far more than a patch network"),
    "padding beyond belief": (
        {"graph": program([node("constant_pad_nd.default", "softmax", self="x", pad=[2**40, 0])])},
        "malformed",
    ),
    "two inputs of one name": ({"graph": program(inputs=2)}, "same name"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_a_sentence(name: str, tmp_path: Path) -> None:
    changes, reason = HOSTILE[name]
    members = {key: value for key, value in changes.items() if key not in ("graph", "config")}
    path = write(tmp_path / "m.pt2", changes.get("graph"), changes.get("config"), **members)
    if name == "an endless zip":
        _deflate(path)
    if not reason:  # the shapes that a file states are not those that are computed with
        assert np.abs(answer(read_model(path), PATCHES) - expected(PATCHES)).max() < 1e-6
        return
    with pytest.raises(FcnSegError, match=reason):
        read_model(path)


def _deflate(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_forged_graphs_are_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    """The archive is well-formed, but some value of its graph is another."""
    draw = random.Random(2)
    values = (None, 0, -1, 2**31, 2**63 - 1, "x", [], {}, True, 0.5, [1] * 5, ref("x"), {"as_ints": [-1, 0, 9]})
    for _ in range(120):
        graph = copy.deepcopy(program())
        places = list(_places(graph["graph_module"]))
        for owner, key in draw.sample(places, draw.choice((1, 2))):
            owner[key] = copy.deepcopy(draw.choice(values))
        try:
            said = f"a network of {len(read_model(write(tmp_path / 'm.pt2', graph)).nodes)} nodes, as good an answer"
        except FcnSegError as error:
            said = str(error)
        assert len(said) > 30


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def test_archives_of_other_kinds_say_what_makes_one_that_is_read(tmp_path: Path) -> None:
    for member, advice in (
        ("serialized_exported_program.json", r"torch\.export\.save\(torch\.export\.load\('model\.pt2'\)"),
        ("m/data/aotinductor/model/x.so", "compiled for one computer"),
        ("m/archive_format", "with no model"),
    ):
        with zipfile.ZipFile(tmp_path / "m.pt2", "w") as archive:
            archive.writestr(member, b"x")
            archive.writestr("m/archive_format", b"pt2") if member != "m/archive_format" else None
        with pytest.raises(ModelFileError, match=advice):
            read_model(tmp_path / "m.pt2")


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch, to write the files")
@pytest.mark.timeout(180)
def test_it_computes_what_pytorch_computed(tmp_path: Path) -> None:
    """Every sample, as exported and decomposed into core operators; few need operators that are not read."""
    subprocess.run(
        [sys.executable, str(ROOT / "tools" / "export_onnx_samples.py"), str(tmp_path), "--pt2"],
        check=True,
        timeout=150 * patience(),
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    read, refused = [], {}
    for path in sorted(tmp_path.glob("*.pt2")):
        with np.load(tmp_path / f"{path.name.partition('.')[0]}.npz") as arrays:
            inputs = [arrays[key] for key in sorted(arrays) if key.startswith("x")]
            x, y = np.concatenate(inputs, 1), arrays["y0"]
        try:
            network = read_model(path)
        except UnsupportedLayerError as error:
            refused[path.name] = str(error)
            continue
        read.append(path.name)
        assert np.abs(answer(network, x).reshape(y.shape) - y).max() <= 1e-5, path.name
    assert len([name for name in read if name.endswith(".export.pt2")]) == 11
    assert sorted(refused) == ["line.core.pt2", "next.core.pt2", "norms.core.pt2"], refused
