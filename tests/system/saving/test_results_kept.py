"""Earlier results are refused before the work, and replaced whole: killed at any moment, the old one or the new one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from patience import patience

from napari_fcnseg.cli import main as cli
from napari_fcnseg.errors import OutputError
from napari_fcnseg.imagefile import GrowingZarr, ImageFile, read_image, write_image
from napari_fcnseg.run.provenance_file import provenance_in, provenance_of_file, provenance_path
from napari_fcnseg.system.saving import Plan, Staged, save_text, save_whole, stage
from napari_fcnseg.system.saving.names import hidden, hidden_of
from napari_fcnseg.system.saving.recovery import OLD, sweep

MODEL = Path(__file__).resolve().parent.parent.parent / "readers" / "onnx" / "multi.dynamo.onnx"
RANDOM = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    tifffile.imwrite(tmp_path / "image.tif", RANDOM.integers(0, 255, (20, 24, 3)).astype(np.uint8))
    for name in ("truth.tif", "mask.tif"):
        tifffile.imwrite(tmp_path / name, RANDOM.integers(1, 3, (20, 24)).astype(np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


SEGMENT = f"segment image.tif --model {MODEL} --quiet"
ONE = [
    (f"{SEGMENT} -o new.tif", "new.tif"), (f"{SEGMENT} -o new.png", "new.png"), (f"{SEGMENT} -o new.npy", "new.npy"),
    (f"{SEGMENT} -o new.tif --confidence sure.tif", "sure.tif"), (f"{SEGMENT} -o new.tif", "new.provenance.json"),
    (f"verify image.tif --model {MODEL} --quiet", "image.multi.dynamo.certificate.json"),
    (f"verify image.tif --model {MODEL} --quiet --certificate proof.json", "proof.json"),
    ("instances mask.tif --interior 1 -o new.tif", "new.tif"),
    ("instances mask.tif --interior 1 -o new.tif", "new.provenance.json"),
    ("compare truth.tif mask.tif --csv a.csv", "a.csv"), ("compare truth.tif mask.tif --json a.json", "a.json"),
    ("compare truth.tif mask.tif --report a.html", "a.html"),
    ("compare truth.tif --probabilities mask.tif --csv a.csv", "a.csv"),
    ("demo --no-window --output .", "segmentation.png"), ("demo --no-window --output .", "summary.txt"),
]  # fmt: skip


#: Beginnings of earlier results, where nothing else is replaced.
EARLIER = {
    "csv": "mask,of,score,value\nhello",
    "html": "<!doctype html><html lang=en>hello",
    "a.json": '{\n "program": "napari-fcnseg",\n "truth": "hello"}',
    "certificate.json": '{\n "program": "napari-fcnseg",\n "certificate_version": "hello"}',
    "proof.json": '{\n "program": "napari-fcnseg",\n "certificate_version": "hello"}',
}


@pytest.mark.parametrize(("command", "name"), ONE)
def test_what_is_there_is_refused_in_a_sentence_that_names_it_and_replaced_if_allowed(
    folder, capsys, command, name
) -> None:
    earlier = next((text for ending, text in EARLIER.items() if name.endswith(ending)), "hello")
    (folder / name).write_text(earlier, encoding="utf-8")
    before = contents(folder)
    assert cli.main(command.split()) == 1
    said = capsys.readouterr().err
    assert f"{name} exists already" in said
    assert "--overwrite" in said
    assert said.count("\n") == 1
    assert contents(folder) == before
    assert cli.main([*command.split(), "--overwrite"]) == 0, capsys.readouterr().err
    assert b"hello" not in contents(folder)[name]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_zarr_result_is_replaced_and_one_with_more_in_it_is_not(folder, capsys) -> None:
    command = f"{SEGMENT} -o new.zarr".split()
    assert cli.main(command) == 0
    first = provenance_in(folder / "new.provenance.json")
    assert cli.main(command) == 1
    assert "new.zarr exists already" in capsys.readouterr().err
    assert cli.main([*command, "--overwrite"]) == 0
    assert provenance_of_file(folder / "new.zarr") != first
    assert not [path for path in folder.iterdir() if path.name.startswith(".") or "partial" in path.name]
    for extra in ("labels", "notes.txt"):
        zarr.create_group(folder / "new.zarr" / extra) if extra == "labels" else (folder / "new.zarr" / extra).touch()
        before = contents(folder)
        assert cli.main([*command, "--overwrite"]) == 1
        assert "holds more than one result" in capsys.readouterr().err
        assert contents(folder) == before
        break
    os.mkdir(folder / "mine.zarr")
    assert cli.main([*f"{SEGMENT} -o mine.zarr --overwrite".split()]) == 1
    assert os.path.isdir(folder / "mine.zarr")


def test_what_a_stopped_run_has_left_is_kept_like_a_result(folder, capsys) -> None:
    write_image(folder / "new.partial.zarr", ImageFile(np.ones((4, 4), np.uint8), "YX"))
    write_image(folder / "new.tif.partial.zarr", ImageFile(np.ones((4, 4), np.uint8), "YX"))
    before = contents(folder)
    for ending, left in (("zarr", "new.partial.zarr"), ("tif", "new.tif.partial.zarr")):
        assert cli.main(f"{SEGMENT} -o new.{ending}".split()) == 1
        assert f"{left} holds what an earlier run has done" in capsys.readouterr().err
        assert contents(folder) == before
    assert cli.main(f"{SEGMENT} -o new.zarr --overwrite".split()) == 0
    assert not (folder / "new.partial.zarr").exists()


def test_a_run_that_fails_before_its_first_tile_puts_back_what_an_earlier_one_left(folder) -> None:
    write_image(folder / "new.partial.zarr", ImageFile(np.ones((4, 4), np.uint8), "YX"))
    before = contents(folder)
    growing = GrowingZarr(folder / "new.zarr", (8, 8), (8, 8), np.dtype("u1"), overwrite=True)
    growing.discard()
    assert contents(folder) == before


def test_what_another_program_has_made_meanwhile_stays_and_the_result_is_kept(folder) -> None:
    image = ImageFile(np.ones((4, 4), np.uint8), "YX")
    (folder / "l-2.tif").write_text("taken", encoding="utf-8")
    staged = stage(folder / "l.tif", lambda part: tifffile.imwrite(part, image.data))
    (folder / "l.tif").write_text("hello", encoding="utf-8")
    with pytest.raises(OutputError, match=r"l\.tif was not written.*kept as .*l-3\.tif"):
        staged.publish(overwrite=False)
    assert (folder / "l.tif").read_text(encoding="utf-8") == "hello"
    np.testing.assert_array_equal(tifffile.imread(folder / "l-3.tif"), image.data)
    growing = GrowingZarr(folder / "l.zarr", (4, 4), (4, 4), np.dtype("u1"))
    growing.array[:, :] = 7
    (folder / "l.zarr").mkdir()
    with pytest.raises(OutputError, match=r"l\.zarr was not written.*kept as .*l-2\.zarr"):
        growing.finish()
    assert (read_image([folder / "l-2.zarr"]).data[:] == 7).all()
    assert os.listdir(folder / "l.zarr") == []


def test_a_provenance_speaks_for_its_own_file_alone(folder, capsys) -> None:
    assert cli.main(f"{SEGMENT} -o new.tif".split()) == 0
    assert provenance_of_file(folder / "new.tif")["models"]
    assert cli.main(f"{SEGMENT} -o new.png --overwrite".split()) == 1  # it would take the provenance
    assert "says where new.tif comes from" in capsys.readouterr().err
    labels = tifffile.imread(folder / "new.tif")
    labels[0, 0] += 1
    tifffile.imwrite(folder / "new.tif", labels)
    assert provenance_in(provenance_path(folder / "new.tif"))
    assert provenance_of_file(folder / "new.tif") == {}


@pytest.mark.parametrize("ending", ["tif", "zarr"])
@pytest.mark.parametrize("fails", ["writing", "naming"])
def test_labels_that_cannot_be_replaced_keep_their_provenance(folder, monkeypatch, capsys, ending, fails) -> None:
    write = f"{SEGMENT} -o new.{ending}".split()
    assert cli.main(write) == 0
    before = contents(folder)

    def full(*_: object, **__: object) -> None:
        raise OutputError("the disk is full")

    if ending == "zarr":
        monkeypatch.setattr(GrowingZarr, "finish" if fails == "naming" else "_create", full)
    elif fails == "writing":
        monkeypatch.setattr("napari_fcnseg.run.output_files.stage_image", full)
    else:
        publish = Staged.publish
        refuse = lambda one, **how: full() if one.path.suffix == ".tif" else publish(one, **how)  # noqa: E731
        monkeypatch.setattr(Staged, "publish", refuse)
    assert cli.main([*write, "--every", "2", "--overwrite"]) == 1
    assert "the disk is full" in capsys.readouterr().err
    assert {name: before[name] for name in before if "partial" not in name}.items() <= contents(folder).items()
    assert provenance_of_file(folder / f"new.{ending}")["settings"]["every"] == 1


def test_labels_that_could_not_be_written_leave_no_provenance_in_the_way(folder, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputError("the disk is full")

    before = contents(folder)
    with monkeypatch.context() as patch:
        patch.setattr("napari_fcnseg.run.output_files.stage_image", full)
        assert cli.main(f"{SEGMENT} -o new.tif".split()) == 1
    assert contents(folder) == before
    assert cli.main(f"{SEGMENT} -o new.tif".split()) == 0


DIES_BETWEEN = """
import os, signal, sys
from napari_fcnseg.cli.main import main
from napari_fcnseg.system.saving import Staged
publish = Staged.publish
def first(one, **how):
    publish(one, **how)
    os.kill(os.getpid(), signal.SIGKILL)
