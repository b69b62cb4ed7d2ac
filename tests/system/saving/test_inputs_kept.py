"""No input is ever written over: by no spelling of its name, no command, no kind of output, whatever is allowed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

import napari_fcnseg as nf
from napari_fcnseg.cli import main as cli
from napari_fcnseg.errors import OutputError
from napari_fcnseg.model.sidecar import Sidecar, write_sidecar

MODEL = Path(__file__).resolve().parent.parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"  # 14 x 14 patches, RGB


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return a folder with an image, a mask, a model with its sidecar, and labels with their provenance."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("image.tif", "labels.partial.zarr.tif"):
        tifffile.imwrite(folder / name, random.integers(0, 255, (20, 24, 3)).astype(np.uint8))
    for name in ("mask.tif", "labels.tif", "truth.tif"):
        tifffile.imwrite(folder / name, random.integers(1, 3, (20, 24)).astype(np.uint8))
    for name in ("image.zarr", "image.partial.zarr", "image.tif.partial.zarr"):
        group = zarr.create_group(folder / name)
        group.create_array("0", shape=(20, 24, 3), dtype="u1")[:] = random.integers(0, 255, (20, 24, 3))
    (folder / "labels.provenance.json").write_text('{"program": "napari-fcnseg"}', encoding="utf-8")
    shutil.copy(MODEL, folder / "m.onnx")
    (folder / "m.fcnseg.json").write_text('{"format_version": "1", "name": "m"}', encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def spelled(path: Path, how: str) -> Path:
    """Return another name of a file or a folder, with the same ending."""
    other = path.parent.parent / "other"
    other.mkdir(exist_ok=True)
    match how:
        case "same":
            return path
        case "relative":
            return Path(os.path.relpath(path))
        case "dots":
            return path.parent / "sub" / ".." / path.name
        case "link":
            (other / path.name).symlink_to(path)
            return other / path.name
        case "link to link":
            (other / f"first{path.suffix}").symlink_to(os.path.relpath(path, other))
            (other / path.name).symlink_to(other / f"first{path.suffix}")
            return other / path.name
        case "folder link":
            (other / "way").symlink_to(path.parent)
            return other / "way" / path.name
        case "hard link":
            os.link(path, other / path.name)
            return other / path.name
    raise AssertionError(how)


SPELLINGS = ("same", "relative", "dots", "link", "link to link", "folder link", "hard link")
SEGMENT = "segment image.tif --model m.onnx"
COMMANDS = {
    f"{SEGMENT} -o {{}}": "image.tif",
    f"{SEGMENT} --mask mask.tif -o {{}}": "mask.tif",
    f"{SEGMENT} -o new.tif --probabilities {{}}": "image.tif",
    f"{SEGMENT} -o new.tif --confidence {{}}": "image.tif",
    "segment image.tif mask.tif truth.tif --model m.onnx -o {}": "truth.tif",
    "verify image.tif --model m.onnx --certificate {}": "image.tif",
    "verify image.tif --model m.onnx --certificate  {}": "m.onnx",
    "verify image.tif --model m.onnx --certificate   {}": "m.fcnseg.json",
    "instances labels.tif --interior 1 -o {}": "labels.tif",
    "compare truth.tif labels.tif --csv {}": "truth.tif",
    "compare truth.tif labels.tif --json {}": "labels.tif",
    "compare truth.tif labels.tif --report {}": "labels.provenance.json",
    "compare truth.tif --probabilities mask.tif --csv {}": "mask.tif",
}


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_input_is_kept_by_any_name(folder, capsys, command, how) -> None:
    name = spelled(folder / COMMANDS[command], how)
    before = bytes_in(folder.parent)
    for more in ((), ("--overwrite",)):
        words = [word.format(name) for word in command.split()]
        assert cli.main([*words, *more]) == 1
        said = capsys.readouterr().err
        assert "which is read: it is never written over" in said or f"{name} is read: it is never" in said
        assert (said.count("\n"), str(name) in said) == (1, True)
        assert bytes_in(folder.parent) == before


@pytest.mark.parametrize(
    "command",
    [
        "segment image.zarr --model m.onnx -o image.zarr",
        "segment image.zarr/0 --model m.onnx -o image.zarr",
        "segment image.zarr --model m.onnx -o image.zarr/labels.tif",
        "segment image.zarr/0 --model m.onnx -o image.zarr/labels.zarr",
        "segment image.zarr --model m.onnx -o image.zarr/0",
        "segment image.zarr --model m.onnx -o new.tif --probabilities image.zarr/0/p.tif",
        "segment image.partial.zarr --model m.onnx -o image.zarr",  # where the result would grow
        "segment image.tif.partial.zarr --model m.onnx -o image.tif --overwrite",
        "instances labels.tif --interior 1 -o labels.npy",  # whose provenance would be that of the labels
        "verify image.zarr --model m.onnx --certificate image.zarr/proof.json",
        "compare truth.tif image.zarr --csv image.zarr/scores.csv",
    ],
)
def test_an_input_is_kept_where_a_folder_or_a_name_that_follows_leads_to_it(folder, capsys, command) -> None:
    before = bytes_in(folder)
    assert cli.main([*command.split(), "--overwrite"]) == 1
    said = capsys.readouterr().err
    assert "which is read" in said or "is read: it is" in said or "no ending that can be written" in said
    assert bytes_in(folder) == before


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_name_that_follows_from_the_result_s_may_lead_to_an_input(folder, capsys, link) -> None:
    for name, target in (("new.provenance.json", "m.onnx"), ("last.provenance.json", "m.fcnseg.json")):
        link(folder / target, folder / name)
    before = bytes_in(folder)
    for output in ("new.tif", "last.tif"):
        assert cli.main([*SEGMENT.split(), "-o", output, "--overwrite"]) == 1
        assert "which is read" in capsys.readouterr().err
    assert bytes_in(folder) == before


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("-o a.tif --probabilities a.tif", "Two results would be written into a.tif"),
        ("-o a.tif --probabilities sub/../a.tif", "are one file"),
        ("-o a.tif --probabilities way/a.tif", "are one file"),
        ("-o a.tif --confidence b.tif --probabilities hard.tif", "are one file"),
        ("-o a.tif --probabilities a.tif.partial.zarr", "Two results would be written into a.tif.partial.zarr"),
        ("-o a.zarr --probabilities a.partial.zarr", "Two results would be written into a.partial.zarr"),
    ],
)
def test_two_results_are_two_files(folder, capsys, command, says) -> None:
    os.symlink(folder, folder / "way")
    (folder / "b.tif").write_bytes(b"x")
    os.link(folder / "b.tif", folder / "hard.tif")
    before = bytes_in(folder)
    assert cli.main([*SEGMENT.split(), *command.split(), "--overwrite"]) == 1
    assert says in capsys.readouterr().err
    assert bytes_in(folder) == before


def test_python_writes_over_no_input_either(folder) -> None:
    for file in MODEL.parent.glob(f"{MODEL.name}*"):
        shutil.copy(file, folder)
    model = nf.load_model(folder / MODEL.name)
    os.symlink(folder / f"{MODEL.name}.data", folder / "m.keras")
    before = bytes_in(folder)
    with pytest.raises(OutputError, match="which is read"):
        model.fcn.save(folder / "m.keras", overwrite=True)
    image = zarr.open_array(folder / "image.zarr" / "0", mode="r")
    whole = zarr.open_array(folder / "image.zarr" / "0", mode="r+")
    for out in (folder / "image.zarr", "image.zarr", folder / "sub" / ".." / "image.zarr"):
        with pytest.raises(OutputError, match=r"is read|which is read"):
            nf.segment(image, model, channel_axis=2, out=out, overwrite=True)
    dask = pytest.importorskip("dask.array")
    with pytest.raises(OutputError, match="which is read"):
        nf.segment(dask.from_zarr(str(folder / "image.zarr" / "0")), model, out=folder / "image.zarr", overwrite=True)
    pixels = np.zeros((20, 24, 3), np.uint8)
    for given, out in ((pixels, pixels[..., 0]), (whole, whole), (image, whole)):
        with pytest.raises(OutputError, match="into the image"):
            nf.segment(given, model, channel_axis=2, out=out, border="valid")
    mapped = np.memmap(folder / "image.npy", np.uint8, "w+", shape=(20, 24, 3))
    other = np.memmap(folder / "image.npy", np.uint8, "r+", shape=(20, 24))
    with pytest.raises(OutputError, match="into the image"):
        nf.segment(mapped, model, channel_axis=2, out=other)
    del mapped, other
    (folder / "image.npy").unlink()
    assert bytes_in(folder) == before


def test_a_sidecar_that_leads_to_the_model_is_not_written(folder) -> None:
    (folder / "m.fcnseg.json").unlink()
    os.link(folder / "m.onnx", folder / "m.fcnseg.json")
    before = bytes_in(folder)
    with pytest.raises(OutputError, match="which is read"):
        write_sidecar(folder / "m.onnx", Sidecar(name="x"), replace_unreadable=True)
    assert bytes_in(folder) == before
