"""Find which entries of every map are needed, and make the dense network that computes no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from napari_fcnseg.conversion.dense_network import IMAGE, Step, StepInput, windows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.conversion.feature_maps import MapRef
    from napari_fcnseg.conversion.network_builder import Operation

#: First and last entry per axis that origin 0 needs.
Span: TypeAlias = tuple[tuple[int, int], ...]


def needed(operations: Sequence[Operation], answer: MapRef) -> dict[int, Span]:
    """Return what of each operation's result, and of the image, goes into the answer.

    Parameters
    ----------
    operations : sequence of Operation
        In an order in which each follows what it reads.
    answer : MapRef
        The network's answer.

    Returns
    -------
    dict of int to Span
        Operations the answer does not depend on are missing.
    """
    spans: dict[int, Span] = {answer.step: tuple((o, o) for o in answer.offset)}
    for number in reversed(range(len(operations))):
        if number in spans:
            for ref, span in zip(operations[number].inputs, _read(operations[number], spans[number]), strict=True):
                spans[ref.step] = _hull(spans.get(ref.step), span)
    return spans


def receptive_fields(operations: Sequence[Operation], axes: int) -> list[Span]:
    """Return for each operation which pixels entry 0 of its result depends on, from the patch's start."""
    fields: dict[int, Span] = {IMAGE: ((0, 0),) * axes}
    for number, operation in enumerate(operations):
        field: Span | None = None
        for ref, span in zip(operation.inputs, _read(operation, ((0, 0),) * axes), strict=True):
            source = fields[ref.step]
            mine = tuple((s[0] + f[0], s[1] + f[1]) for s, f in zip(span, source, strict=True))
            field = _hull(field, mine)
        assert field is not None, "every operation reads something"
        fields[number] = field
    return [fields[number] for number in range(len(operations))]


def lowered(operations: Sequence[Operation], spans: dict[int, Span]) -> tuple[Step, ...]:
    """Return the needed operations as steps that compute what is needed of them and no more."""
    moved, ones = {IMAGE: IMAGE}, (1,) * len(next(iter(spans.values())))
    steps: list[Step] = []
    for number, operation in enumerate(operations):
        if number not in spans:
            continue
        sources = []
        for ref, read in zip(operation.inputs, _read(operation, spans[number]), strict=True):
            there = spans[ref.step]
            before = tuple(r[0] - t[0] for r, t in zip(read, there, strict=True))
            after = tuple(t[1] - r[1] for r, t in zip(read, there, strict=True))
            sources.append(StepInput(moved[ref.step], before, after, ones))
        extra = tuple(last - first for first, last in spans[number])
        moved[number] = len(steps)
        steps.append(Step(operation.op, tuple(sources), operation.layer, operation.channels, ones, ones, extra))
    return tuple(steps)


def _read(operation: Operation, span: Span) -> list[Span]:
    """Return what an operation reads of each input for a span of its result."""
    windows = windows_of(operation.op)
    found = []
    for number, ref in enumerate(operation.inputs):
        longer = [0] * len(span)
        if windows is not None:
            longer = [(k - 1) * d for k, d in zip(*windows[number], strict=True)]
        found.append(tuple((s[0] + o, s[1] + o + n) for s, o, n in zip(span, ref.offset, longer, strict=True)))
    return found


def _hull(a: Span | None, b: Span) -> Span:
    return b if a is None else tuple((min(x[0], y[0]), max(x[1], y[1])) for x, y in zip(a, b, strict=True))