Staged.publish = first
main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_who_is_killed_between_provenance_and_labels_has_lost_neither(folder, capsys) -> None:
    write = "instances mask.tif --interior 1 -o new.tif --minimum-size 0".split()
    assert cli.main(write) == 0
    old, labels = provenance_of_file(folder / "new.tif"), (folder / "new.tif").read_bytes()
    write[-1] = "3"
    command = [sys.executable, "-c", DIES_BETWEEN, *write, "--overwrite"]
    assert subprocess.run(command, check=False, timeout=120 * patience()).returncode == -signal.SIGKILL
    assert (folder / "new.tif").read_bytes() == labels
    assert provenance_of_file(folder / "new.tif") == old == provenance_in(folder / "new.provenance.json")
    assert cli.main([*write, "--overwrite"]) == 0
    assert provenance_of_file(folder / "new.tif")["instances"]["settings"]["minimum_size"] == 3
    assert "replaced" not in json.loads((folder / "new.provenance.json").read_text(encoding="utf-8"))


def test_a_picture_or_a_model_is_not_replaced_by_a_text(folder, capsys) -> None:
    for words in ("--csv picture.tif", "--json picture.tif", "--report picture.tif"):
        tifffile.imwrite(folder / "picture.tif", np.zeros((4, 4), np.uint8))
        before = contents(folder)
        assert cli.main([*f"compare truth.tif mask.tif {words} --overwrite".split()]) == 1
        assert "picture.tif is there and is not a" in capsys.readouterr().err
        assert contents(folder) == before


