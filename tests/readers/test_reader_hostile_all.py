"""One file of every way to harm: each is refused in seconds and little memory, opens nothing else and runs nothing.

The reading child has the limits it has for a user. Every file is read twice: the second time nothing at all may be
imported, compiled or executed.
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import onnx
import pytest
from onnx import TensorProto
from readers import pt2_files, tflite_files
from readers.onnx_files import model as onnx_model
from readers.onnx_files import node as onnx_node
from readers.reader_forge import BIAS, CONV, KERNEL, arrays_file, entry, functional, h5_file, keras_file, sequential

from napari_fcnseg.errors import ModelFileError
from napari_fcnseg.readers.sandbox import read_models
from napari_fcnseg.system.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from readers.reader_watch import Record

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures as Linux lets one measure")

MODEL = sequential(entry("Conv2D", "conv2d", **CONV))
TRAP = {"class_name": "Trap", "config": {"name": "x"}, "module": "trap_module", "registered_name": "trap_module>Trap"}
LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wEAAAAAAAAA", "defaults": None, "closure": None}}
FILES: dict[str, Any] = {}


def hostile(name: str) -> Callable[[Any], Any]:
    """List a function that writes the file of this name in a folder that also has a pipe to hang on."""

    def add(build: Any) -> Any:
        FILES[name] = build
        return build

    return add


def layers(name: str, *entries: dict[str, Any]) -> None:
    """List models of these layers, in both formats."""
    FILES[f"{name}.keras"] = lambda folder: keras_file(folder / "m.keras", sequential(*entries), {})
    FILES[f"{name}.h5"] = lambda folder: h5_file(folder / "m.h5", sequential(*entries), {})


layers("lambda code", entry("Lambda", "l", function=LAMBDA))
layers("lambda name", entry("Lambda", "l", function="trap_module.run", module="trap_module"))
layers("module path", TRAP)
layers("os.system as a class", {**TRAP, "class_name": "system", "module": "os", "registered_name": "system"})
layers("function of keras", {**TRAP, "class_name": "get_file", "module": "keras.utils", "registered_name": None})
layers("TorchModuleWrapper", {**TRAP, "class_name": "TorchModuleWrapper", "module": "keras.layers"})
layers("wrapper around code", entry("TimeDistributed", "t", layer=entry("Lambda", function=LAMBDA)))
layers("activation as code", entry("Conv2D", "conv2d", **CONV, activation=LAMBDA))
layers("activation as an object", entry("Conv2D", "conv2d", **CONV, activation=TRAP))
layers("activation as a module's", entry("Conv2D", "conv2d", **CONV, activation="trap_module.run"))
layers("vocabulary from a file", entry("StringLookup", "s", vocabulary="/etc/passwd"))
layers("model from a file", entry("TFSMLayer", "t", filepath="hang", call_endpoint="serve"))
layers("shape bomb", entry("Dense", "d", units=2**40), entry("Dense", "e", units=2**40))
layers("kernel bomb", entry("Conv2D", "c", filters=2**30, kernel_size=[2**20, 2**20]))
layers("padding bomb", entry("ZeroPadding2D", "p", padding=[[2**40, 0], [0, 2**40]]))
layers("repeat bomb", entry("UpSampling2D", "u", size=[2**31, 2**31]), entry("Flatten"))
layers("reshape bomb", entry("Reshape", "r", target_shape=[2**62, 2**62, 4]))


def arrays(name: str, change: Any) -> None:
    """List models whose kernel's dataset was changed, in both formats."""

    def in_zip(folder: Path) -> Path:
        stream = io.BytesIO(arrays_file({"layers/conv2d": [KERNEL, BIAS]}))
        with h5py.File(stream, "r+") as file:
            change(file["layers/conv2d/vars"], "0", folder)
        return keras_file(folder / "m.keras", MODEL, stream.getvalue())

    def whole(folder: Path) -> Path:
        path = h5_file(folder / "m.h5", MODEL)
        with h5py.File(path, "r+") as file:
            change(file["model_weights/conv2d/conv2d"], "kernel:0", folder)
        return path

    FILES[f"{name}.keras"], FILES[f"{name}.h5"] = in_zip, whole


