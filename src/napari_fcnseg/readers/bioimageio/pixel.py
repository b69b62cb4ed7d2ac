"""A package whose network labels every pixel by itself -> the network, to be run as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NoReturn

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.graph.pixel_network import PixelNetwork
from napari_fcnseg.readers.bioimageio.maps import Maps, maps_of
from napari_fcnseg.readers.onnx.field import field_of, set_shape, shapes_of
from napari_fcnseg.readers.onnx.onnx_file import load_whole
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

    from napari_fcnseg.readers.bioimageio.facts import Axis, Facts, Tensor
    from napari_fcnseg.readers.onnx.field import Field
    from napari_fcnseg.readers.onnx.onnx_file import OnnxNode

_LETTERS: Final = {"batch": "b", "channel": "c"}
_PROBE: Final = {1: 256, 2: 128, 3: 32}  # pixels per axis at which the network is looked at, at least
_FLOATS: Final = (1, 10, 11)  # of ONNX's types: single, half, double precision
_ADVICE: Final = "Ask its authors, or run it with bioimageio.core, deepImageJ or ilastik."


def read(file: BinaryIO, path: Path, facts: Facts, data: dict[str, Any], output: str | None) -> PixelNetwork:
    """Read the ONNX weights of a package, and how they are run.

    Parameters
    ----------
    file, path : BinaryIO, Path
        The weights, and where they lie.
    facts : Facts
        What the package says.
    data : dict
        The same as it was parsed.
    output : str, optional
        Which of several outputs; the first map otherwise.

    Raises
    ------
    UnreadableError, UnsupportedLayerError
        If they are damaged, hold anything but ONNX's own operators, or what they give labels no pixels.
    """
    if len(facts.inputs) > 1:
        _refuse(f"it takes {len(facts.inputs)} images, and this program gives a model of this kind one")
    taken = facts.inputs[0]
    chosen = _chosen(facts, output)
    model, nodes, files = load_whole(file, path)
    axes = _Axes.of(taken, chosen)
    source, answer = _source(model, taken.name, axes), _answer(model, chosen.name, facts)
    channels = _channels(taken, model, source, axes)
    sizes = _Sizes.of(taken, model, source, axes)
    probe = sizes.probe()
    shapes = shapes_of(model, source, axes.shape(1, channels, probe))
    seen = field_of(nodes, shapes, source, answer, probe)
    crop, count = _given(shapes.get(answer), chosen, axes, probe, seen.halo)
    maps = maps_of(data, chosen, _made_by(nodes, answer), count)
    halo = tuple(axis.halo for axis in chosen.space)
    network = PixelNetwork(
        str(data.get("name") or path.stem)[:80],
        _for_any_size(model, source, axes, channels, sizes),
        source, answer, axes.takes, axes.gives, channels, count, maps.last, maps.threshold, maps.head,
        tuple(n if n is not None else own for n, own in zip(halo, seen.halo, strict=True)),
        crop, seen.grid, sizes.least, sizes.step,
        max(seen.bytes_per_pixel, 4.0 * (channels + count)), seen.flop_per_pixel,
        outputs=tuple(t.name for t in _images(facts)) if len(_images(facts)) > 1 else (),
        files=files,
        notes=_notes(facts, chosen, maps, seen, halo),
        said={**facts.said, "class_names": list(maps.names(chosen.channels, count))},
    )  # fmt: skip
    return _tiled(network)


def _refuse(reason: str, advice: str = _ADVICE) -> NoReturn:
    raise UnreadableError(reason, advice)


def _images(facts: Facts) -> list[Tensor]:
    """Return the outputs that are as an image is."""
    names = [axis.name for axis in facts.inputs[0].space]
    return [t for t in facts.outputs if [axis.name for axis in t.space] == names and t.space[0].size != 1]


def _chosen(facts: Facts, output: str | None) -> Tensor:
    maps = _images(facts)
    if not maps:
        _refuse("what it gives has other axes than its image, and so no label for each pixel")
    for tensor in maps:
        if output in (None, tensor.name):
            return tensor
    raise UnreadableError(f"it has no output {output!r}", f"Choose from: {', '.join(t.name for t in maps)}.")


@dataclass(frozen=True)
class _Axes:
    """The axes of input and output as letters, those of space by their names."""

    takes: str
    gives: str
    space: str

    @classmethod
    def of(cls, taken: Tensor, given: Tensor) -> _Axes:
        takes, gives = (
            "".join(_LETTERS.get(axis.kind, axis.name if axis.kind == "space" else "?") for axis in tensor.axes)
            for tensor in (taken, given)
        )
        space = "".join(axis.name for axis in taken.space)
        for letters in (takes, gives):
            if "?" in letters or len(set(letters)) != len(letters) or not set(space) <= set(letters):
                _refuse(f"its tensors have the axes {takes} and {gives}, which this program does not give")
        if [c for c in gives if c in space] != list(space):
            _refuse("the axes of its map are in another order than those of its image")
        return cls(takes, gives, space)

    def shape(self, batch: int, channels: int, sizes: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the shape of the input."""
        known = {"b": batch, "c": channels, **dict(zip(self.space, sizes, strict=True))}
        return tuple(known[letter] for letter in self.takes)


