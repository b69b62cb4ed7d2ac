"""A sidecar says what a model file cannot; it is read as a stranger's and never lost."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from _keras_side import save_model
from hypothesis import given
from hypothesis import strategies as st

import napari_fcnseg as nf
from napari_fcnseg.errors import ModelFileError, OutputError, SettingsError
from napari_fcnseg.model.sidecar import (
    Citation,
    Classes,
    Sidecar,
    blank,
    check,
    palette,
    read_sidecar,
    sidecar_path,
    write_sidecar,
)
from napari_fcnseg.model.sidecar.bioimageio import described, understood
from napari_fcnseg.preprocess import JOINT_STEPS, Step, parse
from napari_fcnseg.settings import RunSettings

LAYERS = [("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "relu"}), ("MaxPooling2D", {}), ("Flatten", {})]
STEPS = ("divide_by_median", "clip:0,2")
FULL = Sidecar(
    name="HeLa, phase",
    description="Two lines,\none model.",
    class_names=("background", "edge", "interior"),
    class_colors=("#999999", "#e69f00", "#56b4e9"),
    channel_names=("phase", "DAPI"),
    preprocess=("scale_range:1,99.8", "zero_mean_unit_variance@all", "subtract_local_mean:61", "clip:-inf,3"),
    pixel_size=(0.65, 0.325),
    unit="micrometer",
    cite=(Citation("Li, Zhao, Wang 2014", url="https://arxiv.org/abs/1412.4526"), Citation("X", doi="10.1000/182")),
    outputs={"edges": Classes(("no", "yes"), ("#000000", "#ffffff"))},
    other={"my_lab": {"plate": [1, 2]}},
)


@pytest.fixture(scope="module")
def models(keras_child, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("a.keras", "b.keras", "loose.h5")):
        layers = [*LAYERS, ("Dense", {"units": 3, "activation": "softmax"})]
        keras_child(save_model, {"input": (9, 9, 1), "layers": layers, "seed": seed}, str(folder / name))
    write_sidecar(folder / "a.keras", replace(FULL, channel_names=("phase",), preprocess=STEPS))
    return folder


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).gamma(2.0, 50.0, (30, 40)).astype(np.float32) + 1


def put(folder: Path, content: object) -> Path:
    """Write a sidecar for a model ``m.keras`` and return the model's path."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "m.fcnseg.json").write_bytes(text)
    return folder / "m.keras"


# ---- the file


def test_what_is_written_is_read_again(tmp_path) -> None:
    path = write_sidecar(tmp_path / "m.keras", FULL)
    assert path == tmp_path / "m.fcnseg.json"
    assert read_sidecar(tmp_path / "m.keras") == FULL
    assert os.listdir(tmp_path) == ["m.fcnseg.json"]


def test_a_model_without_sidecar_has_none(tmp_path) -> None:
    assert read_sidecar(tmp_path / "m.keras") is None
    assert read_sidecar(tmp_path / ("m" * 250 + ".h5")) is None  # no such file can be, and that is no error


def test_it_lies_beside_a_file_and_beside_a_folder(tmp_path) -> None:
    (tmp_path / "saved.model").mkdir()
    assert sidecar_path(tmp_path / "saved.model") == tmp_path / "saved.model.fcnseg.json"
    assert sidecar_path(tmp_path / "cells.v2.keras") == tmp_path / "cells.v2.fcnseg.json"


