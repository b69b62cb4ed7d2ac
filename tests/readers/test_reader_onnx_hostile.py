"""ONNX files made to harm: each is a sentence, soon and in little memory, and nothing else is opened."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from patience import patience
from readers.onnx_files import FOLDER, SAMPLES, model, node, write

from napari_fcnseg.errors import FcnSegError, ModelFileError
from napari_fcnseg.readers import read_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(20)
SIZE = 2 * 4 * 3 * 3 * 4


def conv(**entries: str) -> onnx.ModelProto:
    """Compose a convolution whose weights are said to lie in another file."""
    composed = model([node("Conv", "x w")], {"w": np.ones((2, 4, 3, 3), np.float32)})
    if entries:
        stored = composed.graph.initializer[0]
        stored.ClearField("raw_data")
        stored.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            stored.external_data.add(key=key, value=value)
    return composed


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[str]]:
    """Give the names of the files below the test's folder that are opened while the test runs."""
    names: list[str] = []
    active = [True]

    def listen(event: str, arguments: tuple[object, ...]) -> None:
        if active and event == "open" and str(arguments[0]).startswith(str(tmp_path)):
            names.append(os.path.basename(str(arguments[0])))

    sys.addaudithook(listen)
    yield names
    active.clear()


def refused(path: Path, content: onnx.ModelProto | bytes) -> str:
    """Write a file, have it refused (within the limit of these tests), and return the sentence."""
    write(path, content)
    with pytest.raises(FcnSegError) as caught:
        read_model(path)
    return str(caught.value)


def assert_read_or_refused(path: Path) -> None:
    """Check that nothing but a sentence comes of a file that may be anything."""
    try:
        said = f"a network of {len(read_model(path).nodes)} nodes, which is as good an answer"
    except FcnSegError as error:
        said = str(error)
    assert len(said) > 40


