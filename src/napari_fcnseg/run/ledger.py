"""What a run that writes to disk has finished, noted beside it, so that the same run goes on after any end.

A line is added once a tile, or a block of them, is written, with the checksum of its numbers. What is on disk is
compared with it before a run goes on: a tile that was being written when the power went off is computed again.
"""

from __future__ import annotations

import itertools
import json
import math
import zlib
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.plan.blocks import Blocks, wanted_tiles
from napari_fcnseg.plan.tiles import as_slices
from napari_fcnseg.run.output_kinds import kept_outputs
from napari_fcnseg.run.provenance import framework_versions
from napari_fcnseg.system.saving.names import ledger_of
from napari_fcnseg.system.saving.renaming import remove

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.engine import Device
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.plan.schedule import Index
    from napari_fcnseg.preprocess import Numbers
    from napari_fcnseg.run.run import Tile

_FORMAT: Final = 1
_MOST_BYTES: Final = 2**32  # of a ledger; a line is about a hundred bytes
#: What has to be the same for a run to go on, and what a difference is called.
_DIFFERENT: Final = {
    "format": "of another version of this program",
    "image": "of another image",
    "models": "of another model",
    "mask": "of another mask",
    "settings": "of other settings",
    "tile": "of another tile size",
    "device": "of another device",
    "ways": "of other ways of computing",
    "versions": "of other versions of the libraries",
}
#: Settings that change no number, or that are compared by themselves.
_NO_MATTER: Final = ("tile", "ways", "memory_limit", "device")


