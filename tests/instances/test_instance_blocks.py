"""Instances of arrays on disk, block by block: the very numbers of the whole array, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.measure import label

from napari_fcnseg import InstanceSettings, find_instances
from napari_fcnseg.arrays.lazy import parts_of
from napari_fcnseg.errors import ImageError, OutputError, SettingsError
from napari_fcnseg.instances import measuring
from napari_fcnseg.instances.joining import label_block
from napari_fcnseg.instances.labeling import StoppedError
from napari_fcnseg.instances.measuring import measure_objects
from napari_fcnseg.samples.synthetic import fluorescence_cells


@st.composite
def searches(draw: st.DrawFn) -> tuple[np.ndarray, InstanceSettings, tuple[int, ...], tuple[float, ...]]:
    """Draw labels with parts of all sizes, settings, blocks and lengths of a pixel."""
    axes = draw(st.integers(1, 3))
    shape = tuple(draw(st.lists(st.integers(1, (40, 26, 9)[axes - 1]), min_size=axes, max_size=axes)))
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random(shape)
    coarse = np.kron(noise[tuple(slice(None, None, 3) for _ in shape)], np.ones((3,) * axes))[tuple(map(slice, shape))]
    labels = np.digitize(np.where(noise < 0.1, noise * 10, coarse), draw(st.sampled_from([(0.3, 0.5), (0.1, 0.4)])))
    edge = draw(st.sampled_from([None, 1]))
    by_necks = draw(st.sampled_from([None, 1.0, 2.5]))
    method = "watershed" if edge or by_necks else draw(st.sampled_from(["components", "watershed"]))
    chosen = InstanceSettings(
        2, edge, method, minimum_size=draw(st.integers(0, 9)), fill_holes=draw(st.integers(0, 6)),
        connectivity=draw(st.integers(1, axes)), separation=by_necks,
    )  # fmt: skip
    block = tuple(draw(st.lists(st.integers(1, 14), min_size=axes, max_size=axes)))
    return labels.astype(np.uint8), chosen, block, (1.0, 2.5, 1.7)[:axes] if draw(st.booleans()) else (1.0,) * axes


@settings(max_examples=120)
@given(searches())
def test_blocks_change_no_number(search) -> None:
    labels, chosen, block, spacing = search
    whole = find_instances(labels, chosen, spacing=spacing)
    found = find_instances(labels, chosen, spacing=spacing, block=block)
    np.testing.assert_array_equal(found, whole)
    assert found.dtype == whole.dtype
    numbers, first = np.unique(whole, return_index=True)
    assert (np.diff(first[numbers > 0]) > 0).all()  # in the order of first pixels


@st.composite
def smooth_searches(draw: st.DrawFn):
    """Draw objects that are larger than blocks and touch, and how they are to be cut."""
    shape = draw(st.sampled_from([(90, 120), (61, 150), (24, 22, 26)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width = draw(st.sampled_from([1.5, 3.0, 5.0])) if len(shape) == 2 else 1.5
    field, led = (gaussian_filter(rng.standard_normal(shape), width) for _ in range(2))
    bounds = np.array([draw(st.sampled_from([-1.0, -0.3, 0.4])), draw(st.sampled_from([0.5, 0.9, 1.2]))]) * field.std()
    edge = draw(st.sampled_from([None, 1]))
    labels = np.digitize(field, bounds) if edge else 2 * (field > bounds[0])
    scores = np.stack([np.zeros(shape), np.round(led / led.std() * 4)], -1) if draw(st.booleans()) else None
    chosen = InstanceSettings(
        2, edge, "watershed", separation=draw(st.sampled_from([None, 0.7, 2.5])), connectivity=draw(st.integers(1, 2)),
        fill_holes=draw(st.sampled_from([0, 5])),
    )  # fmt: skip
    block = tuple(draw(st.integers(8, 30)) for _ in shape)
    return (
        labels.astype(np.uint8),
        chosen,
        scores,
        block,
        (2.5, 1.0, 1.7)[: len(shape)] if draw(st.booleans()) else None,
    )


@settings(max_examples=40)
@given(smooth_searches())
def test_blocks_change_no_border_between_touching_objects(search) -> None:
    labels, chosen, scores, block, spacing = search
    whole = find_instances(labels, chosen, scores=scores, spacing=spacing)
    np.testing.assert_array_equal(find_instances(labels, chosen, scores=scores, spacing=spacing, block=block), whole)


@pytest.mark.parametrize("fill", [0, 20])
def test_labels_and_objects_on_disk_are_those_in_memory(tmp_path, fill) -> None:
    labels = fluorescence_cells(5, (190, 230))[1]
    chosen = InstanceSettings(3, 2, minimum_size=20, fill_holes=fill)
    stored = zarr.create_array(tmp_path / "labels.zarr", shape=labels.shape, chunks=(64, 50), dtype=labels.dtype)
    stored[:] = labels
    whole = find_instances(labels, chosen)
    assert whole.max() > 8
    target = zarr.create_array(tmp_path / "own.zarr", shape=labels.shape, chunks=(37, 90), dtype="u4")
    assert find_instances(stored, chosen, block=47, output=target) is target
    np.testing.assert_array_equal(target[:], whole)
    written = find_instances(tmp_path / "labels.zarr", chosen, block=(64, 50), output=tmp_path / "objects.zarr")
    assert written.dtype == np.uint16
    np.testing.assert_array_equal(written[:], whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.zarr", "objects.zarr", "own.zarr"]
    with pytest.raises(OutputError, match="exists already"):
        find_instances(stored, chosen, output=tmp_path / "objects.zarr")
    assert find_instances(stored, chosen, output=str(tmp_path / "objects.zarr"), overwrite=True).shape == labels.shape


@pytest.mark.parametrize("spatial", [2, 3])
def test_objects_on_disk_are_measured_as_in_memory(tmp_path, monkeypatch, spatial) -> None:
    rng = np.random.default_rng(0)
    objects = find_instances((rng.random((4, 70, 80)) < 0.3).astype(np.uint8), InstanceSettings(1), spatial=spatial)
    image = rng.integers(0, 2**16, (*objects.shape, 2), np.uint16)
    on_disk = []
    for name, data, chunks in (("objects", objects, (2, 16, 30)), ("image", image, (1, 50, 20, 1))):
        on_disk.append(zarr.create_array(tmp_path / name, shape=data.shape, chunks=chunks, dtype=data.dtype))
        on_disk[-1][:] = data
    expected = measure_objects(objects, spatial=spatial, spacing=(2.0, 0.5, 0.3)[-spatial:], unit="µm", image=image)
    monkeypatch.setattr(measuring, "parts_of", lambda shape, chunks: parts_of(shape, chunks, 600))
    stored, shown = on_disk
    found = measure_objects(stored, spatial=spatial, spacing=(2.0, 0.5, 0.3)[-spatial:], unit="µm", image=shown)
    assert len(found) == len(expected) > 100
    assert found.rows() == expected.rows()
    np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_scores_lead_across_blocks() -> None:
    labels = np.full((7, 31), 2, np.uint8)
    labels[2:5, ::10] = 3
    scores = np.random.default_rng(0).random((7, 31, 3), np.float32)
    whole = find_instances(labels, InstanceSettings(3, 2), scores=scores)
    assert whole.max() == 4
    np.testing.assert_array_equal(find_instances(labels, InstanceSettings(3, 2), scores=scores, block=4), whole)


def test_frames_are_numbered_on_across_blocks(tmp_path) -> None:
    labels = (np.random.default_rng(1).random((3, 2, 20, 20)) < 0.4).astype(np.uint8)
    stored = zarr.create_array(tmp_path / "labels.zarr", shape=labels.shape, chunks=(1, 1, 8, 8), dtype="u1")
    stored[:] = labels
    found = find_instances(stored, InstanceSettings(1), spatial=2, block=8, output=tmp_path / "objects.zarr")
    np.testing.assert_array_equal(found[:], find_instances(labels, InstanceSettings(1), spatial=2))
    before = 0
    for frame, own in zip(labels.reshape(-1, 20, 20), found[:].reshape(-1, 20, 20), strict=True):
        alone = label(frame, connectivity=1)
        np.testing.assert_array_equal(own, np.where(alone > 0, alone + before, 0))
        before += alone.max()


def test_what_a_block_notes_of_itself_is_not_all_of_it() -> None:
    """Notes stay in memory until the end; a view of the block's pixels would keep all pixels there."""
    _, facts = label_block(np.ones((8, 9), bool), ((8, 16), (9, 18)), (30, 30), 1)
    assert {"near0", "far0", "near1", "far1", "size", "first"} == set(facts)
    assert all(fact.base is None or fact.base.nbytes == fact.nbytes for fact in facts.values())