def made(**settings: Any) -> Any:
    """Replace a dataset by another one."""

    def change(group: h5py.Group, name: str, folder: Path) -> None:
        del group[name]
        given = {k: v(folder) if callable(v) and k == "external" else v for k, v in settings.items()}
        group.create_dataset(name, **given)

    return change


def linked(link: Any) -> Any:
    """Replace a dataset by a link."""

    def change(group: h5py.Group, name: str, folder: Path) -> None:
        del group[name]
        group[name] = link(folder)

    return change


def virtual(group: h5py.Group, name: str, folder: Path) -> None:
    del group[name]
    layout = h5py.VirtualLayout(KERNEL.shape, "<f4")
    layout[...] = h5py.VirtualSource(str(folder / "hang"), "0", KERNEL.shape)
    group.create_virtual_dataset(name, layout)


def stacked_gzip(group: h5py.Group, name: str, folder: Path) -> None:
    del group[name]
    made_of = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made_of.set_chunk((2**22,))
    for _ in range(3):
        made_of.set_deflate(9)
    space = h5py.h5s.create_simple((2**30,))
    dataset = h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, made_of)
    dataset.write(h5py.h5s.create_simple((1,)), _first(space), np.zeros(1, np.float32))


def _first(space: Any) -> Any:
    space.select_hyperslab((0,), (1,))
    return space


def own_ring(group: h5py.Group, name: str, folder: Path) -> None:
    """Make a group a member of itself in the array's place."""
    del group[name]
    group[name] = group


EXTERNAL = lambda folder: [(str(folder / "hang"), 0, h5py.h5f.UNLIMITED)]  # noqa: E731
arrays("external storage", made(shape=KERNEL.shape, dtype="<f4", external=EXTERNAL))
arrays("external link", linked(lambda folder: h5py.ExternalLink(str(folder / "hang"), "/0")))
arrays("soft link", linked(lambda folder: h5py.SoftLink("/layers/conv2d/vars/1")))
arrays("soft link to itself", linked(lambda folder: h5py.SoftLink("0")))
arrays("virtual data", virtual)
arrays("stacked gzip", stacked_gzip)
arrays("gzip bomb", made(data=np.zeros((4000, 4000), np.float32), compression="gzip", compression_opts=9))
arrays("claimed size", made(shape=(2**30, 2**30), dtype="<f4"))
arrays("claimed chunk", made(shape=(2**28,), dtype="<f4", chunks=(2**28,)))
arrays("own group", own_ring)
arrays("text for numbers", made(data=[b"x" * 99], dtype=h5py.string_dtype()))


def json_file(name: str, text: str) -> None:
    FILES[f"json {name}.keras"] = lambda folder: keras_file(folder / "m.keras", text)
    if len(text) < 60_000:  # what an attribute can hold
        FILES[f"json {name}.h5"] = lambda folder: h5_file(folder / "m.h5", text)


json_file("deep", "[" * 200_000 + "]" * 200_000)
json_file("deep objects", '{"a":' * 5_000 + "1" + "}" * 5_000)
json_file("wide", json.dumps(sequential(*[entry("ReLU", f"r{i}") for i in range(60_000)])))
json_file("endless text", '"' + "\\u0041" * 500_000)
json_file("huge number", '{"class_name": 1' + "0" * 50_000 + "}")
json_file("huge exponent", '{"class_name": 1e999999999}')
json_file("same key twice", '{"class_name": "Sequential", "class_name": "Sequential", "config": {}}')
json_file("not a number", '{"class_name": NaN}')


@hostile("models within models.keras")
def _nested(folder: Path) -> Path:
    model = functional((entry("ReLU"), ["input"]), outputs=["relu"])
    for number in range(12):
        inner = {"class_name": "Functional", "config": {**model["config"], "name": f"m{number}"}}
        model = functional((inner, ["input"]), outputs=[f"m{number}"])
        calls = [[["input" if i == 0 else f"m{number}", i, 0, {}]] for i in range(50)]
        model["config"]["layers"][1]["inbound_nodes"] = calls
        model["config"]["output_layers"] = [[f"m{number}", 50, 0]]
    return keras_file(folder / "m.keras", model, {})


