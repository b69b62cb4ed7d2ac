"""``napari-fcnseg gallery``: the models of a folder and of a collection, what each expects, and fetching one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_fcnseg.cli.exit_codes import OK
from napari_fcnseg.errors import GalleryError, SettingsError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_fcnseg.gallery import Entry

#: Environment variable that names the collection where no option does.
COLLECTION = "NAPARI_FCNSEG_COLLECTION"


def add_arguments(gallery: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    commands = gallery.add_subparsers(required=True, metavar="ACTION")
    for name, text, run in (("list", "the models there are", _list), ("show", "what a model expects", _show),
                            ("get", "fetch a model into a folder", _get)):  # fmt: skip
        action = commands.add_parser(name, help=text)
        if name != "list":
            action.add_argument("model", metavar="NAME", help="as list calls it")
        else:
            action.add_argument("words", nargs="*", metavar="WORD", help="only those with all of these words")
        action.add_argument("--collection", metavar="PLACE", default=os.environ.get(COLLECTION, ""),
                            help=f"address of a list of bioimage.io models, or a folder (${COLLECTION})")  # fmt: skip
        folder = "where your models are" if name != "get" else "where it goes (this folder)"
        action.add_argument(
            "--folder", type=Path, default=Path() if name == "get" else None, metavar="FOLDER", help=folder
        )
        if name == "get":
            action.add_argument("--quiet", action="store_true", help="no progress")
        action.set_defaults(run=run)


def _entries(chosen: argparse.Namespace) -> list[Entry]:
    """Return the models of the folder and of the collection."""
    from napari_fcnseg.gallery import models_of, read_collection

    if not chosen.collection and chosen.folder is None:
        raise SettingsError("No place was given. Name a collection with --collection, or a folder with --folder.")
    if chosen.folder is not None and not chosen.folder.is_dir():
        raise SettingsError(f"There is no folder {str(chosen.folder)!r}. Check the spelling, or make it.")
    found = list(models_of(chosen.folder)) if chosen.folder is not None else []
    if chosen.collection:
        collection = read_collection(chosen.collection)
        found += collection.entries
        if collection.note:
            print(f"napari-fcnseg: {collection.note}", file=sys.stderr)
    return found


def _one(entries: Sequence[Entry], name: str) -> Entry:
    """Return the model of a name.

    Raises
    ------
    SettingsError
        If there is none; the error lists those with a similar name.
    """
    import difflib

    found = next((entry for entry in entries if name in (entry.key, entry.name)), None)
    if found is None:
        close = difflib.get_close_matches(name, [entry.key for entry in entries], 3, 0.5)
        meant = f" Did you mean {' or '.join(close)}?" if close else ""
        raise SettingsError(f"There is no model {name!r} there.{meant} List them with: napari-fcnseg gallery list.")
    return found


def _list(chosen: argparse.Namespace) -> int:
    entries = [entry for entry in _entries(chosen) if entry.matches(" ".join(chosen.words))]
    width = max((len(entry.key) for entry in entries), default=0)
    for entry in entries:
        print(f"{entry.key:<{width}}  {entry.name if entry.name != entry.key else ''}".rstrip())
    if not entries:
        print("None of the models there has these words." if chosen.words else "No models there.")
    return OK


def _show(chosen: argparse.Namespace) -> int:
    from napari_fcnseg.gallery import describe, facts_of, size_of

    entry = _one(_entries(chosen), chosen.model)
    said = describe(entry)
    rows = facts_of(entry, said, size_of(entry, said))
    width = max(len(title) for title, _ in rows) + 2
    for title, text in rows:
        print(f"{title:<{width}}{text}")
    return OK


def _get(chosen: argparse.Namespace) -> int:
    from napari_fcnseg.cli.progress import bytes_bar
    from napari_fcnseg.gallery import check, get, read_collection

    if not chosen.collection:
        raise SettingsError("No collection was given. Name one with --collection.")
    entry = _one(read_collection(chosen.collection).entries, chosen.model)
    with bytes_bar("Fetching", chosen.quiet) as progress:
        path = get(
            entry, chosen.folder, lambda _, done, total: progress(done, total),
            note=lambda text: print(f"napari-fcnseg: {text}", file=sys.stderr),
        )  # fmt: skip
    if problem := check(path):
        raise GalleryError(problem)
    print(path)
    return OK
