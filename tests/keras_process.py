"""The process that has TensorFlow, as tests use it: what they have it do fails alone, soon and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from patience import patience

from napari_fcnseg.engine.environment import ProcessPurpose
from napari_fcnseg.errors import EngineError
from napari_fcnseg.system.child_process import ChildProcess

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Seconds for one call, which a test may set otherwise, and for importing TensorFlow and Keras.
CALL_SECONDS = 45.0
START_SECONDS = 120.0
#: Modules of these tests whose classes an answer may use.
_OURS = ("_keras_side", "_cards", "architectures", "bench", "readers")


class KerasSideError(Exception):
    """Something failed in the process that has TensorFlow; the text is its whole traceback."""


class KerasProcess:
    """Runs functions where TensorFlow is.

    A process that died or did not answer is replaced at the next call; one that does not start fails every call at
    once.
    """

    def __init__(self) -> None:
        self._child: ChildProcess | None = None
        self._broken = ""
        self.pid = self._started().pid

    def __call__(self, function: Callable[..., T], *args: object, timeout: float = CALL_SECONDS, **kwargs: object) -> T:
        """Call a function there.

        Parameters
        ----------
        function : callable
            Must be importable by name.
        timeout : float
            Seconds that it may take, on a machine of usual speed.

        Raises
        ------
        KerasSideError
            If it raised, or the process ended before it answered. It holds text alone: the class of a framework's
            error, read here, would bring the framework along.
        """
        child, seconds = self._started(), timeout * patience()
        try:
            ok, value = child.call("call", function.__module__, function.__qualname__, args, kwargs).result(seconds)
        except TimeoutError:
            child.kill()
            raise KerasSideError(f"{function.__qualname__} did not answer within {seconds:.0f} s.") from None
        except EngineError as error:
            raise KerasSideError(f"{function.__qualname__}: {error}") from None
        if not ok:
            raise KerasSideError(value)
        return value  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()

    def _started(self) -> ChildProcess:
        if self._broken:
            pytest.fail(self._broken)
        if self._child is not None and self._child.alive:
            return self._child
        self._child = ChildProcess("_keras_side", ProcessPurpose("tensorflow").environment(), _OURS)
        try:
            self._child.call("versions").result(START_SECONDS * patience())
        except (EngineError, TimeoutError) as error:
            self._child.kill()
            self._broken = f"The process that has TensorFlow does not start: {error or 'it takes too long'}"
            pytest.fail(self._broken)
        return self._child