NOT_THEIRS = {
    "notes.txt": "my thesis, all of it",
    "m.fcnseg.json": '{"format_version": "1", "class_names": ["a", "b"]}',
    "other.provenance.json": '{\n "program": "napari-fcnseg",\n "models": []\n}',
    "net.json": '{"class_name": "Sequential", "config": {}}',
    "my.csv": "name,weight\nmouse,20\n",
    "page.html": "<!doctype html><title>mine</title>",
}


@pytest.mark.parametrize("name", NOT_THEIRS)
@pytest.mark.parametrize(
    "command",
    [
        "compare truth.tif mask.tif --csv",
        "compare truth.tif mask.tif --json",
        "compare truth.tif mask.tif --report",
        "compare truth.tif --probabilities mask.tif --csv",
        f"verify image.tif --model {MODEL} --quiet --certificate",
    ],
)
def test_overwriting_replaces_a_file_of_the_same_kind_alone_and_says_so_first(folder, capsys, command, name) -> None:
    (folder / name).write_text(NOT_THEIRS[name], encoding="utf-8")
    before = contents(folder)
    assert cli.main([*command.split(), name, "--overwrite"]) == 1
    told = capsys.readouterr()
    assert f"{name} is there and is not a" in told.err
    assert told.out == ""
    assert contents(folder) == before


