"""A package in another program's hands: valid, and the same numbers, whole and in tiles."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from package_networks import network, with_inputs
from readers.reader_forge import CONV, entry, keras_file, sequential

from napari_fcnseg import FCN, Certificate, PatchModel, convert, errors, load_model, segment, write_package
from napari_fcnseg.cli.main import main
from napari_fcnseg.engine.onnx_graph.dense_model import dense_model
from napari_fcnseg.model.sidecar import Citation, Sidecar
from napari_fcnseg.package.normalisation import split
from napari_fcnseg.package.tiling import halos
from napari_fcnseg.samples import SAMPLES

Array = np.ndarray[Any, np.dtype[np.float32]]


def model(plain: Any, **known: Any) -> PatchModel:
    made = PatchModel(plain, outputs_are_classes=True)
    made.sidecar = Sidecar(axes=("z", "y", "x")[-len(plain.patch_shape) :], **known)
    return made


def picture(*shape: int) -> Array:
    return (np.random.default_rng(1).random(shape) * 200 + 20).astype(np.float32)


#: Steps with numbers of their own: per channel, and open at an end.
FIXED = (
    "clip:-inf,180",
    "scale_linear:0.01/0.02/0.03,0/0.1/0.2",
    "fixed_zero_mean_unit_variance:1/2/3,0.5/0.6/0.7",
    "sigmoid",
)


def ours(x: Array, size: int) -> Array:
    from scipy.ndimage import uniform_filter

    return np.asarray(x - uniform_filter(x, size, mode="reflect", axes=(0, 1)))


#: Model, image, and what is done to the image before another program gets it.
KINDS: dict[str, tuple[PatchModel, Array, Any]] = {
    "even patch, our steps": (
        model(network((10, 9), 2), preprocess=("divide_by_median", "subtract_local_mean:5", "scale_linear:2,0.5")),
        picture(61, 47, 2),
        lambda x: ours(x / np.median(x, axis=(0, 1)), 5),
    ),
    "same padding": (
        model(network((8, 8), 1, padding="same"), preprocess=("scale_linear:0.01,0",)),
        picture(45, 50, 1),
        None,
    ),
    "strided, one output": (
        model(network((15, 15), 1, outputs=1, stride=2), preprocess=("binarize:110",)),
        picture(64, 53, 1),
        None,
    ),
    "several inputs": (
        model(with_inputs(network((10, 10), 3), ("dna", "dna", "actin")), preprocess=FIXED),
        picture(40, 57, 3),
        None,
    ),
    "volume": (
        model(network((8, 10, 10), 1), preprocess=("scale_range@all:1,99",)),
        picture(25, 30, 31, 1),
        None,
    ),
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> dict[str, dict[str, Any]]:
    """Write a package of each kind, and have bioimageio.core test and run all of them."""
    folder = tmp_path_factory.mktemp("packages")
    orders = []
    for number, (made, image, before) in enumerate(KINDS.values()):
        path = write_package(
            made, folder / f"{number}.zip", licence="MIT", authors=["Ada"], image=image, channel_axis=-1
        )
        np.save(folder / f"{number}.npy", image if before is None else before(image))
        order = {"package": path, "image": folder / f"{number}.npy", "tile": 9}
        order |= {way: folder / f"{number}-{way}.npy" for way in ("whole", "tiled")}
        orders.append(order)
    (folder / "orders.json").write_text(json.dumps(orders, default=str))
    reader = Path(__file__).with_name("reader_core.py")
    done = subprocess.run(
        [sys.executable, reader, folder / "orders.json"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {kind: {**order, **said} for kind, order, said in zip(KINDS, orders, found, strict=True)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_bioimageio_core_gives_the_same_numbers_whole_and_tiled(packages, kind) -> None:
    made, image, _ = KINDS[kind]
    assert packages[kind]["status"] == "passed", packages[kind]["failed"]
    assert all("`github_user`" in warning for warning in packages[kind]["warned"]), packages[kind]["warned"]
    ours = segment(image, made, channel_axis=-1, probabilities=True).probabilities
    inner = tuple(slice(halo, n - halo) for halo, n in zip(halos(made.fcn.network), image.shape, strict=False))
    assert np.ptp(ours, axis=tuple(range(ours.ndim - 1))).max() > 0.01, "numbers that never vary prove nothing"
    ways = (
        ("tiled",) if kind == "volume" else ("whole", "tiled")
    )  # whole, the statistics are those of a reflected image
    for way in ways:
        theirs = np.load(packages[kind][way])
        assert theirs.shape == ours.shape
        np.testing.assert_allclose(theirs[inner], ours[inner], atol=1e-5)


def test_it_holds_what_its_description_says(packages) -> None:
    with zipfile.ZipFile(packages["even patch, our steps"]["package"]) as archive:
        names = set(archive.namelist())
        text = archive.read("rdf.yaml").decode()
        readme = archive.read("README.md").decode()
        certificate = Certificate.from_dict(json.loads(archive.read("certificate.json")))
        sidecar = json.loads(archive.read("tiny.fcnseg.json"))
    assert {
        "sample_input.tif",
        "sample_output.tif",
        "dense.onnx",
        "test_input.npy",
        "test_output.npy",
        "cover.png",
        "tiny.keras",
    } <= names
    assert certificate.passed
    assert certificate.preprocess == ("scale_linear:2,0.5",)
    assert "halo: 5" in text
    assert "halo: 4" in text
    assert [step["id"] for step in sidecar["preprocessing"]] == [
        "divide_by_median",
        "subtract_local_mean",
        "scale_linear",
    ]
    code = readme.split("```python\n")[1].split("```")[0]
    image = picture(61, 47, 2)
    space: dict[str, Any] = {"image": image}
    exec(code, space)
    np.testing.assert_allclose(space["image"], KINDS["even patch, our steps"][2](image), atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "before", "within"),
    [
        ((), (), ()),
        (("scale_linear:2,0",), (), ("scale_linear:2,0",)),
        (("divide_by_median",), ("divide_by_median",), ()),
        (("divide_by_median", "clip:0,1"), ("divide_by_median",), ("clip:0,1",)),
        (("clip:0,1", "subtract_local_mean:3"), ("clip:0,1", "subtract_local_mean:3"), ()),
        (("clip:0,9", "scale_range:1,99", "sigmoid"), ("clip:0,9",), ("scale_range:1,99", "sigmoid")),
        (("zero_mean_unit_variance:0.1",), ("zero_mean_unit_variance:0.1",), ()),
        (("scale_range", "zero_mean_unit_variance"), ("scale_range",), ("zero_mean_unit_variance",)),
    ],
)
def test_a_program_is_left_the_steps_that_it_does_as_they_are_meant(steps, before, within) -> None:
    assert tuple(tuple(map(str, part)) for part in split(steps)) == (before, within)


def test_the_network_that_reflects_equals_segment_up_to_the_border() -> None:
    import onnxruntime

    made, image = model(network((15, 15), 1, outputs=1, stride=2)), picture(64, 53, 1) / 100
    assert made.fcn.network.reach != made.patch_shape
    session = onnxruntime.InferenceSession(
        dense_model(made.fcn.network, reflected=True), providers=["CPUExecutionProvider"]
    )
    [theirs] = session.run(["answer"], {"image": image[None]})
    ours = segment(image, made, channel_axis=-1, probabilities=True).probabilities
    np.testing.assert_allclose(theirs[0], ours, atol=1e-5)


def test_a_patch_that_does_not_look_at_its_own_middle_is_cut() -> None:
    plain = KINDS["several inputs"][0].fcn.network
    shifted = replace(plain, patch_shape=(30, 30), origin=(0, 20))
    assert shifted.around == ((15, -6), (-5, 14))
    import onnxruntime

    image = KINDS["several inputs"][1][None]
    runs = [
        onnxruntime.InferenceSession(dense_model(network, reflected=reflected), providers=["CPUExecutionProvider"])
        for network, reflected in ((plain, False), (shifted, True))
    ]
    padded = np.pad(image, ((0, 0), (15, 0), (0, 14), (0, 0)), mode="reflect")[:, :-6, 5:]
    wanted, found = (run.run(["answer"], {"image": x})[0] for run, x in zip(runs, (padded, image), strict=True))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({}, "under which licence"),
        ({"licence": "CC-BY"}, r"no licence 'CC-BY'.*CC-BY-4\.0"),
        ({"licence": "zzz"}, "Common ones are"),
        ({"licence": "MIT", "authors": ["Ada/Grace"]}, "no slash"),
        ({"licence": "MIT", "image": np.zeros((4, 4), np.uint8)}, "too small"),
    ],
)
def test_what_is_missing_is_said(tmp_path, said, sentence) -> None:
    with pytest.raises(errors.FcnSegError, match=sentence):
        convert(KINDS["same padding"][0]).package(tmp_path / "a.zip", **said)
    assert not list(tmp_path.iterdir())


def test_nothing_is_asked_of_the_network(tmp_path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *where, **_: asked.append(where) or [])
    urls = ("https://example.org", "https://example.org/a%20paper")
    cite = tuple(Citation("Somebody", url=url) for url in urls)
    made = model(network((8, 8), 1), cite=(*cite, Citation("without a place")))
    made.fcn.package(tmp_path / "a.zip", licence="MIT", authors=[" Ada ", ""])
    assert not asked
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert "url: https://example.org/a%20paper" in archive.read("rdf.yaml").decode()
        assert "without a place" in archive.read("README.md").decode()


def test_one_that_is_not_proven_is_not_written(tmp_path) -> None:
    made = model(network((8, 8), 1, seed=1))
    steps = list(made.fcn.network.steps)
    steps[0] = replace(steps[0], op=replace(steps[0].op, bias=steps[0].op.bias + 1))
    made.__dict__["fcn"] = FCN(replace(made.fcn.network, steps=tuple(steps)), (), made)
    with pytest.raises(errors.OutputError, match=r"'tiny' was not packaged.*not proven"):
        made.fcn.package(tmp_path / "a.zip", licence="MIT")
    assert not list(tmp_path.iterdir())


def test_a_network_without_a_dense_form_is_refused_by_name(tmp_path) -> None:
    made = model(network((8, 8), 1))
    made.fcn.network = replace(made.fcn.network, steps=())
    with pytest.raises(errors.OutputError, match="'tiny' cannot be packaged: its dense network would be far larger"):
        made.fcn.package(tmp_path / "a.zip", licence="MIT")


def test_without_the_library_the_sentence_names_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "bioimageio.spec.utils", None)
    with pytest.raises(errors.SettingsError, match=r"pip install 'napari-fcnseg\[package\]'"):
        write_package(KINDS["same padding"][0], tmp_path / "a.zip", licence="MIT")


@pytest.mark.parametrize("more", [[], ["--licence", "MIT", "--output", "a.tar"]])
def test_the_command_line_says_what_is_missing(tmp_path, capsys, monkeypatch, more) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["package", str(SAMPLES["cells"].model_path), "-o", "a.zip", *more]) == 1
    assert ("--licence CC-BY-4.0" if not more else "a.bioimage.zip") in capsys.readouterr().err


def test_the_command_line_writes_a_package(tmp_path, capsys) -> None:
    path = tmp_path / "cells.bioimage.zip"
    command = [
        "package",
        str(SAMPLES["cells"].model_path),
        "-o",
        str(path),
        "--licence",
        "CC-BY-4.0",
        "--author",
        "Ada",
    ]
    assert main([*command, "--author", "Grace", "--name", "Cells in culture", "--preprocess", "divide_by_median"]) == 0
    assert "found valid" in capsys.readouterr().out
    with zipfile.ZipFile(path) as archive:
        text = archive.read("rdf.yaml").decode()
        assert archive.read("cells31.keras") == SAMPLES["cells"].model_path.read_bytes()
    assert all(part in text for part in ("name: Cells in culture", "name: Ada", "name: Grace", "license: CC-BY-4.0"))
    catalogue = ("- nuclei", "- cytoplasm", "- background", "- edge", "- interior", "scale: 0.65", "unit: micrometer")
    assert all(part in text for part in catalogue), "what is known of a sample"
    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_a_model_of_any_patch_size_comes_back_with_the_one_it_had(tmp_path) -> None:
    free = sequential(entry("Conv2D", **CONV), entry("GlobalAveragePooling2D"), shape=(None, None, 1))
    made = load_model(keras_file(tmp_path / "free.keras", free), patch_size=(9, 8))
    path = made.fcn.package(tmp_path / "a.zip", licence="MIT")
    with zipfile.ZipFile(path) as archive:
        assert archive.read("free.keras") == (tmp_path / "free.keras").read_bytes()
    assert load_model(path).patch_shape == (9, 8)


@pytest.mark.timeout(300)
def test_it_comes_back_as_it_went_out(packages) -> None:
    for kind, (made, image, _) in KINDS.items():
        back = load_model(packages[kind]["package"])
        assert back.sidecar is not None
        assert back.sidecar.preprocess == made.sidecar.preprocess
        assert back.class_names == made.class_names
        ours, theirs = (
            segment(image, each, channel_axis=-1, probabilities=True).probabilities for each in (made, back)
        )
        np.testing.assert_allclose(theirs, ours, atol=1e-6)
