"""Measurements are those of scikit-image, for all objects at once; outlines hold the very pixels."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage.draw import polygon2mask
from skimage.measure import label as connected
from skimage.measure import regionprops_table

from napari_fcnseg.errors import ImageError, OutputError
from napari_fcnseg.instances.measuring import measure_objects
from napari_fcnseg.instances.outlines import area_of, rings_of, save_outlines

if TYPE_CHECKING:
    from collections.abc import Sequence

RANDOM = np.random.default_rng(0)


def blobs(*shape: int, share: float = 0.4) -> np.ndarray:
    return connected(RANDOM.random(shape) < share, connectivity=1)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.25)])
def test_of_an_image_they_are_those_of_regionprops(spacing) -> None:
    labels, image = blobs(40, 50), RANDOM.random((40, 50, 2))
    labels[labels == 3] = 0  # a gap in the numbers
    table = measure_objects(labels, spacing=spacing, unit="µm", image=image, channels=("dapi",))
    names = ("label", "num_pixels", "area", "centroid", "axis_major_length", "axis_minor_length", "eccentricity",
             "equivalent_diameter_area", "intensity_mean")  # fmt: skip
    expected = regionprops_table(labels, image, properties=names, spacing=spacing)
    pairs = {
        "label": "label", "area (px)": "num_pixels", "area (µm²)": "area",
        "y (µm)": "centroid-0", "x (µm)": "centroid-1",
        "major axis (µm)": "axis_major_length", "minor axis (µm)": "axis_minor_length", "eccentricity": "eccentricity",
        "equivalent diameter (µm)": "equivalent_diameter_area", "mean dapi": "intensity_mean-0",
        "mean channel 2": "intensity_mean-1",
    }  # fmt: skip
    for mine, theirs in pairs.items():
        np.testing.assert_allclose(table.columns[mine], expected[theirs], atol=1e-6, err_msg=mine)
    np.testing.assert_allclose(table.columns["sum dapi"], expected["intensity_mean-0"] * expected["num_pixels"])
    assert len(table) == labels.max() - 1


def test_of_a_volume_and_of_the_frames_of_a_stack() -> None:
    volume = blobs(9, 20, 21, share=0.2)
    expected = regionprops_table(volume, properties=("area", "axis_major_length", "bbox"), spacing=(2, 1, 1))
    table = measure_objects(volume, spatial=3, spacing=(2, 1, 1), unit="µm")
    np.testing.assert_allclose(table.columns["volume (µm³)"], expected["area"])
    np.testing.assert_allclose(table.columns["major axis (µm)"], expected["axis_major_length"], atol=1e-6)
    np.testing.assert_array_equal(table.boxes[:, 0], np.stack([expected[f"bbox-{axis}"] for axis in range(3)], 1))
    np.testing.assert_array_equal(table.boxes[:, 1], np.stack([expected[f"bbox-{axis}"] for axis in (3, 4, 5)], 1))
    stack = np.zeros((2, 8, 9), int)
    stack[0, :2, :2], stack[1, 4:, 5:], stack[1, 0, 0] = 1, 2, 1
    table = measure_objects(stack)
    assert table.rows()[0][:3] == ["label", "frame", "area (px)"]
    assert [row[:3] for row in table.rows()[1:]] == [[1, 0, 4], [1, 1, 1], [2, 1, 16]]
    assert table.boxes[2].tolist() == [[1, 4, 5], [2, 8, 9]]


def test_there_may_be_none_and_an_image_has_to_fit(tmp_path) -> None:
    table = measure_objects(np.zeros((5, 6), int))
    assert len(table) == 0
    table.save(tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text().startswith("label,area (px),")
    with pytest.raises(ImageError, match=r"image \(5 × 7\) and the objects \(5 × 6\)"):
        measure_objects(np.zeros((5, 6), int), image=np.zeros((5, 7, 1)))


def test_a_table_takes_the_place_of_a_table_only(tmp_path) -> None:
    table = measure_objects(blobs(20, 20))
    table.save(tmp_path / "t.csv")
    with pytest.raises(OutputError):
        table.save(tmp_path / "t.csv")
    table.save(tmp_path / "t.csv", overwrite=True)
    (tmp_path / "notes.csv").write_text("my notes")
    with pytest.raises(OutputError, match="not a table of objects"):
        table.save(tmp_path / "notes.csv", overwrite=True)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_rings_hold_the_very_pixels(share) -> None:
    for _ in range(20):
        mask = RANDOM.random((9, 11)) < share
        rings = rings_of(mask)
        assert sum(map(area_of, rings)) == mask.sum()
        drawn = np.zeros(mask.shape, int)
        for ring in rings:
            inside = polygon2mask(mask.shape, np.array(ring) - 0.5)
            drawn += np.where(inside, 1 if area_of(ring) > 0 else -1, 0)
        np.testing.assert_array_equal(drawn, mask)
        regions = connected(mask, connectivity=1).max()
        assert sum(area_of(ring) > 0 for ring in rings) == regions, "what touches at a corner is apart"


def test_imagej_and_qupath_get_outlines(tmp_path) -> None:
    roifile = pytest.importorskip("roifile")
    labels = np.zeros((2, 30, 31), int)
    labels[0, 2:9, 3:12], labels[0, 4:6, 5:8] = 1, 0  # with a hole
    labels[1, 20:25, 4:9], labels[1, 10:12, 4:9] = 7, 7  # in two parts
    table = measure_objects(labels)
    assert save_outlines(tmp_path / "rois.zip", labels, table) == 3
    rois = roifile.roiread(tmp_path / "rois.zip")
    assert sorted(roi.name for roi in rois) == ["00001-0001", "00007-0002-1", "00007-0002-2"]
    first = next(roi for roi in rois if roi.name == "00001-0001")
    assert sorted(first.coordinates().tolist()) == [[3, 2], [3, 9], [12, 2], [12, 9]]
    assert first.position == 1
    assert save_outlines(tmp_path / "a.geojson", labels, table) == 2
    one, two = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert one["geometry"]["type"] == "Polygon"
    assert len(one["geometry"]["coordinates"]) == 2
    assert one["properties"]["measurements"] == {"label": 1}
    assert two["geometry"]["type"] == "MultiPolygon"
    for path in ("rois.zip", "a.geojson"):
        with pytest.raises(OutputError, match="already"):
            save_outlines(tmp_path / path, labels, table)
    save_outlines(tmp_path / "a.geojson", labels, table, overwrite=True)
    with pytest.raises(OutputError, match="ImageJ"):
        save_outlines(tmp_path / "a.txt", labels, table)


def drawn(rings: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels inside closed lines ``(x, y)`` at corners of pixels; a line inside another one is a hole."""
    masks = [polygon2mask(shape, np.array(ring, float)[:, ::-1] - 0.5) for ring in rings]
    return np.logical_xor.reduce(masks)


def test_the_files_of_outlines_hold_the_very_pixels(tmp_path) -> None:
    roifile = pytest.importorskip("roifile")
    labels = np.cumsum(RANDOM.random((24, 31)) < 0.3, axis=1) % 4
    table = measure_objects(labels)
    save_outlines(tmp_path / "rois.zip", labels, table)
    save_outlines(tmp_path / "a.geojson", labels, table)
    found: dict[int, list[Any]] = {}
    for roi in roifile.roiread(tmp_path / "rois.zip"):
        found.setdefault(int(roi.name.split("-")[0]), []).append(roi)
    features = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert len(features) == len(found) == 3
    for feature in features:
        label = feature["properties"]["measurements"]["label"]
        shape = feature["geometry"]
        parts = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
        pixels = np.logical_or.reduce([drawn(part, labels.shape) for part in parts])
        np.testing.assert_array_equal(pixels, labels == label)
        outer = np.logical_or.reduce([drawn([roi.coordinates()], labels.shape) for roi in found[label]])
        assert outer[labels == label].all(), "ImageJ's regions have no holes, and all else"
