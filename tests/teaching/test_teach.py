"""Teaching from strokes: what comes out is an ordinary patch model, and mistakes are sentences."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from _keras_side import predict

import napari_fcnseg as nf
from napari_fcnseg.errors import FcnSegError, ImageError, OutputError
from napari_fcnseg.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fcnseg.model.patch_model import PatchModel

pytestmark = pytest.mark.timeout(120)
SAMPLE = SAMPLES["cells"]
IMAGE, TRUTH = SAMPLE.image()[:160, :128], SAMPLE.truth()[:160, :128]


def painted(step: int = 20, truth: np.ndarray = TRUTH) -> np.ndarray:
    """Strokes along some rows: the right labels there, and nothing elsewhere."""
    strokes = np.zeros_like(truth)
    strokes[10 : truth.shape[0] - 10 : step, 8:-8] = truth[10 : truth.shape[0] - 10 : step, 8:-8]
    return strokes


def renumbered(labels: np.ndarray) -> np.ndarray:
    """Return labels of other classes than the model's: two, cells and what is none."""
    return np.where(labels == 0, 0, np.where(labels == 1, 2, 1)).astype(labels.dtype)


@pytest.fixture(scope="module")
def taught() -> PatchModel:
    return nf.teach(
        IMAGE, renumbered(painted()), SAMPLE.model_path, preprocess=SAMPLE.preprocess,
        class_names=("cell", "none"), turned=False,
    )  # fmt: skip


def test_teaches_other_classes_than_the_model_had(taught):
    said = nf.segment(IMAGE, taught).labels
    unpainted = painted() == 0
    assert (said == renumbered(TRUTH))[unpainted].mean() > 0.93
    assert taught.classes == 2
    assert taught.class_names == ("cell", "none")


def test_the_file_is_a_patch_model_for_us_and_for_keras(taught, keras_child, tmp_path):
    path = taught.save(tmp_path / "taught.keras")
    again = nf.load_model(path)
    patches = np.random.default_rng(0).normal(0, 1, (7, *again.patch_shape, 2)).astype(np.float32)
    expected = taught.predict(patches)
    assert np.abs(again.predict(patches) - expected).max() <= 1e-5
    assert np.abs(keras_child(predict, str(path), patches) - expected).max() <= 1e-5
    assert nf.verify(IMAGE, again, n=64).passed
    assert again.sidecar is not None
    assert again.sidecar.preprocess == SAMPLE.preprocess


def test_the_sidecar_says_what_it_was_taught_on(taught, tmp_path):
    path = taught.save(tmp_path / "taught.keras")
    facts = json.loads((tmp_path / "taught.fcnseg.json").read_text())["taught"]
    assert path.exists()
    assert facts["model"]["sha256"] == hashlib.sha256(SAMPLE.model_path.read_bytes()).hexdigest()
    assert facts["images"][0]["sha256"] == hashlib.sha256(IMAGE.tobytes()).hexdigest()
    assert facts["strokes"]["pixels"] == int(np.count_nonzero(painted()))
    assert facts["settings"]["seed"] == 0
    assert 0.5 < facts["held_out"]["accuracy"] <= 1
    assert {"tensorflow", "keras", "napari-fcnseg"} <= set(facts["versions"])


def test_the_same_strokes_and_seed_give_the_same_bytes(taught, tmp_path):
    other = nf.teach(
        IMAGE, renumbered(painted()), SAMPLE.model_path, preprocess=SAMPLE.preprocess,
        class_names=("cell", "none"), turned=False,
    )  # fmt: skip
    for name, model in (("a", taught), ("b", other)):
        model.save(tmp_path / f"{name}.keras")
    for ending in (".keras", ".fcnseg.json"):
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_a_model_is_not_written_over_what_it_was_read_from_nor_over_another(taught, tmp_path):
    path = taught.save(tmp_path / "taught.keras")
    with pytest.raises(OutputError, match="exists already"):
        taught.save(path)
    with pytest.raises(OutputError, match="never written over"):
        nf.load_model(path).save(path, overwrite=True)
    with pytest.raises(OutputError, match=r"choose taught\.keras"):
        taught.save(tmp_path / "taught.h5")


def test_teaches_from_nothing(tmp_path):
    model = nf.teach(IMAGE, painted(), preprocess=("divide_by_median",), turned=False)
    assert (nf.segment(IMAGE, model).labels == TRUTH)[painted() == 0].mean() > 0.8
    again = nf.load_model(model.save(tmp_path / "new.keras"))
    assert again.channels == 2
    assert nf.verify(IMAGE, again, n=48).passed


def test_several_images_teach_together_a_stack_too():
    stack, strokes = np.stack([IMAGE, IMAGE[::-1]]), np.stack([painted(), np.zeros_like(TRUTH)])
    model = nf.teach(
        [IMAGE[:, ::-1], stack], [np.zeros_like(TRUTH), strokes], SAMPLE.model_path, preprocess=SAMPLE.preprocess,
        channel_axis=-1, turned=False,
    )  # fmt: skip
    alone = nf.teach(IMAGE, painted(), SAMPLE.model_path, preprocess=SAMPLE.preprocess, turned=False)
    patches = np.random.default_rng(0).normal(0, 1, (5, 31, 31, 2)).astype(np.float32)
    assert np.abs(model.predict(patches) - alone.predict(patches)).max() <= 1e-4