def facts_of(
    plan: RunPlan, devices: Sequence[Device], image: Mapping[str, Any], versions: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return everything that a run's numbers depend on, to the last bit, as plain data.

    Parameters
    ----------
    plan : RunPlan
        The run's plan.
    devices : sequence of Device
        Where it is computed.
    image : mapping
        What tells the image from any other (:func:`napari_fcnseg.imagefile.identity.identity_of`).
    versions : mapping, optional
        Of the libraries where it is computed (:func:`library_versions`); those here otherwise.
    """
    settings = {name: value for name, value in plan.settings.as_dict().items() if name not in _NO_MATTER}
    layout = {"shape": list(plan.layout.shape), "channel_axis": plan.layout.channel_axis}
    facts = {
        "format": _FORMAT,
        "image": {**image, **layout, "dtype": str(plan.image.dtype)},
        "models": [[m.sha256, m.output, method.name] for m, method in zip(plan.models, plan.methods, strict=True)],
        "ways": list(plan.ways),
        "mask": plan.mask.as_dict() if plan.mask is not None else None,
        "settings": settings,
        "tile": list(plan.tile),
        "device": [[device.key, str(device)] for device in devices],
        "versions": dict(versions) if versions is not None else library_versions(devices),
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


def library_versions(devices: Sequence[Device]) -> dict[str, str]:
    """Return the versions of the libraries here that compute on some devices."""
    return {"numpy": np.__version__, **framework_versions({device.backend for device in devices})}


class Ledger:
    """The finished tiles of a run, in a file beside its labels.

    Parameters
    ----------
    part : Path
        Where the labels grow.
    plan : RunPlan
        The run's plan.
    facts : mapping
        As :func:`facts_of` returns them.

    Attributes
    ----------
    numbers : dict of tuple to list
        What the preprocessing of large frames needs, as far as it was taken already.
    """

    def __init__(self, part: Path, plan: RunPlan, facts: Mapping[str, Any]) -> None:
        self.path, self.plan, self.facts = ledger_of(part), plan, facts
        self._kinds = kept_outputs(plan.settings)
        self.blocks = Blocks.of(plan)
        self._finished = bytearray(len(self.blocks))  # a byte per block: there may be any number of them
        self._parts: dict[int, set[Region]] = {}  # finished tiles of a block that is not, or pieces of them
        self._length = 0  # of the file, up to its last whole line
        self._marks: dict[str, str] = {}
        self.numbers: dict[Index, list[Numbers]] = {}
        self._coming: deque[bytes] = deque()  # lines that the next tile's goes behind

    @staticmethod
    def of(part: Path) -> dict[str, Any]:
        """Return the facts of the run that left a part behind; empty where it left no ledger."""
        try:
            with ledger_of(part).open("rb") as file:
                found = json.loads(file.readline(2**24))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) and isinstance(found.get("marks"), dict) else {}

    def difference(self, earlier: Mapping[str, Any]) -> str:
        """Return in what an earlier run differs from this one, as people say it; empty if in nothing."""
        return next((words for name, words in _DIFFERENT.items() if earlier.get(name) != self.facts[name]), "")

    def begin(self, marks: Mapping[str, str]) -> None:
        """Say that the arrays were made just now, and what tells them from others of their names.

        The file is begun with the first tile: until then, one that an earlier run left stays.
        """
        self._marks = dict(marks)

    def go_on(self, arrays: Mapping[str, Any], *, clear: bool = True) -> int:
        """Read what is finished, as far as it really is in the arrays; return the number of tiles.

        Parameters
        ----------
        arrays : mapping of str to array_like
            The results, by their kinds.
        clear : bool
            Whether chunks that cannot be read are put right: tiles that cover a part of one could not be written.
        """
        for index, region, sums in self._lines():
            where = (*index, *as_slices(region))
            with suppress(Exception):  # a chunk that is half written raises whatever its codec raises
                if tuple(checksum(np.asarray(arrays[kind.name][where])) for kind in self._kinds) == sums:
                    self._add(index, region)
        if clear:
            missing: list[tuple[int | slice, ...]] = [
                (*index, *as_slices(region)) for index, region in self.plan.schedule if not self.skip(index, region)
            ]
            for kind in self._kinds:
                _clear_unreadable(arrays[kind.name], missing)
        return self._count()

    def note(self, tile: Tile) -> None:
        """Note that a tile, or a block that a worker of a cluster has written, is in the arrays."""
        index, region = tile.place
        if (index, region) == (self.plan.schedule.frames[0], self.plan.schedule.early):
            return  # it comes again with the tile that it lies in
        if not self._length:
            line = _line({**self.facts, "marks": self._marks})
            self.path.write_bytes(line)
            self._length = len(line)
        self._add(index, region)
        sums = tile.sums
        if sums is None:
            sums = tuple(checksum(getattr(tile, kind.array)) for kind in self._kinds)
        lines = [self._coming.popleft() for _ in range(len(self._coming))]
        line = b"".join([*lines, _line([index, region, sums])])
        with self.path.open("r+b") as file:
            file.seek(self._length)
            file.truncate()  # what was being written when the program was killed
            file.write(line)
        self._length += len(line)

    def note_numbers(self, index: Index, numbers: Sequence[Numbers]) -> None:
        """Note what the preprocessing of a frame needs, with the next tile, so that it is not taken again."""
        self._coming.append(_line({"frame": index, "numbers": numbers}))

    def skip(self, index: Index, region: Region) -> bool:
        """Return whether a tile is finished, as a whole or in the pieces that it was cut into for want of memory."""
        number = self.blocks.number(index, region)
        if self._finished[number]:
            return True
        parts = self._parts.get(number, ())
        return region in parts or sum(_pixels(part) for part in parts if _inside(part, region)) == _pixels(region)

    def has(self, block: int) -> bool:
        """Return whether a block is finished, by its number."""
        return bool(self._finished[block])

    def forget(self) -> None:
        """Remove the ledger: the result is complete."""
        remove(self.path)

    def _add(self, index: Index, region: Region) -> None:
        number = self.blocks.number(index, region)
        if number < 0 or self._finished[number]:
            return
        _, whole = self.blocks.at(number)
        if region != whole:
            parts = self._parts.setdefault(number, set())
            parts.add(region)
            wanted = list(wanted_tiles(self.plan, self.blocks, index, whole)) if self._may_be_whole(number) else []
            if not wanted or not all(self.skip(index, tile) for tile in wanted):
                return
        self._finished[number] = True
        self._parts.pop(number, None)

    def _may_be_whole(self, number: int) -> bool:
        """Whether so much of a block came that it may be finished; looked at where that is little work."""
        masked = self.plan.schedule.mask is not None
        return masked or len(self._parts[number]) >= self.blocks.count(self.blocks.at(number)[1])

    def _count(self) -> int:
        """Return the number of tiles that are finished."""
        tiles = sum(map(len, self._parts.values()))
        for number in np.flatnonzero(np.frombuffer(self._finished, np.uint8)):
            index, region = self.blocks.at(int(number))
            if self.plan.schedule.mask is None:
                tiles += self.blocks.count(region)
            else:
                tiles += len(list(wanted_tiles(self.plan, self.blocks, index, region)))
        return tiles

    def _lines(self) -> Iterator[tuple[Index, Region, tuple[int, ...]]]:
        plan = self.plan
        lengths = [len(plan.layout.stack_shape), len(plan.extent), len(self._kinds)]
        with self.path.open("rb") as file:
            self._length = len(file.readline())
            for line in file:
                try:
                    found = json.loads(line)
                    entry = None if isinstance(found, dict) else _entry(found)
                    if entry is None:
                        self._take_over(found)
                except (ValueError, TypeError, RecursionError, LookupError):
                    return
                if not line.endswith(b"\n") or (entry is not None and [len(part) for part in entry] != lengths):
                    return
                self._length += len(line)
                if entry is not None:
                    yield entry

    def _take_over(self, found: Mapping[str, Any]) -> None:
        """Take over what the preprocessing of a frame needs, if it is that."""
        numbers: list[Numbers] = [
            [[list(map(float, answer)) for answer in channel] for channel in step] for step in found["numbers"]
        ]
        if len(numbers) != len(self.plan.steps):
            raise ValueError
        self.numbers[tuple(map(int, found["frame"]))] = numbers


def _entry(found: Sequence[Any]) -> tuple[Index, Region, tuple[int, ...]]:
    index, region, sums = found
    return tuple(map(int, index)), tuple((int(a), int(b)) for a, b in region), tuple(map(int, sums))


def checksum(numbers: npt.NDArray[Any]) -> int:
    """Return a checksum of an array's bytes in C order."""
    return zlib.crc32(np.ascontiguousarray(numbers).data.cast("B")) if numbers.size else 0


def _clear_unreadable(array: Any, places: Iterable[tuple[int | slice, ...]]) -> None:
    """Put zeros in place of chunks that cannot be read: a tile that covers only a part of one could not be written."""
    for cell in dict.fromkeys(cell for where in places for cell in _cells(array, where)):
        where = as_slices(cell)
        try:
            array[where]
        except Exception:
            array[where] = np.zeros((*(stop - start for start, stop in cell), *array.shape[len(cell) :]), array.dtype)


def _cells(array: Any, where: tuple[int | slice, ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    """Yield the chunks that a place lies in, as ranges of pixels."""
    ranges = []
    for part, chunk, n in zip(where, array.chunks, array.shape, strict=False):
        start, stop = (part.start, part.stop) if isinstance(part, slice) else (part, part + 1)
        ranges.append([(low, min(low + chunk, n)) for low in range(start - start % chunk, stop, chunk)])
    yield from itertools.product(*ranges)


def _line(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _inside(piece: Region, region: Region) -> bool:
    return all(a <= b and c <= d for (b, c), (a, d) in zip(piece, region, strict=True))


def _pixels(region: Region) -> int:
    return math.prod(stop - start for start, stop in region)