def zipped(name: str, write: Any) -> None:
    def build(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            write(archive)
        return folder / "m.keras"

    FILES[f"zip {name}.keras"] = build


zipped("bomb", lambda archive: archive.writestr("config.json", bytes(2**28)))
zipped(
    "bomb of arrays",
    lambda z: (z.writestr("config.json", json.dumps(MODEL)), z.writestr("model.weights.h5", bytes(2**28))),
)
zipped("of many members", lambda archive: [archive.writestr(f"{i}", b"") for i in range(20_000)])
zipped("with a path out", lambda archive: archive.writestr("../../config.json", json.dumps(MODEL)))
zipped("of nothing", lambda archive: None)


@hostile("zip that says it is small.keras")
def _lying_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(2**27))
        archive.writestr("model.weights.h5", b"")
    data = (folder / "m.keras").read_bytes()
    (folder / "m.keras").write_bytes(data.replace(struct.pack("<I", 2**27), struct.pack("<I", 1000)))
    return folder / "m.keras"


@hostile("loop in the heap's free list.h5")
def _loop(folder: Path) -> Path:
    """Let the first free block of a group's heap of names be followed by itself: libhdf5 walks on for ever."""
    path = h5_file(folder / "m.h5", MODEL)
    data = bytearray(path.read_bytes())
    at = -1
    while (at := data.find(b"HEAP", at + 1)) >= 0:
        _, first, start = struct.unpack_from("<QQQ", data, at + 8)
        if start + first + 8 <= len(data):
            struct.pack_into("<Q", data, start + first, first)
    path.write_bytes(data)
    return path


@hostile("one name 4,000 times.h5")
def _names(folder: Path) -> Path:
    """Let all names of a list be the same million letters in the file: four gigabytes."""
    path = h5_file(folder / "m.h5", MODEL)
    with h5py.File(path, "r+") as file:
        file["model_weights/conv2d"].attrs["weight_names"] = ["x" * 10**6] + ["y"] * 3_999
    data = path.read_bytes()
    at = data.index(struct.pack("<I", 10**6))
    path.write_bytes(data[:at] + data[at : at + 16] * 4_000 + data[at + 16 * 4_000 :])
    return path


def onnx_file(name: str, **entries: str) -> None:
    """List a model whose weights are said to lie elsewhere."""

    def build(folder: Path) -> Path:
        composed = onnx_model([onnx_node("Conv", "x w")], {"w": np.ones((2, 4, 3, 3), np.float32)})
        stored = composed.graph.initializer[0]
        stored.ClearField("raw_data")
        stored.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            stored.external_data.add(key=key, value=value)
        (folder / "m.onnx").write_bytes(composed.SerializeToString())
        return folder / "m.onnx"

    FILES[f"onnx {name}"] = build


onnx_file("pipe", location="hang")
onnx_file("path out", location="../../../../etc/passwd")
onnx_file("absolute", location="/etc/passwd")
onnx_file("device", location="/dev/zero")
onnx_file("far", location="m.onnx.data", offset=str(2**62), length="288")
onnx_file("setting of the loader", location="m.onnx.data", __class__="x")


@hostile("onnx link beside it")
def _onnx_link(folder: Path) -> Path:
    (folder / "m.onnx.data").symlink_to("/dev/zero")
    path: Path = FILES["onnx pipe"](folder)
    composed = onnx.load_model_from_string(path.read_bytes())
    composed.graph.initializer[0].external_data[0].value = "m.onnx.data"
    path.write_bytes(composed.SerializeToString())
    return path


@hostile("onnx shape bomb")
def _onnx_bomb(folder: Path) -> Path:
    big = onnx_model([onnx_node("ConstantOfShape", "s", "c"), onnx_node("Add", "x c")], {"s": np.array([2**31, 2**31])})
    (folder / "m.onnx").write_bytes(big.SerializeToString())
    return folder / "m.onnx"


