"""The loop of a child process: it answers calls from standard input until that closes."""

from __future__ import annotations

import importlib
import os
import queue
import re
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from napari_fcnseg.errors import EngineError, FcnSegError, OutOfMemoryError
from napari_fcnseg.system.memory import MemoryUsage, peak_bytes, resident_bytes
from napari_fcnseg.system.messages import Message, packed, write

WITHDRAW: Final = ""  # instead of a function's name: the call is not to be begun
OUT_OF_MEMORY: Final = "The tile does not fit into memory. Choose a smaller tile or a lower memory limit and run again."
#: How libraries say so, in an error or as a process's last words.
NO_MEMORY: Final = re.compile(
    r"bad_alloc|MemoryError|Resource_?Exhausted|out.of.memory|OOM when|(can't|cannot|unable to) allocate|"
    r"failed to map segment",
    re.IGNORECASE,
)
_EXPENDABLE: Final = "800"  # of 1000
_NICENESS: Final = 5  # the window the user looks at goes first


def serve(target: str) -> None:
    """Answer calls from standard input until it closes."""
    # Nothing that a library prints may get into the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    with suppress(OSError):  # on Linux: when memory runs out, the system ends this process and not the user's
        Path("/proc/self/oom_score_adj").write_text(_EXPENDABLE)
    requests: queue.SimpleQueue[tuple[int, str, tuple[Any, ...]]] = queue.SimpleQueue()

    withdrawn: set[int] = set()

    def listen() -> None:
        try:
            while True:
                message = Message(sys.stdin.buffer)
                function, args = message.content()
                if function == WITHDRAW:
                    withdrawn.add(message.number)
                else:
                    requests.put((message.number, function, args))
        except MemoryError:  # half a message was read, and nothing after it can be
            sys.stderr.write("MemoryError\n")
            sys.stderr.flush()
            os._exit(1)
        finally:
            os._exit(0)  # the parent is gone: so is the reason to compute

    # Before listening: reading a message imports modules too, and two threads may see each other's half imported.
    module = importlib.import_module(target)
    threading.Thread(target=listen, daemon=True).start()
    while True:
        number, function, args = requests.get()
        if number in withdrawn:
            withdrawn.discard(number)
            continue
        before, high = resident_bytes(), peak_bytes()
        try:
            ok, value = True, getattr(module, function)(*args)
        except BaseException as error:  # whatever it is, the parent waits for a word
            ok, value = False, _as_our_error(error)
        most = peak_bytes()
        usage = MemoryUsage(before, most if most > high else before)  # a peak that did not rise may be an earlier one
        try:
            message = packed(number, (ok, value, usage))
        except BaseException as error:
            message = packed(number, (False, _as_engine_error(error), usage))
        write(answers, message)
        del args, value, message  # or they take memory until the next call


def _as_our_error(error: BaseException) -> FcnSegError:
    """Return an error that can be read without what raised it."""
    if not isinstance(error, FcnSegError):
        return _as_engine_error(error)
    error.__dict__.pop("__notes__", None)
    return error


def _as_engine_error(error: BaseException) -> EngineError:
    if NO_MEMORY.search(type(error).__name__) or NO_MEMORY.search(str(error)):
        return OutOfMemoryError(OUT_OF_MEMORY)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TensorFlow begins with a heading and a stack, and says only then what happened.
    told = [line for line in lines if not line.startswith(("Graph execution error", "Detected at node", "File "))]
    text = next(iter(told or lines), "no message")[:300]
    return EngineError(f"The computing process failed with {type(error).__name__}: {text}")