def test_the_honest_file_beside_the_model_is_read(tmp_path: Path, opened: list[str]) -> None:
    (tmp_path / "m.onnx.data").write_bytes(b"\0" * 8 + np.full(SIZE // 4, 2, np.float32).tobytes())
    path = write(tmp_path / "m.onnx", conv(location="m.onnx.data", offset="8", length=str(SIZE)))
    opened.clear()
    (layer,) = read_model(path).nodes
    assert (layer.ops[0].kernel == 2).all()
    assert sorted(opened) == ["m.onnx", "m.onnx.data"]


@pytest.mark.parametrize(
    "location",
    [
        *("{0}/secret", "../{1}/secret", "./m.onnx.data", "secret", "m.onnx", "", "M.ONNX.DATA", "m.onnx.data\0"),
        *("sub/m.onnx.data", "file://m.onnx.data", "m.onnx.data/", "*/_ORT_MEM_ADDR_/*"),
    ],
)
def test_no_other_file_is_opened(location: str, tmp_path: Path, opened: list[str]) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("secret", "m.onnx.data", "sub/m.onnx.data"):
        (tmp_path / name).write_bytes(b"\1" * SIZE)
    composed = conv(location=location.format(tmp_path, tmp_path.name), offset="0", length=str(SIZE))
    write(tmp_path / "m.onnx", composed)
    opened.clear()
    with pytest.raises(ModelFileError, match=r"only one beside the model named 'm\.onnx\.data' is ever opened"):
        read_model(tmp_path / "m.onnx")
    assert opened == ["m.onnx"]


@pytest.mark.parametrize("kind", ["symbolic", "hard", "pipe", "folder", "dangling"])
def test_links_and_pipes_are_not_followed(kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\1" * SIZE)
    beside = tmp_path / "m.onnx.data"
    make = {
        "symbolic": lambda: beside.symlink_to(tmp_path / "secret"),
        "dangling": lambda: beside.symlink_to(tmp_path / "nowhere"),
        "hard": lambda: beside.hardlink_to(tmp_path / "secret"),
        "pipe": lambda: os.mkfifo(beside),
        "folder": beside.mkdir,
    }
    try:
        make[kind]()
    except (OSError, AttributeError):
        pytest.skip("this system has no such links")
    said = refused(tmp_path / "m.onnx", conv(location="m.onnx.data", offset="0", length=str(SIZE)))
    assert "a link or no ordinary file" in said or "cannot be opened" in said


@pytest.mark.parametrize(
    ("offset", "length", "reason"),
    [
        ("1", str(SIZE), "too short"),
        (str(2**62), str(SIZE), "malformed"),
        (str(2**40), str(SIZE), "too short"),
        ("-8", str(SIZE), "malformed"),
        ("0x0", str(SIZE), "malformed"),
        ("٣", str(SIZE), "malformed"),  # an Arabic digit
        ("0", str(SIZE - 4), "bytes by its shape"),
        ("0", str(SIZE * 1000), "bytes by its shape"),
        ("0", "", "malformed"),
    ],
)
def test_a_false_place_in_the_file_is_refused(offset: str, length: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").write_bytes(b"\1" * SIZE)
    said = refused(tmp_path / "m.onnx", conv(location="m.onnx.data", offset=offset, length=length))
    assert reason in said


def test_unknown_and_double_entries_are_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").write_bytes(b"\1" * SIZE)
    place = {"location": "m.onnx.data", "offset": "0", "length": str(SIZE)}
    assert "unusual way" in refused(tmp_path / "m.onnx", conv(**place, basepath="/"))
    twice = conv(**place)
    twice.graph.initializer[0].external_data.add(key="location", value="m.onnx.data")
    assert "unusual way" in refused(tmp_path / "m.onnx", twice)
    assert "unusual way" in refused(tmp_path / "m.onnx", conv(offset="0"))


def test_many_arrays_cannot_share_one_place(tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").write_bytes(b"\1" * SIZE)
    composed = conv(location="m.onnx.data", offset="0", length=str(SIZE))
    for number in range(50):
        composed.graph.initializer.add().CopyFrom(composed.graph.initializer[0])
        composed.graph.initializer[-1].name = f"w{number}"
    assert "too short" in refused(tmp_path / "m.onnx", composed)


def test_a_constant_in_a_node_is_never_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").write_bytes(b"\1" * SIZE)
    stored = conv(location="m.onnx.data", offset="0", length=str(SIZE)).graph.initializer[0]
    composed = model([node("Constant", "", "w", value=stored), node("Conv", "x w")])
    assert "another file where none may be" in refused(tmp_path / "m.onnx", composed)


def with_field(**fields: object) -> onnx.ModelProto:
    composed = conv()
    for name, message in fields.items():
        owner = composed.graph if name == "sparse_initializer" else composed
        getattr(owner, name).append(message)
    return composed


def test_functions_subgraphs_sparse_arrays_and_training_are_refused(tmp_path: Path) -> None:
    function = helper.make_function("mine", "f", ["a"], ["b"], [node("Relu", "a", "b")], [helper.make_opsetid("", 20)])
    sparse = onnx.SparseTensorProto(dims=[4])
    said = refused(tmp_path / "m.onnx", with_field(functions=function))
    assert "functions of its own" in said
    assert "sparse arrays" in refused(tmp_path / "m.onnx", with_field(sparse_initializer=sparse))
    assert "training procedure" in refused(tmp_path / "m.onnx", with_field(training_info=onnx.TrainingInfoProto()))
    graph = helper.make_graph([node("Relu", "x")], "inner", [], [])
    assert "'the_If' (If)" in refused(tmp_path / "m.onnx", model([node("If", "x", then_branch=graph)]))
    custom = node("Conv", "x w")
    custom.domain = "com.evil"
    assert "of 'com.evil'" in refused(tmp_path / "m.onnx", model([custom]))
    constant = helper.make_node("Constant", [], ["w"], name="c", sparse_value=sparse)
    assert "of a kind that is not read" in refused(tmp_path / "m.onnx", model([constant, node("Conv", "x w")]))


def test_absurd_shapes_cost_nothing(tmp_path: Path) -> None:
    for dims in ([2**40], [2**31, 2**31], [-1], [1] * 99, [2, 4, 3, 4]):
        composed = conv()
        composed.graph.initializer[0].dims[:] = dims
        assert "array 'w'" in refused(tmp_path / "m.onnx", composed)
    huge = np.array([2**40], np.int64)
    for nodes in (
        [node("ConstantOfShape", "s", "w"), node("Conv", "x w")],
        [node("Expand", "w s", "v"), node("Conv", "x v")],
        [node("Tile", "w s", "v"), node("Conv", "x v")],
        [node("Range", "w s w", "v"), node("Conv", "x v")],
    ):
        refused(tmp_path / "m.onnx", model(nodes, {"s": huge, "w": np.ones(1, np.float32)}))
    assert "too large to be true" in refused(
        tmp_path / "m.onnx", model([node("Relu", "x")], shape=("n", 1, 2**20, 2**20))
    )
    pads = {"p": np.array([0, 0, 2**20, 2**20, 0, 0, 2**20, 2**20])}
    assert "too large to be true" in refused(tmp_path / "m.onnx", model([node("Pad", "x p")], pads))


def test_constants_that_double_again_and_again_end(tmp_path: Path) -> None:
    nodes = [node("Concat", f"c{n} c{n}", f"c{n + 1}", axis=0) for n in range(60)]
    composed = model([*nodes, node("Conv", "x c60")], {"c0": np.ones(2**10, np.float32)})
    assert "too large to be true" in refused(tmp_path / "m.onnx", composed)


def test_a_bomb_of_tiny_entries_is_counted_before_it_is_unpacked(tmp_path: Path) -> None:
    def field(number: int, content: bytes) -> bytes:
        length, rest = b"", len(content)
        while rest > 127:
            length, rest = length + bytes([rest & 127 | 128]), rest >> 7
        return bytes([number << 3 | 2]) + length + bytes([rest]) + content

    empty = 4 * 10**6
    bombs = {
        "nodes": field(7, b"\x0a\x00" * empty),
        "attributes": field(7, field(1, b"\x2a\x00" * empty)),
        "arrays": field(7, b"\x2a\x00" * empty),
        "value_info": field(7, b"\x6a\x00" * empty),
        "dimensions": field(7, field(5, b"\x08\x01" * empty)),
        "shape": field(7, field(11, field(2, field(1, field(2, b"\x0a\x00" * 10**7))))),
    }
    for bomb in bombs.values():
        assert "far more than a patch network has" in refused(tmp_path / "m.onnx", b"\x08\x09" + bomb)


def test_what_the_count_lets_through_takes_little_memory(tmp_path: Path) -> None:
    """The worst file that is not refused on its bytes, in a process that says how much memory it took at most."""
    composed = conv()
    for number in range(20_000 - 1):
        composed.graph.node.add(op_type="Relu", input=[f"r{number}" if number else "y"], output=[f"r{number + 1}"])
    for _ in range(330_000):
        composed.graph.value_info.add()
    composed.graph.output[0].name = "r19999"
    path = write(tmp_path / "m.onnx", composed)
    code = (
        "from napari_fcnseg.readers import read_model\n"
        f"try: print(len(read_model({str(path)!r}).nodes))\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    )
    if sys.platform != "linux":
        pytest.skip("no measure of the most memory here")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60 * patience()
    )
    assert int(done.stdout.split()[-1]) < 2**20  # kilobytes


def test_order_names_and_types_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    assert "before anything makes it" in refused(path, model([node("Relu", "y", "z"), node("Relu", "z", "y")]))
    assert "two of its nodes make 'y'" in refused(path, model([node("Relu", "x"), node("Tanh", "x")]))
    assert "two of its nodes make 'x'" in refused(path, model([node("Relu", "x", "x")]))
    assert "nothing makes its output" in refused(path, model([node("Relu", "x", "z")]))
    double = conv()
    double.graph.initializer.add().CopyFrom(double.graph.initializer[0])
    assert "two of its arrays are named 'w'" in refused(path, double)
    integers = conv()
    integers.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    assert "not an array of floating-point numbers" in refused(path, integers)


def test_texts_and_truncated_files_are_no_models(tmp_path: Path) -> None:
    content = conv().SerializeToString()
    for size in range(0, len(content), 7):
        refused(tmp_path / "m.onnx", content[:size])
    assert "text" in refused(tmp_path / "m.onnx", b'ir_version: 9 graph { node { op_type: "Relu" } }')
    for deep in (b"\x08\x09" + b"\x3b" * 1000, b"\x08\x09" + b"\xff" * 1000, b"\x08\x09\x00\x00"):
        refused(tmp_path / "m.onnx", deep)


@pytest.mark.parametrize("name", [name for name in SAMPLES if not (FOLDER / f"{name}.data").exists()])
def test_mutated_files_are_read_or_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    content = (FOLDER / name).read_bytes()
    draw = random.Random(name)
    for _ in range(80):
        mutated = bytearray(content)
        for _ in range(draw.choice((1, 2, 8))):
            place = draw.randrange(len(mutated))
            mutated[place] = draw.choice((0, 1, 255, 127, mutated[place] ^ (1 << draw.randrange(8))))
        assert_read_or_refused(write(tmp_path / "m.onnx", bytes(mutated)))


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith(".ts.onnx")])
def test_forged_settings_are_read_or_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    """The file is well-formed, but one setting, name, shape or constant is another."""
    original = onnx.load_model_from_string((FOLDER / name).read_bytes())
    draw = random.Random(name)
    values = (0, -1, 1, 2, 7, 2**31, -(2**63), 2**63 - 1)
    for _ in range(80):
        forged = onnx.ModelProto()
        forged.CopyFrom(original)
        victim = draw.choice(forged.graph.node)
        if victim.attribute and draw.random() < 0.6:
            setting = draw.choice(victim.attribute)
            new = draw.choice(
                (draw.choice(values), [draw.choice(values)] * draw.randrange(5), 0.5, float("nan"), "x", [0.5])
            )
            key = setting.name
            victim.attribute.remove(setting)
            if new != []:
                victim.attribute.append(helper.make_attribute(key, new))
        elif draw.random() < 0.4:
            victim.op_type = draw.choice(forged.graph.node).op_type
        elif victim.input:
            names = [n for other in forged.graph.node for n in other.input] + [""]
            victim.input[draw.randrange(len(victim.input))] = draw.choice(names)
        assert_read_or_refused(write(tmp_path / "m.onnx", forged))
