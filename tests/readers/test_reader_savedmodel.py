"""SavedModel folders of Keras 2: the arrays and answers of real ones, and a sentence for whatever was done to one."""

from __future__ import annotations

import json
import os
import random
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from readers.reader_evaluate import evaluate
from readers.reader_forge import BIAS, CONV, KERNEL, entry, sequential
from readers.reader_forge_savedmodel import SavedModel, block, message, node, saved_model, string, table, varint
from readers.reader_forge_savedmodel import entry as array_entry

from napari_fcnseg.errors import FcnSegError, ModelFileError, UnreadableError
from napari_fcnseg.graph.ops import BatchNorm, Conv
from napari_fcnseg.readers import read_model
from napari_fcnseg.readers.guard.protobuf import Message
from napari_fcnseg.readers.savedmodel.sstable import read_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = b"layer-0/kernel/.ATTRIBUTES/VARIABLE_VALUE"
NORM = {name: np.arange(2, dtype=np.float32) + i for i, name in enumerate(("gamma", "beta", "moving_mean"))}
INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"


def forged() -> SavedModel:
    layers = [entry("Conv2D", "conv", **CONV), entry("BatchNormalization", "norm")]
    arrays = [{"kernel": KERNEL, "bias": BIAS}, {**NORM, "moving_variance": np.ones(2, np.float32)}]
    return SavedModel(sequential(*layers, keras=2), arrays)


