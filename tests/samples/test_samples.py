"""The samples are complete, packaged, honest about themselves, and cost no framework to look at."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import napari_fcnseg
from napari_fcnseg.arrays.frame_source import MemorySource
from napari_fcnseg.preprocess import parse, prepare
from napari_fcnseg.samples import CELLS_SEED, CELLS_TRAINING_SEEDS, SAMPLES
from napari_fcnseg.samples.teacher import TEACHER_COLUMNS, stain_labels

PACKAGE = Path(napari_fcnseg.__file__).parent
ALL = pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))


def test_there_are_two_under_their_own_names():
    assert {name: sample.name for name, sample in SAMPLES.items()} == {"tissue": "tissue", "cells": "cells"}


@pytest.mark.parametrize(
    ("name", "shape", "dtype"), [("tissue", (512, 512, 3), "uint8"), ("cells", (512, 512, 2), "uint16")]
)
def test_images_load(name, shape, dtype):
    image = SAMPLES[name].image()
    assert (image.shape, image.dtype.name) == (shape, dtype)
    assert image.shape[SAMPLES[name].channel_axis] == len(SAMPLES[name].channel_names)


@ALL
def test_every_class_has_a_name_and_a_colour_of_its_own(sample):
    assert len(set(sample.class_names)) == len(set(sample.class_colors)) == 3
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in sample.class_colors)


@ALL
def test_preprocessing_is_known_and_gives_finite_numbers(sample):
    image = sample.image().astype(np.float32)
    prepared = prepare(MemorySource(image), parse(sample.preprocess))
    assert np.isfinite(prepared.read(prepared.everything())).all()


@ALL
def test_labels_fit_image_and_classes(sample):
    labels = (sample.truth or sample.teacher)()
    assert labels.shape == sample.image().shape[:2]
    assert np.unique(labels).tolist() == [1, 2, 3]


def test_only_drawn_cells_claim_a_truth():
    assert SAMPLES["tissue"].truth is None
    assert SAMPLES["cells"].teacher is None


def test_the_teacher_sets_its_thresholds_on_its_own_part_only():
    image = SAMPLES["tissue"].image()
    other = image.copy()
    other[:, TEACHER_COLUMNS + 20 :] = 255  # the smoothing reaches a few pixels across
    np.testing.assert_array_equal(stain_labels(other)[:, :TEACHER_COLUMNS], stain_labels(image)[:, :TEACHER_COLUMNS])


@ALL
def test_the_model_is_in_the_package_and_small(sample):
    assert sample.model_path.is_relative_to(PACKAGE)
    assert 10_000 < sample.model_path.stat().st_size < 1_000_000


@ALL
def test_the_model_takes_patches_with_the_samples_channels(sample):
    with zipfile.ZipFile(sample.model_path) as archive:
        config = json.loads(archive.read("config.json"))
    inputs = config["config"]["layers"][0]
    assert inputs["class_name"] == "InputLayer"
    assert inputs["config"]["batch_shape"] == [None, 31, 31, len(sample.channel_names)]
    assert config["config"]["layers"][-1]["config"]["units"] == len(sample.class_names)


@ALL
def test_the_model_holds_nothing_that_only_training_needs(sample):
    with zipfile.ZipFile(sample.model_path) as archive:
        assert not json.loads(archive.read("config.json")).get("compile_config")
        with archive.open("model.weights.h5") as stream, h5py.File(stream, "r") as weights:
            assert "optimizer" not in weights


@ALL
def test_the_models_page_has_the_scores_that_were_measured(sample):
    folder = sample.model_path.parent
    record = json.loads((folder / "scores.json").read_text("utf-8"))[sample.name]
    page = (folder / "README.md").read_text("utf-8")
    assert record["learned_from"] == sample.learned_from
    assert record["file_bytes"] == sample.model_path.stat().st_size, "scored, then trained again?"
    assert set(record["held_out"]["dice"]) == set(sample.class_names)
    assert f"{record['held_out']['pixel_accuracy']:.4f}" in page


def test_the_model_of_the_cells_never_saw_the_sample():
    assert CELLS_SEED not in CELLS_TRAINING_SEEDS


def test_no_framework_and_no_window_is_loaded():
    code = (
        "import sys; from napari_fcnseg.samples import SAMPLES; "
        "[(s.image(), (s.truth or s.teacher)()) for s in SAMPLES.values()]; "
        "print([m for m in ('tensorflow', 'keras', 'torch', 'napari', 'qtpy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
