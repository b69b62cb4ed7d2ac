"""Images whose channels have a file each, put together by patterns of their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from napari_fcnseg.batch import images_in
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from pathlib import Path


def files(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, np.full((8, 9), number, np.uint8))
    return folder


def test_each_image_has_its_files_in_the_order_of_the_patterns(tmp_path: Path) -> None:
    files(tmp_path, "b_DAPI.tif", "b_phase.tif", "a_dapi.tif", "a_phase.tif", "deep/a_dapi.tif", "deep/a_phase.tif")
    found = images_in(tmp_path, recursive=True, channels=("*_phase.tif", "*_dapi.tif"))
    assert [(item.name, item.target) for item in found.items] == [
        ("a_phase.tif", "a"),
        ("b_phase.tif", "b"),
        ("deep/a_phase.tif", "deep/a"),
    ]
    assert [[path.name for path in item.paths] for item in found.items[:2]] == [
        ["a_phase.tif", "a_dapi.tif"],
        ["b_phase.tif", "b_DAPI.tif"],
    ]
    image = found.items[0].read()
    assert image.data.shape == (8, 9, 2)
    assert np.asarray(image.data)[0, 0].tolist() == [3, 2]


def test_a_missing_partner_is_named_and_stops_no_other_image(tmp_path: Path) -> None:
    files(tmp_path, "a_0.tif", "a_1.tif", "b_0.tif", "c_1.tif", "other.tif")
    found = images_in(tmp_path, channels=("*_0.tif", "*_1.tif"))
    assert [item.target for item in found.items] == ["a"]
    assert {line.input: (line.status, line.sentence) for line in found.left_out} == {
        "b_0.tif": ("failed", "b_1.tif is missing beside it. Add the file, or move this one away."),
        "c_1.tif": ("failed", "c_0.tif is missing beside it. Add the file, or move this one away."),
        "other.tif": ("skipped", "It fits none of the patterns of the channels."),
    }
    assert {path.name for path in found.others} == {"b_0.tif", "c_1.tif", "other.tif"}, "never written over"


def test_the_longer_pattern_has_a_file_that_fits_two(tmp_path: Path) -> None:
    files(tmp_path, "cell.tif", "cell_dapi.tif")
    (item,) = images_in(tmp_path, channels=("*.tif", "*_dapi.tif")).items
    assert ([path.name for path in item.paths], item.target) == (["cell.tif", "cell_dapi.tif"], "cell")


def test_what_joins_the_words_of_a_name_is_none_of_the_results_name(tmp_path: Path) -> None:
    files(tmp_path, "cell-1_dapi.tif", "cell-1_phase.tif")
    (item,) = images_in(tmp_path, channels=("*phase.tif", "*dapi.tif")).items
    assert item.target == "cell-1"


def test_another_partner_is_another_image(tmp_path: Path) -> None:
    files(tmp_path, "a_0.tif", "a_1.tif")
    (item,) = images_in(tmp_path, channels=("*_0.tif", "*_1.tif")).items
    before = item.identity()
    tifffile.imwrite(tmp_path / "a_1.tif", np.zeros((8, 10), np.uint8))
    assert item.identity() != before


@pytest.mark.parametrize(
    ("patterns", "reason"),
    [
        (("a_0.tif", "a_1.tif"), r"no pattern of a channel's files.*put it in quotes"),
        (("sub/*_0.tif", "*_1.tif"), "names a folder"),
        (("*_0.tif", "*_0.TIF"), "same pattern"),
        (("*_0.tif",), "leave --channels out"),
        (("*_7.tif", "*_8.tif"), r"No image in .* fits '\*_7\.tif' or '\*_8\.tif'"),
        (("*_0*.tif", "*_1*.tif"), r"_0a\.tif and a_0\.tif both fit '\*_0\*\.tif'"),
    ],
)
def test_patterns_that_make_no_sense_are_refused(patterns: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    files(tmp_path, "a_0.tif", "_0a.tif")
    with pytest.raises(FcnSegError, match=reason):
        images_in(tmp_path, channels=patterns)