def test_the_file_looks_as_a_bioimageio_user_expects(tmp_path) -> None:
    text = write_sidecar(tmp_path / "m.keras", FULL).read_text(encoding="utf-8")
    data = json.loads(text)
    assert data["preprocessing"][:2] == [
        {"id": "scale_range", "kwargs": {"min_percentile": 1, "max_percentile": 99.8, "axes": ["y", "x"]}},
        {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"]}},
    ]
    assert data["preprocessing"][2:] == [
        {"id": "subtract_local_mean", "kwargs": {"size": 61}},
        {"id": "clip", "kwargs": {"max": 3}},
    ]
    assert data["cite"][1] == {"text": "X", "doi": "10.1000/182"}
    assert data["pixel_size"] == {"y": 0.65, "x": 0.325}
    assert '\n "class_names": ["background", "edge", "interior"],\n' in text  # made to be edited by hand


WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
NUMBERS = st.floats(-1e6, 1e6).map(lambda x: x + 0.0)  # without -0.0, which is 0
POSITIVE = st.floats(1e-6, 1e6)
PAIRS = st.tuples(NUMBERS, NUMBERS)
JOINT = st.booleans()
ANY_STEP = st.one_of(
    st.sampled_from([Step("divide_by_median"), Step("sigmoid")]),
    st.builds(lambda n: Step("subtract_local_mean", (float(n),)), st.integers(1, 999)),
    st.builds(lambda *a: Step("scale_linear", a), NUMBERS, NUMBERS),
    st.builds(lambda *a: Step("scale_linear", a), PAIRS, PAIRS),
    st.builds(lambda *a: Step("fixed_zero_mean_unit_variance", a), NUMBERS, POSITIVE),
    st.builds(lambda a: Step("binarize", (a,)), NUMBERS | PAIRS),
    st.builds(lambda a, b: Step("clip", (min(a, b), max(a, b))), NUMBERS | st.just(-np.inf), NUMBERS),
    st.builds(lambda a, b, j: Step("scale_range", (a, b), j), st.floats(0, 49), st.floats(50, 100), JOINT),
    st.builds(lambda e, j: Step("zero_mean_unit_variance", (e,), j), st.floats(1e-9, 0.1), JOINT),
)
SIDECARS = st.builds(
    lambda names, more: Sidecar(class_names=names, class_colors=palette(len(names)), **more),
    st.lists(WORDS, max_size=12).map(tuple),
    st.fixed_dictionaries(
        {},
        optional={
            "name": WORDS,
            "description": st.lists(WORDS).map("\n".join),
            "channel_names": st.lists(WORDS, max_size=4).map(tuple),
            "preprocess": st.lists(ANY_STEP.map(str), max_size=4).map(tuple),
            "pixel_size": st.tuples(POSITIVE, POSITIVE),
            "unit": st.sampled_from(["µm", "nanometer", ""]),
            "cite": st.lists(st.builds(Citation, WORDS, doi=st.sampled_from(["", "10.1234/abc"]))).map(tuple),
            "outputs": st.dictionaries(WORDS, st.builds(Classes, st.lists(WORDS).map(tuple)), max_size=2),
            "other": st.dictionaries(
                WORDS.map("x-{}".format), st.recursive(st.none() | st.booleans() | WORDS, st.lists), max_size=3
            ),
        },
    ),
)


@given(SIDECARS)
def test_every_sidecar_survives_its_file(tmp_path_factory, sidecar) -> None:
    model = tmp_path_factory.mktemp("trip") / "m.keras"
    write_sidecar(model, sidecar)
    assert read_sidecar(model) == sidecar


@given(ANY_STEP, st.sampled_from([("y", "x"), ("z", "y", "x")]))
def test_every_step_survives_text_and_bioimageio(step, axes) -> None:
    assert parse(str(step)) == (step,)
    assert understood(json.loads(json.dumps(described(step, axes))), axes) == step


def test_bioimageio_takes_statistics_over_all_channels_unless_told_otherwise() -> None:
    for name in JOINT_STEPS:
        assert understood({"id": name}, ("y", "x")) == Step(name, joint=True)
        assert understood({"id": name, "kwargs": {"axes": ["x", "y"]}}, ("y", "x")) == Step(name)
        assert understood({"id": name, "kwargs": {"axes": ["channel", "y", "x"]}}, ("y", "x")) == Step(name, joint=True)
    assert understood({"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}, ("y", "x")) is None
    scaled = {"id": "scale_linear", "kwargs": {"axis": "channel", "gain": [1, 2], "offset": 3}}
    assert understood(scaled, ("y", "x")) == Step("scale_linear", ((1.0, 2.0), (3.0, 3.0)))


# ---- what does not fit, and what is hostile


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"class_names": "abc"}, "'class_names' is 'abc' instead of a list"),
        ({"class_names": ["a", 3]}, r"'class_names\[1\]' is 3 instead of a text"),
        ({"class_names": ["a", " "]}, "'class_names' has an empty entry"),
        ({"class_names": 0}, "'class_names' is 0 instead of a list"),
        ({"class_names": ["\x1b[31mred"]}, "control characters"),
        ({"class_names": ["a\u202eb"]}, "control characters"),
        ({"class_names": ["a" * 501]}, "longer than 500"),
        ({"class_names": ["a"] * 10_001}, "more than 10000 entries"),
        ({"class_names": ["a", "b"], "class_colors": ["#000000"]}, "'class_colors' has 1 entries"),
        ({"class_colors": ["red"]}, "instead of a colour such as '#0072b2'"),
        ({"class_colors": ["#00000g"]}, "instead of a colour"),
        ({"name": True}, "'name' is True instead of a text"),
        ({"axes": ["y", "channel"]}, "'axes'"),
        ({"axes": []}, "'axes'"),
        ({"pixel_size": [0.65, 0.65]}, r'instead of \{"y": 0.65, "x": 0.65\}'),
        ({"pixel_size": {"y": 0.65}}, "not exactly the axes y, x"),
        ({"pixel_size": {"y": 0, "x": 1}}, "numbers above 0"),
        ({"pixel_size": {"y": True, "x": 1}}, "numbers above 0"),
        ({"unit": "furlong"}, "instead of a unit of length such as 'micrometer'"),
        ({"cite": {"text": "a"}}, "'cite' is .* instead of a list"),
        ({"cite": [{"doi": "10.1000/182"}]}, r"'cite\[0\].text' is missing"),
        ({"cite": [{"text": "a", "doi": "javascript:1"}]}, "instead of a DOI"),
        ({"cite": [{"text": "a", "url": "file:///etc/passwd"}]}, "begins with https"),
        ({"outputs": {"a": {"classes": []}}}, "it can have class_names and class_colors"),
        ({"outputs": []}, "'outputs' is"),
        ({"preprocessing": "divide_by_median"}, "instead of a list"),
        ({"preprocessing": ["divide_by_median"]}, r"'preprocessing\[0\]' is no step such as"),
        ({"preprocessing": [{"id": "custom", "callable": "os.system"}]}, "has a field 'callable'"),
        ({"preprocessing": [{"id": "softmax"}]}, "'softmax', which this program does not have"),
        ({"preprocessing": [{"id": "__class__"}]}, "which this program does not have"),
        ({"preprocessing": [{"id": "clip", "kwargs": []}]}, "kwargs that are no object"),
        ({"preprocessing": [{"id": "clip"}]}, "without ends"),
        ({"preprocessing": [{"id": "clip", "kwargs": {"max_percentile": 99}}]}, "it can have min, max"),
        ({"preprocessing": [{"id": "scale_linear", "kwargs": {"gain": "2"}}]}, "instead of a number"),
        ({"preprocessing": [{"id": "scale_linear", "kwargs": {"gain": [1, 2]}}]}, '"axis": "channel"'),
        ({"preprocessing": [{"id": "binarize"}]}, "missing a required argument"),
        ({"preprocessing": [{"id": "fixed_zero_mean_unit_variance", "kwargs": {"std": 1}}]}, "lacks the argument mean"),
        ({"preprocessing": [{"id": "scale_range", "kwargs": {"axes": ["batch", "y", "x"]}}]}, "whole batch"),
        ({"preprocessing": [{"id": "scale_range", "kwargs": {"axes": ["y"]}}]}, "statistics over y, x"),
        ({"preprocessing": [{"id": "scale_range", "kwargs": {"reference_tensor": "raw"}}]}, "'reference_tensor'"),
        ({"preprocessing": [{"id": "ensure_dtype", "kwargs": {"dtype": "uint8"}}]}, "does not have"),
        ({"format_version": "2"}, "format version '2'.*Update"),
        ([], "no JSON object"),
        (b"", "no valid JSON"),
        (b"\x89PNG\r\n\x1a\n", "no valid JSON"),
        (b'{"name": "a", "name": "b"}', "same key"),
        (b'{"pixel_size": {"y": NaN, "x": 1}}', "NaN"),
        (b'{"pixel_size": {"y": 1e999, "x": 1}}', "not allowed"),
        (b'{"x": 1' + b"0" * 5000 + b"}", "not allowed"),
        (b'{"x": ' + b"[" * 100_000, "nested more than"),
        (b'{"name": "\\ud800"}', "surrogates"),
        (b'{"x": "' + b"a" * 2**20 + b'"}', "larger than 1024 KiB"),
    ],
)
def test_a_hostile_or_mistyped_sidecar_is_a_sentence(tmp_path, content, says) -> None:
    model = put(tmp_path, content)
    with pytest.raises(ModelFileError, match=says) as error:
        read_sidecar(model)
    assert "m.fcnseg.json" in str(error.value)
    assert len(str(error.value)) < 600
    assert str(error.value).isprintable()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_what_is_no_ordinary_file_is_refused_at_once(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.fcnseg.json")
    (tmp_path / "folder.fcnseg.json").mkdir()
    (tmp_path / "device.fcnseg.json").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "device"):
        with pytest.raises(ModelFileError, match=r"no ordinary file|directory"):
            read_sidecar(tmp_path / f"{name}.keras")


