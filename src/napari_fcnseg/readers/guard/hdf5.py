"""An HDF5 file from a stranger: hard links only, plain numeric datasets only, and a cap on what is read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import h5py
import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.problem import too_much_memory
from napari_fcnseg.readers.weights import StoredArray
from napari_fcnseg.system.child_server import NO_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

MAX_TOTAL_BYTES: Final = 8 * 2**30
MAX_RATIO: Final = 200
MAX_RANK: Final = 6
MAX_NAMES: Final = 10_000
_FILTERS: Final = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)
#: What h5py raises on bytes that are no proper HDF5.
_ERRORS: Final = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    NotImplementedError,
    SystemError,
)
COPY_AGAIN: Final = "Copy or download the file again, or save the model again."


@contextmanager
def _guarded() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise _no_memory() from None
    except _ERRORS as error:
        if NO_MEMORY.search(str(error)):
            raise _no_memory() from None
        raise UnreadableError("its HDF5 content is cut off or damaged", COPY_AGAIN) from None


def _no_memory() -> UnreadableError:
    reason, advice = too_much_memory()
    return UnreadableError(reason.removesuffix("."), advice)


class Hdf5:
    """Guarded access to an HDF5 file.

    Parameters
    ----------
    file : BinaryIO
        Open for reading. A file object rather than a path: what was looked at is what is read.
    size : int
        Its length in bytes.

    Raises
    ------
    UnreadableError
        It is cut off or damaged.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._size = size
        self._left = MAX_TOTAL_BYTES
        with _guarded():
            self._file = h5py.File(file, "r")

    def __enter__(self) -> Hdf5:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def keys(self, *path: str) -> frozenset[str]:
        """Give the names in a group; none where there is no such group."""
        with _guarded():
            group = self._find(path)
            if not isinstance(group, h5py.Group):
                return frozenset()
            if len(group) > MAX_NAMES:
                raise UnreadableError(f"its HDF5 content has a group of more than {MAX_NAMES} members")
            return frozenset(group)

    def text(self, attribute: str, *path: str) -> str | None:
        """Give an attribute that is one string, or None where it is missing.

        Raises
        ------
        UnreadableError
            It is something else.
        """
        with _guarded():
            values = self._attribute(attribute, path, shape=())
        return None if values is None else values[0]

    def names(self, attribute: str, *path: str) -> tuple[str, ...] | None:
        """Give an attribute that is a list of strings, or None; Keras splits long ones over ``name0`` and on.

        Raises
        ------
        UnreadableError
            It is something else.
        """
        with _guarded():
            whole = self._attribute(attribute, path)
            if whole is not None:
                return tuple(whole)
            chunks: list[str] = []
            for number in range(MAX_NAMES):
                chunk = self._attribute(f"{attribute}{number}", path)
                if chunk is None:
                    return tuple(chunks) if number else None
                chunks += chunk
                if len(chunks) > MAX_NAMES:
                    break
        raise UnreadableError(f"its HDF5 content lists more than {MAX_NAMES} names")

    def array(self, name: str | None, *path: str) -> StoredArray | None:
        """Find a dataset without reading it, or None where there is none.

        Parameters
        ----------
        name : str or None
            What the array is called.
        *path : str
            Group names, then the dataset's.

        Raises
        ------
        UnreadableError
            It is no plain numeric dataset inside this file.
        """
        with _guarded():
            dataset = self._find(path)
            if dataset is None:
                return None
            if not isinstance(dataset, h5py.Dataset):
                raise UnreadableError(f"{'/'.join(path)[:100]!r} in its HDF5 content is no array")
            _check(dataset, self._size)
            return StoredArray(name, tuple(dataset.shape), lambda: self._read(dataset))

    def _read(self, dataset: h5py.Dataset) -> npt.NDArray[Any]:
        with _guarded():
            self._left -= dataset.size * dataset.dtype.itemsize
            if self._left < 0:
                raise UnreadableError(f"its arrays take more than {MAX_TOTAL_BYTES // 2**30} GiB")
            values = np.asarray(dataset[()])
        return _from_bfloat16(values) if values.dtype.kind == "V" else values

    def _find(self, path: Sequence[str]) -> h5py.Group | h5py.Dataset | None:
        here: Any = self._file
        for part in path:
            if part in ("", ".", "..") or "/" in part or "\0" in part:
                raise UnreadableError(f"it refers to the unusual name {part[:60]!r} in its HDF5 content")
            if not isinstance(here, h5py.Group):
                return None
            # The low-level calls look at the link itself; ``part in here`` would already follow it.
            if not here.id.links.exists(part.encode()):
                return None
            if here.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
                raise UnreadableError(
                    f"{part[:60]!r} in its HDF5 content is a link to elsewhere, which is not followed"
                )
            here = here[part]
        return here

    def _attribute(self, name: str, path: Sequence[str], shape: tuple[int, ...] | None = None) -> list[str] | None:
        owner = self._find(path)
        if owner is None or name not in owner.attrs:
            return None
        stored = owner.attrs.get_id(name)
        count = int(np.prod(stored.shape, dtype=np.float64)) if stored.shape is not None else 0
        if len(stored.shape or ()) > 1 or count > MAX_NAMES or (shape is not None and stored.shape != shape):
            raise UnreadableError(f"the attribute {name!r} in its HDF5 content has an unusual shape")
        if count == 0:
            return []
        if stored.dtype.kind not in "SO" or stored.get_storage_size() > self._size:
            raise UnreadableError(f"the attribute {name!r} in its HDF5 content is no text")
        return [_as_text(value, name) for value in np.atleast_1d(np.asarray(owner.attrs[name], dtype=object))]


def _as_text(value: object, name: str) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if not isinstance(value, str):
        raise UnreadableError(f"the attribute {name!r} in its HDF5 content is no text")
    # h5py lets bytes that are no UTF-8 through as lone surrogates: this raises on them.
    value.encode("utf-8")
    return value


def _check(dataset: h5py.Dataset, file_size: int) -> None:
    """Refuse what is stored elsewhere, computed from elsewhere, not numeric, or grows beyond belief."""
    made = dataset.id.get_create_plist()
    if made.get_external_count() or made.get_layout() == h5py.h5d.VIRTUAL:
        raise UnreadableError("one of its arrays is stored outside the file, which is not followed")
    codes = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
    if any(code not in _FILTERS for code in codes) or codes.count(h5py.h5z.FILTER_DEFLATE) > 1:
        raise UnreadableError("one of its arrays is compressed in an unusual way")
    if dataset.dtype.fields is not None or not (dataset.dtype.kind in "iuf" or _is_bfloat16(dataset.dtype)):
        raise UnreadableError("one of its arrays is not numeric")
    if dataset.dtype.itemsize > 8 or dataset.shape is None or len(dataset.shape) > MAX_RANK:
        raise UnreadableError("one of its arrays has an unusual type or shape")
    stored = dataset.id.get_storage_size()
    if not 0 < stored <= file_size or dataset.size * dataset.dtype.itemsize > MAX_RATIO * stored:
        raise UnreadableError("one of its arrays is larger than what the file can hold", COPY_AGAIN)


def _is_bfloat16(dtype: np.dtype[Any]) -> bool:
    # HDF5 has no such type: Keras stores the two bytes as opaque data.
    return dtype.kind == "V" and dtype.itemsize == 2 and dtype.subdtype is None


def _from_bfloat16(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Widen: a bfloat16 is the upper half of a float32."""
    upper = np.frombuffer(values.tobytes(), dtype="<u2").astype(np.uint32) << 16
    return upper.view(np.float32).reshape(values.shape)
