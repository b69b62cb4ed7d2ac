"""What is remembered from run to run: kept, bounded, and never an obstacle."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_fcnseg.system import cache
from napari_fcnseg.system.cache import recall, remember


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_FCNSEG_CACHE", str(tmp_path / "deep" / "cache"))
    return tmp_path / "deep" / "cache"


def test_what_is_remembered_is_recalled_under_its_kind_and_key_alone() -> None:
    value = {"tile": [1, 2], "name": "×"}
    remember("ways", "key", value)
    assert recall("ways", "key") == value
    assert recall("ways", "other") is None
    assert recall("memory", "key") is None
    remember("ways", "key", None)
    assert recall("ways", "key") is None


def test_it_grows_old(monkeypatch) -> None:
    now = 1_700_000_000.7
    monkeypatch.setattr(cache.time, "time", lambda: now)
    remember("ways", "key", 1)
    assert recall("ways", "key", days=1) == 1
    monkeypatch.setattr(cache.time, "time", lambda: now + 3 * 86400)
    assert recall("ways", "key", days=4) == 1
    assert recall("ways", "key", days=2) is None
    assert recall("ways", "key") == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 1}', '{"version": 1, "entries": [1]}', '{"version": 1, "entries": {"key": 3}}',
     '{"version": 1, "entries": {"key": {"value": 1}}}', '{"version": 99, "entries": {"key": {"when": 0, "value": 1}}}',
     "[" * 100_000, "\udcff"],
)  # fmt: skip
def test_a_broken_file_is_as_good_as_none_and_is_replaced(folder, text) -> None:
    folder.mkdir(parents=True)
    (folder / "ways.json").write_bytes(text.encode(errors="surrogateescape"))
    assert recall("ways", "key") is None
    remember("ways", "key", 2)
    assert recall("ways", "key") == 2


def test_where_nothing_can_be_written_nothing_happens(folder) -> None:
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be")
    remember("ways", "key", 1)
    assert recall("ways", "key") is None


def test_the_oldest_go_when_there_are_too_many(folder) -> None:
    for number in range(300):
        remember("ways", str(number), number)
    remember("ways", "200", "again")
    assert recall("ways", "299") == 299
    assert recall("ways", "200") == "again"
    assert recall("ways", "0") is None
    assert len(json.loads((folder / "ways.json").read_text())["entries"]) == 256


def test_threads_do_not_lose_each_other_s_entries_nor_leave_parts(folder) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: remember("ways", str(n), n), range(64)))
    assert [recall("ways", str(n)) for n in range(64)] == list(range(64))
    assert [path.name for path in folder.iterdir()] == ["ways.json"]
