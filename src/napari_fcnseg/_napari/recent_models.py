"""Recently used models, and those in the user's folder. Free of Qt."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_fcnseg.readers.likely import models_in
from napari_fcnseg.samples.catalogue import SAMPLES
from napari_fcnseg.system.cache import recall, remember

if TYPE_CHECKING:
    from collections.abc import Sequence

_KIND, _KEY = "models", "recent"
_MOST = 10
_MOST_IN_FOLDER = 40


@dataclass(frozen=True)
class Recent:
    """A model, or the members of an ensemble, to be opened together.

    Attributes
    ----------
    paths : tuple of str
        Files and folders.
    """

    paths: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a menu shows: the first one's name and how many others there are."""
        more = len(self.paths) - 1
        return Path(self.paths[0]).name + (f" + {more} more" if more else "")

    @property
    def missing(self) -> tuple[str, ...]:
        """Those that are not there any more."""
        return tuple(path for path in self.paths if not os.path.exists(path))


def recent() -> tuple[Recent, ...]:
    """Return what was used last, the latest first; whatever is no list of paths is left out."""
    kept = recall(_KIND, _KEY)
    lists = [paths for paths in kept if isinstance(paths, list) and paths] if isinstance(kept, list) else []
    return tuple(Recent(tuple(paths)) for paths in lists if all(isinstance(p, str) and p for p in paths))[:_MOST]


def note(paths: Sequence[str | os.PathLike[str]]) -> None:
    """Put models that were used first in the list; samples have a menu of their own."""
    used = tuple(os.path.abspath(path) for path in paths)
    if not used or all(Path(path) in {sample.model_path for sample in SAMPLES.values()} for path in used):
        return
    others = [list(each.paths) for each in recent() if each.paths != used]
    remember(_KIND, _KEY, [list(used), *others][:_MOST])


def forget() -> None:
    """Empty the list."""
    remember(_KIND, _KEY, None)


def in_folder(folder: str) -> tuple[Recent, ...]:
    """Return the models right inside a folder, the first so many by name."""
    return tuple(Recent((str(path),)) for path in models_in(folder)[:_MOST_IN_FOLDER]) if folder else ()
