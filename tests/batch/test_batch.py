"""A batch of real files with a real model: results are those of ``segment``, and no file stops another."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

import napari_fcnseg as nf
from napari_fcnseg.batch import OUTPUT_FORMATS, Batch, BatchProgress, ReportLine, images_in, item, named_items, summary
from napari_fcnseg.errors import FcnSegError, ImageError, OutputError, SettingsError
from napari_fcnseg.imagefile import ImageFile, read_image
from napari_fcnseg.model.patch_model import as_ensemble
from napari_fcnseg.proof.certificate import Certificate
from napari_fcnseg.settings import RunSettings

MODEL = Path(__file__).resolve().parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"  # 14 x 14 patches, RGB
VALID = RunSettings(border="valid")


@pytest.fixture(scope="module")
def models() -> tuple[nf.PatchModel, ...]:
    return as_ensemble(MODEL)


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


def do(models, folder: Path, out: Path, settings: RunSettings = VALID, **options: object) -> list[ReportLine]:
    """Do a batch; return its lines, which the report has to hold word by word."""
    found = images_in(folder, results=out)
    batch = Batch(found.items, models, settings, out, left_out=found.left_out, **options)
    lines = [entry for entry in batch.execute() if isinstance(entry, ReportLine)]
    assert report(batch.report) == [(line.input, line.status, line.sentence) for line in lines]
    return lines


def report(path: Path) -> list[tuple[str, str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [(row["file"], row["status"], row["what happened"]) for row in csv.DictReader(file)]


def ends(lines: list[ReportLine]) -> dict[str, str]:
    return {line.input: line.status for line in lines}


def test_every_file_has_its_line_and_every_image_the_labels_that_segment_gives(models, tmp_path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    (folder / "deeper").mkdir(parents=True)
    good = {"10.png": pixels(20, 30, 3), "2.tif": pixels(3, 20, 30, seed=1), "rgba.png": pixels(20, 30, 4, seed=2)}
    iio.imwrite(folder / "10.png", good["10.png"])
    tifffile.imwrite(
        folder / "2.tif", good["2.tif"], imagej=True, resolution=(2, 2), metadata={"axes": "CYX", "unit": "um"}
    )
    iio.imwrite(folder / "rgba.png", good["rgba.png"])
    np.save(folder / "stack.npy", pixels(2, 20, 30, 3, seed=3))
    (folder / "empty.tif").touch()
    whole = (folder / "2.tif").read_bytes()
    (folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    tifffile.imwrite(folder / "short.tif", pixels(20, 30, 3))
    os.truncate(folder / "short.tif", 900)
    (folder / "text.tif").write_text("shopping list", encoding="utf-8")
    (folder / "notes.txt").write_text("shopping list", encoding="utf-8")
    np.save(folder / "small.npy", pixels(5, 5, 3))
    np.save(folder / "grey.npy", pixels(20, 20))
    (folder / ".hidden.tif").touch()
    (folder / "pipe.tif").symlink_to(folder / "nowhere.tif")
    lines = do(models, folder, out)
    assert ends(lines) == {
        "deeper": "skipped", "notes.txt": "skipped", "2.tif": "done", "10.png": "done", "cut.tif": "failed",
        "empty.tif": "failed", "grey.npy": "failed", "pipe.tif": "failed", "rgba.png": "done", "short.tif": "failed",
        "small.npy": "failed", "stack.npy": "done", "text.tif": "failed",
    }  # fmt: skip
    assert [line.input for line in lines] == list(ends(lines))  # 2 before 10, what is left out first
    said = {line.input: line.sentence for line in lines}
    for name, words in {
        "deeper": "--recursive", "notes.txt": ".txt are not read", "cut.tif": "pages are missing",
        "grey.npy": "3 channels", "empty.tif": "is empty", "pipe.tif": "is a link to", "small.npy": "14",
        "text.tif": "cannot be read", "short.tif": "cannot be read",
    }.items():  # fmt: skip
        assert words in said[name], said[name]
        assert "\n" not in said[name]
    for name, image in {
        "10": good["10.png"],
        "rgba": good["rgba.png"][..., :3],
        "2": np.moveaxis(good["2.tif"], 0, -1),
    }.items():
        expected = nf.segment(image, models, border="valid").labels
        np.testing.assert_array_equal(tifffile.imread(out / f"{name}.labels.tif"), expected)
    stack = nf.segment(np.load(folder / "stack.npy"), models, channel_axis=3, border="valid").labels
    np.testing.assert_array_equal(read_image([out / "stack.labels.tif"]).data, stack)
    assert read_image([out / "2.labels.tif"]).pixel_size == {"Y": 0.5, "X": 0.5}
    provenance = json.loads((out / "2.labels.provenance.json").read_text(encoding="utf-8"))
    assert provenance["models"][0]["sha256"] == models[0].sha256
    assert not list(out.glob(".*"))
    assert summary(lines) == "4 done, 7 failed, 2 left out."


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_is_one_line(models, tmp_path) -> None:
    np.save(tmp_path / "a.npy", pixels(20, 20, 3))
    np.save(tmp_path / "b.npy", pixels(20, 20, 3))
    (tmp_path / "a.npy").chmod(0)
    assert ends(do(models, tmp_path, tmp_path)) == {"a.npy": "failed", "b.npy": "done"}


def test_whatever_goes_wrong_with_a_file_the_next_one_is_done(models, tmp_path, monkeypatch) -> None:
    for name in "abc":
        np.save(tmp_path / f"{name}.npy", pixels(20, 20, 3))
    problems = {"a.npy": MemoryError(), "b.npy": RuntimeError("the reader\ncrashed")}

    def read(paths: list[Path], series: int | None = None) -> ImageFile:
        if paths[0].name in problems:
            raise problems[paths[0].name]
        return read_image(paths, series)

    monkeypatch.setattr(item, "read_image", read)
    a, b, c = do(models, tmp_path, tmp_path / "out")
    assert (a.status, b.status, c.status) == ("failed", "failed", "done")
    assert "not enough memory" in a.sentence
    assert "RuntimeError: the reader crashed" in b.sentence


def test_names_that_would_be_the_same_are_told_apart(tmp_path) -> None:
    for name in ("a.tif", "a.PNG", "A.ome.tif", "a/1.tif", "b/1.tif", "b/x.labels.tif", "ab.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("killed.labels.ome.partial.zarr", "a.labels.tif", "x.probabilities.tif"):  # our own, not images
        (tmp_path / "b" / name).mkdir()
    (tmp_path / "b" / "a.labels.provenance.json").touch()
    found = images_in(tmp_path, recursive=True)
    assert len(found.items) == 7
    names = {item.name: item.target for item in found.items}
    assert names["ab.tif"] == "ab"
    assert (names["a/1.tif"], names["b/1.tif"]) == ("a/1", "b/1")
    assert (names["a.tif"], names["a.PNG"], names["A.ome.tif"]) == ("a.tif", "a.PNG", "A.ome.tif")
    layers = named_items([(name, ImageFile(pixels(2, 2), "YX")) for name in ("x/y", "x:y", "..", "X_Y", "x" * 300)])
    assert [item.target[:9] for item in layers] == ["x_y", "x_y-2", "image", "X_Y-3", "x" * 9]
    assert len(layers[-1].target) < 100


@pytest.mark.parametrize("form", OUTPUT_FORMATS)
def test_a_batch_that_was_stopped_goes_on_where_it_was(models, tmp_path, form) -> None:
    for name in "abc":
        np.save(tmp_path / f"{name}.npy", pixels(30, 30, 3, seed=ord(name)))
    found, stop = images_in(tmp_path), threading.Event()
    settings = replace(VALID, probabilities=True, tile=10)
    batch = Batch(found.items, models, settings, tmp_path, form=form)
    seen = []
    for entry in batch.execute(stop):
        if isinstance(entry, ReportLine):
            seen.append((entry.input, entry.status))
        elif entry.number == 1 and entry.done == 2:
            assert isinstance(entry, BatchProgress)
            assert (entry.name, entry.count, entry.total) == ("b.npy", 3, 4)
            assert entry.seconds_left > 0
            stop.set()
    assert seen == [("a.npy", "done")]
    assert [row[:2] for row in report(batch.report)] == [("a.npy", "done"), ("b.npy", "stopped"), ("c.npy", "stopped")]
    left = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(("b.labels", "b.prob", "c.labels")))
    ending = OUTPUT_FORMATS[form] + ".zarr" * (form != "ome-zarr")
    assert left == [f"b.{kind}{ending.removesuffix('.zarr')}.partial.zarr" for kind in ("labels", "probabilities")]
    lines = do(models, tmp_path, tmp_path, settings, form=form)  # into the folder itself: results are no images
    assert ends(lines) == {"a.npy": "kept", "b.npy": "done", "c.npy": "done"}
    for name in "abc":
        expected = nf.segment(np.load(tmp_path / f"{name}.npy"), models, border="valid", probabilities=True)
        labels, scores = (
            read_image([tmp_path / f"{name}.{kind}{OUTPUT_FORMATS[form]}"]).data for kind in ("labels", "probabilities")
        )
        np.testing.assert_array_equal(labels[...], expected.labels)
        np.testing.assert_allclose(np.moveaxis(scores[...], 0, -1), expected.probabilities, atol=1e-6)


@pytest.mark.parametrize("form", OUTPUT_FORMATS)
def test_what_is_there_is_kept_unless_it_is_the_same_or_may_be_replaced(models, tmp_path, form) -> None:
    source, out = tmp_path / "a.npy", tmp_path / "out"
    np.save(source, pixels(20, 20, 3))
    labels = out / f"a.labels{OUTPUT_FORMATS[form]}"
    beside = out / f"{labels.stem}.provenance.json"

    def one(settings: RunSettings = VALID, **options: object) -> ReportLine:
        (line,) = do(models, tmp_path, out, settings, form=form, **options)
        return line

    def refused(says: str, **options: object) -> None:
        """Fail with a sentence, change no byte, and do it when it is allowed."""
        before = contents(out)
        line = one(**options)
        assert line.status == "failed"
        assert says in line.sentence
        assert str(labels) in line.sentence
        assert contents(out) == before
        assert [one(**options, overwrite=True).status, one(**options).status] == ["done", "kept"]

    assert [one().status, one().status] == ["done", "kept"]
    assert one(replace(VALID, tile=8, memory_limit=2**33)).status == "kept"  # they change no number
    refused("is of another image, model or settings", settings=replace(VALID, border="edge"))
    refused("is of another image, model or settings", settings=replace(VALID, confidence=True))
    refused("is of another image, model or settings")
    assert [one(verify=True).status, one(verify=True).status] == ["done", "kept"]  # the same bits, and a certificate
    certificate = json.loads(beside.read_text(encoding="utf-8"))["certificate"]
    assert Certificate.from_dict(certificate).passed
    assert one().status == "kept"
    np.save(source, pixels(20, 22, 3))  # another image of the same name
    refused("is of another image, model or settings")
    victim = next(p for p in labels.rglob("*") if p.is_file() and p.name != "zarr.json") if labels.is_dir() else labels
    victim.write_bytes(victim.read_bytes()[:-1])  # somebody painted in it
    refused("was changed since it was written")
    beside.write_text("{", encoding="utf-8")
    refused("is in the way: no batch has written it")
    beside.write_text('{"program": "napari-fcnseg", "complete": false}', encoding="utf-8")  # of an earlier version
    assert [one().status, one().status] == ["done", "kept"]
    shutil.rmtree(labels) if labels.is_dir() else labels.unlink()  # killed between the two: the provenance comes first
    assert [one().status, one().status] == ["done", "kept"]
    np.testing.assert_array_equal(
        read_image([labels]).data[...], nf.segment(np.load(source), models, border="valid").labels
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file but the report, which says how it was."""
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "report.csv"}


