"""Where the files of a collection are: addresses that may be asked for, or a folder of this computer."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.bioimageio.container import plain_name

_ADVICE = "Ask whoever keeps the collection."
_LONGEST = 2000
#: A name with a dot, and what is after it; endings of files are left to files.
_HOST = re.compile(
    r"(?!.*\.(?:json|zip|keras|h5|hdf5|onnx|ya?ml)$)[\w-]+(\.[\w-]+)+(:\d+)?$|[\w-]+(\.[\w-]+)+(:\d+)?/", re.I
)


def is_address(place: str) -> bool:
    """Whether a place is an address of the web, and not a path of this computer."""
    return place.lower().startswith(("http://", "https://"))


def looks_like_address(text: str) -> bool:
    """Whether a text may be an address without its beginning, as ``example.org/collection.json``."""
    return bool(_HOST.match(text))


def host_of(place: str) -> str:
    """Return the name of the computer that is asked for an address, with its port; empty for a path."""
    return urlsplit(place).netloc.lower() if is_address(place) else ""


def checked(place: str) -> str:
    """Return a place that a user gave: an address, or the path of a file or folder.

    Raises
    ------
    UnreadableError
        If it is an address of another kind.
    """
    text = place.strip()
    if is_address(text):
        parts = urlsplit(text)
        if not parts.hostname or "@" in parts.netloc or len(text) > _LONGEST:
            raise UnreadableError(
                f"{text[:80]!r} is no address of a file", "Write it as https://example.org/collection.json."
            )
        return text
    if "://" in text:
        raise UnreadableError(
            f"{text[:80]!r} is an address of another kind than https", "Give a https address, or the path of a folder."
        )
    return os.path.abspath(os.path.expanduser(text))


def beside(base: str, source: object, what: str) -> str:
    """Return the place of a file that is named by another file.

    Parameters
    ----------
    base : str
        Where the file is that names it.
    source : object
        What that says.
    what : str
        Of what, for the error's sentence.

    Raises
    ------
    UnreadableError
        If it is no place that may be asked for: on this computer, without encryption at another one, or a way out of
        the folder.
    """
    if not isinstance(source, str) or not source or len(source) > _LONGEST:
        raise UnreadableError(f"nothing says where {what} is", _ADVICE)
    if "://" not in source and not source.startswith("//"):
        name = plain_name(source, what)
        return urljoin(base, quote(name)) if is_address(base) else str(Path(base).parent.joinpath(*name.split("/")))
    if not is_address(source):
        raise UnreadableError(f"{what} is said to be at {source[:80]!r}, and such addresses are not opened", _ADVICE)
    place = checked(source)
    if not place.lower().startswith("https://") and host_of(place) != host_of(base):
        raise UnreadableError(
            f"{what} is said to be at {place[:80]!r}: another computer, and without encryption", _ADVICE
        )
    return place


def name_in(place: str) -> str:
    """Return the name of the file at a place."""
    return unquote(urlsplit(place).path).rsplit("/", 1)[-1] if is_address(place) else Path(place).name