def _source(model: ModelProto, name: str, axes: _Axes) -> str:
    arrays = {stored.name for stored in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in arrays]
    if len(inputs) != 1:
        _refuse(f"its description has one input, and its ONNX weights have {len(inputs)}")
    kind = inputs[0].type.tensor_type
    if kind.elem_type not in _FLOATS:
        _refuse(f"its input {name!r} takes no floating-point numbers")
    if kind.HasField("shape") and len(kind.shape.dim) != len(axes.takes):
        _refuse(f"its description gives its image {len(axes.takes)} axes, and its weights {len(kind.shape.dim)}")
    return str(inputs[0].name)


def _answer(model: ModelProto, name: str, facts: Facts) -> str:
    """Return the program's output: of that name, or at that place where its outputs are called otherwise."""
    names = [value.name for value in model.graph.output]
    place = [tensor.name for tensor in facts.outputs].index(name)
    if name in names:
        return name
    if len(names) != len(facts.outputs):
        _refuse(f"its description has {len(facts.outputs)} outputs, and its ONNX weights have {len(names)}")
    return str(names[place])


def _stored_sizes(model: ModelProto, source: str) -> tuple[int | None, ...]:
    value = next(value for value in model.graph.input if value.name == source)
    dims = value.type.tensor_type.shape.dim
    return tuple(int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims)


def _channels(taken: Tensor, model: ModelProto, source: str, axes: _Axes) -> int:
    if "c" not in axes.takes:
        return 1
    axis = next(axis for axis in taken.axes if axis.kind == "channel")
    stored = _stored_sizes(model, source)
    by_file = stored[axes.takes.index("c")] if stored else None
    said = axis.size or len(axis.names) or None
    if said and by_file and said != by_file:
        _refuse(f"its description has {said} channels, and its weights take {by_file}", "Download it again.")
    return by_file or said or 1


@dataclass(frozen=True)
class _Sizes:
    """The sizes that the network takes, per spatial axis; ``step`` is 0 where it takes one only."""

    least: tuple[int, ...]
    step: tuple[int, ...]

    @classmethod
    def of(cls, taken: Tensor, model: ModelProto, source: str, axes: _Axes) -> _Sizes:
        stored = _stored_sizes(model, source)
        pairs = []
        for axis in taken.space:
            fixed = stored[axes.takes.index(axis.name)] if stored else None
            pairs.append(_size(axis, taken, fixed))
        least, step = zip(*pairs, strict=True)
        return cls(tuple(least), tuple(step))

    def probe(self) -> tuple[int, ...]:
        """Return sizes to look at the network at."""
        most = _PROBE[len(self.least)]
        return tuple(
            n + (math.ceil(max(most - n, 0) / step) * step if step else 0)
            for n, step in zip(self.least, self.step, strict=True)
        )