def test_an_image_that_is_called_like_a_result_is_left_out_and_never_written_over(models, tmp_path) -> None:
    for name in ("a.npy", "a.labels.tif", "b.npy"):
        np.save(tmp_path / "x.npy", pixels(20, 20, 3))
        (tmp_path / "x.npy").rename(tmp_path / name)
    before = (tmp_path / "a.labels.tif").read_bytes()
    for overwrite in (False, True):
        found = images_in(tmp_path)
        batch = Batch(
            found.items, models, VALID, tmp_path, left_out=found.left_out, inputs=found.others, overwrite=overwrite
        )
        lines = {line.input: line for line in batch.execute() if isinstance(line, ReportLine)}
        assert lines["a.labels.tif"].status == "skipped"
        assert "called as a result" in lines["a.labels.tif"].sentence
        assert lines["a.npy"].status == "failed"
        assert lines["b.npy"].status == "done"
        assert (tmp_path / "a.labels.tif").read_bytes() == before


def test_a_second_batch_into_the_folder_is_told_who_writes_there(models, tmp_path) -> None:
    np.save(tmp_path / "a.npy", pixels(30, 30, 3))
    found = images_in(tmp_path)
    batch = Batch(found.items, models, replace(VALID, tile=10), tmp_path / "out")
    with closing(batch.execute()) as news:
        next(news)
        said: list[str] = []

        def second() -> None:
            with pytest.raises(OutputError) as caught:
                next(Batch(found.items, models, VALID, tmp_path / "out").execute())
            said.append(str(caught.value))

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(30)
        assert "report.csv is being written by this very program, since 20" in said[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.csv"]


def test_a_batch_whose_caller_goes_away_keeps_its_report_and_goes_on_with_what_is_half_done(models, tmp_path) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", pixels(30, 30, 3))
    (tmp_path / "report.csv").write_text("my own notes\n", encoding="utf-8")
    batch = Batch(images_in(tmp_path).items, models, replace(VALID, tile=10), tmp_path, form="ome-zarr")
    with closing(batch.execute()) as news:
        next(entry for entry in news if isinstance(entry, BatchProgress) and entry.done == 1)
        assert (tmp_path / "a.labels.ome.partial.zarr").is_dir()
    assert batch.report == tmp_path / "report-2.csv"
    assert [row[:2] for row in report(batch.report)] == [("a.npy", "stopped"), ("b.npy", "stopped")]
    assert (tmp_path / "report.csv").read_text(encoding="utf-8") == "my own notes\n"
    there = sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert there == ["a.labels.ome.partial.zarr", "a.npy", "b.npy", "report-2.csv", "report.csv"]
    again = Batch(images_in(tmp_path).items, models, replace(VALID, tile=10), tmp_path, form="ome-zarr")
    lines = [entry for entry in again.execute() if isinstance(entry, ReportLine)]
    assert re.search(r"[1-3] of 4 tiles were there already\.", lines[0].sentence)
    assert "already" not in lines[1].sentence
    expected = nf.segment(pixels(30, 30, 3), models, border="valid", tile=10).labels
    np.testing.assert_array_equal(read_image([tmp_path / "a.labels.ome.zarr"]).data[:], expected)
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".ledger" or "partial" in path.name]