def test_fields_of_others_are_kept_and_named(tmp_path) -> None:
    model = put(tmp_path, {"class_names": ["a"], "my_lab": {"plate": [1, 2]}, "cite": [{"text": "X", "page": 3}]})
    sidecar = read_sidecar(model)
    assert sidecar is not None
    assert "'my_lab'" in sidecar.notes[0]
    write_sidecar(model, replace(sidecar, name="new"))
    write_sidecar(model, Sidecar(name="newer", cite=sidecar.cite))  # from someone who never read it
    data = json.loads(sidecar_path(model).read_text(encoding="utf-8"))
    assert data["my_lab"] == {"plate": [1, 2]}
    assert data["cite"] == [{"text": "X", "page": 3}]
    assert data["name"] == "newer"
    assert "class_names" not in data
    assert FULL.notes
    assert not Sidecar().notes


def test_a_file_that_is_no_sidecar_is_not_overwritten_unless_told(tmp_path) -> None:
    model = put(tmp_path, b"my notes")
    with pytest.raises(OutputError, match="not written, for there is one already"):
        write_sidecar(model, FULL)
    assert sidecar_path(model).read_bytes() == b"my notes"
    write_sidecar(model, FULL, replace_unreadable=True)
    assert read_sidecar(model) == FULL


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch) -> None:
    model = tmp_path / "m.keras"
    write_sidecar(model, FULL)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="the disk is full"):
        write_sidecar(model, Sidecar(name="other"))
    assert read_sidecar(model) == FULL
    assert os.listdir(tmp_path) == ["m.fcnseg.json"]


