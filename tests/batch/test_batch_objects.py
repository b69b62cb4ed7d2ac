"""Objects of a batch: per image as scikit-image counts them, and one table for all, after a stop as without."""

from __future__ import annotations

import csv
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from skimage.measure import label as components
from skimage.measure import regionprops

from napari_fcnseg.batch import Batch, ReportLine, images_in
from napari_fcnseg.errors import OutputError, SettingsError
from napari_fcnseg.imagefile import read_image
from napari_fcnseg.instances.settings import InstanceSettings
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.settings import RunSettings

if TYPE_CHECKING:
    import napari_fcnseg as nf

MODEL = Path(__file__).resolve().parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"  # 14 x 14 patches, RGB
SETTINGS = RunSettings(border="edge")
OBJECTS = InstanceSettings(interior=2, minimum_size=3)


@pytest.fixture(scope="module")
def models() -> tuple[nf.PatchModel, ...]:
    return as_ensemble(MODEL)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder with a flat image with a pixel size, two without, and one that cannot be read."""
    where = tmp_path / "in"
    where.mkdir()
    for number, name in enumerate(("a", "b", "c")):
        pixels = np.random.default_rng(number).integers(0, 255, (3, 24, 30)).astype(np.uint8)
        sized = {"resolution": (2, 2), "metadata": {"axes": "CYX", "unit": "um"}} if name == "a" else {}
        tifffile.imwrite(where / f"{name}.tif", pixels, imagej=name == "a", photometric="minisblack", **sized)
    (where / "d.tif").write_text("none", encoding="utf-8")
    return where


def batch(models, folder: Path, objects: InstanceSettings | None = OBJECTS, **options: object) -> Batch:
    out = folder.parent / "out"
    found = images_in(folder, results=out)
    settings = options.pop("settings", SETTINGS)
    return Batch(found.items, models, settings, out, left_out=found.left_out, objects=objects, **options)


def do(*args: object, **options: object) -> dict[str, ReportLine]:
    lines = batch(*args, **options).execute()
    return {line.input: line for line in lines if isinstance(line, ReportLine)}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def checked(out: Path, folder: Path, name: str) -> list[dict[str, str]]:
    """Return the table of an image, once it is that of scikit-image."""
    labels = tifffile.imread(out / f"{name}.labels.tif")
    regions = components(labels == 2, connectivity=1)
    bright = np.moveaxis(tifffile.imread(folder / f"{name}.tif"), 0, -1).astype(float)
    expected = [region for region in regionprops(regions, bright) if region.area >= 3]
    objects = tifffile.imread(out / f"{name}.objects.tif")
    assert objects.max() == len(expected) > 0
    table = rows(out / f"{name}.objects.csv")
    assert [int(row["label"]) for row in table] == list(range(1, len(expected) + 1))
    for row, region in zip(table, expected, strict=True):
        assert (objects[tuple(region.coords.T)] == int(row["label"])).all()
        assert int(row["area (px)"]) == region.area
        np.testing.assert_allclose(
            [float(row[f"mean channel {n}"]) for n in (1, 2, 3)], region.intensity_mean, rtol=1e-5
        )
        if name == "a":
            assert float(row["area (µm²)"]) == pytest.approx(region.area / 4)
    return table


def test_each_image_has_its_table_and_all_have_one(models, folder) -> None:
    out = folder.parent / "out"
    lines = do(models, folder)
    assert [line.status for line in lines.values()] == ["done"] * 3 + ["failed"]
    tables = {f"{name}.tif": checked(out, folder, name) for name in "abc"}
    whole = rows(out / "objects.csv")
    assert list(whole[0])[:3] == ["image", "label", "area (px)"]
    for name, table in tables.items():
        mine = [{key: value for key, value in row.items() if key != "image"} for row in whole if row["image"] == name]
        assert [{key: row[key] for key in table[0]} for row in mine] == table
        assert all(not value for row in mine for key, value in row.items() if key not in table[0]), "no other units"
        assert lines[name].objects == len(table)
        assert f"{len(table)} object" in lines[name].sentence
    with (out / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        counted = {row["file"]: row["objects"] for row in csv.DictReader(file)}
    assert counted == {**{name: str(len(table)) for name, table in tables.items()}, "d.tif": ""}


def test_a_batch_that_goes_on_ends_with_the_same_table(models, folder) -> None:
    out = folder.parent / "out"
    do(models, folder)
    expected = (out / "objects.csv").read_bytes()
    for path in out.iterdir():
        path.unlink()
    stop = threading.Event()
    with closing(batch(models, folder).execute(stop)) as news:
        for entry in news:
            if isinstance(entry, ReportLine):
                stop.set()
    assert (out / "a.objects.csv").is_file()
    assert not (out / "b.objects.csv").exists()
    assert not (out / "objects.csv").exists(), "it would not be all"
    lines = do(models, folder)
    assert [lines[f"{name}.tif"].status for name in "abc"] == ["kept", "done", "done"]
    assert (out / "objects.csv").read_bytes() == expected
    own = (out / "b.objects.csv").stat().st_mtime_ns
    lines = do(models, folder)
    assert [lines[f"{name}.tif"].status for name in "abc"] == ["kept"] * 3
    assert lines["b.tif"].objects == len(rows(out / "b.objects.csv"))
    assert (out / "b.objects.csv").stat().st_mtime_ns == own, "read, not written again"
    assert (out / "objects.csv").read_bytes() == expected
    (out / "c.objects.csv").unlink()
    assert do(models, folder)["c.tif"].status == "done"
    assert (out / "objects.csv").read_bytes() == expected


def test_objects_are_added_to_labels_that_were_done(models, folder) -> None:
    out = folder.parent / "out"
    do(models, folder, None)
    assert not list(out.glob("*objects*"))
    written = (out / "a.labels.tif").stat().st_mtime_ns
    lines = do(models, folder)
    assert lines["a.tif"].status == "done"
    assert "done before" in lines["a.tif"].sentence
    assert (out / "a.labels.tif").stat().st_mtime_ns == written
    checked(out, folder, "a")


def test_tables_of_other_settings_are_never_taken_and_replaced_only_where_that_is_asked_for(models, folder) -> None:
    out = folder.parent / "out"
    do(models, folder)
    before = {path.name: path.read_bytes() for path in out.glob("*objects*")}
    other = InstanceSettings(interior=2, minimum_size=9)
    with pytest.raises(OutputError, match=r"objects\.csv is of another"):
        batch(models, folder, other)
    assert {path.name: path.read_bytes() for path in out.glob("*objects*")} == before
    (out / "objects.csv").unlink()
    lines = do(models, folder, other)
    assert "labels are written, but not the objects" in lines["a.tif"].sentence
    assert "of another image, model or settings" in lines["a.tif"].sentence
    assert not (out / "objects.csv").exists(), "no image has come to its end"
    assert (out / "a.objects.csv").read_bytes() == before["a.objects.csv"]
    lines = do(models, folder, other, overwrite=True)
    assert lines["a.tif"].status == "done"
    assert all(int(row["area (px)"]) >= 9 for row in rows(out / "objects.csv"))
    with pytest.raises(OutputError, match="of another"):
        batch(models, folder, settings=RunSettings(border="reflect"))


def test_what_no_batch_has_written_stays(models, folder) -> None:
    out = folder.parent / "out"
    out.mkdir()
    (out / "objects.csv").write_text("apples,pears\n1,2\n", encoding="utf-8")
    with pytest.raises(OutputError, match="no batch has written it"):
        batch(models, folder)
    with pytest.raises(OutputError, match="is not a table of the objects"):
        batch(models, folder, overwrite=True)
    (out / "objects.csv").unlink()
    (out / "a.objects.csv").write_text("apples,pears\n1,2\n", encoding="utf-8")
    assert "is not a table of objects" in do(models, folder, overwrite=True)["a.tif"].sentence
    assert (out / "a.objects.csv").read_text(encoding="utf-8") == "apples,pears\n1,2\n"
    assert {row["image"] for row in rows(out / "objects.csv")} == {"b.tif", "c.tif"}


def test_tables_beside_the_images_are_passed_over(models, folder) -> None:
    found = images_in(folder)
    list(Batch(found.items, models, SETTINGS, folder, objects=OBJECTS).execute())
    assert (folder / "objects.csv").is_file()
    again = images_in(folder)
    assert [item.name for item in again.items] == [item.name for item in found.items]
    assert not again.left_out
    (folder / "mine.csv").write_text("label,x\n", encoding="utf-8")
    assert [line.input for line in images_in(folder).left_out] == ["mine.csv"]


def test_zarr_and_settings_that_do_not_fit(models, folder) -> None:
    out = folder.parent / "out"
    (folder / "d.tif").unlink()
    lines = do(models, folder, form="ome-zarr")
    assert {line.status for line in lines.values()} == {"done"}
    objects = np.asarray(read_image([out / "b.objects.ome.zarr"], indices=True).data)
    assert objects.max() == lines["b.tif"].objects
    assert {line.status for line in do(models, folder, form="ome-zarr").values()} == {"kept"}
    with pytest.raises(SettingsError, match="no class 7"):
        batch(models, folder, InstanceSettings(interior=7))
    with pytest.raises(SettingsError, match="connectivity"):
        batch(models, folder, InstanceSettings(interior=2, connectivity=3))
