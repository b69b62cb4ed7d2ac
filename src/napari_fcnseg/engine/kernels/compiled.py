"""Compiled functions, kept on disk until any file here changes.

Imported in the engine's child process alone.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any

from numba import cfunc, njit

if TYPE_CHECKING:
    from collections.abc import Callable


def compiled(function: Any) -> Callable[..., Any]:
    """Return a function compiled when it is first called, or as an earlier process has compiled it.

    It may call what is in other files of this folder. Numba would look at its own file alone to tell whether what is
    on disk is outdated; but it also looks at the variables of the scope around a function, so there is one more.
    """
    made: Callable[..., Any] = njit(cache=True, nogil=True)(_with_sources(function))
    return made


def compiled_at(function: Any, signature: Any) -> int:
    """Return the address of a function compiled for a signature, or as an earlier process has compiled it."""
    made: Any = cfunc(signature, cache=True)(_with_sources(function))
    _kept.append(made)
    return int(made.address)


_kept: list[Any] = []  # what is at an address goes with its object


def _with_sources(function: Any) -> FunctionType:
    code = function.__code__
    names, cells = (*code.co_freevars, "_sources"), (*(function.__closure__ or ()), CellType(_sources()))
    seen = FunctionType(code.replace(co_freevars=names), function.__globals__, function.__name__, None, cells)
    seen.__module__, seen.__qualname__ = function.__module__, function.__qualname__
    return seen


@functools.cache
def _sources() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
