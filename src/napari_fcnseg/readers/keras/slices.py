"""``x[:, 1:-1, 1:-1, :3]`` in a Functional model: positions and channels that are cut off, taken or turned round."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.ops import Identity, Op
from napari_fcnseg.readers.keras.reductions import taken
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import is_whole

if TYPE_CHECKING:
    from napari_fcnseg.readers.keras.tensor_axes import Built, Tensor

_ELLIPSIS = "__ellipsis__"


def sliced(tensor: Tensor, stored: Any) -> Built:
    """Index a tensor with slices, single positions, an ellipsis and new axes.

    Parameters
    ----------
    tensor : Tensor
        What is indexed.
    stored : object
        The JSON value: an entry for each axis, the batch first, as Keras 3 (``{"class_name": "__slice__", …}``) or
        tf.keras (``{"start": …, "stop": …, "step": …}``) writes it.

    Raises
    ------
    RefusedError
        It does something else, or takes patches of the batch.
    UnreadableError
        It takes what there is not.
    """
    entries = _expanded(stored if isinstance(stored, list) else [stored], len(tensor.axes) + 1)
    if not entries or _slice(entries[0]) != slice(None) or is_whole(entries[0]):
        raise RefusedError(
            "it takes single patches of the batch, or does so in a way that cannot be read",
            "Use plain slices such as x[:, 1:-1, 1:-1, :], or the layer Cropping2D, and train again.",
        )
    ops, gone, index, new = list[Op](), list[int](), 0, list[int]()
    for entry in entries[1:]:
        if entry is None:
            new.append(index - len(gone) + len(new))
            continue
        size = tensor.seen[index]
        if is_whole(entry):
            places: range = range(entry % size, entry % size + 1) if -size <= entry < size else range(0)
            gone.append(index)
        else:
            places = range(size)[_slice(entry)]
        if not places:
            raise UnreadableError(f"it takes nothing, or what there is not, of the axis {index + 1} of {tensor.seen}")
        made, tensor = taken(tensor, index, places)
        ops += [op for op in made if not isinstance(op, Identity)]
        index += 1
    axes = [group for number, group in enumerate(tensor.axes) if number not in gone]
    for place in new:
        axes.insert(place, ())
    return tuple(ops) or (Identity("it takes everything"),), replace(tensor, axes=tuple(axes))


def _expanded(entries: list[Any], rank: int) -> list[Any]:
    """Put whole slices in place of an ellipsis, and after what is listed."""
    named = sum(entry is not None and not _is_ellipsis(entry) for entry in entries)
    missing = rank - named
    if missing < 0 or sum(map(_is_ellipsis, entries)) > 1 or len(entries) > 16:
        raise UnreadableError(f"it has {named} indices for {rank} axes")
    whole = {"start": None, "stop": None, "step": None}
    if not any(map(_is_ellipsis, entries)):
        return [*entries, *[whole] * missing]
    at = next(i for i, entry in enumerate(entries) if _is_ellipsis(entry))
    return [*entries[:at], *[whole] * missing, *entries[at + 1 :]]


def _is_ellipsis(entry: Any) -> bool:
    return (isinstance(entry, dict) and entry.get("class_name") == _ELLIPSIS) or entry == "Ellipsis"


def _slice(item: Any) -> slice:
    """Read one slice."""
    if is_whole(item):
        return slice(item, item)
    if isinstance(item, dict) and item.get("class_name") == "__slice__":
        item = item.get("config")
    if isinstance(item, dict) and item.keys() == {"start", "stop", "step"}:
        ends = item["start"], item["stop"], item["step"]
        if all(end is None or is_whole(end) for end in ends) and item["step"] != 0:
            return slice(*ends)
    raise RefusedError(
        "it is indexed in a way that cannot be read", "Use plain slices such as x[:, 1:-1, 1:-1, :] and train again."
    )
