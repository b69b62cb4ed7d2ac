"""Where the files of a store come from: a web server, or whatever else fsspec knows.

Over HTTP, fsspec takes any failure for an absent file where it asks whether there is one (``_info``, ``_exists``), a
whole file for a part where a server gives no parts, and follows a server to any other. And a chunk of Zarr that is
absent is filled with zeros. So what a server answers is looked at here: only a 404 says that a file is absent.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

from napari_fcnseg.imagefile.remote.problems import MISSING, AnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

#: First byte and the one after the last, None where the file begins or ends; a first one below 0 counts from the end.
Span = tuple[int | None, int | None]
_MOVED: Final = (301, 302, 303, 307, 308)
_MOST_MOVES: Final = 5
_PARTIAL: Final = 206
_BEGINNING: Final = 2**16  # bytes of a file that tell it from another where nothing else does
_PAGE: Final = re.compile(rb"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
_VALIDATORS: Final = ("ETag", "LastModified", "last_modified", "mtime", "created")


class Source(Protocol):
    """What gives the files of a store."""

    def place(self, key: str) -> str:
        """Return the address of a file."""

    async def read(self, key: str, span: Span) -> bytes:
        """Return a part of a file."""

    async def facts(self, key: str) -> list[str]:
        """Return what tells a file from another, or a later one, of its name."""


class WebSource:
    """Files of a web server.

    Parameters
    ----------
    fs : HTTPFileSystem
        fsspec's.
    address : str
        Of the store; what follows a question mark is said with every file.
    """

    def __init__(self, fs: Any, address: str) -> None:
        parts = urlsplit(address)
        self.fs, self._parts, self._path = fs, parts, parts.path.rstrip("/")

    def place(self, key: str) -> str:
        """Return the address of a file."""
        return urlunsplit(self._parts._replace(path=f"{self._path}/{key}".rstrip("/"), fragment=""))

    async def read(self, key: str, span: Span) -> bytes:
        """Return a part of a file."""
        start, stop = span
        if start is not None and start == stop:
            return b""
        async with self._answer(key, span) as answer:
            content: bytes = await answer.read()
        if _PAGE.match(content[:200]):
            raise AnswerError(0, "is a web page, and not a part of a Zarr image. Check the address.")
        if span == (None, None):
            return content
        if answer.status == _PARTIAL:
            _check_part(answer.headers.get("Content-Range", ""), start)
            return content
        return content[start:stop]  # the server gives whole files alone

    async def facts(self, key: str) -> list[str]:
        """Return the length of a file, and its tag and time, or a hash of its beginning where there is neither."""
        async with self._answer(key, (0, _BEGINNING)) as answer:
            headers = answer.headers
            length = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
            validators = [headers.get("ETag", ""), headers.get("Last-Modified", "")]
            if any(validators):
                return [length, *validators]
            return [length, hashlib.sha256(await _beginning(answer)).hexdigest()]

    @asynccontextmanager
    async def _answer(self, key: str, span: Span) -> AsyncIterator[Any]:
        """Yield the answer of the server; "it is elsewhere" is followed at the same host alone."""
        from yarl import URL

        session, url = await self.fs.set_session(), URL(self.place(key))
        headers = {"Accept-Encoding": "identity"}
        if span != (None, None):
            start, stop = span
            headers["Range"] = f"bytes={start or 0}-{stop - 1 if stop is not None else ''}"
            if start is not None and start < 0:
                headers["Range"] = f"bytes={start}"
        for _ in range(_MOST_MOVES):
            async with session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status in _MOVED:
                    url = _followed(url, answer.headers.get("Location", ""))
                    continue
                if answer.status >= 400 or answer.status not in (200, _PARTIAL):
                    raise AnswerError(answer.status)
                yield answer
                return
        raise AnswerError(0, "is sent on and on by its server, in a circle. Ask whoever keeps it.")


def _check_part(said: str, start: int | None) -> None:
    """Find out whether a part of a file is the one that was asked for, as far as the server says which it is."""
    found = re.match(r"bytes (\d+)-\d+/(\d+|\*)", said)
    if found is None or (start is not None and start < 0 and found[2] == "*"):
        return
    wanted = start or 0
    if wanted < 0:
        wanted = max(int(found[2]) + wanted, 0)
    if int(found[1]) != wanted:
        raise AnswerError(0, "comes in another part than was asked for. Ask whoever keeps its server.")


async def _beginning(answer: Any) -> bytes:
    content = b""
    while len(content) < _BEGINNING and (piece := await answer.content.read(_BEGINNING - len(content))):
        content += piece
    return content


def _followed(url: Any, location: str) -> Any:
    """Return where a server says that a file is, if that is the same server."""
    from yarl import URL

    there = url.join(URL(location))
    safer = (url.scheme, there.scheme) == ("http", "https") and url.is_default_port() and there.is_default_port()
    if there.host != url.host or ((there.scheme, there.port) != (url.scheme, url.port) and not safer):
        raise AnswerError(
            0,
            f"is said to be at another place now, {there.scheme}://{there.host}:{there.port}, and nothing is fetched "
            "from there. If you trust it, give the address there.",
        )
    return there


class FsSource:
    """Files of any file system of fsspec.

    Parameters
    ----------
    fs : AsyncFileSystem
        The file system.
    path : str
        Of the store, in it.
    address : str
        Of the store, as people write it.
    """

    def __init__(self, fs: Any, path: str, address: str) -> None:
        self.fs, self._path, self._address = fs, path.rstrip("/"), address

    def place(self, key: str) -> str:
        """Return the address of a file."""
        return f"{self._address}/{key}".rstrip("/")

    async def read(self, key: str, span: Span) -> bytes:
        """Return a part of a file."""
        found: bytes = await self.fs._cat_file(f"{self._path}/{key}", start=span[0], end=span[1])
        return found

    async def facts(self, key: str) -> list[str]:
        """Return the length of a file, and its tag and time."""
        info = await self.fs._info(f"{self._path}/{key}")
        if info.get("type") == "directory":
            raise AnswerError(MISSING)
        return [str(info.get("size")), *(str(info[name]) for name in _VALIDATORS if info.get(name))]


def web_source(address: str, seconds: float) -> WebSource:
    """Return the files of a web server.

    Raises
    ------
    ImportError
        If what reads them is not installed.
    """
    import aiohttp
    from fsspec.implementations.http import HTTPFileSystem

    limits = aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
    options = {"timeout": limits, "trust_env": True}  # a proxy that the computer is set up for
    return WebSource(HTTPFileSystem(skip_instance_cache=True, client_kwargs=options), address)


def bucket_source(address: str, seconds: float, *, anonymous: bool = False) -> FsSource:
    """Return the files of a bucket, with the credentials that this computer has for it, or none.

    Raises
    ------
    ImportError
        If what reads them is not installed.
    """
    from s3fs import S3FileSystem

    limits = {"connect_timeout": seconds, "read_timeout": seconds, "retries": {"max_attempts": 1}}
    # One request for each file: asked for in parts, it would first be asked for its size.
    options: dict[str, Any] = {"config_kwargs": limits, "max_concurrency": 1, "anon": anonymous}
    fs = S3FileSystem(skip_instance_cache=True, **options)
    fs.retries = 1  # what is tried again is decided in one place
    return FsSource(fs, address.partition("://")[2].partition("?")[0], address.partition("?")[0])
