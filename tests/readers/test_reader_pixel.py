"""Packages of networks that label every pixel: what their maps are, and nothing of what is hostile."""

from __future__ import annotations

import copy
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from readers.onnx_files import model as composed
from readers.onnx_files import node
from readers.unet_files import HALO, description, one_map, package, unet

from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.graph.pixel_network import PixelNetwork
from napari_fcnseg.model.patch_model import PatchModel
from napari_fcnseg.readers import read_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNET = unet().SerializeToString()


def read(path: Path) -> PixelNetwork:
    network = read_model(path)
    assert isinstance(network, PixelNetwork)
    return network


def changed(*keys: Any, to: Any) -> dict[str, Any]:
    """Return the description with another value at a place."""
    data = description()
    *way, last = keys
    place: Any = data
    for key in way:
        place = place[key]
    place[last] = to
    return data


def test_what_a_description_says_of_tiles_is_taken(tmp_path) -> None:
    network = read(package(tmp_path / "a.zip", description(), UNET))
    assert (network.halo, network.crop, network.grid) == ((HALO, HALO), (0, 0), (2, 2))
    assert (network.least, network.step) == ((16, 16), (2, 2))
    assert (network.takes, network.gives, network.channels, network.maps) == ("bcyx", "bcyx", 1, 3)
    assert (network.head, network.threshold, network.last) == ("softmax", None, "")
    assert network.window(((5, 6), (0, 40))) == ((-4, 14), (-8, 48))
    assert 10 < network.bytes_per_pixel / 4 < 60
    assert network.flop_per_pixel == pytest.approx(2 * 9 * (4 + 4 * 5 / 4 + 8 * 3) + 2 * 20, rel=0.01)


def test_the_older_version_says_the_same_in_its_words(tmp_path) -> None:
    data = {
        "format_version": "0.4.10", "name": "old", "type": "model",
        "inputs": [{"name": "raw", "axes": "bcyx", "shape": {"min": [1, 1, 16, 16], "step": [0, 0, 2, 2]}}],
        "outputs": [{"name": "y", "axes": "bcyx", "halo": [0, 0, 6, 6],
                     "shape": {"reference_tensor": "raw", "scale": [1, 0, 1, 1], "offset": [0, 1.5, 0, 0]}}],
        "weights": {"onnx": {"source": "weights.onnx"}},
    }  # fmt: skip
    network = read(package(tmp_path / "a.zip", data, UNET))
    assert (network.halo, network.least, network.step, network.maps) == ((6, 6), (16, 16), (2, 2), 3)


@pytest.mark.parametrize("zipped", [True, False])
def test_preprocessing_names_and_files_come_with_it(tmp_path, zipped) -> None:
    path = package(tmp_path / "a.zip", description(), UNET)
    if not zipped:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "a")
        path = tmp_path / "a"
    model = PatchModel(read(path), path)
    assert model.class_names == ("off", "edge", "inside")
    assert model.sidecar.preprocess == ("scale_linear:0.01,-0.5",)
    assert model.sidecar.channel_names == ("dna",)
    assert (path / "weights.onnx" in model.files) is not zipped


def test_of_several_outputs_the_first_map_is_taken_and_that_is_said(tmp_path) -> None:
    weights = unet()
    weights.graph.node.append(node("Softmax", "h", "other", axis=1))
    weights.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, None))
    data = description()
    number = {"id": "count", "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["n"]}]}
    data["outputs"] = [copy.deepcopy(data["outputs"][0]), {**copy.deepcopy(data["outputs"][0]), "id": "other"}]
    path = package(tmp_path / "a.zip", data, weights)
    network = read(path)
    assert (network.answer, network.outputs) == ("y", ("y", "other"))
    assert "It has 2 outputs; the labels are those of 'y'." in network.notes
    assert read_model(path, "other").answer == "other"
    with pytest.raises(FcnSegError, match=r"no output 'third'.*y, other"):
        read_model(path, "third")
    data["outputs"] = [number, data["outputs"][1]]
    with pytest.raises(FcnSegError, match=r"2 outputs, and its ONNX weights have 1|no output"):
        read_model(package(tmp_path / "b.zip", data, unet()))


def test_a_single_raw_map_says_that_nobody_knows_what_it_is(tmp_path) -> None:
    network = read(package(tmp_path / "a.zip", one_map(description()), unet(maps=1, last="Identity")))
    assert network.head == "scores"
    assert "Nothing says that its numbers are probabilities." in network.notes


def test_a_background_among_maps_that_stand_for_themselves_is_no_second_one(tmp_path) -> None:
    data = description()
    data["outputs"][0]["axes"][1]["channel_names"] = ["background", "nucleus"]
    network = read(package(tmp_path / "a.zip", data, unet(maps=2, last="Sigmoid")))
    assert (network.threshold, network.numbers) == (None, 2)


def test_what_looks_at_the_whole_window_says_so(tmp_path) -> None:
    weights = unet()
    weights.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "ones"))
    weights.graph.node[-1].input[0] = "n"
    weights.graph.node.insert(len(weights.graph.node) - 1, node("InstanceNormalization", "h ones ones", "n"))
    assert "looks at all pixels" in read(package(tmp_path / "a.zip", description(), weights)).notes[0]


