"""Models of a collection: listed, looked at, fetched whole and checked, and nothing asked for that was not wanted."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import threading
import zipfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from gallery.gallery_server import Served
from readers.unet_files import description, package, unet

from napari_fcnseg import PatchModel, errors
from napari_fcnseg.cli.main import main
from napari_fcnseg.gallery import (
    Entry,
    check,
    copy_of,
    cover_of,
    describe,
    facts_of,
    get,
    models_of,
    read_collection,
    size_of,
)
from napari_fcnseg.gallery.web import StoppedError, download, fetch
from napari_fcnseg.readers import read_model
from napari_fcnseg.system.formatting import format_bytes

WEIGHTS = unet().SerializeToString()
PICTURE = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def described(**changes: Any) -> bytes:
    data = description(
        cite=[{"text": "Somebody (2020)", "doi": "10.1000/182"}],
        covers=["images/cover.png"],
        authors=[{"name": "Ada"}],
        weights={"onnx": {"source": "weights.onnx", "sha256": sha256(WEIGHTS)}},
    )
    return yaml.safe_dump({**data, **changes}).encode()


@pytest.fixture
def served():
    made = Served()
    rdf = described()
    made.files = {
        "/models/shark/rdf.yaml": rdf,
        "/models/shark/weights.onnx": WEIGHTS,
        "/models/shark/images/cover.png": PICTURE,
        "/collection.json": listed(made, rdf),
    }
    yield made
    made.close()


def listed(served: Served, rdf: bytes, **changes: Any) -> bytes:
    item = {
        "type": "model", "id": "10.5281/zenodo.1", "nickname": "affable-shark", "name": "Nuclei",
        "description": "Finds nuclei.", "tags": ["segmentation"], "license": "MIT",
        "rdf_source": f"{served.address}/models/shark/rdf.yaml", "rdf_sha256": sha256(rdf),
        "covers": ["images/cover.png"],
    }  # fmt: skip
    return json.dumps({"collection": [{**item, **changes}, {"type": "dataset", "id": "x"}]}).encode()


def entry_of(served: Served) -> Entry:
    (entry,) = read_collection(f"{served.address}/collection.json").entries
    return entry


def test_a_model_is_listed_shown_and_fetched_and_runs(served, tmp_path) -> None:
    entry = entry_of(served)
    assert (entry.key, entry.name, entry.licence) == ("affable-shark", "Nuclei", "MIT")
    assert served.asked == [("/collection.json", "")], "the list, and nothing else"
    said = describe(entry)
    rows = dict(facts_of(entry, said))
    assert rows["Takes"] == "1 channel (dna), axes y, x"
    assert rows["Gives"] == "a label for every pixel, as it is: off, edge, inside"
    assert rows["Cite"] == "Somebody (2020) 10.1000/182"
    assert rows["From"] == served.address.removeprefix("http://")
    assert cover_of(entry, said) == PICTURE
    seen = []
    path = get(entry, tmp_path / "models", lambda *told: seen.append(told))
    assert path == tmp_path / "models" / "affable-shark"
    assert ("weights.onnx", len(WEIGHTS), len(WEIGHTS)) in seen
    assert PatchModel(read_model(path), path).class_names == ("off", "edge", "inside")
    assert (path / "images" / "cover.png").read_bytes() == PICTURE
    assert sorted(each.name for each in path.iterdir()) == ["images", "rdf.yaml", "weights.onnx"]
    assert [each.name for each in path.parent.iterdir()] == ["affable-shark"]
    (local,) = models_of(path.parent)
    assert dict(facts_of(local, describe(local)))["Licence"] == "MIT"
    assert cover_of(local, describe(local)) == PICTURE
    with pytest.raises(errors.GalleryError, match="already"):
        get(entry, path.parent)


def test_what_was_cut_off_goes_on_from_there(served, tmp_path) -> None:
    served.cut["/models/shark/weights.onnx"] = 1000
    with pytest.raises(errors.GalleryError, match=r"ended.*goes on from there"):
        get(entry_of(served), tmp_path)
    assert not (tmp_path / "affable-shark").exists()
    path = get(entry_of(served), tmp_path)
    assert served.asked[-2] == ("/models/shark/weights.onnx", "bytes=1000-")
    assert (path / "weights.onnx").read_bytes() == WEIGHTS


@pytest.mark.parametrize("known", [True, False])
def test_a_server_that_cannot_go_on_is_said_to_start_again(served, tmp_path, known) -> None:
    target, content = tmp_path / "a.bin", b"new" * 1000
    served.files["/a.bin"], served.cut["/a.bin"], served.whole = content, 500, True
    notes: list[str] = []
    for again in (False, True):
        with nullcontext() if again else pytest.raises(errors.GalleryError, match="if the server can"):
            download(f"{served.address}/a.bin", target, sha256(content) if known else "", 10**6, note=notes.append)
    host = served.address.removeprefix("http://")
    assert notes == [f"The server {host} cannot go on from a part: it starts again."]
    assert target.read_bytes() == content


def test_a_file_that_changed_meanwhile_begins_anew(served, tmp_path) -> None:
    target = tmp_path / "a.bin"
    served.files["/a.bin"], served.cut["/a.bin"] = b"old" * 1000, 500
    with pytest.raises(errors.GalleryError, match="ended"):
        download(f"{served.address}/a.bin", target, "", 10**6)
    served.files["/a.bin"] = b"new" * 1000
    notes: list[str] = []
    download(f"{served.address}/a.bin", target, "", 10**6, note=notes.append)
    assert ["has changed: it starts again" in note for note in notes] == [True]
    assert target.read_bytes() == b"new" * 1000
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_cancel_keeps_what_has_come_and_gives_it_no_name(served, tmp_path) -> None:
    stop = threading.Event()
    served.files["/models/shark/weights.onnx"] = WEIGHTS  # stopped as soon as its first bytes are there
    with pytest.raises(StoppedError):
        get(entry_of(served), tmp_path, lambda *_: stop.set(), stop)
    assert not (tmp_path / "affable-shark").exists()
    assert models_of(tmp_path) == ()
    assert get(entry_of(served), tmp_path).is_dir()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"/models/shark/weights.onnx": WEIGHTS[:-1] + b"!"}, "weights.onnx.*by its hash"),
        ({"/models/shark/rdf.yaml": described(name="Another")}, "description is not the one.*by its hash"),
    ],
)
def test_what_has_another_hash_is_not_kept(served, tmp_path, changed, sentence) -> None:
    entry = entry_of(served)
    served.files.update(changed)
    with pytest.raises(errors.GalleryError, match=sentence):
        get(entry, tmp_path)
    assert not (tmp_path / "affable-shark").exists()
    assert list(tmp_path.iterdir()) == [], "no hidden folder either"


@pytest.mark.parametrize(
    ("goes", "sentence"),
    [
        ("http://localhost:{port}/models/shark/weights.onnx", "another place.*not followed"),
        ("file:///etc/passwd", "another place.*not followed"),
        ("ftp://127.0.0.1/x", "another place.*not followed"),
        ("https://127.0.0.1:{port}/models/shark/weights.onnx", "another place.*not followed"),
    ],
)
def test_a_pointer_elsewhere_is_not_followed(served, tmp_path, goes, sentence) -> None:
    served.moved["/models/shark/weights.onnx"] = goes.format(port=served.address.rsplit(":", 1)[1])
    with pytest.raises(errors.GalleryError, match=sentence):
        get(entry_of(served), tmp_path)
    served.moved["/models/shark/weights.onnx"] = f"{served.address}/here"
    served.files["/here"] = WEIGHTS
    assert get(entry_of(served), tmp_path).is_dir(), "at the same host it is"


def test_a_file_without_end_is_given_up(served, tmp_path) -> None:
    served.files["/a"] = b"x" * 5000
    for endless in (False, True):
        served.endless = {"/a"} if endless else set()
        with pytest.raises(errors.GalleryError, match="larger than"):
            fetch(f"{served.address}/a", 1000)
        with pytest.raises(errors.GalleryError, match="larger than"):
            download(f"{served.address}/a", tmp_path / "a", "", 1000)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rdf_source": "file:///etc/passwd"}, "such addresses are not opened"),
        ({"rdf_source": "../../etc/passwd"}, "no file inside"),
        ({"rdf_source": "http://another.example/rdf.yaml"}, "without encryption"),
        ({"rdf_source": "ftp://127.0.0.1/rdf.yaml"}, "such addresses are not opened"),
        ({"rdf_source": "https://me:secret@127.0.0.1/rdf.yaml"}, "no address of a file"),
        ({"rdf_source": {"a": 1}}, "nothing says where"),
        ({"nickname": "", "id": 3}, "without a name"),
    ],
)
def test_an_entry_that_names_a_wrong_place_is_left_out_and_said(served, changes, sentence) -> None:
    served.files["/collection.json"] = listed(served, b"", **changes)
    collection = read_collection(f"{served.address}/collection.json")
    assert collection.entries == ()
    assert sentence in collection.note
    assert len(served.asked) == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xef\xbb\xbf\n<!doctype HTML><html>", "gives a web page and no list"),
        (b"<?xml version='1.0'?><feed/>", "gives a page in XML and no list"),
        (b"PK\3\4\0\0\xff", "gives a file of another kind and no list"),
        (b"Not found", "no valid JSON"),
        (b"[" * 10_000, "nested|JSON"),
        (b'{"a": 1}', "no list of models"),
        (b'{"collection": [], "collection": []}', "same key"),
        (b'{"collection": [' + b"{}," * 600_000 + b"{}]}", "more than"),
    ],
)
def test_a_hostile_list_is_refused(served, content, sentence) -> None:
    served.files["/collection.json"] = content
    with pytest.raises(errors.GalleryError, match=sentence) as raised:
        read_collection(f"{served.address}/collection.json")
    assert "Give the address of a" in str(raised.value)
    assert "model.save" not in str(raised.value)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("bioimage.example", "no file or folder 'bioimage.example'.*write it as https://bioimage.example"),
        ("example.org/collection.json", "write it as https://example.org/collection.json"),
        ("localhost.example:8000/a", "write it as https://localhost.example:8000/a"),
        ("colection.json", "colection.json is missing. Check the spelling"),
        ("no/such/folder", "folder is missing. Check the spelling"),
        ("cells.keras", "cells.keras is a model itself and no list"),
        ("page.html", "page.html gives a web page"),
        ("image.tif", "a file of another kind"),
    ],
)
def test_a_place_without_a_list_is_refused_with_what_is_wanted(tmp_path, monkeypatch, place, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells.keras").write_bytes(b"PK\3\4\xff")
    (tmp_path / "page.html").write_text("<html></html>")
    (tmp_path / "image.tif").write_bytes(b"II*\0\xff")
    with pytest.raises(errors.GalleryError, match=sentence) as raised:
        read_collection(place)
    said = str(raised.value)
    assert "https://example.org/collection.json" in said
    assert not [word for word in ("model.save", "Copy the whole", "codec") if word in said]


def test_an_empty_folder_is_said_to_be_none_of_models(tmp_path) -> None:
    collection = read_collection(str(tmp_path))
    assert collection.entries == ()
    assert "neither a list nor a model" in collection.note


def test_a_list_of_very_many_models_is_cut(served) -> None:
    item = json.loads(listed(served, b""))["collection"][0]
    many = [{**item, "nickname": f"model-{n}"} for n in range(6000)]
    served.files["/collection.json"] = json.dumps({"collection": many}).encode()
    collection = read_collection(f"{served.address}/collection.json")
    assert len(collection.entries) == 5000
    assert "more than 5,000" in collection.note


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ({"onnx": {"source": "https://elsewhere.example/w.onnx"}}, "nothing is fetched"),
        ({"onnx": {"source": "../../w.onnx"}}, "no file inside the package"),
        ({"pytorch_state_dict": {"source": "w.pt"}}, "weights as pytorch_state_dict"),
    ],
)
def test_what_would_be_of_no_use_is_not_fetched(served, tmp_path, weights, problem) -> None:
    rdf = described(weights=weights)
    served.files |= {"/models/shark/rdf.yaml": rdf, "/collection.json": listed(served, rdf)}
    assert problem in describe(entry_of(served)).problem
    with pytest.raises(errors.GalleryError, match=problem):
        get(entry_of(served), tmp_path)
    assert {path for path, _ in served.asked} == {"/collection.json", "/models/shark/rdf.yaml"}
    assert list(tmp_path.iterdir()) == []


def test_the_other_two_forms_of_a_list_and_archives(served, tmp_path) -> None:
    source = "models/shark/rdf.yaml"
    versions = [{"v": "2", "source": source, "sha256": sha256(described())}, {"v": "1", "source": "old.yaml"}]
    served.files["/all_versions.json"] = json.dumps(
        {"entries": [{"type": "model", "concept": "affable-shark", "versions": versions}]}
    ).encode()
    packed = package(tmp_path / "a.zip", description(), unet()).read_bytes()
    served.files["/id_map.json"] = json.dumps({"zip": {"source": "nuclei.zip", "sha256": sha256(packed)}}).encode()
    served.files["/nuclei.zip"] = packed
    (entry,) = read_collection(f"{served.address}/all_versions.json").entries
    assert entry.source == f"{served.address}/models/shark/rdf.yaml"
    assert get(entry, tmp_path / "models").name == "affable-shark"
    (archive,) = read_collection(f"{served.address}/id_map.json").entries
    path = get(archive, tmp_path / "models")
    assert path.read_bytes() == packed
    assert [entry.key for entry in models_of(tmp_path / "models")] == ["affable-shark", "zip.zip"]


def test_a_mirror_on_this_computer_is_read_by_the_same_rules(served, tmp_path) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "shark").mkdir(parents=True)
    (mirror / "shark" / "rdf.yaml").write_bytes(described())
    (mirror / "shark" / "weights.onnx").write_bytes(WEIGHTS)
    item = {"type": "model", "id": "shark", "rdf_source": "shark/rdf.yaml"}
    (mirror / "collection.json").write_text(json.dumps({"collection": [item]}))
    (entry,) = read_collection(str(mirror)).entries
    assert get(entry, tmp_path / "models").is_dir()
    (mirror / "shark" / "weights.onnx").unlink()
    (mirror / "shark" / "weights.onnx").symlink_to(tmp_path / "secret")
    with pytest.raises(errors.GalleryError, match="link"):
        get(replace(entry, key="again"), tmp_path / "models")
    (mirror / "collection.json").unlink()
    assert [each.key for each in read_collection(str(mirror)).entries] == ["shark"], "a folder of packages"
    assert served.asked == []


def test_without_a_network_a_sentence(tmp_path) -> None:
    made = Served()
    made.close()
    with pytest.raises(errors.GalleryError, match=r"127\.0\.0\.1:\d+ cannot be reached.*in your folder"):
        read_collection(f"{made.address}/collection.json")
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/a"):
        with pytest.raises(errors.GalleryError, match="https"):
            read_collection(place)
    with pytest.raises(errors.GalleryError, match="missing"):
        read_collection(str(tmp_path / "nothing.json"))


def test_the_command_line_lists_shows_and_gets(served, tmp_path, capsys) -> None:
    place = ["--collection", f"{served.address}/collection.json"]
    assert main(["gallery", "list", "nuclei", *place]) == 0
    assert capsys.readouterr().out.split() == ["affable-shark", "Nuclei"]
    assert main(["gallery", "show", "affable-shark", *place]) == 0
    assert "1 channel (dna), axes y, x" in capsys.readouterr().out
    assert main(["gallery", "get", "affable-shark", *place, "--folder", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "affable-shark")
    assert main(["gallery", "list", "--folder", str(tmp_path)]) == 0
    assert main(["gallery", "show", "afable-shark", *place]) == 1
    assert "Did you mean affable-shark?" in capsys.readouterr().err
    assert main(["gallery", "list", "--folder", str(tmp_path / "nowhere")]) == 1
    assert "There is no folder" in capsys.readouterr().err
    assert main(["gallery", "list", "unheard-of", *place]) == 0
    assert "None of the models there has these words" in capsys.readouterr().out


def test_the_progress_of_get_is_in_bytes_and_a_refusal_has_none(served, tmp_path, capsys) -> None:
    place = ["--collection", f"{served.address}/collection.json", "--folder", str(tmp_path)]
    assert main(["gallery", "get", "affable-shark", *place]) == 0
    said = capsys.readouterr().err
    assert "kB" not in said or "KiB" in said
    assert re.search(r"[\d.]+/[\d.]+ (bytes|KiB)", said)
    assert "tiles" not in said
    assert main(["gallery", "get", "affable-shark", *place]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "already" in line


def test_a_fetched_model_that_cannot_be_used_is_kept_and_said_to_be_so(served, tmp_path, capsys) -> None:
    rdf = described(weights={"onnx": {"source": "weights.onnx"}})
    served.files |= {"/models/shark/rdf.yaml": rdf, "/collection.json": listed(served, rdf)}
    served.files["/models/shark/weights.onnx"] = WEIGHTS[:900]
    place = ["--collection", f"{served.address}/collection.json", "--folder", str(tmp_path), "--quiet"]
    assert main(["gallery", "get", "affable-shark", *place]) == 1
    out, said = capsys.readouterr()
    assert out == ""
    assert f"is kept as {tmp_path / 'affable-shark'}, but cannot be used: " in said
    assert said.rstrip().endswith("Tell whoever keeps the collection.")
    assert "xport the model again" not in said
    assert (tmp_path / "affable-shark" / "weights.onnx").read_bytes() == WEIGHTS[:900]
    with pytest.raises(errors.ModelFileError) as raised:
        read_model(tmp_path / "affable-shark")
    assert raised.value.reason in said


def test_of_models_that_can_be_used_a_check_says_nothing(served, tmp_path) -> None:
    assert check(get(entry_of(served), tmp_path)) == ""


@pytest.mark.parametrize("known", [None, sha256(PICTURE)])
def test_a_picture_is_named_alone_or_with_its_hash(served, tmp_path, known) -> None:
    cover = {"source": "images/cover.png", **({"sha256": known} if known else {})}
    rdf = described(covers=[cover])
    served.files["/models/shark/rdf.yaml"] = rdf
    for listing in ([cover], ["images/cover.png"], []):
        served.files["/collection.json"] = listed(served, rdf, covers=listing)
        entry = entry_of(served)
        assert bool(entry.cover) is bool(listing)
        assert cover_of(entry, describe(entry)) == PICTURE
        if listing:
            assert cover_of(entry, None) == PICTURE
    path = get(entry, tmp_path / "models")
    assert (path / "images" / "cover.png").read_bytes() == PICTURE
    with zipfile.ZipFile(tmp_path / "models" / "a.bioimage.zip", "w") as archive:
        for file in ("rdf.yaml", "weights.onnx", "images/cover.png"):
            archive.write(path / file, file)
    for local in models_of(tmp_path / "models"):
        assert cover_of(local, describe(local)) == PICTURE
    served.files["/models/shark/images/cover.png"] = PICTURE + b"!"
    assert cover_of(entry, describe(entry)) == (b"" if known else PICTURE + b"!")


def test_the_size_of_a_download_is_known_before_it_where_the_server_says_it(served, tmp_path) -> None:
    entry = entry_of(served)
    said = describe(entry)
    assert size_of(entry, said) == len(WEIGHTS)
    assert ("Download", format_bytes(len(WEIGHTS))) in facts_of(entry, said, size_of(entry, said))
    served.endless = {"/models/shark/weights.onnx"}
    assert size_of(entry, said) is None
    packed = package(tmp_path / "a.zip", description(), unet()).read_bytes()
    served.files |= {"/a.zip": packed, "/id_map.json": json.dumps({"zip": {"source": "a.zip"}}).encode()}
    (archive,) = read_collection(f"{served.address}/id_map.json").entries
    assert describe(archive) is None
    assert size_of(archive, None) == len(packed)
    assert "known after the download" in dict(facts_of(archive, None))["More"]
    assert "More" not in dict(facts_of(entry, said))
    local = read_collection(str(tmp_path)).entries[0]
    assert size_of(local, describe(local)) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "scale_linear:0.01,-0.5"),
        ({"config": {"napari_fcnseg": {"patch_model": "a.keras", "prepared_with": [
            {"id": "divide_by_median"}, {"id": "subtract_local_mean", "kwargs": {"size": 61}}]}}},
         "divide_by_median, subtract_local_mean:61"),
        ({"config": {"napari_fcnseg": {"patch_model": "a.keras", "prepared_with": [{"id": "magic"}, 3]}}}, "magic"),
    ],
)  # fmt: skip
def test_the_normalisation_is_said_as_it_is_written_elsewhere(served, changes, says) -> None:
    rdf = described(**changes)
    served.files |= {"/models/shark/rdf.yaml": rdf, "/collection.json": listed(served, rdf)}
    entry = entry_of(served)
    assert dict(facts_of(entry, describe(entry)))["Normalisation"] == says


def test_a_model_here_has_its_own_name_and_is_known_to_be_a_copy(served, tmp_path) -> None:
    entry = entry_of(served)
    assert copy_of(entry, models_of(tmp_path)) is None
    path = get(entry, tmp_path)
    (tmp_path / "bad.bioimage.zip").write_bytes(b"no archive")
    bad, local = sorted(models_of(tmp_path), key=lambda each: each.key != "bad.bioimage.zip")
    assert (local.key, local.name, local.path) == ("affable-shark", "Tiny U-Net", path)
    assert bad.name == "bad"
    assert copy_of(entry, (bad, local)) == local
    assert copy_of(local, (bad, local)) is None


def test_what_is_broken_elsewhere_is_for_its_keepers_to_mend(served, tmp_path) -> None:
    rdf = b"a: [1,\n  : :"
    served.files |= {"/models/shark/rdf.yaml": rdf, "/collection.json": listed(served, rdf), "/a.zip": b"PK\3\4" * 9}
    served.files["/id_map.json"] = json.dumps({"zip": {"source": "a.zip"}}).encode()
    (archive,) = read_collection(f"{served.address}/id_map.json").entries
    for act in (
        lambda: describe(entry_of(served)), lambda: get(entry_of(served), tmp_path), lambda: get(archive, tmp_path)
    ):  # fmt: skip
        with pytest.raises(errors.GalleryError, match=r"\. Tell whoever keeps the collection\.$"):
            act()


def test_the_lists_that_the_documentation_shows_are_read(tmp_path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "how-to" / "gallery.md").read_text("utf-8")
    shown = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert len(shown) == 3
    for content in shown:
        (tmp_path / "list.json").write_text(content, "utf-8")
        (entry,) = read_collection(str(tmp_path / "list.json")).entries
        assert entry.key == "affable-shark"
        assert entry.source == str(tmp_path / "affable-shark" / "rdf.yaml")


def test_texts_of_strangers_are_shown_on_one_line(served) -> None:
    served.files["/collection.json"] = listed(served, b"", name="a\n\x1b[31mb\u202e", description="c\0d")
    entry = entry_of(served)
    assert (entry.name, entry.about) == ("a [31mb", "c d")
    assert copy.deepcopy(entry) == entry