def problem(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_model(path)
    return str(caught.value)


def arrays_of(path: Path) -> dict[tuple[str, str, str], np.ndarray]:
    return {
        (node.name, type(op).__name__, name): value
        for node in read_model(path).nodes
        for op in node.ops
        for name, value in vars(op).items()
        if isinstance(value, np.ndarray)
    }


def read_or_refusal(path: Path) -> dict[tuple[str, str, str], np.ndarray] | str:
    try:
        return arrays_of(path)
    except FcnSegError as error:
        return str(error)


def test_all_of_the_zoo_are_what_the_same_models_in_h5_are(shared_data: Path) -> None:
    folders = sorted((shared_data / "model-zoo").glob("*/*.sm"))
    assert len(folders) >= 19
    for folder in folders:
        found, expected = (read_or_refusal(path) for path in (folder, folder.with_suffix(".h5")))
        if isinstance(expected, str):
            assert found == expected.replace("The file", "The folder").replace(".h5", ".sm")
            continue
        assert isinstance(found, dict), found
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            np.testing.assert_array_equal(found[key], values, err_msg=f"{folder.name}: {key}")


def test_the_zoo_computes_what_tensorflow_computed(shared_data: Path) -> None:
    computed = 0
    for folder in sorted((shared_data / "model-zoo").glob("*/*.sm")):
        try:
            network = read_model(folder)
        except FcnSegError:
            continue  # compared with the refusal of the .h5 above
        io = np.load(folder.with_suffix(".io.npz"))
        expected = io["y"][0] if network.outputs else io["y"]  # the first of several
        np.testing.assert_allclose(evaluate(network, io["x"]), expected, rtol=1e-4, atol=1e-5, err_msg=folder.name)
        computed += 1
    assert computed >= 14


def test_the_forged_folder_is_read_whichever_of_its_files_is_chosen(tmp_path: Path) -> None:
    folder = forged().write(tmp_path / "model")
    for path in (folder, folder / "saved_model.pb", folder / "keras_metadata.pb"):
        network = read_model(path)
        assert {"keras_metadata.pb", INDEX, DATA} - {path.name} == set(network.files)
        conv, norm = (op for node in network.nodes for op in node.ops)
        assert isinstance(conv, Conv)
        np.testing.assert_array_equal(conv.kernel, KERNEL)
        np.testing.assert_array_equal(conv.bias, BIAS)
        assert isinstance(norm, BatchNorm)
        np.testing.assert_array_equal(norm.mean, NORM["moving_mean"])


def test_a_chosen_link_to_the_folder_is_the_users_own_business(tmp_path: Path) -> None:
    forged().write(tmp_path / "model")
    (tmp_path / "link").symlink_to(tmp_path / "model")
    assert read_model(tmp_path / "link").nodes


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_other_types_of_numbers(tmp_path: Path, dtype: type) -> None:
    model = SavedModel(
        sequential(entry("Conv2D", "conv", **CONV), keras=2), [{"kernel": KERNEL.astype(dtype), "bias": BIAS}]
    )
    np.testing.assert_array_equal(read_model(model.write(tmp_path / "m")).nodes[0].ops[0].kernel, KERNEL)


def test_bfloat16(tmp_path: Path) -> None:
    model = forged()
    upper = (KERNEL.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    model.entries[KEY] = array_entry(14, KERNEL.shape, len(model.data), len(upper))
    model.data += upper
    np.testing.assert_array_equal(read_model(model.write(tmp_path / "m")).nodes[0].ops[0].kernel, KERNEL)


def test_several_data_files(tmp_path: Path) -> None:
    model = forged()
    model.entries[b""] = message((1, 2))
    model.entries[KEY] = array_entry(1, KERNEL.shape, 0, KERNEL.nbytes, (3, 1))
    folder = model.write(tmp_path / "m")
    (folder / DATA).rename(folder / "variables/variables.data-00000-of-00002")
    (folder / "variables/variables.data-00001-of-00002").write_bytes(KERNEL.tobytes())
    np.testing.assert_array_equal(read_model(folder).nodes[0].ops[0].kernel, KERNEL)


def test_without_the_description_of_keras(tmp_path: Path) -> None:
    folder = forged().write(tmp_path / "m")
    (folder / "keras_metadata.pb").unlink()
    for content in (saved_model(), saved_model("_generic_user_object", "{}"), b"\x08\x01"):
        (folder / "saved_model.pb").write_bytes(content)
        said = problem(folder)
        assert "keras_metadata.pb" in said
        assert "model.save('my_model.keras')" in said


def test_tensorflow_before_2_5_kept_the_description_elsewhere(tmp_path: Path) -> None:
    model = forged()
    folder = model.write(tmp_path / "m")
    (folder / "keras_metadata.pb").unlink()
    (folder / "saved_model.pb").write_bytes(saved_model(metadata=json.dumps(model.metadata["root"])))
    np.testing.assert_array_equal(read_model(folder).nodes[0].ops[0].kernel, KERNEL)


def test_the_zoo_has_the_model_where_the_older_description_was(shared_data: Path) -> None:
    """The numbers of the fields, checked in folders of TensorFlow 2.15, which has emptied the text itself."""
    for folder in (shared_data / "model-zoo").glob("*/*.sm"):
        (graph,) = Message((folder / "saved_model.pb").read_bytes(), "").messages(2)
        model = Message(graph.message(7).contents(1)[0], "").message(4)
        assert model.text(1) in ("_tf_keras_sequential", "_tf_keras_network")


def test_a_folder_of_another_kind(tmp_path: Path) -> None:
    assert "it is a folder" in problem(tmp_path)


def test_a_subclassed_model(tmp_path: Path) -> None:
    model = forged()
    model.metadata["root"]["is_graph_network"] = False
    assert "Python code" in problem(model.write(tmp_path / "m"))


def test_description_and_arrays_of_different_models(tmp_path: Path) -> None:
    model = forged()
    model.metadata["root.layer-0"] = {"name": "another"}
    assert "do not belong together" in problem(model.write(tmp_path / "m"))


@pytest.mark.parametrize("name", ["keras_metadata.pb", INDEX, DATA, "variables"])
def test_links_and_missing_files(tmp_path: Path, name: str) -> None:
    folder = forged().write(tmp_path / "model")
    (folder / name).rename(tmp_path / "elsewhere")
    if name != "keras_metadata.pb":
        assert "missing" in problem(folder)
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert "link" in problem(folder)


def test_what_is_no_ordinary_file(tmp_path: Path) -> None:
    folder = forged().write(tmp_path / "model")
    os.link(folder / DATA, tmp_path / "second name")
    assert "no ordinary file" in problem(folder)
    (folder / DATA).unlink()
    os.mkfifo(folder / DATA)
    assert "no ordinary file" in problem(folder)
    (folder / DATA).unlink()
    (folder / DATA).mkdir()
    assert "no ordinary file" in problem(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.entries.__setitem__(KEY, array_entry(1, KERNEL.shape, 10**9, KERNEL.nbytes)), "damaged"),
        (lambda m: m.entries.__setitem__(KEY, array_entry(1, KERNEL.shape, 2**64 - 8, KERNEL.nbytes)), "damaged"),
        (lambda m: m.entries.__setitem__(KEY, array_entry(1, KERNEL.shape, 0, 2**40)), "damaged"),
        (lambda m: m.entries.__setitem__(KEY, array_entry(1, (2**20, 2**20), 0, 2**42)), "shape"),
        (lambda m: m.entries.__setitem__(KEY, array_entry(1, (1,) * 7, 0, 4)), "damaged"),
        (lambda m: m.entries.__setitem__(KEY, array_entry(1, (2**64 - 1,), 0, 4)), "damaged"),
        (lambda m: m.entries.__setitem__(KEY, array_entry(7, (), 0, 4)), "unusual type"),
        (lambda m: m.entries.__setitem__(KEY, array_entry(8, KERNEL.shape, 0, 2 * KERNEL.nbytes)), "unusual type"),
        (lambda m: m.entries.__setitem__(KEY, array_entry(1, KERNEL.shape, 0, KERNEL.nbytes, (7, b""))), "slices"),
        (lambda m: m.entries.__setitem__(KEY, array_entry(1, KERNEL.shape, 0, KERNEL.nbytes, (3, 1))), "damaged"),
        (lambda m: m.entries.__setitem__(b"", message((1, 0))), "unusual kind"),
        (lambda m: m.entries.__setitem__(b"", message((1, 10**6))), "unusual kind"),
        (lambda m: m.entries.__setitem__(b"", message((1, 1), (2, 1))), "unusual kind"),
        (lambda m: m.entries.pop(b""), "unusual kind"),
        (lambda m: m.entries.pop(KEY), "missing"),
        (lambda m: m.add(KEY, np.full_like(KERNEL, np.nan)), "not finite"),
        (lambda m: m.add(KEY, KERNEL[..., :1].copy()), "shape"),
        (lambda m: m.entries.__setitem__(b"_CHECKPOINTABLE_OBJECT_GRAPH", array_entry(1, (), 0, 4)), "damaged"),
        (lambda m: m.nodes.__setitem__(0, node({"layer-0": 10**9, "layer-1": 2})), "damaged"),
        (lambda m: m.nodes.__setitem__(0, node({"layer-1": 2})), "does not list"),
        (lambda m: m.nodes.__setitem__(0, node({"layer-0": 0, "layer-1": 2})), "'bias'|'kernel'|missing"),
        (lambda m: m.nodes.__setitem__(1, node({"variables": 1})), "'kernel'|missing"),
        (lambda m: m.nodes.__setitem__(1, b"\x0a\xff"), "damaged"),
        (lambda m: m.nodes.__setitem__(1, message((1, 5))), "damaged"),
        (lambda m: m.metadata.__setitem__("root", '{"a":' * 1000), "nested"),
        (lambda m: m.metadata.__setitem__("root", '{"a": 1, "a": 2}'), "twice"),
        (lambda m: m.metadata.__setitem__("root", '{"a": NaN}'), "NaN"),
        (lambda m: m.metadata.__setitem__("root", "{}"), "Python code"),
        (lambda m: m.metadata.__setitem__("root", "[]"), "no JSON object"),
        (lambda m: m.metadata.pop("root"), "describes no model"),
        (lambda m: m.metadata.update({f"x{i}": {} for i in range(10_001)}), "more than 10,000 layers"),
    ],
)
def test_a_bent_folder_is_a_sentence(tmp_path: Path, change: Callable[[Any], object], says: str) -> None:
    model = forged()
    change(model)
    with pytest.raises(ModelFileError, match=says):
        read_model(model.write(tmp_path / "m"))


