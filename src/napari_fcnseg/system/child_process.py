"""A child process that answers calls, and the parent's handle on it.

What may crash, hang, exhaust the memory or take seconds to import belongs in a process that can be killed: then it is
an error message and never a lost session. The engine's framework is one such thing (TensorFlow and Mesa's OpenGL end
each other in one process), a model file of unknown origin another. The two processes talk in messages
(:mod:`napari_fcnseg.system.messages`) over the child's standard input and output:

- the child is a fresh interpreter that runs :mod:`napari_fcnseg.system.child_server` and never the caller's script, so
it works
  from a plain script without a ``__main__`` guard, from a notebook and from a console script alike;
- either side's death closes the pipe: the parent's waiting calls end with an error at once, and the child exits even
  in the midst of a computation;
- what a call raises arrives as one of our own errors or as text, so that no framework is imported here to say it;
- a child that stands still while a call waits is ended, and the call says so.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from napari_fcnseg.errors import EngineError, OutOfMemoryError
from napari_fcnseg.system.child_server import NO_MEMORY, OUT_OF_MEMORY, WITHDRAW, serve
from napari_fcnseg.system.messages import ForeignError, Message, packed, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.system.memory import MemoryUsage

#: Ends of a process that may be for want of memory: killed by the system, or a library that was refused memory and went
#: on without, or gave up. As numbers, for Windows has no such signals.
_SUSPECT = (-9, -11, -7, -6)
_LAST = 1.0  # seconds that a child may take to end after it has closed its end of the pipe
LOOK_EVERY = 5.0  # seconds between two looks at what it computes
#: Looks in a row at which a child that is asked something has not computed at all before it counts as stuck. They are
#: counted, not timed: a computer that slept has not waited.
STUCK_AFTER = 24


class PendingCall(Future[Any]):
    """The answer to a call, once it comes.

    Attributes
    ----------
    usage : MemoryUsage or None
        The child's memory around it, once it is answered.
    """

    usage: MemoryUsage | None = None


class ChildProcess:
    """One child process; calls are answered in order.

    Parameters
    ----------
    target : str
        ``"package.module"`` whose module-level functions can be called.
    env : dict of str to str or None, optional
        Environment variables to set for it; None for one that it is not to have.
    trusted : sequence of str
        Packages beside this one whose classes its answers may use.
    """

    def __init__(self, target: str, env: Mapping[str, str | None] | None = None, trusted: Sequence[str] = ()) -> None:
        variables = {**os.environ, **(env or {}), "PYTHONPATH": os.pathsep.join(sys.path)}
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            # -P: a module of the user's that lies in the working directory must not shadow a library's
            [sys.executable, "-P", "-c", f"from {serve.__module__} import serve; serve({target!r})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={name: value for name, value in variables.items() if value is not None},
            start_new_session=True,  # Ctrl-C in the terminal is for the parent to handle
        )
        self._lock = threading.Lock()
        self._pending: dict[int, PendingCall] = {}
        self._count = 0
        self._epitaph: EngineError | None = None  # why it ended
        self._unwanted = False  # ended by this program
        self._stuck = False  # ended because it was stuck
        self._trusted = tuple(trusted)
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read, name="napari-fcnseg-child", daemon=True)
        self._reader.start()
        threading.Thread(target=self._watch, name="napari-fcnseg-watch", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether calls can still be answered."""
        return self._epitaph is None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended: a signal as a negative number; None as long as it has not."""
        return self._process.poll()

    def call(self, function: str, *args: object) -> PendingCall:
        """Call a function of the target module in the child.

        Returns
        -------
        PendingCall
            A future: its result, the :class:`~napari_fcnseg.errors.FcnSegError` it raised, or an
            :class:`~napari_fcnseg.errors.EngineError` if it raised another, or the child ended first.
        """
        future = PendingCall()
        with self._lock:
            self._count += 1
            number = self._count
            message = packed(number, (function, args))
            self._pending[number] = future
            sent = self._send(message)
            if not sent:
                del self._pending[number]
        if not sent:
            self._reader.join()  # the reader sees the end of the pipe as well, and says why
            future.set_exception(self._epitaph)
        future.add_done_callback(lambda done: self._withdraw(number) if done.cancelled() else None)
        return future

    def _send(self, message: list[Any]) -> bool:
        """Write a message; return False if the child has ended."""
        try:
            write(_open(self._process.stdin), message)
        except (OSError, ValueError):
            return False
        return True

    def _withdraw(self, number: int) -> None:
        """Tell the child not to begin a call that nobody waits for any more."""
        with self._lock:
            if self._pending.pop(number, None) is not None:
                self._send(packed(number, (WITHDRAW, ())))

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
                message = Message(stdout)
            except Exception:  # whatever is wrong with the stream, it cannot be read any further
                break
            with self._lock:
                future = self._pending.pop(message.number, None)
            if future is not None and future.set_running_or_notify_cancel():
                ok, value, future.usage = self._told(message)
                (future.set_result if ok else future.set_exception)(value)
        try:
            self._process.wait(_LAST)
        except subprocess.TimeoutExpired:
            self._unwanted = True
            self._process.kill()
            self._process.wait()
        self._over.set()
        self._epitaph = self._obituary()
        with self._lock:
            pending, self._pending = self._pending, {}
            self._close()
        for future in pending.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(self._epitaph)

    def _told(self, message: Message) -> tuple[bool, Any, MemoryUsage | None]:
        """Return whether a call went well, its result or else an error, and the memory it took."""
        try:
            ok, value, usage = message.answer(self._trusted)
        except ForeignError as error:
            said = f"it holds {error}, which is not looked up here"
        except MemoryError:
            return False, OutOfMemoryError(OUT_OF_MEMORY), None
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        else:
            return ok, value, usage
        return False, EngineError(f"The computing process gave an answer that cannot be read: {said}."), None

    def _watch(self) -> None:
        """End the child when it stands still while a call waits."""
        still, before = 0, -1.0
        while not self._over.wait(LOOK_EVERY):
            with self._lock:
                waiting = bool(self._pending)
            now = computed_by(self.pid)
            still = still + 1 if waiting and now == before else 0
            before = now
            if still >= STUCK_AFTER:
                self._stuck = True
                self.kill()
                return

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            with suppress(OSError):  # unsent data for a process that has ended
                _open(stream).close()

    def _obituary(self) -> EngineError:
        code = self._process.poll()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 2000))
        said = self._stderr.read().decode(errors="replace").strip().splitlines()
        last = f" It last said: {said[-1]}" if said and code not in (-9, -15) else ""
        if self._stuck:
            return EngineError(
                f"The computing process stood still for {STUCK_AFTER * LOOK_EVERY / 60:.0f} minutes and was ended. "
                "Finished tiles are kept; press Run (or call again) to start a new process."
            )
        suspect = code in _SUSPECT and not self._unwanted
        memory = " There may have been too little memory: try a smaller tile or memory limit." if suspect else ""
        sentence = (
            f"The computing process ended before it answered ({how}). Finished tiles are kept; press Run (or call "
            f"again) to start a new process.{memory}{last}"
        )
        if suspect or NO_MEMORY.search("\n".join(said[-5:])):
            return OutOfMemoryError(sentence, self.pid)
        return EngineError(sentence)


def usage_of(future: Future[Any]) -> MemoryUsage | None:
    """Return the child's memory around an answered call, None if unknown."""
    return future.usage if isinstance(future, PendingCall) else None


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "Popen was given PIPE"
    return pipe


def computed_by(pid: int) -> float:
    """Return the seconds of computing that a process has taken; always another number if unknown."""
    import psutil

    try:
        taken = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return math.nan
    return float(taken.user + taken.system)
