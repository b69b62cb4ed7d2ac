"""A certificate says what was compared, with what, and how far off it was; it cannot say more than the numbers do."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from _keras_side import save_model
from hypothesis import given
from hypothesis import strategies as st

import napari_fcnseg as nf
from napari_fcnseg.errors import ModelFileError, OutputError, SettingsError
from napari_fcnseg.proof.certificate import Certificate, image_sha256

if TYPE_CHECKING:
    from pathlib import Path

SPEC = {
    "input": (9, 9, 1),
    "layers": [
        ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "relu", "name": "first"}),
        ("MaxPooling2D", {}),
        ("Flatten", {}),
        ("Dense", {"units": 3, "activation": "softmax"}),
    ],
}  # fmt: skip
IMAGE = np.random.default_rng(0).random((50, 60)).astype(np.float32)


@pytest.fixture(scope="module")
def path(keras_child, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.keras"
    keras_child(save_model, SPEC, str(path))
    return path


@pytest.fixture(scope="module")
def verification(path) -> nf.Verification:
    pair = [path, nf.load_model(path)]
    return nf.verify(IMAGE, pair, n=60, seed=7, tile=16, border="edge", preprocess=["scale_linear:2,1"])


@pytest.fixture
def data(verification) -> dict[str, Any]:
    return copy.deepcopy(verification.certificate.as_dict())


def test_it_holds_what_was_done(verification) -> None:
    certificate = verification.certificate
    model = certificate.models[1]
    assert len(certificate.models) == 2
    assert (model.name, model.file, model.output) == ("small", "small.keras", "")
    assert model.method == "dense"
    assert len(model.sha256) == 64
    assert (model.patch_shape, model.receptive_field) == ((9, 9), (8, 8))  # the pool leaves a row over
    assert model.layers[0]["layer"] == "first"
    assert [layer["layer_type"] for layer in model.layers] == ["Conv2D", "MaxPooling2D", "Flatten", "Dense"]
    assert certificate.image["shape"] == [50, 60]
    assert certificate.image["sha256"] == hashlib.sha256(IMAGE.tobytes()).hexdigest()
    assert (certificate.border, certificate.precision, certificate.tile) == ("edge", "float32", (16, 16))
    assert (certificate.every, certificate.region) == (1, None)
    assert certificate.preprocess == ("scale_linear:2,1",)
    assert (certificate.points, certificate.seed, certificate.tolerance) == (60, 7, 1e-5)
    assert certificate.device
    assert set(certificate.versions) >= {"python", "numpy", "onnxruntime", "tensorflow", "keras", "napari-fcnseg"}
    assert certificate.seconds["verification"] > 0
    assert certificate.created.endswith("+00:00")


def test_its_numbers_are_those_of_the_verification(verification) -> None:
    certificate = verification.certificate
    assert certificate.passed is verification.passed is True
    assert certificate.max_abs_difference == verification.max_abs_difference
    assert certificate.worst_point == verification.worst_point
    assert certificate.points == len(verification.points)


def test_it_survives_its_file(verification, tmp_path) -> None:
    path = verification.certificate.save(tmp_path / "proof.json")
    assert Certificate.load(path) == verification.certificate
    assert json.loads(path.read_text(encoding="utf-8"))["passed"] is True
    assert str(tmp_path) not in path.read_text(encoding="utf-8")  # whose folder it was is nobody's business
    with pytest.raises(OutputError, match="No such file"):
        verification.certificate.save(tmp_path / "gone" / "proof.json")


def test_as_text_it_can_be_read(verification) -> None:
    text = str(verification.certificate)
    assert text.startswith("PASSED: 60 of 60 pixels have the original model's label")
    for part in (
        "first (Conv2D): convolution 3 × 3",
        "scale_linear:2,1",
        "border edge",
        "seed 7",
        "computed by TensorFlow",
        "onnxruntime",
        "50 × 60",
    ):
        assert part in text


def test_a_part_of_an_image_is_said_and_an_older_certificate_is_of_all_of_it(verification, path, data) -> None:
    assert (verification.certificate.frames, verification.certificate.mask) == (None, None)
    mask = np.zeros((50, 60), bool)
    mask[10:20, 30:50] = True
    stack = np.stack([IMAGE] * 3)
    certificate = nf.verify(stack, path, n=30, frames=[(1, 2)], mask=mask).certificate
    assert Certificate.from_dict(json.loads(json.dumps(certificate.as_dict()))) == certificate
    assert certificate.frames == ((1, 2),)
    assert certificate.mask == {"sha256": hashlib.sha256(mask.tobytes()).hexdigest(), "shape": [50, 60], "pixels": 200}
    assert "only frames ((1, 2),); only 200 pixels of a mask, sha256" in str(certificate)
    del data["frames"], data["mask"], data["edited_pixels"]
    former = Certificate.from_dict({**data, "certificate_version": "1"})
    assert former == verification.certificate


@given(st.floats(allow_infinity=False), st.sampled_from([1.0, 0.99, 0.0]), st.floats(0, 1e6) | st.just(math.nan))
def test_the_verdict_follows_from_the_numbers(verification, difference, agreement, scale) -> None:
    changed = {"max_abs_difference": difference, "label_agreement": agreement, "scale": scale}
    certificate = Certificate(**{**vars(verification.certificate), **changed})
    expected = agreement == 1 and difference <= 1e-5 * max(1, scale)
    assert certificate.passed is expected
    text = json.dumps(certificate.as_dict(), allow_nan=False)
    again = Certificate.from_dict(json.loads(text))
    np.testing.assert_equal(vars(again), vars(certificate))
    assert str(again).startswith("PASSED" if expected else "NOT PASSED")


@pytest.mark.parametrize("field", [*Certificate.__dataclass_fields__, "certificate_version", "passed"])
def test_every_field_is_checked(data, field) -> None:
    for wrong in ({"a": {}}, [{"a": 1}], True, "text", 1.5):
        if field in ("max_abs_difference", "label_agreement", "scale", "tolerance") and wrong == 1.5:
            continue
        if (field, wrong) == ("passed", True) or (isinstance(wrong, str) and isinstance(data[field], str)):
            continue
        with pytest.raises(SettingsError, match=r"field '|no certificate|does not follow"):
            Certificate.from_dict({**data, field: wrong} if field != "certificate_version" else {**data, field: 1})
    del data[field]
    with pytest.raises(SettingsError):
        Certificate.from_dict(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(max_abs_difference=0.5),
        lambda data: data.update(label_agreement=0.5),
        lambda data: data.update(passed=False),
        lambda data: data.update(max_abs_difference=1e-6, tolerance=1e-12),
        lambda data: data["models"][0].pop("sha256"),
        lambda data: data["image"].update(shape="large"),
    ],
)
def test_what_was_changed_by_hand_is_refused(data, change) -> None:
    Certificate.from_dict(data)
    change(data)
    with pytest.raises(SettingsError):
        Certificate.from_dict(data)


def test_a_file_that_is_none_is_a_sentence(tmp_path) -> None:
    (tmp_path / "proof.json").write_bytes(b"[" * 1000)
    with pytest.raises(ModelFileError, match=r"certificate .* cannot be used: its text is nested"):
        Certificate.load(tmp_path / "proof.json")
    with pytest.raises(ModelFileError, match="No such file"):
        Certificate.load(tmp_path / "gone.json")


def test_pixels_are_hashed_where_that_is_cheap() -> None:
    image = np.arange(24, dtype=">u2").reshape(2, 3, 4)
    assert image_sha256(image) == hashlib.sha256(image.tobytes()).hexdigest()
    view = image.transpose(2, 0, 1)[:, ::-1]
    assert image_sha256(view) == hashlib.sha256(np.ascontiguousarray(view).tobytes()).hexdigest()
    assert image_sha256(np.broadcast_to(np.uint8(0), (2**14, 2**15))) is None
    assert image_sha256(type("Lazy", (), {"shape": (1, 1), "nbytes": 1})()) is None
