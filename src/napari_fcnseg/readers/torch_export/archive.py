"""The zip that ``torch.export.save`` writes: the graph as JSON, and each array as the bytes of its storage."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.guard.archive import Archive
from napari_fcnseg.readers.onnx.tensors import PRECISIONS, settled
from napari_fcnseg.readers.problem import inside
from napari_fcnseg.readers.shapes import MAX_ELEMENTS
from napari_fcnseg.system import safe_json
from napari_fcnseg.system.safe_json import JsonFields, is_whole

if TYPE_CHECKING:
    from napari_fcnseg.readers.onnx.tensors import Constant
    from napari_fcnseg.readers.shapes import Shape

#: Damage or a forgery: the advice for both.
SAVE_PROGRAM: Final = (
    "Export the model again with torch.export.save(torch.export.export(model, (patches,)), 'my_model.pt2') where it "
    "was trained, and open that file."
)
_NEWER: Final = (
    "Write it again with PyTorch 2.8 or newer: torch.export.save(torch.export.load('model.pt2'), 'my_model.pt2'). Or "
    "as ONNX: torch.onnx.export(torch.export.load('model.pt2').module(), (torch.zeros(1, channels, height, width),), "
    "'my_model.onnx')."
)
#: PyTorch's number of a type -> NumPy's name of the stored numbers, and ONNX's number of the type.
DTYPES: Final = {
    1: ("<u1", 2),
    2: ("<i1", 3),
    3: ("<i2", 5),
    4: ("<i4", 6),
    5: ("<i8", 7),
    6: ("<f2", 10),
    7: ("<f4", 1),
    8: ("<f8", 11),
    12: ("?", 9),
    13: ("<u2", 16),
}
_BFLOAT16: Final = 13
_MOST_AXES: Final = 8
#: What arrays may take together, as a multiple of the file: those that share a storage are views of it.
_COPIES: Final = 4


def is_exported(names: frozenset[str]) -> bool:
    """Say whether a zip with such members is a program that PyTorch exported."""
    parts = {part for name in names for part in name.split("/")}
    return (
        bool({"archive_format", "serialized_exported_program.json"} & parts) or {"models", "archive_version"} <= parts
    )


class ExportArchive:
    """The parts of an exported program.

    Parameters
    ----------
    file : BinaryIO
        Open for reading.

    Raises
    ------
    UnreadableError
        It is damaged, or of another kind than is read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._archive = Archive(file)
        self._left = _COPIES * os.fstat(file.fileno()).st_size
        self._storages: dict[str, bytes] = {}
        self.precisions: set[int] = set()
        names = self._archive.names()
        if any(name.rpartition("/")[2] == "serialized_exported_program.json" for name in names):
            raise UnreadableError(
                "it was exported by PyTorch before version 2.8, which kept the weights in a pickle: opening that would "
                "run its code",
                _NEWER,
            )
        self._model = self._chosen([name for name in names if _is_model(name)], names)
        self._root, self._name = self._model.removesuffix(".json").split("models/")
        order = f"{self._root}byteorder"
        if order in names and self._archive.read(order, 16).strip() != b"little":
            raise UnreadableError("its numbers lie in the order of another kind of processor", SAVE_PROGRAM)
        self._payloads = {**self._payload("weights"), **self._payload("constants")}

    @property
    def name(self) -> str:
        """What the file calls the model, ``model`` unless somebody named it."""
        return self._name

    def program(self) -> JsonFields:
        """Give the graph."""
        return safe_json.parse(self._archive.read(self._model, safe_json.MAX_BYTES), "its description of the model")

    @staticmethod
    def _chosen(models: list[str], names: frozenset[str]) -> str:
        if len(models) == 1:
            return models[0]
        if not models and any("aotinductor" in name for name in names):
            raise UnreadableError(
                "it holds a program compiled for one computer (AOTInductor) and no network",
                f"Export the network itself. {SAVE_PROGRAM}",
            )
        what = "no model" if not models else f"{len(models)} models"
        raise UnreadableError(f"it is an archive of PyTorch with {what}", f"Export one model. {SAVE_PROGRAM}")

    def _payload(self, kind: str) -> dict[str, tuple[str, JsonFields]]:
        """Give for each array its member of the archive and its description."""
        path = f"{self._root}data/{kind}/{self._name}_{kind}_config.json"
        if path not in self._archive.names():
            return {}
        config = safe_json.parse(self._archive.read(path, safe_json.MAX_BYTES), f"its list of {kind}").fields("config")
        return {name: (f"{self._root}data/{kind}", config.fields(name)) for name in config.keys()}

    def array(self, name: str) -> Constant:
        """Read one array.

        Raises
        ------
        UnreadableError
            It is missing, a pickle, of a kind that is not read, or reaches beyond its bytes.
        """
        with inside(f"array {name[:80]!r}"):
            if name not in self._payloads:
                raise UnreadableError("it is missing from the file", SAVE_PROGRAM)
            folder, entry = self._payloads[name]
            if entry.flag("use_pickle", False):
                raise UnreadableError(
                    "it is a Python pickle, which is never opened because that runs its code", SAVE_PROGRAM
                )
            return self._read(f"{folder}/{entry.text('path_name')}", entry.fields("tensor_meta"))

    def _read(self, member: str, meta: JsonFields) -> Constant:
        number = meta.raw("dtype")
        if not is_whole(number) or number not in DTYPES or meta.raw("layout") != _STRIDED:
            raise UnreadableError(
                "its numbers are of a kind that is not read (quantised, complex or sparse)",
                "Export the model in single precision (model.float()), before it is quantised.",
            )
        dtype, onnx_number = DTYPES[number]
        if onnx_number in PRECISIONS:
            self.precisions.add(onnx_number)
        if member not in self._storages:
            self._storages[member] = self._archive.read(member)
        stored = self._storages[member]
        wide = np.dtype(dtype)
        values = np.frombuffer(stored[: len(stored) // wide.itemsize * wide.itemsize], wide)
        result = settled(self._strided(values, meta), number == _BFLOAT16)
        return np.ascontiguousarray(result)

    def _strided(self, values: Constant, meta: JsonFields) -> Constant:
        """Lay the numbers of a storage out as they were, each inside it and none of them repeated."""
        shape, strides = (fixed(meta.items(key)) for key in ("sizes", "strides"))
        (start,) = fixed([meta.raw("storage_offset")])
        count = math.prod(shape)
        reach = start + sum((n - 1) * step for n, step in zip(shape, strides, strict=False))
        if len(shape) != len(strides) or len(shape) > _MOST_AXES or count > min(MAX_ELEMENTS, len(values)):
            raise UnreadableError(
                f"its shape {shape[:_MOST_AXES]} does not fit its {len(values)} numbers", SAVE_PROGRAM
            )
        if count and not 0 <= reach < len(values):
            raise UnreadableError(f"it reaches beyond its {len(values)} numbers", SAVE_PROGRAM)
        self._left -= count * values.itemsize
        if self._left < 0:
            raise UnreadableError("its arrays are larger together than their file", SAVE_PROGRAM)
        steps = tuple(step * values.itemsize for step in strides)
        return np.lib.stride_tricks.as_strided(values[start:], shape, steps, writeable=False)


_STRIDED: Final = 7


def _is_model(name: str) -> bool:
    folder, _, base = name.rpartition("/")
    return base.endswith(".json") and folder.rpartition("/")[2] == "models"


def fixed(sizes: list[Any]) -> Shape:
    """Give sizes that are whole numbers."""
    numbers = [size.get("as_int") if isinstance(size, dict) else None for size in sizes]
    if not all(is_whole(n) and 0 <= n <= 2**40 for n in numbers):
        raise UnreadableError("its shape is malformed", SAVE_PROGRAM)
    return tuple(n for n in numbers if n is not None)