def _tables() -> dict[str, bytes]:
    whole = table({b"a": b"1", b"ab": b"2", b"b": b"3", b"c": b"4"})
    footer = struct.calcsize("40s8s")
    far = varint(10**6) + varint(10**6)
    handles = varint(0) + varint(8) + far
    return {
        "nothing": b"",
        "too short": whole[-footer + 1 :],
        "no magic": whole[:-1] + b"\0",
        "a block far away": whole[:-footer] + handles.ljust(40, b"\0") + whole[-8:],
        "an endless number": whole[:-footer] + b"\xff" * 40 + whole[-8:],
        "compressed": table({b"a": b"1"}, compressed=1),
        "twice the same name": table({b"a": b"1"})[:0] + _twice(),
        "a lie about restarts": _one_block(b"\0\1\1a1" + struct.pack("<I", 2**31)),
        "a lie about shared letters": _one_block(b"\5\1\1a1" + struct.pack("<II", 0, 1)),
        "a lie about the value's length": _one_block(b"\0\1\x7fa1" + struct.pack("<II", 0, 1)),
        "a long name": _one_block(block([(b"x" * 1_001, b"")])[:-5]),
    }


def _one_block(content: bytes) -> bytes:
    """Write a table of one block that is given without its trailer."""
    part = content + b"\0crc?"
    index = block([(b"", varint(0) + varint(len(content)))])
    handles = varint(0) + varint(len(content)) + varint(len(part)) + varint(len(index) - 5)
    return part + index + handles.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def _twice() -> bytes:
    return _one_block(block([(b"a", b"1"), (b"a", b"2")])[:-5])


