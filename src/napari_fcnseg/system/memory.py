"""Free memory of the system, and memory that a process takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import psutil

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
_OWN_STATUS = Path("/proc/self/status")
_OWN_CLEAR = Path("/proc/self/clear_refs")


class MemoryUsage(NamedTuple):
    """Memory of a process around a piece of work.

    Attributes
    ----------
    before : int
        Bytes resident when it began.
    peak : int
        The most bytes resident while it went on.
    """

    before: int
    peak: int


def free_memory() -> int:
    """Return the bytes that may still be taken: what the system has free, or what the control groups leave if less."""
    free = int(psutil.virtual_memory().available)
    return max(0, min([free, *(left for _, left in _groups(_CGROUPS, _OWN_GROUPS))]))


def total_memory() -> int:
    """Return the bytes there are in all: of the system, or what the control groups allow if that is less."""
    return max(1, min([int(psutil.virtual_memory().total), *(limit for limit, _ in _groups(_CGROUPS, _OWN_GROUPS))]))


def _groups(root: Path, own: Path) -> list[tuple[int, int]]:
    """Return the limit of each control group that this process is in and what it leaves, of version 1 and 2.

    A group is limited by those around it too. Inside a container the file system may begin at the container's own
    group, while the process is still told its whole path: what is not there is passed over.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:  # no control groups
        return []
    groups = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            tops, limit, used, cache = (root, root / "unified"), "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            tops, limit, used = (root / "memory", root / controllers), "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        group = Path(path.lstrip("/"))
        for top in tops:
            for folder in (top / group, *(top / parent for parent in group.parents)):
                found = _group(folder, limit, used, cache)
                if found is not None:
                    groups.append(found)
    return groups


def _group(folder: Path, limit: str, used: str, cache: str) -> tuple[int, int] | None:
    """Return a control group's limit and what it leaves, its droppable file cache included; None without a limit."""
    try:
        most = int((folder / limit).read_text())
        left = most - int((folder / used).read_text())
        fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group, or "max"
        return None
    return most, left + int(fields.get(cache, 0))


def resident_bytes() -> int:
    """Return the bytes of this process that are in memory, and begin to look for its peak anew where that can be."""
    try:
        _OWN_CLEAR.write_text("5")
    except OSError:  # no such file outside Linux, or no right to write it
        pass
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Return the most bytes of this process in memory since :func:`resident_bytes`, or ever if unknown."""
    try:
        status = _OWN_STATUS.read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
