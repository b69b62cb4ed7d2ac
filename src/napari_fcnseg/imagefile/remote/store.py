"""A store of Zarr on another computer that is read strictly: a chunk is empty only if the server says so.

By the standard a chunk that is not there holds the fill value. So whatever else keeps a chunk from being read ends in
an error, and where one is not there, the image itself is looked for again: it may have been taken away or changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import warnings
from typing import TYPE_CHECKING, Any, Final

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.sync import sync
from zarr.storage import FsspecStore

from napari_fcnseg.errors import ImageError
from napari_fcnseg.imagefile.remote.problems import AnswerError, is_absent, is_refused, may_pass, problem
from napari_fcnseg.system.addresses import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from napari_fcnseg.imagefile.remote.sources import Source, Span

DESCRIPTIONS: Final = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
#: Files that have to be there, one of them, where there is a Zarr image.
MARKS: Final = DESCRIPTIONS[:3]
_PAUSES: Final = (0.5, 1.0, 2.0)  # seconds before something is asked for again
_LOOKED_AT: Final = 64  # chunks that tell an image from another


class RemoteStore(FsspecStore):
    """Zarr's own store over fsspec, read only and strict.

    Parameters
    ----------
    source : Source
        What gives its files.
    fs : AsyncFileSystem
        The file system of fsspec, with a loop of its own or in that of zarr.
    address : str
        Of the store, with all that is needed to read it.
    seconds : float
        How long an answer is waited for.
    listing : bool
        Whether it can say what it holds.

    Attributes
    ----------
    address : str
        As given.
    doubts : dict of str to Exception
        Descriptions that could not be read, and why: where there is another one, that is enough.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    def __init__(self, source: Source, fs: Any, address: str, seconds: float, *, listing: bool = False) -> None:
        with warnings.catch_warnings():  # of a file system with a loop of its own: what it does is done in that loop
            warnings.simplefilter("ignore")
            super().__init__(fs, read_only=True, path=address)
        self.supports_listing = listing
        self.address, self.source, self._seconds = address, source, seconds
        self.doubts: dict[str, Exception] = {}
        self._described: dict[str, str] = {}  # hashes of the descriptions that were read
        self._answered = False

    def __repr__(self) -> str:
        return f"<RemoteStore {shown(self.address)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteStore) and other.address == self.address

    def with_read_only(self, read_only: bool = False) -> RemoteStore:
        """Return the store; it can be read alone.

        Raises
        ------
        ValueError
            If it is to be written.
        """
        if not read_only:
            raise ValueError(f"{shown(self.address)} is read-only.")
        return self

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Return a file's content, or a part of it; None if it is not there."""
        described = _describes(key)
        try:
            content = await self._tried(key, lambda: self.source.read(key, _span(byte_range)))
            if described:
                _check_description(content)
                if not key.endswith(".zattrs"):  # what is said of an image may change
                    self._described.setdefault(key, hashlib.sha256(content).hexdigest())
        except Exception as error:
            if described and (is_absent(error) or is_refused(error) or isinstance(error, AnswerError)):
                self.doubts[key] = error
                return None
            if not is_absent(error):
                raise self.problem(key, error) from error
            await self._check_there(key)
            return None
        return prototype.buffer.from_bytes(content)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> list[Any]:
        """Return parts of several files."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Whether there is a file."""
        try:
            await self._tried(key, lambda: self.source.facts(key))
        except Exception as error:
            if not is_absent(error):
                raise self.problem(key, error) from error
            return False
        return True

    def facts(self, keys: Iterable[str]) -> list[list[str] | None]:
        """Return what tells each of some files from another of its name; None of one that is not there."""
        found: list[list[str] | None] = sync(self._facts(keys))
        return found

    async def _facts(self, keys: Iterable[str]) -> list[list[str] | None]:
        at_once = asyncio.Semaphore(8)

        async def of(key: str) -> list[str] | None:
            try:
                async with at_once:
                    return list(await self._tried(key, lambda: self.source.facts(key)))
            except Exception as error:
                if is_absent(error) or (_describes(key) and is_refused(error)):  # some say so of what is not there
                    return None
                raise self.problem(key, error) from error

        return list(await asyncio.gather(*map(of, keys)))

    def problem(self, key: str, error: Exception) -> ImageError:
        """Return what is to be said of a file that cannot be read."""
        if isinstance(error, ImageError):
            return error
        tries = len(_PAUSES) + 1 if self._answered and may_pass(error) else 1
        of_file = isinstance(error, AnswerError) or is_absent(error) or is_refused(error)
        return problem(self.source.place(key if of_file else ""), error, self._seconds, tries)

    async def _tried(self, key: str, act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Ask for something, a few times where the server has answered before."""
        for pause in (*_PAUSES, None):
            try:
                found = await self._in_loop(act())
            except Exception as error:
                self._answered |= isinstance(error, AnswerError) or is_absent(error) or is_refused(error)
                if pause is None or not self._answered or not may_pass(error):
                    raise
            else:
                self._answered = True
                return found
            await asyncio.sleep(pause)
        raise AssertionError("the last try returned or raised")

    async def _in_loop(self, coming: Coroutine[Any, Any, Any]) -> Any:
        """Wait for something in the loop of the file system, which closes its connections there in the end."""
        if self.fs.asynchronous:
            return await coming
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coming, self.fs.loop))

    async def _check_there(self, key: str) -> None:
        """Find out whether the image that a missing chunk belongs to is still the one that was opened.

        Raises
        ------
        ImageError
            If it is not.
        """
        above = [one for one in self._described if key.startswith(one.removesuffix(one.rpartition("/")[2]))]
        if not above:
            return
        nearest = max(above, key=len)
        try:
            content = await self._tried(nearest, lambda: self.source.read(nearest, (None, None)))
        except Exception as error:
            if not is_absent(error):
                raise self.problem(nearest, error) from error
            content = b""
        if hashlib.sha256(content).hexdigest() != self._described[nearest]:
            what = "changed" if content else "taken away"
            raise ImageError(
                f"{shown(self.address)} was {what} while it was read: its description is not what it was. Run again."
            )


def _describes(key: str) -> bool:
    return key.rpartition("/")[2] in DESCRIPTIONS


def _span(part: Any) -> Span:
    if isinstance(part, RangeByteRequest):
        return part.start, part.end
    if isinstance(part, OffsetByteRequest):
        return part.offset, None
    if isinstance(part, SuffixByteRequest):
        return -part.suffix, None
    return None, None


def _check_description(content: bytes) -> None:
    if not content.lstrip().startswith(b"{"):
        raise AnswerError(0, "is no description of a Zarr image. Check the address.")


def identity_of_array(array: Any, store: RemoteStore) -> dict[str, Any]:
    """Return what tells a Zarr array on another computer from any other, and from a later one at its address.

    The lengths, tags and times of its description, and of up to 64 of its chunks, evenly all over it.

    Parameters
    ----------
    array : zarr.Array
        The array.
    store : RemoteStore
        Where it is.
    """
    stored = getattr(array, "shards", None) or array.chunks
    grid = [-(-n // c) for n, c in zip(array.shape, stored, strict=True)]
    total = math.prod(grid)
    some = sorted({i * (total - 1) // max(_LOOKED_AT - 1, 1) for i in range(_LOOKED_AT)}) if total else []
    folder = str(array.path)
    names = [*MARKS, *(array.metadata.encode_chunk_key(_unraveled(number, grid)) for number in some)]
    facts = store.facts([f"{folder}/{name}".lstrip("/") for name in names])
    return {"address": "/".join(filter(None, (shown(store.address), folder))), "facts": facts}


def _unraveled(number: int, grid: list[int]) -> tuple[int, ...]:
    place: list[int] = []
    for n in reversed(grid):
        number, rest = divmod(number, n)
        place.append(rest)
    return tuple(reversed(place))