def test_what_could_not_be_read_again_is_not_written(tmp_path) -> None:
    with pytest.raises(OutputError, match="Shorten"):
        write_sidecar(tmp_path / "m.keras", Sidecar(class_names=("n" * 400,) * 3000))
    with pytest.raises(OutputError, match="There is no folder"):
        write_sidecar(tmp_path / "gone" / "m.keras", FULL)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"class_names": ("a",)}, "'class_names' has 1 entries, and the model has 3 classes"),
        ({"class_colors": ("#000000",)}, "'class_colors' has 1 entries"),
        ({"channel_names": ("a", "b", "c")}, "'channel_names' has 3 entries, and the model has 2 channels"),
        ({"axes": ("z", "y", "x")}, "'axes' has 3 entries, and the model has 2 spatial axes"),
        ({"preprocess": ("scale_linear:1/2/3",)}, "numbers for 3 channels in scale_linear"),
    ],
)
def test_a_sidecar_of_another_model_does_not_fit(values, says) -> None:
    check(FULL, classes=3, channels=2, spatial=2)
    check(blank(classes=3, channels=2, spatial=2), classes=3, channels=2, spatial=2)
    with pytest.raises(SettingsError, match=says):
        check(Sidecar(**values), classes=3, channels=2, spatial=2)


