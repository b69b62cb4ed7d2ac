"""The published case: DeepCell 2016's own networks and image give their authors' own probability maps."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import napari_fcnseg as nf
from napari_fcnseg import cli

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


def test_one_network_is_the_patch_model_itself_under_the_api(case, models) -> None:
    image = np.stack([tifffile.imread(case / f"{name}.tif") for name in ("phase", "dapi")], axis=-1)
    verification = nf.verify(image[:200, :170], models[0], n=64, preprocess=STEPS, tile=96)
    assert verification.passed, str(verification)


def test_the_report_states_the_known_ceiling(models) -> None:
    report = nf.convert(models[0]).report
    assert report.patch_shape == report.receptive_field == (61, 61)
    assert report.speedup_ceiling == pytest.approx(570, abs=1)
    assert "tensorflow" not in sys.modules
