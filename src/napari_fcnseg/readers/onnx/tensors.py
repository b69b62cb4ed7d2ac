"""The arrays of an ONNX file: inside it, or in the one file beside it that PyTorch's exporter writes."""

from __future__ import annotations

import math
import os
import stat
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.onnx.wire import EXPORT_AGAIN
from napari_fcnseg.readers.problem import inside
from napari_fcnseg.readers.shapes import MAX_ELEMENTS

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import TensorProto

#: Floats are single precision, everything else is int64 or bool.
Constant: TypeAlias = npt.NDArray[Any]

_MOST_AXES: Final = 8
_BFLOAT16: Final = 16
#: ``TensorProto.DataType`` -> NumPy's name of the stored numbers, and the field that may hold them instead of raw_data.
_TYPES: Final = {
    1: ("<f4", "float_data"),
    2: ("<u1", "int32_data"),
    3: ("<i1", "int32_data"),
    4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("?", "int32_data"),
    10: ("<f2", "int32_data"),
    11: ("<f8", "double_data"),
    12: ("<u4", "uint64_data"),
    _BFLOAT16: ("<u2", "int32_data"),
}
#: Types that become single precision, and how the user knows them.
PRECISIONS: Final = {
    10: "half precision (float16)",
    _BFLOAT16: "half precision (bfloat16)",
    11: "double precision (float64)",
}
_FIELDS: Final = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
_COMPANION_ADVICE: Final = (
    "Keep the model and its .data file together under the names with which they were exported, or export again with "
    "torch.onnx.export(..., external_data=False)."
)


class Companion:
    """The file beside a model in which PyTorch's exporter keeps large arrays.

    It is opened only if the model asks for it by exactly that name, if it is an ordinary file and no link, and only
    the bytes that an array needs are read.

    Parameters
    ----------
    model : Path
        The model file.
    """

    def __init__(self, model: Path) -> None:
        self._path = model.parent / f"{model.name}.data"
        self._file: BinaryIO | None = None
        self._left = 0

    def read(self, stored: TensorProto, length: int) -> bytes:
        """Read the bytes of one array.

        Raises
        ------
        UnreadableError
            The file may not be opened, or does not hold them.
        """
        entries = {entry.key: entry.value for entry in stored.external_data}
        if len(entries) != len(stored.external_data) or not {"location"} <= entries.keys() <= _KEYS:
            raise UnreadableError("it refers to another file in an unusual way", _COMPANION_ADVICE)
        if entries["location"] != self._path.name:
            raise UnreadableError(
                f"its numbers are said to be in a file {entries['location'][:80]!r}, and only one beside the model "
                f"named {self._path.name!r} is ever opened",
                _COMPANION_ADVICE,
            )
        offset, claimed = (_position(entries.get(key, default)) for key, default in (("offset", "0"), ("length", "-")))
        if claimed not in (None, length):
            raise UnreadableError(f"it has {length} bytes by its shape and {claimed} in the file {self._path.name!r}")
        return self._bytes(offset or 0, length)

    def _bytes(self, offset: int, length: int) -> bytes:
        file = self._opened()
        size = os.fstat(file.fileno()).st_size
        self._left -= length  # arrays do not overlap: together they are never larger than the file
        if offset + length > size or self._left < 0:
            raise UnreadableError(f"the file {self._path.name!r} is too short for it", _COMPANION_ADVICE)
        file.seek(offset)
        content = file.read(length)
        if len(content) != length:
            raise UnreadableError(f"the file {self._path.name!r} is too short for it", _COMPANION_ADVICE)
        return content

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = _open_plain(self._path)
            self._left = os.fstat(self._file.fileno()).st_size
        return self._file

    @property
    def opened(self) -> tuple[str, ...]:
        """The name of the file, once it was opened."""
        return (self._path.name,) if self._file is not None else ()

    def close(self) -> None:
        """Close the file if it was opened."""
        if self._file is not None:
            self._file.close()


_KEYS: Final = frozenset({"location", "offset", "length"})


def _open_plain(path: Path) -> BinaryIO:
    """Open a file that is no link, has no second name, and is neither a device nor a pipe."""
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        linked = stat.S_ISLNK(path.lstat().st_mode)
        number = -1 if linked else os.open(path, flags)
    except FileNotFoundError:
        raise UnreadableError(
            f"its arrays are in a second file, {path.name!r}, which is not beside it", _COMPANION_ADVICE
        ) from None
    except OSError as error:
        raise UnreadableError(
            f"the file {path.name!r} beside it cannot be opened ({error.strerror})", _COMPANION_ADVICE
        ) from None
    status = None if linked else os.fstat(number)
    if status is None or not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        if number >= 0:
            os.close(number)
        raise UnreadableError(
            f"the file {path.name!r} beside it is a link or no ordinary file, and is not opened",
            f"Copy its content into an ordinary file of that name. {_COMPANION_ADVICE}",
        )
    return os.fdopen(number, "rb")