def test_images_in_memory_are_known_again_by_their_pixels(models, tmp_path) -> None:
    image = pixels(20, 25, 3)
    other = image[::-1].copy()

    settings = replace(VALID, preprocess=("divide_by_median, clip:0,2",))  # as the dock's line has it

    def status(data: np.ndarray, **options: object) -> str:
        item = named_items([("my layer", ImageFile(data, "YXS", {"Y": 2.0, "X": 2.0}, "µm"))])
        (line,) = [e for e in Batch(item, models, settings, tmp_path, **options).execute() if isinstance(e, ReportLine)]
        return line.status

    assert [status(image), status(image.copy()), status(other)] == ["done", "kept", "failed"]
    assert status(other, overwrite=True) == "done"
    written = read_image([tmp_path / "my layer.labels.tif"])
    assert (written.pixel_size, written.unit) == ({"Y": 2.0, "X": 2.0}, "µm")
    expected = nf.segment(other, models, border="valid", preprocess=["divide_by_median", "clip:0,2"]).labels
    np.testing.assert_array_equal(written.data, expected)


def test_what_concerns_all_images_is_said_at_once(models, tmp_path) -> None:
    found = tmp_path / "found"
    found.mkdir()
    with pytest.raises(ImageError, match="no image in"):
        images_in(found)
    with pytest.raises(ImageError, match="cannot be read"):
        images_in(tmp_path / "gone")
    np.save(found / "a.npy", pixels(20, 20, 3))
    images = images_in(found).items
    cases: list[tuple[RunSettings, Path, str, type[FcnSegError]]] = [
        (RunSettings(border="wrap"), tmp_path / "o", "tif", SettingsError),
        (RunSettings(preprocess=("blur",)), tmp_path / "o", "tif", SettingsError),
        (RunSettings(disagreement=True), tmp_path / "o", "tif", SettingsError),
        (VALID, tmp_path / "o", "gif", SettingsError),
        (VALID, tmp_path / "o.tif", "tif", OutputError),
        (VALID, found / "a.npy" / "o", "tif", OutputError),
    ]
    for settings, out, form, kind in cases:
        with pytest.raises(kind):
            Batch(images, models, settings, out, form=form)
    assert os.listdir(tmp_path) == ["found"]
