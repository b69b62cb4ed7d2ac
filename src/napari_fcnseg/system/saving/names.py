"""Resolve file names, and derive the names that follow from a result's name."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROBE = ".fcnseg-probe-"
_MOST = 1000  # numbers that a name is tried with


def final(path: str | os.PathLike[str]) -> Path:
    """Return the place that a name leads to, through links."""
    return Path(os.path.realpath(path))


def alike(name: str) -> str:
    """Return what two names have in common that are one to some file systems: in capital letters, or other Unicode."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two names are those of one file, through links of any kind; of files that are not there yet, too."""
    there = [os.path.exists(path) for path in (one, other)]
    if all(there):
        return os.path.samefile(one, other)
    if any(there):
        return False
    a, b = final(one), final(other)
    if alike(a.name) != alike(b.name) or not (a.parent == b.parent or same_file(a.parent, b.parent)):
        return False
    return _in_folder(a.name, a.parent) == _in_folder(b.name, a.parent)


def _in_folder(name: str, folder: Path) -> str:
    """Return what all names have in common that are one file in a folder: some file systems tell ``a`` from ``A``."""
    capitals, letters = _told_apart(str(folder))
    if not capitals:
        return alike(name)
    return name if letters else unicodedata.normalize("NFC", name)


@lru_cache(maxsize=256)
def _told_apart(folder: str) -> tuple[bool, bool]:
    """Whether a folder tells capital letters from small ones, and two spellings of one letter in Unicode.

    Where nothing can be written, it is taken to tell neither.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=_PROBE, suffix="-\u00e9") as file:
            name = os.path.basename(file.name)
            return tuple(
                not os.path.lexists(os.path.join(folder, other))
                for other in (name.upper(), unicodedata.normalize("NFD", name))
            )  # type: ignore[return-value]
    except (OSError, ValueError):
        return False, False


def growing_at(path: Path) -> Path:
    """Return where a folder grows until it is complete: ``labels.partial.zarr``.

    It lies beside its place, for only there it can be swapped in.
    """
    return final(path).with_name(f"{path.stem}.partial{path.suffix}")


def stand_in(path: Path) -> Path:
    """Return the Zarr folder that stands for a result which cannot be written in parts, until it can be written whole.

    As everything that grows it is called otherwise while it does: ``labels.tif.partial.zarr``.
    """
    return path.with_name(f"{path.name}.zarr")


def hidden(target: Path, ending: str) -> Path:
    """Return a new hidden name beside a file, for what becomes of it; :func:`hidden_of` finds it again."""
    return target.with_name(f"{_mark(target)}-{secrets.token_hex(4)}{ending}")


def hidden_of(target: Path, ending: str) -> list[Path]:
    """Return what lies beside a file under names that :func:`hidden` gave."""
    return sorted(target.parent.glob(f"{_mark(target)}-*{ending}"))


def lock_of(target: Path) -> Path:
    """Return the file that says who writes another one."""
    return target.with_name(f"{_mark(target)}.lock")


def ledger_of(target: Path) -> Path:
    """Return the file that says what of another one is finished."""
    return target.with_name(f"{_mark(target)}.ledger")


def _mark(target: Path) -> str:
    # Not the name itself: with more letters it could be too long for the file system.
    name = _in_folder(target.name, target.parent)
    return f".fcnseg-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}"


def others(path: Path) -> Iterator[Path]:
    """Yield names like one: ``labels-2.tif``, and so on."""
    stem, ending = path.stem, path.suffix
    return (path.with_name(f"{stem}-{number}{ending}") for number in range(2, _MOST))
