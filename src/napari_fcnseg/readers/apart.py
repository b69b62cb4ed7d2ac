"""Read model files in a process that can be ended, with a limit on its time and its memory.

A mutated HDF5 file can make its library loop for ever or ask for absurd amounts of memory; here that is a sentence. The
libraries that reading takes are not imported in the caller's process either, where a window would wait for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_fcnseg.child import Child
from napari_fcnseg.errors import EngineError, ModelFileError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from napari_fcnseg.graph.network import Network

_SECONDS = 60.0  # for one file; the largest that were tried took two
_MEMORY = 2**31  # bytes that reading may take beside the arrays themselves


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
        That one file may take.
    memory : int
        Bytes that reading a file may take beside a few times the file's size.

    Raises
    ------
    ModelFileError, UnsupportedLayerError, ConversionError
        As :func:`napari_fcnseg.readers.read_model`, and if a limit is exceeded.
    """
    if not paths:
        return []
    child = Child(__name__)
    try:
        return [
            _read(child, Path(path), output, seconds, memory)
            for path, output in zip(paths, outputs or [None] * len(paths), strict=True)
        ]
    finally:
        child.kill()


def _read(child: Child, path: Path, output: str | None, seconds: float, memory: int) -> Network:
    try:
        network: Network = child.call("read_limited", str(path), output, memory).result(seconds)
    except TimeoutError:
        problem = f"reading it took more than {seconds:.0f} seconds"
    except EngineError:
        problem = "reading it took too much memory or ended the reading process"
    else:
        return network
    raise ModelFileError(
        f"The file {str(path)!r} cannot be used as a model: {problem}. It may be damaged: copy or download it "
        "again, or save the model again."
    )


def read_limited(path: str, output: str | None, memory: int) -> Network:
    """Read one file with a limit on memory, where the system has one to set. Runs in the child."""
    from napari_fcnseg.readers import read_model

    _limit_memory(path, memory)
    return read_model(path, output)


def _limit_memory(path: str, memory: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    import psutil

    size = Path(path).stat().st_size if Path(path).is_file() else 0
    limit = psutil.Process().memory_info().vms + memory + 8 * size
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))