def _position(text: str) -> int | None:
    if text == "-":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise UnreadableError("its place in the file beside the model is malformed", _COMPANION_ADVICE)
    return int(text)


def read_tensor(stored: TensorProto, companion: Companion | None) -> Constant:
    """Read one array.

    Parameters
    ----------
    stored : TensorProto
        As in the file.
    companion : Companion or None
        The file beside the model, None where an array may not lie there.

    Returns
    -------
    ndarray
        float32, int64 or bool.

    Raises
    ------
    UnreadableError
        Its type is none of those, or its numbers do not fit its shape.
    """
    with inside(f"array {stored.name[:80]!r}"):
        shape = tuple(stored.dims)
        if len(shape) > _MOST_AXES or any(n < 0 for n in shape) or math.prod(shape) > MAX_ELEMENTS:
            raise UnreadableError(f"its shape {shape[:_MOST_AXES]} is malformed or too large to be true", EXPORT_AGAIN)
        if stored.data_type not in _TYPES or stored.HasField("segment"):
            raise UnreadableError(
                "its numbers are of a kind that is not read (quantised, complex or text)",
                "Export the model in single precision (model.float()), before it is quantised.",
            )
        values = _values(stored, math.prod(shape), companion).reshape(shape)
    return settled(values, stored.data_type == _BFLOAT16)


def bring_inside(stored: TensorProto, companion: Companion) -> None:
    """Put the numbers of an array that lie in the file beside the model into the model; others stay as they are.

    Raises
    ------
    UnreadableError
        They may not be read from there, or their type is not known.
    """
    if stored.data_location != stored.EXTERNAL:
        if stored.external_data:
            raise UnreadableError(f"its array {stored.name[:80]!r} is stored in an unusual way", EXPORT_AGAIN)
        return
    values = read_raw(stored, companion)
    stored.ClearField("external_data")
    stored.ClearField("data_location")
    stored.raw_data = values


def read_raw(stored: TensorProto, companion: Companion) -> bytes:
    """Return the bytes of an array that lies in the file beside the model."""
    with inside(f"array {stored.name[:80]!r}"):
        shape = tuple(stored.dims)
        if stored.data_type not in _TYPES or len(shape) > _MOST_AXES or any(n < 0 for n in shape):
            raise UnreadableError(f"its shape {shape[:_MOST_AXES]} or its kind of numbers is not read", EXPORT_AGAIN)
        return companion.read(stored, math.prod(shape) * np.dtype(_TYPES[stored.data_type][0]).itemsize)


def settled(values: Constant, bfloat16: bool = False) -> Constant:
    """Give stored numbers one of the three types that constants have.

    Parameters
    ----------
    values : ndarray
        Floating-point or whole numbers, or truth values.
    bfloat16 : bool
        Whether the whole numbers are the bits of such floats.

    Returns
    -------
    ndarray
        float32, int64 or bool.
    """
    if values.dtype == bool:
        return values
    if bfloat16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32 if values.dtype.kind == "f" else np.int64, copy=False)


def _values(stored: TensorProto, count: int, companion: Companion | None) -> Constant:
    dtype, field = _TYPES[stored.data_type]
    wide = np.dtype(dtype)
    present = [name for name in _FIELDS if getattr(stored, name)]
    if stored.data_location == stored.EXTERNAL:
        if companion is None or present:
            raise UnreadableError("it refers to another file where none may be", _COMPANION_ADVICE)
        return np.frombuffer(companion.read(stored, count * wide.itemsize), wide)
    if stored.data_location != stored.DEFAULT or stored.external_data or not {"raw_data", field} >= set(present):
        raise UnreadableError("its numbers are stored in an unusual way", EXPORT_AGAIN)
    if len(present) == 2:
        raise UnreadableError("its numbers are stored twice", EXPORT_AGAIN)
    if present == [field]:
        return _listed(getattr(stored, field), count, wide)
    if len(stored.raw_data) != count * wide.itemsize:
        raise UnreadableError(f"it has {len(stored.raw_data)} bytes instead of {count * wide.itemsize}", EXPORT_AGAIN)
    return np.frombuffer(stored.raw_data, wide)


def _listed(numbers: Any, count: int, dtype: np.dtype[Any]) -> Constant:
    """Read numbers that are listed one by one; half precision is listed as its bits."""
    if len(numbers) != count:
        raise UnreadableError(f"it has {len(numbers)} numbers instead of {count}", EXPORT_AGAIN)
    values = np.array(numbers)
    if dtype.str == "<f2":
        return (values & 0xFFFF).astype("<u2").view(dtype)
    return values.astype(dtype)