@hostile("saved model of graph code alone")
def _graph_only(folder: Path) -> Path:
    (folder / "m" / "variables").mkdir(parents=True)
    (folder / "m" / "saved_model.pb").write_bytes(b"\x08\x01" + b"\x12\x0aReadFile\xff\xff" * 100)
    return folder / "m"


@hostile("saved model of pipes")
def _pipes(folder: Path) -> Path:
    (folder / "m" / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "keras_metadata.pb", "variables/variables.index"):
        os.mkfifo(folder / "m" / name)
    return folder / "m"


@hostile("pipe")
def _pipe(folder: Path) -> Path:
    return folder / "hang"


@hostile("pickle")
def _pickle(folder: Path) -> Path:
    (folder / "m.keras").write_bytes(b"\x80\x04cos\nsystem\n(S'touch ran'\ntR.")
    return folder / "m.keras"


def program(name: str, **changes: Any) -> None:
    """List a program exported by PyTorch whose first array is another."""

    def build(folder: Path) -> Path:
        config = pt2_files.payloads()
        config["p_w"] |= changes
        return pt2_files.write(folder / "m.pt2", config=config)

    FILES[f"pt2 {name}"] = build


program("pickle", use_pickle=True)
program("path out", path_name="../../../../etc/passwd")
program("pipe", path_name="../../../hang")
program("shape bomb", tensor_meta=pt2_files.meta((2**31, 2**31)))
program("one number again and again", tensor_meta=pt2_files.meta((2**26,), strides=[{"as_int": 0}]))


@hostile("pt2 pickle for a graph")
def _pickled_graph(folder: Path) -> Path:
    trap = b"\x80\x04cos\nsystem\n(S'touch ran'\ntR."
    return pt2_files.write(folder / "m.pt2", **{"model.json": trap, "model_weights_config.json": trap})


@hostile("tflite bomb of one table")
def _lite_bomb(folder: Path) -> Path:
    (folder / "m.tflite").write_bytes(tflite_files.bomb())
    return folder / "m.tflite"


@hostile("tflite shape bomb")
def _lite_shape(folder: Path) -> Path:
    tensors = {**tflite_files.TENSORS, "kernel": ((2**30, 2**30, 2**30, 4), tflite_files.FLOAT, np.ones(9))}
    (folder / "m.tflite").write_bytes(tflite_files.compose(tensors))
    return folder / "m.tflite"


#: What fills the memory up to the limit leaves a process that is of no use to others.
FILLING = ("loop in the heap's free list.h5", "one name 4,000 times.h5")


def start(folder: Path) -> ChildProcess:
    """Start a child that would find a module for the files to name."""
    (folder / "trap_module.py").write_text("raise SystemExit('imported')")
    sys.path.append(str(folder))  # the child looks for modules where this process does
    child = ChildProcess("readers.reader_watch", {"OPENBLAS_NUM_THREADS": "1"}, ["readers"])
    sys.path.remove(str(folder))
    return child


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildProcess]:
    child = start(tmp_path_factory.mktemp("traps"))
    yield child
    child.kill()


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_at_no_cost(name: str, shared: ChildProcess, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hang")  # whoever opens it waits for ever
    path = FILES[name](tmp_path)
    child = start(tmp_path) if name in FILLING else shared
    record: Record = child.call("watch", str(path)).result(30)
    if child is not shared:
        child.kill()
    assert record.sentence.endswith("."), "it was read"
    assert record.seconds < 10
    assert record.peak < 2**30
    assert not record.done
    inside = (str(path), "m.keras", "m.h5", "m.onnx", "m.pt2", "m.tflite")
    # A number is a file that was opened by its name within a folder that is looked at.
    assert all(name.isdigit() or name.startswith(inside) or name.endswith(inside) for name in record.opened)
    assert not (tmp_path / "ran").exists()


def test_what_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a limit on memory, the file that loops takes all the time there is."""
    monkeypatch.setenv("NAPARI_FCNSEG_READ_SECONDS", "1")
    with pytest.raises(ModelFileError, match=r"stopped after 1 s of computing"):
        read_models([FILES["loop in the heap's free list.h5"](tmp_path)], memory=2**34)