def _size(axis: Axis, taken: Tensor, stored: int | None) -> tuple[int, int]:
    """Return the least size of an axis, and the step to larger ones."""
    if stored is not None or axis.size is not None:
        return stored or axis.size or 1, 0
    if axis.least is None or axis.step is None:
        # As long as another axis of its, which says it.
        least, step = next(((a.least, a.step) for a in taken.space if a.least and a.step is not None), (None, None))
        if least is None or step is None:
            _refuse(f"its description does not say how long the axis {axis.name!r} of its image may be")
        return least, step
    return axis.least, axis.step


def _given(
    shape: tuple[int, ...] | None, chosen: Tensor, axes: _Axes, probe: tuple[int, ...], seen: tuple[int, ...]
) -> tuple[tuple[int, ...], int]:
    """Return the pixels at either side for which there is no answer, and the number of maps."""
    channel = next((axis for axis in chosen.axes if axis.kind == "channel"), None)
    said = (channel.size or len(channel.names) or None) if channel is not None else 1
    if shape is None:
        if said is None:
            _refuse("neither its description nor its weights say how many maps it gives")
        return (0,) * len(probe), said
    if len(shape) != len(axes.gives):
        _refuse(f"its description gives its map {len(axes.gives)} axes, and its weights give it {len(shape)}")
    sizes = tuple(shape[axes.gives.index(letter)] for letter in axes.space)
    lost = [n - m for n, m in zip(probe, sizes, strict=True)]
    # Windows that pad nothing lose what they see beside a pixel, and never more.
    if any(n < 0 or n % 2 or n // 2 > most for n, most in zip(lost, seen, strict=True)):
        _refuse(f"its map has other pixels than its image: {format_shape(sizes)} for {format_shape(probe)}")
    maps = shape[axes.gives.index("c")] if "c" in axes.gives else 1
    if said is not None and said != maps:
        _refuse(f"its description has {said} maps, and its weights give {maps}", "Download it again.")
    return tuple(n // 2 for n in lost), maps


def _made_by(nodes: tuple[OnnxNode, ...], answer: str) -> str:
    """Return the operator whose numbers the answer is, whatever only moves them left out."""
    made = {name: node for node in nodes for name in node.outputs}
    for _ in range(len(nodes)):
        node = made.get(answer)
        if node is None or node.op_type not in ("Transpose", "Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze"):
            break
        answer = node.inputs[0]
    node = made.get(answer)
    return node.op_type if node is not None else ""


def _for_any_size(model: ModelProto, source: str, axes: _Axes, channels: int, sizes: _Sizes) -> bytes:
    free = tuple(
        least if not step else letter for letter, least, step in zip(axes.space, sizes.least, sizes.step, strict=True)
    )
    set_shape(model, source, axes.shape(1, channels, free))
    return bytes(model.SerializeToString())


def _tiled(network: PixelNetwork) -> PixelNetwork:
    """Return the network with a grid that its one window allows.

    Raises
    ------
    UnreadableError
        If its halo leaves nothing of its window.
    """
    grid = tuple(
        g if step or least - 2 * around - (g - 1) >= min(least // 4, g) else 1
        for g, step, least, around in zip(network.grid, network.step, network.least, network.around, strict=True)
    )
    network = replace(network, grid=grid)
    if any(n is not None and n < 1 for n in network.largest):
        _refuse(
            f"its halo of {format_shape(network.around)} pixels leaves nothing of its image of "
            f"{format_shape(network.least)}"
        )
    return network


def _notes(facts: Facts, chosen: Tensor, maps: Maps, seen: Field, halo: tuple[int | None, ...]) -> tuple[str, ...]:
    notes = []
    if len(facts.outputs) > 1:
        notes.append(f"It has {len(facts.outputs)} outputs; the labels are those of {chosen.name!r}.")
    if seen.whole:
        notes.append(
            "It looks at all pixels of a window at once, so its numbers depend on the size of the tile: choose one "
            "tile for the whole image where that fits into memory."
        )
    elif None in halo:
        notes.append("The package does not say its halo; it was worked out from the layers.")
    return (*notes, *maps.notes)
