"""Fetch a file: from its own host alone, bounded, checked by its hash, and gone on with where it was cut off."""

from __future__ import annotations

import hashlib
import http.client
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from napari_fcnseg.errors import GalleryError
from napari_fcnseg.gallery.addresses import host_of, is_address, name_in
from napari_fcnseg.readers.guard.folder import open_inside
from napari_fcnseg.system.formatting import format_bytes

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    #: Called with the bytes that are there and those there will be, or None.
    Progress = Callable[[int, int | None], object]

#: Ending of the file beside a part that tells which version it is of.
TAG: Final = ".tag"
_SECONDS: Final = 20.0  # without an answer
_PIECE: Final = 2**18
_AGENT: Final = "napari-fcnseg"
_MOVED: Final = range(300, 400)


class StoppedError(Exception):
    """The user cancelled."""


class _SameHost(HTTPRedirectHandler):
    """Follows an answer "it is elsewhere" at the same host alone, and never to less encryption."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the request for the new address."""
        same = host_of(newurl) == host_of(req.full_url)
        if not same or urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            raise _moved(req.full_url, host_of(newurl) or newurl[:60])
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> OpenerDirector:
    """Return what opens addresses of the web, and no others: the usual one opens files of this computer, too."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(), HTTPHandler(), HTTPSHandler(), HTTPDefaultErrorHandler(), HTTPErrorProcessor(), _SameHost()
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


def fetch(place: str, limit: int, stop: threading.Event | None = None) -> bytes:
    """Return the content of a small file.

    Parameters
    ----------
    place : str
        Its address, or its path.
    limit : int
        Bytes that it may have.
    stop : Event, optional
        Once it is set, :class:`StoppedError` is raised.

    Raises
    ------
    GalleryError
        If it cannot be had, or is larger.
    """
    if not is_address(place):
        return _local(place, limit)
    content = bytearray()
    with _opened(place, {}) as answer:
        for piece in _pieces(answer, place, stop):
            content += piece
            if len(content) > limit:
                raise _too_large(place, limit)
    return bytes(content)


def length(place: str) -> int | None:
    """Return how many bytes a file has, as far as that can be known without fetching it."""
    if not is_address(place):
        return os.path.getsize(place) if os.path.isfile(place) else None
    try:
        with _opened(place, {}, "HEAD") as answer:
            said = answer.headers.get("Content-Length", "")
    except GalleryError:
        return None
    return int(said) if said.isdigit() else None


def _local(place: str, limit: int) -> bytes:
    path = Path(place)
    try:
        with open_inside(path.parent, path.name) as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise GalleryError(f"{place} cannot be read: {error.strerror or error}.") from None
    if len(content) > limit:
        raise _too_large(place, limit)
    return content


def download(
    place: str, target: Path, sha256: str, limit: int, progress: Progress | None = None,
    stop: threading.Event | None = None, note: Callable[[str], object] | None = None,
) -> None:  # fmt: skip
    """Fetch a file into a folder; what an earlier try left of it is gone on with.

    Parameters
    ----------
    place : str
        Its address, or its path.
    target : Path
        Its name here. What is there already is taken for the beginning of it.
    sha256 : str
        What it must have; empty where nobody knows.
    limit : int
        Bytes that it may have.
    progress : callable, optional
        Called as it grows.
    stop : Event, optional
        Once it is set, :class:`StoppedError` is raised; what is there stays.
    note : callable, optional
        Called with a sentence where what is there cannot be gone on with.

    Raises
    ------
    GalleryError
        If it cannot be had, is larger, or has another hash; then nothing of it stays.
    """
    if not is_address(place):
        target.write_bytes(_local(place, limit))
    else:
        _grow(place, target, sha256, limit, progress, stop, note)
    if sha256 and _hash(target) != sha256:
        _remove(target)
        raise GalleryError(
            f"The file {name_in(place)!r} is not the one that the collection names (by its hash): it was changed or "
            "damaged on the way. Try again, or ask whoever keeps the collection."
        )
    _tag(target).unlink(missing_ok=True)


def _grow(
    place: str, target: Path, sha256: str, limit: int, progress: Progress | None, stop: threading.Event | None,
    note: Callable[[str], object] | None,
) -> None:  # fmt: skip
    had = there = target.stat().st_size if target.is_file() else 0
    if there and sha256 and _hash(target) == sha256:  # an earlier try had all of it
        return
    tag = _tag(target).read_text("utf-8", "replace").strip() if _tag(target).is_file() else ""
    if there and not (tag or sha256):  # nothing would tell whether the rest is of the same file
        there = 0
    headers = {"Range": f"bytes={there}-", **({"If-Range": tag} if tag else {})} if there else {}
    try:
        answer = _opened(place, headers)
    except GalleryError as error:
        if error.status != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        there, answer = 0, _opened(place, {})
    with answer:
        begins = there if answer.status == http.client.PARTIAL_CONTENT and _starts_at(answer, there) else 0
        length = answer.headers.get("Content-Length", "")
        total = begins + int(length) if length.isdigit() else None
        if had and not begins and note is not None:
            note(_anew(answer, place, tag))
        if total is not None and total > limit:
            raise _too_large(place, limit)
        _tag(target).write_text(_version(answer), "utf-8")
        with target.open("r+b" if begins else "wb") as file:
            file.truncate(begins)
            file.seek(begins)
            done = begins
            for piece in _pieces(answer, place, stop):
                file.write(piece)
                done += len(piece)
                if done > limit:
                    raise _too_large(place, limit)
                if progress is not None:
                    progress(done, total)
    if total is not None and done < total:
        raise GalleryError(
            f"The connection to {host_of(place)} ended after {format_bytes(done)} of {format_bytes(total)}. Try again: "
            "it goes on from there, if the server can."
        )


def _version(answer: Any) -> str:
    """Return by what the server tells versions of a file apart; empty where it does not."""
    return str(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")


def _anew(answer: Any, place: str, tag: str) -> str:
    """Return why a file does not go on from the part that is here."""
    if tag and _version(answer) not in ("", tag):
        return f"The file {name_in(place)!r} at {host_of(place)} has changed: it starts again."
    return f"The server {host_of(place)} cannot go on from a part: it starts again."


def _opened(place: str, headers: dict[str, str], method: str = "GET") -> Any:
    try:
        # No compression on the way: a range is one of the file's own bytes.
        always = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
        request = Request(place, headers={**always, **headers}, method=method)
        return _opener().open(request, timeout=_SECONDS)
    except HTTPError as error:
        error.close()
        if error.code in _MOVED:  # to what is no address of the web
            raise _moved(place, str(error.headers.get("Location"))[:60]) from None
        raise GalleryError(
            f"{host_of(place)} does not give {name_in(place)!r}: {error.code} {error.reason}. Check the address.",
            error.code,
        ) from None
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise GalleryError(
            f"{host_of(place)} cannot be reached ({getattr(reason, 'strerror', None) or reason}). Check the network "
            "connection and the address; the models in your folder are there without it."
        ) from None


def _pieces(answer: Any, place: str, stop: threading.Event | None) -> Iterator[bytes]:
    while True:
        if stop is not None and stop.is_set():
            raise StoppedError
        try:
            piece = answer.read(_PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise GalleryError(f"The connection to {host_of(place)} ended ({error}). Try again.") from None
        if not piece:
            return
        yield piece


def _starts_at(answer: Any, place: int) -> bool:
    return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {place}-")


def _moved(place: str, elsewhere: str) -> GalleryError:
    return GalleryError(
        f"{host_of(place)} says that {name_in(place)!r} is at another place now ({elsewhere}), and such a pointer is "
        "not followed. Give the new address, if you trust it."
    )


def _too_large(place: str, limit: int) -> GalleryError:
    return GalleryError(f"The file {name_in(place)!r} is larger than {format_bytes(limit)}, and is not fetched.")


def _tag(target: Path) -> Path:
    """Return where it is noted which version of a file the beginning is of."""
    return target.with_name(target.name + TAG)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(target: Path) -> None:
    for path in (target, _tag(target)):
        with suppress(OSError):
            os.unlink(path)