def test_reads_of_an_image_on_disk_what_is_near_strokes(tmp_path):
    size = 20_000
    image = zarr.create_array(
        tmp_path / "big.zarr", shape=(size, size, 2), chunks=(256, 256, 2), dtype="uint16", fill_value=100
    )
    marks = zarr.create_array(tmp_path / "marks.zarr", shape=(size, size), chunks=(2048, 2048), dtype="uint8")
    at = slice(15_000, 15_160), slice(9_000, 9_128)
    image[at], marks[at] = IMAGE, painted()
    model = nf.teach(image, marks, SAMPLE.model_path, preprocess=("scale_linear:0.002,-0.2",), turned=False)
    assert model.sidecar.other["taught"]["images"][0]["sha256"] is None
    assert model.sidecar.other["taught"]["strokes"]["pixels"] == int(np.count_nonzero(painted()))


def marked(**values: int) -> np.ndarray:
    """Blocks of labels: a=1 is 6 × 6 pixels of class 1."""
    strokes = np.zeros_like(TRUTH)
    for place, label in enumerate(values.values()):
        strokes[20:26, 10 + 20 * place : 16 + 20 * place] = label
    return strokes


def with_nan() -> np.ndarray:
    image = IMAGE.astype(np.float32)
    image[22, 12, 0] = np.nan
    return image


FEW = marked(a=1)
FEW[100, 100] = 2
FLAT = np.full_like(IMAGE, 7)


@pytest.mark.parametrize(
    ("image", "strokes", "error", "says"),
    [
        (IMAGE, np.zeros_like(TRUTH), FcnSegError, "Nothing is painted"),
        (IMAGE, marked(a=2, b=2), FcnSegError, "All strokes are of class 2"),
        (IMAGE, marked(a=1, b=3), FcnSegError, "Class 2 has no stroke"),
        (IMAGE, FEW, FcnSegError, "Class 2 has 1 painted pixel. Paint at least 10"),
        (IMAGE, marked(a=1, b=2)[:-1], FcnSegError, "strokes have the shape 159 × 128"),
        (IMAGE, marked(a=1, b=2).astype(float), FcnSegError, "Labels are whole numbers"),
        (IMAGE, marked(a=1, b=2).astype(int) * 1000, FcnSegError, "hold the label 2000"),
        (IMAGE, -marked(a=1, b=2).astype(int), FcnSegError, "hold the label -2"),
        (IMAGE[..., :1], marked(a=1, b=2), ImageError, "the model takes 2"),
        (with_nan(), marked(a=1, b=2), ImageError, r"NaN, infinite or too large, the first at pixel \(22, 12\)"),
        (FLAT, marked(a=1, b=2), FcnSegError, "contradict each other"),
        ([IMAGE, IMAGE], [marked(a=1, b=2)], FcnSegError, "There are 2 images and strokes on 1"),
        ([IMAGE, IMAGE.copy()], [marked(a=1, b=2), marked(a=2, b=1)], FcnSegError, "contradict each other"),
        ([], [], FcnSegError, "No image was chosen"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence(image, strokes, error, says):
    with pytest.raises(error, match=says):
        nf.teach(image, strokes, SAMPLE.model_path, preprocess=("scale_linear:0.002,-0.2",), turned=False)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"class_names": ["one"]}, "1 names for 2 classes"),
        ({"seed": -1}, "seed is a whole number"),
        ({"border": "valid"}, "border rules reflect, edge and constant"),
        ({"preprocess": ("no_such_step",)}, "no_such_step"),
    ],
)
def test_a_wrong_setting_is_a_sentence(more, says):
    with pytest.raises(FcnSegError, match=says):
        nf.teach(IMAGE, marked(a=1, b=2), SAMPLE.model_path, **{"turned": False, **more})


def test_the_command_line_teaches_and_keeps_what_is_there(tmp_path: Path, capsys):
    import tifffile

    from napari_fcnseg.cli.main import main

    tifffile.imwrite(tmp_path / "image.tif", np.moveaxis(IMAGE, -1, 0), metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "strokes.tif", painted())
    image, strokes, output = (str(tmp_path / name) for name in ("image.tif", "strokes.tif", "taught.keras"))
    command = ["teach", image, "--strokes", strokes, "--model", str(SAMPLE.model_path), "-o", output,
               "--preprocess", *SAMPLE.preprocess, "--no-turning"]  # fmt: skip
    assert main(command) == 0
    assert "3 classes, taught on" in capsys.readouterr().out
    assert nf.load_model(output).classes == 3
    assert main(command) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*command[:2], "--strokes", strokes, strokes, "-o", output]) == 1
    assert "1 images and 2 files of strokes" in capsys.readouterr().err
