"""Read model files in a process that can be ended, with a limit on its time and its memory.

A mutated HDF5 file can make its library loop for ever or ask for absurd amounts of memory; here that is a sentence. The
libraries that reading takes are not imported in the caller's process either, where a window would wait for them.
"""

from __future__ import annotations

import math
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import EngineError, ModelFileError
from napari_fcnseg.system.child_process import ChildProcess

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from napari_fcnseg.graph.network import Network

#: Of computing, for one file, beside what its size takes. The honest ones that were tried took less than one.
_SECONDS: Final = 5.0
_BYTES_PER_SECOND: Final = 25e6
#: A busy machine computes more slowly: so much longer may it take by the clock.
_PATIENCE: Final = 8.0
#: Bytes that reading may take beside the arrays themselves.
_MEMORY: Final = 640 * 2**20
#: Copies of the arrays that there may be at once: compressed, read, turned, sent to the parent.
_COPIES: Final = 8
#: One thread reads: more would take memory, and computing time of many processors at once.
_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def read_models(
    paths: Sequence[str | os.PathLike[str]],
    outputs: Sequence[str | None] | None = None,
    *,
    seconds: float = _SECONDS,
    memory: int = _MEMORY,
) -> list[Network]:
    """Read model files as :func:`napari_fcnseg.readers.read_model` does, in a process of their own.

    Parameters
    ----------
    paths : sequence of path
        The files.
    outputs : sequence of str or None, optional
        For every file which of several outputs; the first where none is named.
    seconds : float
        Of computing that one file may take beside a second for every 25 MB of its size.
    memory : int
        Bytes that reading a file may take beside a few times the file's size.

    Raises
    ------
    ModelFileError, UnsupportedLayerError, ConversionError
        As :func:`napari_fcnseg.readers.read_model`, and if a limit is exceeded.
    """
    if not paths:
        return []
    child = ChildProcess(__name__, _ENVIRONMENT)
    try:
        return [
            _read(child, Path(path), output, seconds, memory)
            for path, output in zip(paths, outputs or [None] * len(paths), strict=True)
        ]
    finally:
        child.kill()


def _read(child: ChildProcess, path: Path, output: str | None, seconds: float, memory: int) -> Network:
    size = _size(path)
    seconds += size / _BYTES_PER_SECOND
    patience = _PATIENCE if _has_limits() else 1.0
    try:
        network: Network = child.call("read_limited", str(path), output, seconds, memory + _COPIES * size).result(
            patience * seconds
        )
    except TimeoutError:
        problem = f"reading it took more than {patience * seconds:.0f} seconds"
    except EngineError:
        problem = "reading it took too much time or memory, or ended the reading process"
    else:
        return network
    raise ModelFileError(
        f"The file {str(path)!r} cannot be used as a model: {problem}. It may be damaged: copy or download it "
        "again, or save the model again."
    )


def _size(path: Path) -> int:
    """Give the bytes of a file and of what may belong to it, or of a folder; 0 where reading it says what is wrong."""
    try:
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


def read_limited(path: str, output: str | None, seconds: float, memory: int) -> Network:
    """Read one file with limits on time and memory, where the system has them to set. Runs in the child."""
    import h5py  # noqa: F401  # not to be counted among what the file takes

    from napari_fcnseg.readers import read_model

    if _has_limits():
        _limit(seconds, memory)
    return read_model(path, output)


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
