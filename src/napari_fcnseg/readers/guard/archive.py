"""A zip archive from a stranger: listed, checked, and read member by member into memory; never extracted."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from typing import BinaryIO, Final

from napari_fcnseg.errors import UnreadableError

MAX_MEMBERS: Final = 10_000
MAX_RATIO: Final = 200
MAX_MEMBER_BYTES: Final = 4 * 2**30
_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: What the zip module raises on bytes that are no proper archive.
_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


class Archive:
    """The members of a zip archive, after checking its directory.

    Parameters
    ----------
    file : BinaryIO
        Open at any position.

    Raises
    ------
    UnreadableError
        The archive is damaged, or has duplicate names, encrypted members, or unusual compression.
    """

    def __init__(self, file: BinaryIO) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
            members = self._zip.infolist()
        except _ERRORS:
            raise UnreadableError("it is a zip archive that was cut off or damaged", _COPY_AGAIN) from None
        if len(members) > MAX_MEMBERS:
            raise UnreadableError(f"its zip archive has more than {MAX_MEMBERS} members")
        self._members = {member.filename: member for member in members}
        if len(self._members) != len(members):
            raise UnreadableError("its zip archive holds two members of the same name")

    def names(self) -> frozenset[str]:
        """Give the names of all members."""
        return frozenset(self._members)

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        """Read one member whole.

        Raises
        ------
        UnreadableError
            It is missing, encrypted, larger than ``limit``, compressed unusually or beyond belief, or damaged.
        """
        member = self._members.get(name)
        if member is None:
            raise UnreadableError(f"its zip archive holds no {name!r}")
        _check(member, limit)
        try:
            with self._zip.open(member) as stream:
                content = stream.read(member.file_size)
                # Only at the end does the zip module compare the checksum.
                rest = stream.read(1)
        except _ERRORS:
            raise UnreadableError(f"the member {name!r} of its zip archive is damaged", _COPY_AGAIN) from None
        if rest or len(content) != member.file_size:
            raise UnreadableError(f"the member {name!r} of its zip archive is damaged", _COPY_AGAIN)
        return content


_COPY_AGAIN: Final = "Copy or download the file again, or save the model again."


def _check(member: zipfile.ZipInfo, limit: int) -> None:
    name = member.filename
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UnreadableError(f"the member {name!r} of its zip archive is a link, which is not followed")
    if member.flag_bits & _ENCRYPTED:
        raise UnreadableError(f"the member {name!r} of its zip archive is encrypted")
    if member.compress_type not in _METHODS:
        raise UnreadableError(f"the member {name!r} of its zip archive is compressed in an unusual way")
    if member.file_size > limit:
        raise UnreadableError(f"the member {name!r} of its zip archive is larger than {limit // 2**20} MiB")
    if member.file_size > MAX_RATIO * max(member.compress_size, 1):
        raise UnreadableError(f"the member {name!r} of its zip archive would grow more than {MAX_RATIO}-fold")
