"""``x[:, 1:-1, 1:-1, :3]`` in a Functional model: positions and channels that are cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_fcnseg.graph.ops import Channels, Crop, Identity, Op
from napari_fcnseg.readers.keras.tensor_axes import Tensor, advance
from napari_fcnseg.readers.problem import RefusedError
from napari_fcnseg.system.safe_json import is_whole

if TYPE_CHECKING:
    from napari_fcnseg.readers.keras.tensor_axes import Built


def sliced(tensor: Tensor, stored: Any) -> Built:
    """Cut off positions and channels.

    Parameters
    ----------
    tensor : Tensor
        What is cut.
    stored : object
        The JSON value: a slice for each axis, the batch first, as Keras 3 (``{"class_name": "__slice__", …}``) or
        tf.keras (``{"start": …, "stop": …, "step": …}``) writes it.

    Raises
    ------
    RefusedError
        It does anything but cut off.
    """
    slices = [_slice(item) for item in stored] if isinstance(stored, list) else [None]
    if None in slices or not slices or slices[0] != slice(None) or len(slices) > len(tensor.axes) + 1:
        raise RefusedError(
            "it takes out single positions, every second one, or patches of the batch",
            "Use plain slices such as x[:, 1:-1, 1:-1, :], or the layer Cropping2D, and train again.",
        )
    last = len(tensor.shape) - 1
    width, ops = [(0, 0)] * last, list[Op]()
    for axis, where in enumerate(slices[1:], 1):
        length = tensor.seen[axis - 1]
        start, stop, _ = (where or slice(None)).indices(length)
        if (start, stop) == (0, length):
            continue
        own = tensor.own_axis(axis) - 1
        if stop <= start:
            raise RefusedError("it cuts off everything", "Take a smaller slice and train again.")
        if own == last:
            ops.append(Channels(start, stop))
        else:
            width[own] = (start, length - stop)
    if any(pair != (0, 0) for pair in width):
        ops.insert(0, Crop(tuple(width)))
    return advance(tensor, *(ops or [Identity("it takes everything")]))


def _slice(item: Any) -> slice | None:
    """Read one slice of step 1, or None where it is something else."""
    if isinstance(item, dict) and item.get("class_name") == "__slice__":
        item = item.get("config")
    if not isinstance(item, dict) or item.keys() != {"start", "stop", "step"} or item["step"] not in (None, 1):
        return None
    ends = item["start"], item["stop"]
    return slice(*ends) if all(end is None or is_whole(end) for end in ends) else None
