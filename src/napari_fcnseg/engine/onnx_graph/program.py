"""Runs what a builder has put together: graphs by ONNX Runtime, and between them functions of ours.

Imported in the engine's child process alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.engine.onnx_graph.builder import Call
from napari_fcnseg.engine.onnx_graph.model_bytes import Node, Port, model_bytes
from napari_fcnseg.engine.onnx_graph.together import Together, put_together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from napari_fcnseg.engine.onnx_graph.builder import Builder, Tensor

    Array = npt.NDArray[np.float32]
    #: Makes a session of ONNX Runtime of a model's bytes.
    MakeSession = Callable[[bytes], Any]


@dataclass(frozen=True)
class _Graph:
    """A run of ONNX operations in one session."""

    session: Any
    reads: tuple[str, ...]
    gives: tuple[str, ...]

    def __call__(self, arrays: dict[str, Array]) -> None:
        given = {name: np.ascontiguousarray(arrays[name]) for name in self.reads}
        arrays.update(zip(self.gives, self.session.run(self.gives, given), strict=True))


@dataclass(frozen=True)
class _Function:
    """A function of ours."""

    call: Call

    @property
    def reads(self) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name for name, _ in self.call.reads))
        return names if self.call.above is None else (*names, self.call.above)

    def __call__(self, arrays: dict[str, Array]) -> None:
        call = self.call
        maps = (arrays[name] if cut is None else arrays[name][cut.index] for name, cut in call.reads)
        above = None if call.above is None else arrays[call.above]
        arrays[call.result] = call.function(*maps, above=above)


class Program:
    """What a builder has put together, as a function of arrays.

    Parameters
    ----------
    build : Builder
        The operations.
    inputs, outputs : sequence of Tensor
        What is given and what comes out.
    make_session : callable
        Makes a session of ONNX Runtime of a model's bytes.
    """

    def __init__(
        self, build: Builder, inputs: Sequence[Tensor], outputs: Sequence[Tensor], make_session: MakeSession
    ) -> None:
        self._inputs = [tensor.name for tensor in inputs]
        self._outputs = [build.whole(tensor) for tensor in outputs]
        self._parts: list[_Graph | _Function | Together] = []
        runs = _runs(put_together(build.parts))
        wanted = Counter(self._outputs)  # how often each tensor is read by what follows
        for part in reversed(runs):
            if isinstance(part, Together):
                self._parts.append(part)
            elif isinstance(part, Call):
                self._parts.append(_Function(part))
            else:
                graph = _graph(build, part, wanted, make_session)
                if graph is None:
                    continue
                self._parts.append(graph)
            wanted.update(self._parts[-1].reads)
        self._parts.reverse()
        self._last: list[list[str]] = [[] for _ in self._parts]
        end = {name: number for number, part in enumerate(self._parts) for name in part.reads}
        for name, number in end.items():
            if name not in self._outputs:
                self._last[number].append(name)

    def __call__(self, *given: Array) -> list[Array]:
        """Return what comes out."""
        arrays = dict(zip(self._inputs, given, strict=True))
        for part, dead in zip(self._parts, self._last, strict=True):
            part(arrays)
            for name in dead:
                del arrays[name]
        return [arrays[name] for name in self._outputs]


def _runs(parts: Sequence[Node | Call | Together]) -> list[Call | Together | list[Node]]:
    """Return the functions, and the runs of operations between them."""
    runs: list[Call | Together | list[Node]] = []
    for part in parts:
        if isinstance(part, Call | Together):
            runs.append(part)
        elif runs and isinstance(runs[-1], list):
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _graph(build: Builder, nodes: list[Node], wanted: Counter[str], make_session: MakeSession) -> _Graph | None:
    """Return a run of operations as a session; None if nothing of it is wanted."""
    made = {name for node in nodes for name in node.outputs}
    gives = tuple(name for name in wanted if name in made)
    if not gives:
        return None
    read = dict.fromkeys(name for node in nodes for name in node.inputs)
    reads = tuple(name for name in read if name not in made and name not in build.constants)
    constants = {name: build.constants[name] for name in read if name in build.constants}
    model = model_bytes(nodes, constants, [_port(build, n) for n in reads], [_port(build, n) for n in gives])
    return _Graph(make_session(model), reads, gives)


def _port(build: Builder, name: str) -> Port:
    tensor = build.maps[name]  # what goes from one step to another is a map
    return Port(name, (1, *(f"{name}_{axis}" for axis in range(tensor.axes)), tensor.channels))
