"""Read model files in a process that can be ended, with a limit on its time and its memory.

A mutated HDF5 file can make its library loop for ever or ask for absurd amounts of memory; here that is a sentence. The
libraries that reading takes are not imported in the caller's process either, where a window would wait for them.
"""

from __future__ import annotations

import math
import os
import signal
import time
from concurrent.futures import TimeoutError as NotYetError
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import EngineError, ModelFileError, OutOfMemoryError, SettingsError
from napari_fcnseg.readers.options import PLAIN, ReadOptions
from napari_fcnseg.readers.problem import MEMORY_MEGABYTES, too_much_memory
from napari_fcnseg.system.child_process import ChildProcess, computed_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.pixel_network import PixelNetwork
    from napari_fcnseg.system.child_process import PendingCall

#: Of computing, for one file, beside what its size takes. The largest of Keras's own architectures take a few on a slow
#: machine; only what never ends takes all.
_SECONDS: Final = 30.0
#: Names another number of them.
SECONDS: Final = "NAPARI_FCNSEG_READ_SECONDS"
_BYTES_PER_SECOND: Final = 10e6
#: Bytes that reading may take beside the arrays themselves.
_MEMORY: Final = 640 * 2**20
#: Copies of the arrays that there may be at once: compressed, read, turned, sent to the parent.
_COPIES: Final = 8
#: One thread reads: more would take memory, and computing time of many processors at once.
_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_LOOK_EVERY: Final = 0.5  # seconds, where the system has no limits and the parent has to look


def read_models(
    paths: Sequence[str | os.PathLike[str]],
    outputs: Sequence[str | None] | None = None,
    options: Sequence[ReadOptions] | None = None,
    *,
    seconds: float | None = None,
    memory: int | None = None,
) -> list[Network | PixelNetwork]:
    """Read model files as :func:`napari_fcnseg.readers.read_model` does, in a process of their own.

    Parameters
    ----------
    paths : sequence of path
        The files.
    outputs : sequence of str or None, optional
        For every file which of several outputs; the first where none is named.
    options : sequence of ReadOptions, optional
        For every file what it does not say.
    seconds : float, optional
        Of computing that one file may take beside a second for every 10 MB of its size, however long a busy machine
        takes over them; by default what :data:`SECONDS` says, or 30.
    memory : int, optional
        Bytes that reading a file may take beside a few times the file's size; by default what
        :data:`MEMORY_MEGABYTES` says, or 640 MiB.

    Raises
    ------
    ModelFileError, UnsupportedLayerError, ConversionError
        As :func:`napari_fcnseg.readers.read_model`, and if a limit is exceeded.
    SettingsError
        A limit in the environment is no number.
    """
    if not paths:
        return []
    seconds = _from_environment(SECONDS, _SECONDS) if seconds is None else seconds
    memory = int(_from_environment(MEMORY_MEGABYTES, _MEMORY / 1e6) * 1e6) if memory is None else memory
    child = ChildProcess(__name__, _ENVIRONMENT)
    try:
        return [
            _read(child, Path(path), output, said, seconds, memory)
            for path, output, said in zip(
                paths, outputs or [None] * len(paths), options or [PLAIN] * len(paths), strict=True
            )
        ]
    finally:
        child.kill()


def _from_environment(name: str, default: float) -> float:
    text = os.environ.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SettingsError(
            f"The environment variable {name} is {text[:40]!r}: set it to a number above 0, or not at all."
        )
    return value


def _read(
    child: ChildProcess, path: Path, output: str | None, options: ReadOptions, seconds: float, memory: int
) -> Network | PixelNetwork:
    size = _size(path)
    seconds += size / _BYTES_PER_SECOND
    call = child.call("read_limited", str(path), output, options, seconds, memory + _COPIES * size)
    try:
        network: Network | PixelNetwork = call.result() if _has_limits() else _in_time(child, call, seconds)
    except NotYetError:
        problem = _too_long(seconds)
    except EngineError as error:
        if child.exit_code == -getattr(signal, "SIGXCPU", math.inf):
            problem = _too_long(seconds)
        elif isinstance(error, OutOfMemoryError):
            problem = " ".join(too_much_memory())
        else:
            problem = (
                f"the process that read it ended ({error}) The file may be damaged: copy or download it again, or save "
                "the model again."
            )
    else:
        return network
    what = "folder" if path.is_dir() else "file"
    raise ModelFileError(f"The {what} {str(path)!r} cannot be used as a model: {problem}")


def _too_long(seconds: float) -> str:
    return (
        f"reading it was stopped after {seconds:.0f} s of computing, the limit for a file of its size. On a slow "
        f"computer a large model may need more: set the environment variable {SECONDS}={max(10 * seconds, 60):.0f} and "
        "open it again. If that does not help, the file is damaged: copy or download it again."
    )


def _in_time(child: ChildProcess, call: PendingCall, seconds: float) -> Network | PixelNetwork:
    """Wait for an answer as long as the child has not computed too much."""
    before = computed_by(child.pid)
    while True:
        try:
            network: Network | PixelNetwork = call.result(_LOOK_EVERY)
        except NotYetError:
            if computed_by(child.pid) - before > seconds:
                raise
        else:
            return network


#: Of a text that describes what lies beside it.
_DESCRIPTIONS: Final = (".yaml", ".yml")


def _size(path: Path) -> int:
    """Give the bytes of a file and of what may belong to it, or of a folder; 0 where reading it says what is wrong."""
    try:
        if path.suffix.lower() in _DESCRIPTIONS:
            path = path.parent
        if path.is_dir():
            return sum(_bytes(file) for file in (*path.iterdir(), *(path / "variables").glob("*")))
        beside = [path.with_name(f"{path.name}.data")]
        if path.suffix.lower() == ".json":
            beside += [file for file in path.parent.iterdir() if file.suffix.lower() in (".h5", ".hdf5")]
        return path.stat().st_size + max(map(_bytes, beside))
    except (OSError, ValueError):
        return 0


def _bytes(file: Path) -> int:
    return file.stat().st_size if file.is_file() and not file.is_symlink() else 0


def _has_limits() -> bool:
    try:
        import resource  # noqa: F401
    except ImportError:  # Windows
        return False
    return True


def read_limited(
    path: str, output: str | None, options: ReadOptions, seconds: float, memory: int
) -> Network | PixelNetwork:
    """Read one file with limits on time and memory, where the system has them to set. Runs in the child."""
    import h5py  # noqa: F401  # not to be counted among what the file takes

    from napari_fcnseg.readers import read_model

    if _has_limits():
        _limit(seconds, memory)
    return read_model(path, output, options)


def _limit(seconds: float, memory: int) -> None:
    import resource

    limits = [
        (resource.RLIMIT_AS, _at_start() + memory),
        (resource.RLIMIT_CPU, math.ceil(time.process_time() + seconds)),
        (resource.RLIMIT_CORE, 0),
    ]
    for kind, limit in limits:
        _, most = resource.getrlimit(kind)
        limit = max(limit, 0)
        resource.setrlimit(kind, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


@cache
def _at_start() -> int:
    """Give the address space that the child had before its first file: what one leaves behind is none of the next's."""
    import psutil

    return int(psutil.Process().memory_info().vms)
