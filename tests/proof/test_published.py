"""The published case: DeepCell 2016's own networks and image give their authors' own probability maps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import napari_fcnseg as nf
from napari_fcnseg.cli import main as cli

if TYPE_CHECKING:
    from pathlib import Path

STEPS = ["divide_by_median", "subtract_local_mean:61"]
INSIDE = (slice(30, 470), slice(30, 470))  # the authors' maps have a frame of zeros where no full patch fits


@pytest.fixture(scope="module")
def case(shared_data) -> Path:
    return shared_data / "deepcell-3t3"


@pytest.fixture(scope="module")
def published(case) -> np.ndarray:
    return np.stack([tifffile.imread(case / f"published_probability_{i}.tif") for i in range(3)], axis=-1)[INSIDE]


@pytest.fixture(scope="module")
def models(case) -> list[Path]:
    return sorted(case.glob("patch61_*.keras"))


def test_five_networks_give_the_published_maps(case, published, models, tmp_path) -> None:
    """Through the command line, which writes what the API returns."""
    labels, maps = tmp_path / "labels.tif", tmp_path / "maps.tif"
    arguments = ["segment", str(case / "phase.tif"), str(case / "dapi.tif"), "-o", str(labels), "--quiet"]
    arguments += ["--probabilities", str(maps), "--preprocess", *STEPS, "--model", *map(str, models)]
    assert cli.main(arguments) == 0
    ours = np.moveaxis(tifffile.imread(maps), 0, -1)[INSIDE]
    assert np.abs(ours - published).max() <= 1e-5
    assert (ours.argmax(-1) == published.argmax(-1)).sum() == 193_600
    np.testing.assert_array_equal(tifffile.imread(labels)[INSIDE], published.argmax(-1) + 1)


def test_the_authors_own_files_give_the_published_maps_too(case, published) -> None:
    """Weights of Keras 1 alone: the architecture, and what running_std is, are found out."""
    image = np.stack([tifffile.imread(case / f"{name}.tif") for name in ("phase", "dapi")], axis=-1)
    files = sorted(case.glob("keras1_weights_*.h5"))
    assert len(files) == 5
    part = (slice(180, 280), slice(210, 330))
    region = [(axis.start, axis.stop) for axis in part]
    ours = nf.segment(image, files, preprocess=STEPS, region=region, probabilities=True).probabilities
    assert ours is not None
    theirs = published[tuple(slice(axis.start - 30, axis.stop - 30) for axis in part)]
    assert np.abs(ours[part] - theirs).max() <= 1e-5
    assert len(np.unique(theirs.argmax(-1))) == 3  # a part that has all classes


def test_one_network_is_the_patch_model_itself_under_the_api(case, models) -> None:
    image = np.stack([tifffile.imread(case / f"{name}.tif") for name in ("phase", "dapi")], axis=-1)
    verification = nf.verify(image[:200, :170], models[0], n=64, preprocess=STEPS, tile=96)
    assert verification.passed, str(verification)


def test_the_report_states_the_known_ceiling(models) -> None:
    report = nf.convert(models[0]).report
    assert report.patch_shape == report.receptive_field == (61, 61)
    assert report.speedup_ceiling == pytest.approx(570, abs=1)
    assert "tensorflow" not in sys.modules
