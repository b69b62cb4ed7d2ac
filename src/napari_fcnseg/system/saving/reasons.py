"""Why a file could not be written or read, in words, and what helps against just that."""

from __future__ import annotations

import errno
import os
from typing import Final

#: What the system calls too briefly.
_WORDS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota on the disk is used up",
    errno.EFBIG: "it is larger than files may be there",
    errno.EROFS: "the disk can only be read",
    errno.EACCES: "you have no permission",
    errno.EPERM: "you have no permission",
    errno.EIO: "the disk reports an error",
    errno.ELOOP: "its links lead in a circle",
}
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SHORT: Final = "requested and "  # NumPy reports a short write without a number, and there is one cause of it
_SHARING: Final = (32, 33)  # of Windows: another program has the file open, or a part of it locked


def reason(error: OSError) -> str:
    """Return why something could not be written or read, as a clause."""
    if _in_use(error):
        return "another program has it open"
    if _is_full(error):
        return _WORDS[error.errno or errno.ENOSPC]
    return _WORDS.get(error.errno or 0) or (error.strerror or str(error))


def remedy(error: OSError, otherwise: str = "Choose another folder or name.") -> str:
    """Return what helps when something could not be written, as a sentence.

    Parameters
    ----------
    error : OSError
        Why it could not.
    otherwise : str
        What helps against anything that has no remedy of its own.
    """
    if _in_use(error):
        return "Close it in the other program, or choose another folder or name."
    if _is_full(error):
        return "Make room there, or choose a folder on another disk."
    if error.errno == errno.EFBIG:
        return "Choose a folder on another disk, or a smaller part of the image."
    return otherwise


def _is_full(error: OSError) -> bool:
    return error.errno in _FULL or (error.errno is None and _SHORT in str(error))


def _in_use(error: OSError) -> bool:
    return os.name == "nt" and getattr(error, "winerror", None) in _SHARING
