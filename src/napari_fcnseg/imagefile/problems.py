"""What is said of a file that cannot be read as an image: what it is instead, or what it lacks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

#: How files begin, and what they are.
_BEGINNINGS: Final = (
    (b"\x89PNG", "a PNG"), (b"\xff\xd8\xff", "a JPEG"), (b"GIF8", "a GIF"), (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip archive"), (b"%PDF", "a PDF"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"ZISRAWFILE", "a CZI file"), (b"\xda\xce\xbe\x0a", "an ND2 file"), (b"II*\0", "a TIFF"), (b"MM\0*", "a TIFF"),
    (b"II+\0", "a TIFF"), (b"MM\0+", "a TIFF"), (b"\xd0\xcf\x11\xe0", "a file of Microsoft's or Olympus's"),
)  # fmt: skip
_LOOKED_AT: Final = 512  # bytes that tell what a file is
_TEXT: Final = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]+")
_UNKNOWN: Final = ("not supported", "unsupported", "requires", "not registered", "unknown", "not available")
_ABSENT: Final = (ImportError, LookupError, NotImplementedError)
_CODEC: Final = re.compile(
    r"imcd_([a-z0-9]+)_(?:de|en)code|COMPRESSION\.(\w+)|codec[^'\"]*['\"]([\w./-]+)['\"]|name ['\"](\w+?)_(?:de|en)code"
)


def kind_of(path: Path) -> str:
    """Return what a file is by its first bytes, with its article; empty where they do not tell."""
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT)
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    return "a text" if _TEXT.fullmatch(head) and not head.startswith(b"\0") else ""


def no_image(path: Path, error: Exception, wanted: str = "image") -> ImageError:
    """Return the error for a file that a library cannot read as what its name says.

    Parameters
    ----------
    path : Path
        The file.
    error : Exception
        What the library raised.
    wanted : str
        What the name says it is, for example ``"CZI file"``.
    """
    try:
        kind = kind_of(path) if path.is_file() else ""
    except OSError:
        kind = ""
    if kind and wanted.split()[0] not in kind:
        return ImageError(
            f"{path} cannot be read as {_with_article(wanted)}: by its content it is {kind}. Check the name, "
            "or save it as TIFF."
        )
    if codec := codec_in(error):
        return codec_error(path, codec, error)
    said = " ".join(str(error).split()) or type(error).__name__
    return ImageError(
        f"{path} cannot be read as {_with_article(wanted)}: it is damaged, or something else ({said[:120]}). Copy "
        "it again from where it comes from, or save it as TIFF in the program that wrote it."
    )


def _with_article(noun: str) -> str:
    return f"{'an' if noun.startswith(('image', 'HDF5', 'ND2', 'OIB', 'MRC')) else 'a'} {noun}"


def codec_in(error: BaseException) -> str:
    """Return which codec a library complains of; empty if of none."""
    found = _CODEC.search(str(error))
    if found:
        return next(str(name) for name in found.groups() if name).upper()
    name = type(error).__name__
    return name.removesuffix("Error").upper() if type(error).__module__.startswith("imagecodecs") else ""


def codec_error(path: Path, codec: str, error: BaseException) -> ImageError:
    """Return the error for a file whose compression cannot be undone: it is damaged, or nobody here knows the codec."""
    said = str(error).lower()
    decoded = type(error).__module__.startswith("imagecodecs") and not isinstance(error, ImportError)
    if not decoded and (isinstance(error, _ABSENT) or any(word in said for word in _UNKNOWN)):
        return ImageError(
            f"{path} is compressed with {codec}, which this program cannot undo. Save it without compression, "
            "or with LZW or deflate."
        )
    return ImageError(
        f"{path} is damaged: its {codec} compression cannot be undone. Copy it again from where it comes from."
    )


def unread(error: Exception) -> ImageError:
    """Return the error for an image a part of which could not be read when it was needed."""
    if codec := codec_in(error):
        return ImageError(
            f"A part of the image cannot be read: its {codec} compression cannot be undone. Copy the file again from "
            "where it comes from, or save it without compression."
        )
    said = " ".join(str(error).split()) or type(error).__name__
    return ImageError(
        f"A part of the image cannot be read ({said[:120]}). Check that its file is there and whole, and run again."
    )


def missing_reader(path: Path, package: str) -> ImageError:
    """Return the error for a file whose reader is not installed, with the line that installs it."""
    ending = ending_of(path)
    return ImageError(
        f"{path} cannot be read: the reader for {ending} ({package}) is not installed. Install it: "
        'pip install "napari-fcnseg[formats]".'
    )


def ending_of(path: Path) -> str:
    """Return how a file's name ends, in small letters; of a packed one with what it packs: ``".nii.gz"``."""
    endings = [ending.lower() for ending in path.suffixes[-2:]]
    return "".join(endings) if endings and endings[-1] == ".gz" else path.suffix.lower()
