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
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import IO, Any

from napari_fcnseg.errors import EngineError, FcnSegError

_PROTOCOL = 5
_WITHDRAW = ""
_NICENESS = 5  # the window the user looks at goes first


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
        self._pending: dict[int, Future[Any]] = {}
        self._count = 0
        self._epitaph = ""  # why it ended, once it has
        self._reader = threading.Thread(target=self._read, name="napari-fcnseg-child", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether calls can still be answered."""
        return not self._epitaph and self._process.poll() is None

    def call(self, function: str, *args: object) -> Future[Any]:
        """Call a function of the target module in the child.

        Returns
        -------
        concurrent.futures.Future
            Its result, the :class:`~napari_fcnseg.errors.FcnSegError` it raised, or an
            :class:`~napari_fcnseg.errors.EngineError` if the child ended first.
        """
        future: Future[Any] = Future()
        with self._lock:
            self._count += 1
            number = self._count
            self._pending[number] = future
            sent = self._send((number, function, args))
            if not sent:
                del self._pending[number]
        if not sent:
            self._reader.join()  # it sees the same end of the pipe and says why
            future.set_exception(EngineError(self._epitaph))
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
        self._process.kill()
        self._reader.join()

    def _read(self) -> None:
        """Hand out answers until the child's end of the pipe closes."""
        stdout = _open(self._process.stdout)
        while True:
            try:
                number, ok, value = pickle.load(stdout)
            except Exception:  # whatever is wrong with the stream, nothing more can be read from it
                break
            with self._lock:
                future = self._pending.pop(number, None)
            if future is not None and future.set_running_or_notify_cancel():
                (future.set_result if ok else future.set_exception)(value)
        self._process.kill()
        self._process.wait()
        self._epitaph = self._obituary()
        with self._lock:
            pending, self._pending = self._pending, {}
            self._close()
        for future in pending.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(EngineError(self._epitaph))

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            with suppress(OSError):  # what was still to be written to a process that is gone
                _open(stream).close()

    def _obituary(self) -> str:
        code = self._process.poll()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 2000))
        said = self._stderr.read().decode(errors="replace").strip().splitlines()
        last = f" It last said: {said[-1]}" if said and code not in (-9, -15) else ""
        memory = " The system may have run out of memory: try a smaller tile or memory limit." if code == -9 else ""
        return (
            f"The computing process ended before it answered ({how}). Finished tiles are kept; press Run (or call "
            f"again) to start a new process.{memory}{last}"
        )


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
        finally:
            os._exit(0)  # the parent is gone: so is the reason to compute

    threading.Thread(target=listen, daemon=True).start()
    module = importlib.import_module(target)
    while True:
        number, function, args = requests.get()
        if number in withdrawn:
            withdrawn.discard(number)
            continue
        try:
            answer = (number, True, getattr(module, function)(*args))
        except FcnSegError as error:
            answer = (number, False, error)
        except MemoryError:
            answer = (number, False, EngineError(_OUT_OF_MEMORY))
        except Exception as error:
            answer = (number, False, _as_engine_error(error))
        pickle.dump(answer, answers, _PROTOCOL)
        answers.flush()


_OUT_OF_MEMORY = "The tile does not fit into memory. Choose a smaller tile or a lower memory limit and run again."


def _as_engine_error(error: Exception) -> EngineError:
    if type(error).__name__ == "ResourceExhaustedError":
        return EngineError(_OUT_OF_MEMORY)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TensorFlow begins with a heading and a stack, and says only then what happened.
    told = [line for line in lines if not line.startswith(("Graph execution error", "Detected at node", "File "))]
    text = next(iter(told or lines), "no message")[:300]
    return EngineError(f"The computing process failed with {type(error).__name__}: {text}")
