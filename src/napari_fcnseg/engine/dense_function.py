"""The dense network as one function of an image: what the engine runs, whichever framework does the operations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from napari_fcnseg.conversion import dense_network
from napari_fcnseg.graph.ops import Activation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Ints = tuple[int, ...]
    Apply = Callable[[Sequence[Any]], Any]


class Operations(Protocol):
    """What a framework does with its tensors, which are maps ``(1, *spatial, channel)``."""

    def image(self, image: Any) -> Any:
        """Return an image in the numbers that maps have."""

    def below(self, above: Any, rows: Any) -> Any:
        """Return rows put below others."""

    def last(self, x: Any, rows: int) -> Any:
        """Return the last rows."""

    def cut(self, x: Any, before: Ints, after: Ints, stride: Ints) -> Any:
        """Cut entries off both ends of each spatial axis, and keep every ``stride``-th of the others."""

    def prepared(self, network: dense_network.DenseNetwork) -> list[Apply]:
        """Return each step as a function of the maps that it reads."""


class DenseFunction:
    """A dense network, thinned or not, as functions of tensors.

    Called with an image ``(1, *spatial, channel)`` it returns its answer. A tall image can also come in strips, from
    top to bottom: then each operation keeps the last rows of what it read, and nothing is computed twice where two
    strips meet. A thinned network cannot do that.

    Parameters
    ----------
    network : DenseNetwork
        The network.
    operations : Operations
        What computes it.

    Attributes
    ----------
    kept : dict of int to int
        Rows that are kept of each step's result, and of the image
        (:data:`~napari_fcnseg.conversion.dense_network.IMAGE`), where they are any.
    """

    def __init__(self, network: dense_network.DenseNetwork, operations: Operations) -> None:
        self._steps = network.steps
        self._operations = operations
        self._prepared = operations.prepared(network)
        self._dead = _last_reads(network)
        extra = {dense_network.IMAGE: network.reach[0] - 1} | {n: step.extra[0] for n, step in enumerate(network.steps)}
        # A strip has so many rows more than its answer. A reader whose strip begins `before` rows later than that
        # needs the difference from the strip above.
        self._above = {
            (number, source): extra[source.step] - step.extra[0] - source.before[0]
            for number, step in enumerate(network.steps)
            for source in step.inputs
        }
        most: dict[int, int] = {}
        for (_, source), rows in self._above.items():
            most[source.step] = max(most.get(source.step, 0), rows)
        self.kept = {step: rows for step, rows in sorted(most.items()) if rows}

    def __call__(self, image: Any) -> Any:
        """Return the answer to an image."""
        return self._compute(image, drop=True)[len(self._steps) - 1]

    def first(self, image: Any) -> list[Any]:
        """Return the answer to the topmost strip, and the rows that :meth:`more` needs of it."""
        return self._with_kept(self._compute(image))

    def more(self, rows: Any, *kept: Any) -> list[Any]:
        """Return the answer to the next strip, of which only the rows that are new are given, and its last rows."""
        return self._with_kept(self._compute(rows, dict(zip(self.kept, kept, strict=True))))

    def _with_kept(self, tensors: dict[int, Any]) -> list[Any]:
        kept = (self._operations.last(tensors[step], rows) for step, rows in self.kept.items())
        return [tensors[len(self._steps) - 1], *kept]

    def _compute(self, image: Any, above: dict[int, Any] | None = None, drop: bool = False) -> dict[int, Any]:
        """Return every step's result; with the rows ``above`` a strip, these are put before it.

        What is read no more is dropped where it may be: where operations run at once, results would pile up.
        """

        def whole(number: int, result: Any) -> Any:
            return self._operations.below(above[number], result) if above and number in above else result

        tensors = {dense_network.IMAGE: whole(dense_network.IMAGE, self._operations.image(image))}
        cut: dict[tuple[dense_network.StepInput, int], Any] = {}
        for number, (step, function) in enumerate(zip(self._steps, self._prepared, strict=True)):
            inputs = []
            for source in step.inputs:
                top = source.before[0] if above is None else self.kept.get(source.step, 0) - self._above[number, source]
                if (source, top) not in cut:
                    seen = replace(source, before=(top, *source.before[1:]))
                    cut[source, top] = self._cut(tensors[source.step], seen)
                inputs.append(cut[source, top])
            tensors[number] = whole(number, function(inputs))
            if drop and self._dead[number]:
                for read in self._dead[number]:
                    del tensors[read]
                cut = {key: tensor for key, tensor in cut.items() if key[0].step in tensors}
        return tensors

    def _cut(self, tensor: Any, source: dense_network.StepInput) -> Any:
        return self._operations.cut(tensor, source.before, source.after, source.stride) if _cuts(source) else tensor


def _last_reads(network: dense_network.DenseNetwork) -> list[list[int]]:
    """Return for each step the steps whose results nothing reads after it, the image among them."""
    end = {source.step: number for number, step in enumerate(network.steps) for source in step.inputs}
    dead: list[list[int]] = [[] for _ in network.steps]
    for step, number in end.items():
        dead[number].append(step)
    return dead


def _cuts(source: dense_network.StepInput) -> bool:
    return any(source.before) or any(source.after) or max(source.stride) > 1


def rectified(network: dense_network.DenseNetwork) -> dict[int, int]:
    """Return the convolutions whose result goes whole into a rectifier and nowhere else, each with that rectifier.

    A rectifier can be a part of the convolution before it; the step itself then does nothing.
    """
    readers = _readers(network)
    found = {}
    for number, step in enumerate(network.steps):
        if isinstance(step.op, dense_network.DenseConv) and len(readers.get(number, ())) == 1:
            reader, source = readers[number][0]
            if _rectifies(network.steps[reader].op) and not _cuts(source):
                found[number] = reader
    return found


def done_with(network: dense_network.DenseNetwork) -> dict[int, int]:
    """Return steps that can be done together with the one that reads them alone and whole, each with that one.

    They are convolutions, rectified or not, before one of one pixel, and pools along the first axis before one along
    others. Between the two there need be no map.
    """
    readers, joined = _readers(network), rectified(network)
    found = {}
    for number, step in enumerate(network.steps):
        reading = readers.get(joined.get(number, number), [])
        if len(reading) == 1 and not _cuts(reading[0][1]) and _continues(step, network.steps[reading[0][0]]):
            found[number] = reading[0][0]
    return found


def _continues(step: dense_network.Step, after: dense_network.Step) -> bool:
    """Return whether a step can be done together with one that reads its result alone."""
    if max(step.stride) > 1 or max(after.stride) > 1:
        return False
    a, b = step.op, after.op
    if isinstance(a, dense_network.DensePool) and isinstance(b, dense_network.DensePool):
        if a.kind != b.kind or len(a.sizes) > 1 or len(b.sizes) > 1:
            return False
        return all(1 in pair for pair in zip(a.sizes[0], b.sizes[0], strict=True)) and b.sizes[0][0] == 1
    return isinstance(a, dense_network.DenseConv) and _is_pixelwise(b)


def _readers(network: dense_network.DenseNetwork) -> dict[int, list[tuple[int, dense_network.StepInput]]]:
    """Return the steps that read each step, and how."""
    readers: dict[int, list[tuple[int, dense_network.StepInput]]] = {}
    for number, step in enumerate(network.steps):
        for source in step.inputs:
            readers.setdefault(source.step, []).append((number, source))
    return readers


def _is_pixelwise(op: dense_network.DenseOp) -> bool:
    """Return whether an operation is a convolution of one map whose window is one pixel."""
    if not isinstance(op, dense_network.DenseConv) or len(op.kernels) > 1 or op.groups > 1:
        return False
    return op.side_by_side == (1,) and max(op.kernels[0].shape[:-2]) == 1


def _rectifies(op: dense_network.DenseOp) -> bool:
    """Return whether an operation is the plain rectifier: without a slope, a ceiling or a threshold."""
    return isinstance(op, Activation) and op.name == "relu" and not any(op.params.values())