@pytest.mark.parametrize("block", [np.int64(5), [5, np.uint8(5)], np.array([5, 5])])
def test_a_block_is_any_whole_number(block) -> None:
    assert find_instances(np.ones((9, 9), np.uint8), InstanceSettings(1), block=block).max() == 1


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"block": 0}, SettingsError, "one size above 0 per axis, 2 in all"),
        ({"block": 5.0}, SettingsError, "2 in all, not 5.0"),
        ({"block": True}, SettingsError, "2 in all, not True"),
        ({"block": (4, 4, 4)}, SettingsError, "2 in all"),
        ({"output": [1]}, OutputError, "cannot be written into a list"),
        ({"output": np.zeros((3, 3), np.uint16)}, OutputError, "shape 3 × 3; it has to be 9 × 9"),
        ({"output": np.zeros((9, 9), np.uint8)}, OutputError, "uint8, which cannot hold uint16"),
        ({"output": "objects.tif"}, OutputError, "ends with .zarr"),
    ],
)
def test_what_does_not_fit_the_blocks_is_said(options, error, says) -> None:
    with pytest.raises(error, match=says):
        find_instances(np.ones((9, 9), np.uint8), InstanceSettings(1), **options)


def test_nothing_is_left_of_a_search_that_ends_early(tmp_path) -> None:
    asked = []
    labels = np.ones((30, 30), np.int16)
    with pytest.raises(StoppedError):
        find_instances(
            labels, InstanceSettings(1), block=5, output=tmp_path / "objects.zarr",
            stop=lambda: len(asked) > 9 or asked.append(None),
        )  # fmt: skip
    labels[29, 29] = -3
    with pytest.raises(ImageError, match="these hold -3"):
        find_instances(labels, InstanceSettings(1), block=5, output=tmp_path / "objects.zarr")
    assert not list(tmp_path.iterdir())