@pytest.mark.parametrize("what", _tables())
def test_tables_that_lie(what: str) -> None:
    with pytest.raises(UnreadableError):
        read_table(_tables()[what])


def test_tables_are_read_back() -> None:
    entries = {f"key/{i:04d}".encode(): os.urandom(i % 7) for i in range(500)}
    assert {key: bytes(value) for key, value in read_table(table(entries, per_block=16)).items()} == entries


@pytest.mark.timeout(30)
def test_bombs_are_refused_at_once(tmp_path: Path) -> None:
    """Millions of empty fields, objects and entries, in files that are small on disk."""
    bombs: list[SavedModel] = [forged() for _ in range(5)]
    bombs[0].graph = b"\x0a\x00" * 5_000_000
    bombs[1].index = _one_block(b"\0\0\0" * 5_000_000 + struct.pack("<II", 0, 1))
    bombs[2].nodes[1] = b"\x0a\x00" * 5_000_000
    bombs[3].metadata |= {f"root.layer-{i}": '{"a": [' + "[]," * 2_000 + "[]]}" for i in range(1_000)}
    bombs[4].metadata["root"] = '{"class_name": "Sequential", "config": {"layers": [' + "{}," * 10**6 + "{}]}}"
    for number, bomb in enumerate(bombs):
        folder = bomb.write(tmp_path / f"bomb {number}")
        problem(folder)
    folder = forged().write(tmp_path / "fields")
    (folder / "keras_metadata.pb").write_bytes(b"\x0a\x00" * 5_000_000)
    assert "more than 500,000 entries" in problem(folder)
    (folder / "keras_metadata.pb").write_bytes(bytes(33 * 2**20))
    assert "larger than 32 MiB" in problem(folder)


@pytest.mark.parametrize("name", ["keras_metadata.pb", INDEX, DATA])
def test_cut_and_mutated_files_are_sentences(tmp_path: Path, name: str) -> None:
    folder = forged().write(tmp_path / "m")
    whole, dice = (folder / name).read_bytes(), random.Random(0)
    for trial in range(250):
        mutated = bytearray(whole)
        if trial % 5 == 0:
            del mutated[dice.randrange(len(whole)) :]
        for _ in range(trial % 4 + 1 if mutated else 0):
            mutated[dice.randrange(len(mutated))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        (folder / name).write_bytes(mutated)
        said = read_or_refusal(folder)  # or another exception, which fails
        assert isinstance(said, dict) or said.endswith(".")


def test_the_string_of_the_graph_lies_about_its_length(tmp_path: Path) -> None:
    model = forged()
    model.data += string(b"graph")[:-1]
    model.entries[b"_CHECKPOINTABLE_OBJECT_GRAPH"] = array_entry(7, (), len(model.data) - 9, 9)
    assert "damaged" in problem(model.write(tmp_path / "m"))
