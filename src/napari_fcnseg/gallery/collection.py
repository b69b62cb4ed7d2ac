"""The list of a collection: in one of the three forms that bioimage.io has had, or a folder of packages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import GalleryError, UnreadableError
from napari_fcnseg.gallery.addresses import beside, checked, is_address, looks_like_address
from napari_fcnseg.gallery.description import first_picture
from napari_fcnseg.gallery.entries import Entry, line
from napari_fcnseg.gallery.local import models_of
from napari_fcnseg.gallery.web import fetch
from napari_fcnseg.readers.likely import likely_model
from napari_fcnseg.system import safe_json

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

#: Names of the list in a folder.
NAMES: Final = ("collection.json", "all_versions.json", "id_map.json")
_MOST: Final = 5000
_WANTED: Final = (
    "Give the address of a list as bioimage.io has them, such as https://example.org/collection.json, or a folder with "
    "one or with packages."
)
_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Collection:
    """The models of a collection.

    Attributes
    ----------
    place : str
        Where its list is.
    entries : tuple of Entry
        Its models, by name.
    note : str
        What was left out of it, as a sentence; empty for nothing.
    """

    place: str
    entries: tuple[Entry, ...]
    note: str = ""


def read_collection(place: str, stop: threading.Event | None = None) -> Collection:
    """Read the list of a collection; nothing else of it is asked for.

    Parameters
    ----------
    place : str
        The address of a list, or the path of one or of a folder with one or with packages.
    stop : Event, optional
        Once it is set, :class:`napari_fcnseg.gallery.web.StoppedError` is raised.

    Raises
    ------
    GalleryError
        If it cannot be had, or is none.
    """
    given = place
    try:
        place = checked(place)
        if not is_address(place) and Path(place).is_dir():
            name = next((name for name in NAMES if (Path(place) / name).is_file()), None)
            if name is None:
                return _folder(place)
            place = str(Path(place) / name)
        _check_file(given.strip(), place)
        return _parsed(place, fetch(place, safe_json.MAX_BYTES, stop))
    except UnreadableError as problem:
        raise GalleryError(f"The collection cannot be read: {problem.reason}. {problem.advice}") from None


def _folder(place: str) -> Collection:
    found = models_of(place)
    return Collection(place, found, "" if found else f"The folder {place} holds neither a list nor a model. {_WANTED}")


def _check_file(given: str, place: str) -> None:
    """Refuse a path at which no list can be, in words about what was given."""
    if is_address(place):
        return
    path = Path(place)
    if not path.exists():
        if looks_like_address(given):
            raise UnreadableError(
                f"there is no file or folder {given[:80]!r}, and an address begins with https://",
                f"If it is one, write it as https://{given[:80]}, up to the name of the list. {_WANTED}",
            )
        raise UnreadableError(f"the file or folder {place} is missing", f"Check the spelling. {_WANTED}")
    if not path.is_file():
        raise UnreadableError(f"{place} is neither a file nor a folder", _WANTED)
    if likely_model(path):
        raise UnreadableError(f"{place} is a model itself and no list of models", f"Open it as a model. {_WANTED}")


def _json(place: str, content: bytes) -> safe_json.JsonFields:
    head = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if head.startswith(b"<"):
        kind = "a web page" if b"html" in head else "a page in XML"
        raise UnreadableError(f"{place} gives {kind} and no list of models", _WANTED)
    if b"\0" in content:
        raise UnreadableError(f"{place} gives a file of another kind and no list of models", _WANTED)
    try:
        return safe_json.parse(content, f"what {place} gives")
    except UnreadableError as problem:  # its advice is that for models
        raise UnreadableError(problem.reason, _WANTED) from None


def _parsed(place: str, content: bytes) -> Collection:
    data = _json(place, content)
    found: dict[str, Entry] = {}
    problems: list[str] = []
    for key, item in _items({name: data.raw(name) for name in data.keys()}):
        if len(found) + len(problems) >= _MOST:
            problems.append(f"it has more than {_MOST:,} models")
            break
        try:
            found.setdefault(key, _entry(place, key, item))
        except UnreadableError as problem:
            problems.append(problem.reason)
    count = len(problems)
    first = f"{count:,} models are left out; the first" if count > 1 else "1 model is left out"
    note = f"{first}: {problems[0]}." if problems else ""
    return Collection(place, tuple(sorted(found.values(), key=lambda entry: entry.name.casefold())), note)


def _items(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the models of a list with the names by which it knows them, whichever form it has."""
    if isinstance(data.get("collection"), list):  # collection.json
        for item in data["collection"]:
            if isinstance(item, dict) and item.get("type") == "model":
                yield line(item.get("nickname") or item.get("id")), item
    elif isinstance(data.get("entries"), list):  # all_versions.json
        for item in data["entries"]:
            if isinstance(item, dict) and item.get("type") == "model":
                yield line(item.get("concept") or item.get("id")), {**item, **_newest(item.get("versions"))}
    elif data and all(isinstance(item, dict) and "source" in item for item in data.values()):  # id_map.json
        for key, item in data.items():
            yield line(key), item
    else:
        raise UnreadableError(
            "it is no list of models as bioimage.io has", f"Give the address of a {', '.join(NAMES)}."
        )


def _newest(versions: object) -> dict[str, Any]:
    """Return the newest version of a model: the first one of the list."""
    return next((item for item in versions if isinstance(item, dict)), {}) if isinstance(versions, list) else {}


def _entry(place: str, key: str, item: dict[str, Any]) -> Entry:
    what = f"the model {key[:60]!r}"
    if not key:
        raise UnreadableError("a model without a name", "")
    source = item.get("rdf_source") or item.get("entry_source") or item.get("source") or item.get("download_url")
    known = next((item[name] for name in ("rdf_sha256", "entry_sha256", "sha256") if item.get(name)), "")
    covers = item.get("covers")
    tags = item.get("tags")
    return Entry(
        key=key[:100],
        name=line(item.get("name")) or key,
        source=beside(place, source, what),
        about=line(item.get("description")),
        sha256=known if isinstance(known, str) and _HASH.fullmatch(known) else "",
        cover=_cover(beside(place, source, what), covers),
        licence=line(item.get("license"), 60),
        tags=tuple(line(tag, 60) for tag in tags[:30]) if isinstance(tags, list) else (),
    )


def _cover(place: str, covers: object) -> str:
    """Return where the first picture is, beside the description; nothing where it may not be asked for."""
    try:
        name = first_picture(covers).name
        return beside(place, name, "its picture") if name else ""
    except UnreadableError:
        return ""