def test_axes_need_not_be_named_for_a_volume(tmp_path) -> None:
    model = put(tmp_path, {"pixel_size": {"z": 2, "y": 1, "x": 1}})
    sidecar = read_sidecar(model, spatial=3)
    assert sidecar is not None
    assert (sidecar.axes, sidecar.pixel_size) == (("z", "y", "x"), (2.0, 1.0, 1.0))


def test_an_output_has_classes_of_its_own() -> None:
    assert FULL.for_output("edges").class_names == ("no", "yes")
    assert FULL.for_output("cells") == FULL


def test_colours_are_different_however_many() -> None:
    assert len(set(palette(60))) == 60
    assert Sidecar(class_names=tuple("abc"), class_colors=palette(3)).class_colors[0] == "#999999"


# ---- what it does


def test_a_model_has_the_names_and_colours_of_its_sidecar(models) -> None:
    model, loose = nf.load_model(models / "a.keras"), nf.load_model(models / "loose.h5")
    assert model.class_names == FULL.class_names
    assert model.class_colors == FULL.class_colors
    assert loose.sidecar is None
    assert loose.class_names == ("class 1", "class 2", "class 3")
    assert loose.class_colors == palette(3)


def test_preprocessing_is_what_the_sidecar_says_unless_it_is_named(models, image) -> None:
    implied = nf.segment(image, models / "a.keras", probabilities=True)
    named = nf.segment(image, models / "a.keras", preprocess=STEPS, probabilities=True)
    without = nf.segment(image, models / "a.keras", preprocess=(), probabilities=True)
    np.testing.assert_array_equal(implied.probabilities, named.probabilities)
    assert np.abs(implied.probabilities - without.probabilities).max() > 0.01
    assert tuple(implied.provenance["settings"]["preprocess"]) == STEPS
    assert without.provenance["settings"]["preprocess"] == ()
    assert nf.segment(image, models / "loose.h5").provenance["settings"]["preprocess"] == ()
    assert RunSettings.from_json(RunSettings().to_json()).preprocess is None


def test_the_members_of_an_ensemble_must_ask_for_the_same(models, image) -> None:
    pair = [models / "a.keras", models / "b.keras"]
    with pytest.raises(SettingsError, match=r"'a' asks for divide_by_median, clip:0,2 and 'b' asks for none"):
        nf.segment(image, pair)
    assert nf.segment(image, pair, preprocess=()).labels.shape == image.shape


def test_a_sidecar_that_is_wrong_stops_a_run_that_would_use_it(keras_child, tmp_path, image) -> None:
    model = tmp_path / "m.keras"
    layers = [*LAYERS, ("Dense", {"units": 3, "activation": "softmax"})]
    keras_child(save_model, {"input": (9, 9, 1), "layers": layers}, str(model))
    put(tmp_path, {"class_names": ["only one"]})
    with pytest.raises(ModelFileError, match=r"the model has 3 classes.*move that file away"):
        nf.segment(image, model)
    assert nf.segment(image, model, preprocess=()).labels.shape == image.shape


def test_the_example_in_the_docs_is_one() -> None:
    page = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "files.md"
    example = page.read_text(encoding="utf-8").split("```json\n")[1].split("```")[0]
    sidecar = Sidecar.from_dict(json.loads(example))
    check(sidecar, classes=3, channels=2, spatial=2)
    assert sidecar.preprocess == ("divide_by_median", "subtract_local_mean:61")
    assert not sidecar.notes
