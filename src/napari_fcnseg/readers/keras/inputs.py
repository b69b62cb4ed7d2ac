"""The inputs of a network: one patch, or several inputs that are channels of the same patch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import SAY_SIZE, ConversionError, PatchSizeError, UnreadableError
from napari_fcnseg.readers.keras.axes import AXIS_LAYERS
from napari_fcnseg.readers.keras.convolutions import channels_first
from napari_fcnseg.readers.keras.layers import LAYERS
from napari_fcnseg.readers.keras.merges import MERGE_LAYERS
from napari_fcnseg.readers.keras.operations import keeps_axes
from napari_fcnseg.readers.keras.tensor_axes import Tensor
from napari_fcnseg.readers.problem import RefusedError, about_layer
from napari_fcnseg.readers.shapes import MAX_ELEMENTS
from napari_fcnseg.readers.weights import Weights
from napari_fcnseg.system.safe_json import MAX_WHOLE, is_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.readers.keras.architecture import LayerCall
    from napari_fcnseg.readers.shapes import Shape

MAX_INPUTS: Final = 256


@dataclass(frozen=True)
class ModelInput:
    """One input of the model: the channels ``start <= c < stop`` of the patch."""

    use: LayerCall
    tensor: Tensor
    start: int
    stop: int


def model_inputs(
    model: str, inputs: Sequence[LayerCall], uses: Sequence[LayerCall], patch: Shape = ()
) -> tuple[Shape, list[ModelInput]]:
    """Find the patch that a network reads.

    Parameters
    ----------
    model : str
        The model's name.
    inputs : sequence of LayerCall
        Its input layers.
    uses : sequence of LayerCall
        The whole network, which tells which axis of an input are its channels.
    patch : tuple of int
        Sizes of the patch for a model that takes any, where the user said them.

    Returns
    -------
    shape : tuple of int
        Shape of the patch, the channels of all inputs last.
    entrances : list of ModelInput
        Which of the channels each input is.

    Raises
    ------
    ConversionError
        The patch size is not fixed.
    UnsupportedLayerError
        One input is no patch of an image, or another patch than the first.
    UnreadableError
        A shape is malformed.
    """
    if len(inputs) > MAX_INPUTS:
        raise UnreadableError(f"its model has {len(inputs)} inputs")
    found: list[ModelInput] = []
    first: Tensor | None = None
    for use in inputs:
        sizes = _sizes(model, use, patch)
        with about_layer(use.name, use.leaf.layer_type):
            if len(sizes) < 2:
                raise _no_patch(sizes, len(inputs))
            tensor = _tensor(use.name, sizes, uses)
            if first is not None and tensor.shape[:-1] != first.shape[:-1]:
                raise RefusedError(
                    f"its patch is {_shown(tensor.shape[:-1])}, but that of {found[0].use.name!r} is "
                    f"{_shown(first.shape[:-1])}, and the inputs have to be channels of the same patch",
                    "Crop the larger one inside the model (Cropping2D) so that both read the same patch, and save it.",
                )
        first = first or tensor
        start = found[-1].stop if found else 0
        found.append(ModelInput(use, tensor, start, start + tensor.shape[-1]))
    if first is None:
        raise UnreadableError("its model has no input")
    return (*first.shape[:-1], found[-1].stop), found


def _no_patch(sizes: Shape, count: int) -> Exception:
    if count > 1:
        return RefusedError(
            f"it is an input of the shape {_shown(sizes)}, which is no patch of an image",
            "Save a model without this input (with its value built in, for example), or train one without it.",
        )
    return UnreadableError(
        f"the shape of its input, {_shown(sizes)}, is not that of an image patch (positions, then channels)",
        "Open a model that classifies patches of an image; with one channel its input is (height, width, 1).",
    )


def _sizes(model: str, use: LayerCall, patch: Shape) -> Shape:
    config = use.leaf.config
    batch_shape = config.raw("batch_shape") if "batch_shape" in config else config.raw("batch_input_shape")
    if batch_shape is not None and not isinstance(batch_shape, list):
        raise UnreadableError("the shape of its input is malformed")
    if batch_shape is None:
        raise ConversionError(
            f"The model {model!r} has no fixed patch size: it was saved before it knew its input. Add "
            "keras.Input((height, width, channels)) with the size of your training patches, load the weights, save it."
        )
    sizes = batch_shape[1:]
    if any(size is None for size in sizes):
        sizes = with_patch(model, sizes, patch)
    if not all(is_whole(size) and 0 < size <= MAX_WHOLE for size in sizes) or math.prod(sizes) > MAX_ELEMENTS:
        raise UnreadableError(f"the shape of its input, {_shown(sizes)}, is malformed or too large to be true")
    return tuple(sizes)


def with_patch(model: str, sizes: Sequence[int | None], patch: Shape) -> list[int]:
    """Put the sizes that the user said in place of those that a model leaves open.

    Raises
    ------
    ConversionError
        The user said none, or another number of them.
    """
    free = sum(size is None for size in sizes)
    if len(patch) != free:
        example = " ".join(["61"] * free)
        said = f", and {len(patch)} sizes were given" if patch else ""
        what = f"The model {model!r} has no fixed patch size: its input is {_shown(sizes)}{said}. "
        raise PatchSizeError(
            f"{what}Say the size of the patches that it was trained on, {free} numbers: --patch-size {example} on the "
            f"command line, patch_size=({', '.join(['61'] * free)}{',' * (free == 1)}) in Python, or "
            f'"patch_size": [{", ".join(["61"] * free)}] in the sidecar.',
            free,
            f"{what}{SAY_SIZE}",
        )
    given = iter(patch)
    return [next(given) if size is None else size for size in sizes]


def _tensor(name: str, sizes: Shape, uses: Sequence[LayerCall]) -> Tensor:
    """Give the input as the model sees it: with its channels last, first, or without an axis for a single channel."""
    rank = len(sizes)
    channel = _channel_axis(name, sizes, uses)
    if channel == rank:
        return Tensor((*sizes, 1), tuple((i,) for i in range(rank)), rank)
    spatial = [i for i in range(rank) if i != channel]
    axes = tuple((rank - 1,) if i == channel else (spatial.index(i),) for i in range(rank))
    return Tensor((*(sizes[i] for i in spatial), sizes[channel]), axes, rank - 1)


def _channel_axis(name: str, sizes: Shape, uses: Sequence[LayerCall]) -> int:
    """Follow an input to the first layer that takes one of its axes for channels; the last one where none does.

    The answer is ``len(sizes)`` where that layer's channels are an axis that was added on the way, and for a square
    without channels that is flattened (as in the first of Keras's own tutorials).
    """
    rank = len(sizes)
    views = {name: Tensor((*sizes, 1), tuple((i,) for i in range(rank)), rank)}
    for use in uses:
        view = next((views[source] for source in use.sources if source in views), None)
        leaf = use.leaf
        if view is None:
            continue
        if keeps_axes(use):
            views[use.name] = view
            continue
        if leaf.layer_type not in {*LAYERS, *MERGE_LAYERS}:
            continue
        if leaf.layer_type in ("Reshape", "Permute"):
            try:
                _, views[use.name] = AXIS_LAYERS[leaf.layer_type](leaf, view, Weights(()))
            except (RefusedError, UnreadableError):
                continue
        elif leaf.layer_type == "Flatten" and not channels_first(leaf):
            if rank == 2 and sizes[0] == sizes[1]:
                return rank
        elif "data_format" in leaf.config:
            place = 0 if channels_first(leaf) else len(view.axes) - 1
            core = view.core(place) or view.axes[place]
            return (core or (rank,))[0] if len(core) < 2 else rank - 1
        else:
            views[use.name] = view
    return rank - 1


def _shown(sizes: Sequence[object]) -> str:
    return "(" + ", ".join(str(size)[:20] for size in sizes[:8]) + ")"