def test_odd_places_are_refused_in_a_sentence(folder, capsys) -> None:
    os.symlink("/dev/null", folder / "n.tif")
    write_image(folder / "in.zarr", ImageFile(np.ones((20, 24, 3), np.uint8), "YXC"))
    (folder / "many").mkdir()
    (folder / "in.zarr").rename(folder / "many" / "in.zarr")
    before = contents(folder)
    for words, says in (
        (f"{SEGMENT} -o {'x' * 240}.tif", "Choose a shorter name"),
        (f"{SEGMENT} -o n.tif --overwrite", "is a device or a pipe"),
        (f"segment many --model {MODEL} -o many/in.zarr/out", "lies inside many/in.zarr, which is read"),
        (f"segment many --model {MODEL} -o many/in.zarr", "is the name of a file|lies inside"),
    ):
        assert cli.main(words.split()) == 1
        said = capsys.readouterr().err
        assert any(part in said for part in says.split("|")), said
        assert contents(folder) == before


def test_where_the_image_comes_from_is_not_replaced(folder, capsys) -> None:
    (folder / "image.provenance.json").write_text('{"program": "napari-fcnseg"}', encoding="utf-8")
    before = contents(folder)
    assert cli.main(f"{SEGMENT} -o image.png --overwrite".split()) == 1
    assert "image.provenance.json is read: it is never written over" in capsys.readouterr().err
    assert contents(folder) == before


