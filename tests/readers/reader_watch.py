"""Reads hostile files in a child process, and keeps a record of what Python does meanwhile."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from napari_fcnseg.errors import FcnSegError
from napari_fcnseg.readers import sandbox

#: Nothing of this is ever right, and of the second set nothing once the program's own modules are imported.
NEVER = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "socket.connect",
    "pickle.find_class",
)
ONCE_WARM = ("import", "exec", "compile", "marshal.loads", "code.__new__", "ctypes.dlopen")
_events: list[tuple[str, str]] = []


class Record(NamedTuple):
    """What came of reading one file: the sentence, or nothing where it was read."""

    sentence: str
    seconds: float
    peak: int
    opened: list[str]
    done: list[str]


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" or event in NEVER or event in ONCE_WARM:
        _events.append((event, str(arguments[0])[:200]))


sys.addaudithook(_listen)


def watch(path: str, output: str | None = None) -> Record:
    """Read a file twice, with the limits that a user's file has: the first time imports what reading takes."""
    for number in range(2):
        Path("/proc/self/clear_refs").write_text("5")  # start to measure the peak of memory anew
        _events.clear()
        start = time.perf_counter()
        sentence = ""
        try:
            sandbox.read_limited(path, output, sandbox.PLAIN, sandbox._SECONDS, sandbox._MEMORY)
        except FcnSegError as error:
            sentence = str(error)
        seconds = time.perf_counter() - start
        events = list(_events)
        forbidden = NEVER + ONCE_WARM * number
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    opened = [name for event, name in events if event == "open" and not name.startswith(f"/proc/{os.getpid()}/")]
    return Record(sentence, seconds, peak, opened, [f"{event} {name}" for event, name in events if event in forbidden])
