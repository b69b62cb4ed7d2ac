"""What is free, told by control groups of both kinds, and what a piece of work takes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from napari_fcnseg.system import memory
from napari_fcnseg.system.memory import free_memory, peak_bytes, resident_bytes, total_memory

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20


@pytest.fixture
def groups(tmp_path, monkeypatch) -> Path:
    """Control groups as files; this process is in ``/a/b`` of every kind."""
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_OWN_GROUPS", tmp_path / "own")
    (tmp_path / "own").write_text("4:memory:/a/b\n2:cpuacct,cpu:/a/b\n0::/a/b\n")
    return tmp_path / "cgroup"


def group(folder: Path, limit: int | str, used: int, cache: int = 0, version: int = 2) -> None:
    """Write the files of a control group with a limit."""
    folder.mkdir(parents=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{'' if version == 2 else 'total_'}inactive_file {cache}\n")


def test_free_memory_is_some_but_not_more_than_there_is() -> None:
    assert 0 < free_memory() <= total_memory() <= psutil.virtual_memory().total


def test_a_group_s_limit_counts_and_what_its_file_cache_could_give_back(groups) -> None:
    group(groups / "a" / "b", 50 * MIB, 30 * MIB, 10 * MIB)
    assert (free_memory(), total_memory()) == (30 * MIB, 50 * MIB)


def test_the_groups_around_count_too(groups) -> None:
    group(groups / "a" / "b", "max", 30 * MIB)
    group(groups / "other", 1 * MIB, 0)
    group(groups / "a_b", 2 * MIB, 0)
    (groups / "a" / "memory.max").write_text(str(40 * MIB))
    (groups / "a" / "memory.current").write_text(str(35 * MIB))
    (groups / "a" / "memory.stat").write_text("")
    assert free_memory() == 5 * MIB


def test_version_1_has_other_names(groups) -> None:
    group(groups / "memory" / "a" / "b", 50 * MIB, 20 * MIB, 5 * MIB, version=1)
    assert free_memory() == 35 * MIB


def test_in_a_container_the_path_that_it_is_told_may_not_exist(groups) -> None:
    group(groups, 60 * MIB, 20 * MIB)
    assert free_memory() == 40 * MIB


def test_more_used_than_allowed_leaves_nothing(groups) -> None:
    group(groups / "a" / "b", 20 * MIB, 30 * MIB)
    assert free_memory() == 0


def test_without_control_groups_the_system_counts(groups, tmp_path) -> None:
    (tmp_path / "own").unlink()
    assert free_memory() > 100 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets an earlier peak")
def test_the_peak_is_that_of_the_work_and_not_of_earlier_work() -> None:
    earlier = np.ones(40 * MIB)  # 320 MiB
    del earlier
    before = resident_bytes()
    assert peak_bytes() - before < 50 * MIB
    work = np.ones(10 * MIB)  # 80 MiB
    del work
    assert 70 * MIB < peak_bytes() - before < 150 * MIB