def test_the_version_is_told(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == "napari-fcnseg 0.1.0\n"


WRITES = """
import sys, os, signal, time
from pathlib import Path
import numpy as np
from napari_fcnseg.imagefile import ImageFile, write_image
from napari_fcnseg.system.saving import save_text, whole, swap, renaming
path, moment = Path(sys.argv[1]), sys.argv[2]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def before(module, name):
    setattr(module, name, die)

def after(module, name):
    real = getattr(module, name)
    setattr(module, name, lambda *a, **k: (real(*a, **k), die()))

place = (swap, "exchange") if path.suffix == ".zarr" else (os, "replace")
if moment == "while writing":  # half of it is there
    import tifffile, imageio.v3, zarr
    real = os.fsync
    def half(place, *a, **k):
        Path(place).write_bytes(b"half"); die()
    np.save = half
    import napari_fcnseg.imagefile.writing as writing
    writing.tifffile.imwrite = half
    if path.suffix == ".png":
        whole_bytes = Path.write_bytes
        Path.write_bytes = lambda place, data: (whole_bytes(place, data[:9]), die())
    zarr.Array.__setitem__ = lambda *a: die()
    if path.suffix == ".csv":
        whole.flush = die
elif moment == "before the name":
    before(*place)
elif moment == "after the name":
    after(*place)
elif moment == "between two names":  # where a system cannot exchange them
    swap.exchange = lambda *_: False
    if path.suffix != ".zarr":
        before(*place)
    real = swap.os.rename
    def rename(a, b):
        real(a, b); die()
    swap.os.rename = rename
if path.suffix == ".csv":
    save_text(path, "new\\n" * 1000, overwrite=True)
else:
    write_image(path, ImageFile(np.full((64, 64), 2, np.uint8), "YX"), overwrite=True)
"""
OLD_PIXELS = np.full((64, 64), 1, np.uint8)


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("moment", ["while writing", "before the name", "after the name", "between two names"])
@pytest.mark.parametrize("ending", [".tif", ".png", ".npy", ".zarr", ".csv"])
def test_who_is_killed_leaves_the_old_or_the_new(tmp_path, ending, moment) -> None:
    path = tmp_path / f"labels{ending}"
    if ending == ".csv":
        save_text(path, "old\n" * 1000, overwrite=False)
    else:
        write_image(path, ImageFile(OLD_PIXELS, "YX"))
    done = subprocess.run(
        [sys.executable, "-c", WRITES, str(path), moment],
        timeout=120 * patience(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    if moment == "between two names":
        with Plan((path,), overwrite=True).claim():  # as whatever comes next begins
            pass
    if ending == ".csv":
        found = path.read_text(encoding="utf-8")
        assert found in ("old\n" * 1000, "new\n" * 1000)
        new = found.startswith("new")
    else:
        pixels = np.asarray(read_image([path]).data)
        assert pixels.shape == (64, 64)
        assert np.unique(pixels).size == 1
        new = bool(pixels[0, 0] == 2)
    assert new == (moment == "after the name")
    if ending != ".zarr":  # the next one tidies up; a Zarr folder that is not complete is there to be seen
        save_whole(path, lambda part: part.write_bytes(b"x"), overwrite=True)
        with Plan((path,), overwrite=True).claim():
            pass
        assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_earlier_result_that_was_out_of_the_way_gets_its_name_again(tmp_path) -> None:
    target = tmp_path / "a.zarr"
    old = hidden(target, OLD)
    old.mkdir()
    (old / "zarr.json").write_text("old", encoding="utf-8")
    sweep(target)
    assert (target / "zarr.json").read_text(encoding="utf-8") == "old"
    again = hidden(target, OLD)
    again.mkdir()
    sweep(target)
    assert hidden_of(target, OLD) == []
    assert target.is_dir()


HOLDS = """
import sys, time
from pathlib import Path
from napari_fcnseg.system.saving import Plan
with Plan((Path(sys.argv[1]),)).claim():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_is_told_who_writes_and_a_killed_one_blocks_nobody(folder, capsys) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder / "new.tif")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        before = contents(folder)
        for command in (f"{SEGMENT} -o new.tif", "instances mask.tif --interior 1 -o ./new.tif --overwrite"):
            assert cli.main(command.split()) == 1
            said = capsys.readouterr().err
            assert f"new.tif is being written by another napari-fcnseg (process {holder.pid} on " in said
            assert ", since 20" in said
        assert contents(folder) == before
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    assert [path.name for path in folder.iterdir() if path.name.endswith(".lock")]  # nobody was there to remove it
    assert cli.main("instances mask.tif --interior 1 -o new.tif --quiet".split()) == 0
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_the_command_line_of_a_result_is_refused_in_a_sentence_where_labels_are_there_already(folder, capsys) -> None:
    assert cli.main(f"{SEGMENT} -o labels.tif".split()) == 0
    from napari_fcnseg.run.recipe import Inputs, as_command_line, as_python

    provenance = json.loads((folder / "labels.provenance.json").read_text(encoding="utf-8"))
    inputs = Inputs((str(folder / "image.tif"),))
    command = as_command_line(provenance, inputs, windows=False)
    import shlex

    assert cli.main(shlex.split(command)[1:]) == 1
    assert "labels.tif exists already" in capsys.readouterr().err
    before = contents(folder)
    with pytest.raises(OutputError, match=r"labels\.tif exists already"):
        exec(compile(as_python(provenance, inputs), "script", "exec"), {})
    assert contents(folder) == before


def test_what_a_picture_cannot_hold_is_said_before_the_work(folder, capsys) -> None:
    before = contents(folder)
    assert cli.main(f"{SEGMENT} -o ok.tif --probabilities okp.png".split()) == 1
    assert "okp.png: a PNG holds one 2D label image" in capsys.readouterr().err
    assert contents(folder) == before


def test_the_advice_of_a_refusal_can_be_followed(folder, capsys) -> None:
    assert cli.main(f"{SEGMENT} -o lab.tif".split()) == 0
    assert cli.main(f"{SEGMENT} -o lab.png".split()) == 1
    said = capsys.readouterr().err
    assert "says where lab.tif comes from" in said
    assert "--overwrite" not in said
