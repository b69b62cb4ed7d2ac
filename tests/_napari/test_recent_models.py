"""The list of models used last: the latest first, each once, and no file can break it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_fcnseg._napari.recent_models import Recent, forget, in_folder, note, recent
from napari_fcnseg.samples import SAMPLES

pytestmark = pytest.mark.usefixtures("own_cache")


def test_the_latest_comes_first_each_once_ten_at_most_and_samples_not_at_all(tmp_path) -> None:
    assert recent() == ()
    for number in range(12):
        note([tmp_path / f"{number}.keras"])
    note([tmp_path / "5.keras"])
    note([tmp_path / "5.keras", tmp_path / "6.keras"])
    note([sample.model_path for sample in SAMPLES.values()])
    note([])
    names = [each.name for each in recent()]
    assert names == ["5.keras + 1 more", "5.keras", *(f"{n}.keras" for n in (11, 10, 9, 8, 7, 6, 4, 3))]
    forget()
    assert recent() == ()


def test_paths_are_kept_whole_and_missing_ones_are_known(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.keras").write_text("")
    note(["here.keras", "gone.keras"])
    (each,) = recent()
    assert each.paths == (str(tmp_path / "here.keras"), str(tmp_path / "gone.keras"))
    assert each.missing == (str(tmp_path / "gone.keras"),)


@pytest.mark.parametrize("value", [None, 3, "a", {"a": 1}, [[]], [["a", 3]], [[""]], ["a"], [{"a": "b"}]])
def test_what_is_no_list_of_paths_is_left_out(own_cache, value) -> None:
    own_cache.mkdir()
    whole = [*value, ["good.keras"]] if isinstance(value, list) else value
    entries = {"recent": {"when": 1, "value": whole}}
    (own_cache / "models.json").write_text(json.dumps({"version": 1, "entries": entries}))
    assert recent() == ((Recent(("good.keras",)),) if isinstance(value, list) else ())
    note(["/new.keras"])
    assert recent()[0].name == "new.keras"


def test_a_folder_s_models_are_listed_by_name(tmp_path) -> None:
    for name in ("b.keras", "a.onnx", "notes.txt"):
        (tmp_path / name).write_text("")
    assert [each.name for each in in_folder(str(tmp_path))] == ["a.onnx", "b.keras"]
    assert in_folder("") == in_folder(str(tmp_path / "gone")) == ()
