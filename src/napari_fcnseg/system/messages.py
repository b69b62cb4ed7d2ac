"""Messages between this process and a child of it: pickles in frames, whose arrays are sent without being copied.

What a child answers is read with care. It has read a file of unknown origin, or runs a framework that must never be
imported here, so an answer holds plain data, arrays and classes of this package, and nothing else is looked up. A
message that breaks this, or cannot be read for another reason, is one call's failure: its frame says where it ends, so
the next one can still be read.
"""

from __future__ import annotations

import importlib
import io
import pickle
import struct
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PROTOCOL: Final = 5
_HEADER: Final = struct.Struct("<qQI")  # the call's number, bytes of the pickle, arrays that follow it
_LENGTH: Final = struct.Struct("<Q")
_PACKAGE: Final = __name__.partition(".")[0]
_PATHS: Final = frozenset({"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"})
#: What else an answer may be made of, by module. Each only holds what it is given.
_PLAIN: Final = {
    "builtins": frozenset({"bytearray", "complex", "frozenset", "range", "set", "slice"}),
    "collections": frozenset({"Counter", "OrderedDict", "defaultdict", "deque"}),
    "fractions": frozenset({"Fraction"}),
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,  # Python 3.13
    "numpy": frozenset({"dtype", "ndarray"}),
    "numpy.core.multiarray": frozenset({"_reconstruct", "scalar"}),  # NumPy 1
    "numpy._core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy.core.numeric": frozenset({"_frombuffer"}),
    "numpy._core.numeric": frozenset({"_frombuffer"}),
}


class ForeignError(Exception):
    """A message holds something that is not looked up here."""


def packed(number: int, content: object) -> list[Any]:
    """Return a message as parts that are written one after the other.

    Raises
    ------
    Exception
        Whatever the content's own pickling raises; nothing has been written then.
    """
    buffers: list[pickle.PickleBuffer] = []
    file = io.BytesIO()
    pickler = pickle.Pickler(file, PROTOCOL, buffer_callback=buffers.append)
    # Libraries register how they would pickle classes of others: with tblib TensorFlow does so for every exception.
    pickler.dispatch_table = {}
    pickler.dump(content)
    data = file.getbuffer()
    raw = [buffer.raw() for buffer in buffers]
    return [_HEADER.pack(number, len(data), len(raw)), *(_LENGTH.pack(view.nbytes) for view in raw), data, *raw]


def write(stream: IO[bytes], parts: Sequence[Any]) -> None:
    """Write a packed message.

    Raises
    ------
    OSError, ValueError
        If nobody reads it any more.
    """
    for part in parts:
        stream.write(part)
    stream.flush()


class Message:
    """One message, read but not yet looked into.

    Attributes
    ----------
    number : int
        The call's.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        """Read it.

        Raises
        ------
        EOFError
            If the stream has ended.
        """
        self.number, length, count = _HEADER.unpack(_taken(stream, _HEADER.size))
        lengths = [_LENGTH.unpack(_taken(stream, _LENGTH.size))[0] for _ in range(count)]
        self._data = _taken(stream, length)
        self._buffers = [_taken(stream, n) for n in lengths]

    def content(self) -> Any:
        """Return what a trusted sender sent: this process's parent."""
        return pickle.loads(self._data, buffers=self._buffers)

    def answer(self, trusted: Sequence[str] = ()) -> Any:
        """Return what a child sent.

        Parameters
        ----------
        trusted : sequence of str
            Packages beside this one whose classes it may use.

        Raises
        ------
        ForeignError
            If it uses others. None is imported.
        """
        return _Reader(io.BytesIO(self._data), self._buffers, (_PACKAGE, *trusted)).load()


class _Reader(pickle.Unpickler):
    def __init__(self, file: IO[bytes], buffers: Sequence[Any], packages: Sequence[str]) -> None:
        super().__init__(file, buffers=buffers)
        self._packages = packages

    def find_class(self, module: str, name: str) -> Any:
        """Return a class; one of our own, or one that only holds what it is given."""
        if name in _PLAIN.get(module, ()):
            return super().find_class(module, name)
        if module.partition(".")[0] in self._packages:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = vars(found).get(part)
                # A class of the module itself: not a function, and nothing that the module only imports.
                if not isinstance(found, type) or found.__module__ != module:
                    break
            else:
                return found
        raise ForeignError(f"{module}.{name}")


def _taken(stream: IO[bytes], count: int) -> bytearray:
    """Read so many bytes."""
    data = bytearray(count)
    view = memoryview(data)
    while view:
        n = stream.readinto(view)  # type: ignore[attr-defined]
        if not n:
            raise EOFError
        view = view[n:]
    return data
