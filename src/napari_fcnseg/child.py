"""A process of its own that answers calls, and the parent's handle on it.

What may crash, hang, exhaust the memory or take seconds to import belongs in a process that can be killed: then it is
an error message and never a lost session. The engine's framework is one such thing (TensorFlow and Mesa's OpenGL end
each other in one process), a model file of unknown origin another. The two processes talk in pickles over the child's
standard input and output:

- the child is a fresh interpreter that runs this module and never the caller's script, so it works from a plain script
  without a ``__main__`` guard, from a notebook and from a console script alike;
- either side's death closes the pipe: the parent's waiting calls end with an error at once, and the child exits even
  in the midst of a computation.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from napari_fcnseg.errors import EngineError, FcnSegError, OutOfMemoryError
from napari_fcnseg.systemmemory import Usage, peak, resident

_PROTOCOL = 5
_WITHDRAW = ""
_EXPENDABLE = "800"  # of 1000
_NICENESS = 5  # the window the user looks at goes first
_OUT_OF_MEMORY = "The tile does not fit into memory. Choose a smaller tile or a lower memory limit and run again."
#: How libraries say so, in an error or as a process's last words.
_NO_MEMORY = re.compile(
    r"bad_alloc|MemoryError|Resource_?Exhausted|out.of.memory|OOM when|(can't|cannot|unable to) allocate", re.IGNORECASE
)
#: Ends of a process that may be for want of memory: killed by the system, or a library that was refused memory and went
#: on without, or gave up. As numbers, for Windows has no such signals.
_SUSPECT = (-9, -11, -7, -6)
_LAST = 1.0  # seconds that a child may take to end after it has closed its end of the pipe


class Call(Future[Any]):
    """What a call will answer.

    Attributes
    ----------
    usage : Usage or None
        The child's memory around it, once it is answered.
    """

    usage: Usage | None = None


class Child:
    """One child process; calls are answered in order.

    Parameters
    ----------
    target : str
        ``"package.module"`` whose module-level functions can be called.
    env : dict of str to str, optional
        Environment variables to set for it.
    """

    def __init__(self, target: str, env: dict[str, str] | None = None) -> None:
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            # -P: a module of the user's that lies in the working directory must not shadow a library's
            [sys.executable, "-P", "-c", f"from {__name__} import serve; serve({target!r})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, **(env or {}), "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,  # Ctrl-C in the terminal is for the parent to handle
        )
        self._lock = threading.Lock()
        self._pending: dict[int, Call] = {}
        self._count = 0
        self._epitaph: EngineError | None = None  # why it ended, once it has
        self._unwanted = False  # it is we who end it
        self._reader = threading.Thread(target=self._read, name="napari-fcnseg-child", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether calls can still be answered."""
        return self._epitaph is None and self._process.poll() is None

    def call(self, function: str, *args: object) -> Call:
        """Call a function of the target module in the child.

        Returns
        -------
        Call
            A future: its result, the :class:`~napari_fcnseg.errors.FcnSegError` it raised, or an
            :class:`~napari_fcnseg.errors.EngineError` if the child ended first.
        """
        future = Call()
        with self._lock:
            self._count += 1
            number = self._count
            self._pending[number] = future
            sent = self._send((number, function, args))
            if not sent:
                del self._pending[number]
        if not sent:
            self._reader.join()  # it sees the same end of the pipe and says why
            future.set_exception(self._epitaph)
        future.add_done_callback(lambda done: self._withdraw(number) if done.cancelled() else None)
        return future

    def _send(self, message: tuple[int, str, tuple[object, ...]]) -> bool:
        """Write a message; return False if the child is gone."""
        try:
            pickle.dump(message, _open(self._process.stdin), _PROTOCOL)
            _open(self._process.stdin).flush()
        except (OSError, ValueError):
            return False
        return True

    def _withdraw(self, number: int) -> None:
        """Tell the child not to begin a call that nobody waits for any more."""
        with self._lock:
            if self._pending.pop(number, None) is not None:
                self._send((number, _WITHDRAW, ()))

    def kill(self) -> None:
        """End the child at once; calls that wait end with an error."""
        self._unwanted = True
        self._process.kill()
        self._reader.join()

    def _read(self) -> None:
        """Hand out answers until the child's end of the pipe closes."""
        stdout = _open(self._process.stdout)
        while True:
            try:
                number, ok, value, usage = pickle.load(stdout)
            except Exception:  # whatever is wrong with the stream, nothing more can be read from it
                break
            with self._lock:
                future = self._pending.pop(number, None)
            if future is not None and future.set_running_or_notify_cancel():
                future.usage = usage
                (future.set_result if ok else future.set_exception)(value)
        try:
            self._process.wait(_LAST)
        except subprocess.TimeoutExpired:
            self._unwanted = True
            self._process.kill()
            self._process.wait()
        self._epitaph = self._obituary()
        with self._lock:
            pending, self._pending = self._pending, {}
            self._close()
        for future in pending.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(self._epitaph)

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            with suppress(OSError):  # what was still to be written to a process that is gone
                _open(stream).close()

    def _obituary(self) -> EngineError:
        code = self._process.poll()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 2000))
        said = self._stderr.read().decode(errors="replace").strip().splitlines()
        last = f" It last said: {said[-1]}" if said and code not in (-9, -15) else ""
        suspect = code in _SUSPECT and not self._unwanted
        memory = " There may have been too little memory: try a smaller tile or memory limit." if suspect else ""
        sentence = (
            f"The computing process ended before it answered ({how}). Finished tiles are kept; press Run (or call "
            f"again) to start a new process.{memory}{last}"
        )
        if suspect or _NO_MEMORY.search("\n".join(said[-5:])):
            return OutOfMemoryError(sentence, self.pid)
        return EngineError(sentence)


def usage_of(future: Future[Any]) -> Usage | None:
    """Return the child's memory around an answered call, None where nobody knows."""
    return future.usage if isinstance(future, Call) else None


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "Popen was given PIPE"
    return pipe


def serve(target: str) -> None:
    """Answer calls from standard input until it closes."""
    import importlib
    import queue

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
                number, function, args = pickle.load(sys.stdin.buffer)
                if function == _WITHDRAW:
                    withdrawn.add(number)
                else:
                    requests.put((number, function, args))
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
        before, high = resident(), peak()
        try:
            ok, value = True, getattr(module, function)(*args)
        except FcnSegError as error:
            ok, value = False, error
        except Exception as error:
            ok, value = False, _as_engine_error(error)
        most = peak()
        usage = Usage(before, most if most > high else before)  # a peak that did not rise may be an earlier one
        pickle.dump((number, ok, value, usage), answers, _PROTOCOL)
        answers.flush()
        del args, value  # or they take memory until the next call


def _as_engine_error(error: Exception) -> EngineError:
    if _NO_MEMORY.search(type(error).__name__) or _NO_MEMORY.search(str(error)):
        return OutOfMemoryError(_OUT_OF_MEMORY)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TensorFlow begins with a heading and a stack, and says only then what happened.
    told = [line for line in lines if not line.startswith(("Graph execution error", "Detected at node", "File "))]
    text = next(iter(told or lines), "no message")[:300]
    return EngineError(f"The computing process failed with {type(error).__name__}: {text}")