TIME = [{"type": "batch"}, {"type": "channel", "channel_names": ["a"]}, {"type": "time", "size": 3}]
SECOND = {"id": "mask", "axes": [{"type": "batch"}, {"type": "space", "id": "y", "size": 16}]}
#: Descriptions that are refused, and words of the sentence.
REFUSED: dict[str, tuple[Any, str]] = {
    "Keras alone": (changed("weights", to={"keras_v3": {"source": "a.keras"}}), "from ONNX alone.*weights as keras_v3"),
    "PyTorch alone": (
        changed("weights", to={"torchscript": {}, "pytorch_state_dict": {}}), "as pytorch_state_dict, torchscript"
    ),
    "no weights": (changed("weights", to=None), "weights as none"),
    "an address": (changed("weights", "onnx", "source", to="https://a.example/w.onnx"), "nothing is fetched"),
    "a way out": (changed("weights", "onnx", "source", to="../w.onnx"), "no file inside"),
    "another hash": (changed("weights", "onnx", "sha256", to="0" * 64), "by its hash"),
    "two images": (changed("inputs", to=[*description()["inputs"], *description()["inputs"]]), "takes 2 images"),
    "columns first": (
        changed("inputs", 0, "axes", to=[description()["inputs"][0]["axes"][n] for n in (0, 1, 3, 2)]),
        "rows, then columns",
    ),
    "three maps more": (changed("outputs", 0, "axes", 1, "channel_names", to=list("abcdef")), "6 maps.*give 3"),
    "two channels": (changed("inputs", 0, "axes", 1, "channel_names", to=["a", "b"]), "2 channels.*take 1|inputs"),
    "no sizes": (
        changed("inputs", 0, "axes", to=[*description()["inputs"][0]["axes"][:2], *(
            {"type": "space", "id": axis} for axis in "yx")]),
        "how long the axis 'y'",
    ),
    "no least": (
        changed("inputs", 0, "axes", to=[*description()["inputs"][0]["axes"][:2], *(
            {"type": "space", "id": axis, "size": {"min": 0, "step": 1}} for axis in "yx")]),
        "how long the axis 'y'",
    ),
    "CARE": (changed("outputs", 0, "postprocessing", to=[{"id": "scale_range"}]), "an image and no classes"),
    "flows": (changed("outputs", 0, "postprocessing", to=[{"id": "cellpose_flow"}]), "'cellpose_flow' is to be done"),
    "thresholds": (
        changed("outputs", 0, "postprocessing", to=[{"id": "binarize", "kwargs": {"threshold": [1, 2, 3]}}]),
        "a threshold each",
    ),
    "StarDist": ({**description(), "config": {"stardist": {}}}, "distances to the border"),
    "denoising": ({**description(), "tags": ["denoising", "2d"]}, "tags say 'denoising'"),
    "all halo": (
        changed("inputs", 0, "axes", to=[*description()["inputs"][0]["axes"][:2], *(
            {"type": "space", "id": axis, "size": 16} for axis in "yx")]),
        "leaves nothing of its image",
    ),
    "a huge window": (
        changed("inputs", 0, "axes", to=[*description()["inputs"][0]["axes"][:2], *(
            {"type": "space", "id": axis, "size": {"min": 99_968, "step": 2}} for axis in "yx")]),
        "far more than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_description_that_does_not_fit_is_refused_with_its_reason(tmp_path, monkeypatch, case) -> None:
    monkeypatch.chdir(tmp_path)
    data, sentence = REFUSED[case]
    with pytest.raises(FcnSegError, match=sentence):
        PatchModel(read_model(package(tmp_path / "a.zip", data, UNET)), tmp_path / "a.zip").sidecar  # noqa: B018
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def with_nodes(*nodes: onnx.NodeProto, **arrays: Any) -> onnx.ModelProto:
    """Return a network of its own nodes, one map as large as its image."""
    return composed(list(nodes), arrays, ("n", 1, "h", "w"), opset=18)


def custom() -> onnx.ModelProto:
    made = unet()
    made.graph.node[1].domain = "com.microsoft"
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return made


def branching() -> onnx.ModelProto:
    body = helper.make_graph([node("Relu", "x", "r")], "b", [], [helper.make_tensor_value_info("r", 1, None)])
    condition = numpy_helper.from_array(np.array(True), "yes")
    made = with_nodes(helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body))
    made.graph.initializer.append(condition)
    return made


def with_function() -> onnx.ModelProto:
    made = unet()
    made.functions.append(helper.make_function("own", "F", ["a"], ["b"], [node("Relu", "a", "b")], made.opset_import))
    return made


def elsewhere(location: str) -> onnx.ModelProto:
    made = unet()
    stored = made.graph.initializer[0]
    stored.ClearField("raw_data")
    stored.data_location = TensorProto.EXTERNAL
    stored.external_data.add(key="location", value=location)
    return made


def constant_elsewhere() -> onnx.ModelProto:
    value = numpy_helper.from_array(np.ones(1, np.float32), "c")
    value.ClearField("raw_data")
    value.data_location = TensorProto.EXTERNAL
    value.external_data.add(key="location", value="/etc/passwd")
    return with_nodes(helper.make_node("Constant", [], ["c"], value=value), node("Add", "x c", "y"))


def grown() -> onnx.ModelProto:
    return with_nodes(
        node("Resize", "x - scales", "big", mode="nearest"), node("Resize", "big - back", "y", mode="nearest"),
        scales=np.array([1, 1, 4096, 4096], np.float32), back=np.array([1, 1, 1 / 4096, 1 / 4096], np.float32),
    )  # fmt: skip


def filled() -> onnx.ModelProto:
    return with_nodes(
        node("ConstantOfShape", "shape", "zeros"), node("ReduceSum", "zeros", "zero", keepdims=0),
        node("Add", "x zero", "y"), shape=np.array([2**20, 2**20], np.int64),
    )  # fmt: skip


#: Weights that are refused, and words of the sentence.
HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], str]] = {
    "a custom operator": (custom, "no operator of ONNX itself but of 'com.microsoft'"),
    "a branch": (branching, "chooses or repeats a part"),
    "a function": (with_function, "functions of its own"),
    "arrays elsewhere": (lambda: elsewhere("/etc/passwd"), "only one beside the model"),
    "arrays above": (lambda: elsewhere("../weights.onnx.data"), "only one beside the model"),
    "arrays beside, in an archive": (lambda: elsewhere("weights.onnx.data"), "not beside it|cannot be opened|opened"),
    "a constant elsewhere": (constant_elsewhere, "another file where none may be"),
    "a tensor that grows": (grown, "far more than"),
    "a tensor of zeros": (filled, "far more than"),
    "a smaller map": (
        lambda: with_nodes(node("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[2, 2])),
        "other pixels",
    ),
    "no channels": (lambda: with_nodes(node("Flatten", "x", "y")), "4 axes, and its weights give it 2"),
    "a pickle": (lambda: b"\x80\x04cos\nsystem\n", "damaged or no ONNX|pickle"),
    "nothing": (lambda: b"\x08\x09", "damaged|version|outputs|inputs|nodes"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_weights_that_are_hostile_are_refused_with_their_reason(tmp_path, monkeypatch, case) -> None:
    monkeypatch.chdir(tmp_path)
    made, sentence = HOSTILE[case]
    with pytest.raises(FcnSegError, match=sentence):
        read_model(package(tmp_path / "a.zip", one_map(description()), made()))
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def unpacked(folder: Path, weights: onnx.ModelProto) -> Path:
    folder.mkdir()
    (folder / "rdf.yaml").write_text(yaml.safe_dump(description()))
    (folder / "weights.onnx").write_bytes(weights.SerializeToString())
    return folder


def test_arrays_beside_the_weights_are_read_from_an_ordinary_file_alone(tmp_path) -> None:
    folder = unpacked(tmp_path / "a", elsewhere("weights.onnx.data"))
    numbers = numpy_helper.to_array(unet().graph.initializer[0]).tobytes()
    (folder / "weights.onnx.data").write_bytes(numbers)
    network = read(folder)
    assert "weights.onnx.data" in network.files
    stored = onnx.load_model_from_string(network.program).graph.initializer[0]
    assert stored.raw_data == numbers
    (tmp_path / "outside").write_bytes(numbers)
    for link in (os.symlink, os.link):
        (folder / "weights.onnx.data").unlink()
        link(tmp_path / "outside", folder / "weights.onnx.data")
        with pytest.raises(FcnSegError, match="link or no ordinary file"):
            read_model(folder)
    (folder / "weights.onnx").unlink()
    (folder / "weights.onnx").symlink_to(tmp_path / "outside")
    with pytest.raises(FcnSegError, match="link to elsewhere"):
        read_model(folder)


def test_a_bomb_in_the_place_of_weights_is_not_unpacked(tmp_path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rdf.yaml", yaml.safe_dump(description()))
        archive.writestr("weights.onnx", b"\0" * 10**8)
    with pytest.raises(FcnSegError, match="would grow more than 200-fold"):
        read_model(path)
