"""The tree of models and layers -> one graph of calls: models inside models opened up, shared layers called again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.readers.keras.architecture import (
    INPUT_LAYER,
    TENSORFLOW_OPERATIONS,
    CallResult,
    Generation,
    LayerCall,
    LayerSpec,
    ModelSpec,
    call_results_in,
)
from napari_fcnseg.readers.keras.calls import (
    SerializedCall,
    TensorRef,
    check_arguments,
    read_calls,
    read_ends,
    replaced,
)
from napari_fcnseg.readers.problem import about_layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Models that call models that call models multiply: this ends it.
MAX_CALLS: Final = 20_000

#: A call within one model: the layer's name, and the how-manieth call of it.
_Key: TypeAlias = tuple[str, int]
_Ends: TypeAlias = "dict[str, TensorRef] | tuple[TensorRef, ...]"


class _Plan:
    """The calls of one model, read and ordered once however often the model itself is called."""

    def __init__(self, model: ModelSpec, generation: Generation) -> None:
        self.children = {child.name: child for child in model.children}
        self._generation: Generation = generation
        self.calls: dict[_Key, SerializedCall] = {}
        if model.kind == "Sequential":
            self._chain(model)
        else:
            self._functional(model)
        wanted = [ref for _, ref in self.outputs]
        reached = set(_ordered(self.calls, [self.key(ref, end=True) for ref in wanted], self.key))
        self.order = _ordered(self.calls, [key for key in self.calls if key in reached], self.key)

    def _chain(self, model: ModelSpec) -> None:
        first, *rest = model.children
        before, offset = first.name, 0
        for child in model.children if first.layer_type != INPUT_LAYER else rest:
            if child.layer_type == INPUT_LAYER:
                raise UnreadableError(f"its input layer {child.name!r} does not come first")
            sources = [TensorRef(before, offset, 0)] if self.calls or first.layer_type == INPUT_LAYER else [_ENTRANCE]
            self.calls[child.name, 0] = SerializedCall(tuple(sources), {})
            before, offset = child.name, self._offset(child, end=False)
        if not self.calls:
            raise UnreadableError("its model has no layer that computes anything")
        self.inputs: _Ends = (TensorRef(first.name, 0, 0) if first.layer_type == INPUT_LAYER else _ENTRANCE,)
        last = model.children[-1]
        self.outputs = [(last.name, TensorRef(last.name, self._offset(last, end=True), 0))]

    def _functional(self, model: ModelSpec) -> None:
        for child in model.children:
            if child.layer_type == INPUT_LAYER:
                continue
            with about_layer(child.name, child.layer_type):
                for number, call in enumerate(read_calls(child.stored.get("inbound_nodes"))):
                    self.calls[child.name, number] = call
        self.inputs = read_ends(model.config.raw("input_layers"))
        ends = read_ends(model.config.raw("output_layers"))
        for ref in _listed(self.inputs):
            if ref.layer not in self.children:
                raise UnreadableError(f"its input {ref.layer[:60]!r} is none of its layers")
            if self.children[ref.layer].layer_type != INPUT_LAYER:
                raise UnreadableError(f"its input {ref.layer[:60]!r} is no input layer")
        for what, refs in (("input", _listed(self.inputs)), ("output", _listed(ends))):
            if not refs:
                raise UnreadableError(f"its model has no {what}")
        for ref in _listed(ends):
            if ref.layer not in self.children:
                raise UnreadableError(f"its output {ref.layer[:60]!r} is none of its layers")
        self.outputs = [(ref.layer, ref) for ref in _listed(ends)]

    def key(self, ref: TensorRef, *, end: bool = False) -> _Key:
        """Turn the file's number of a call into ours, which counts from 0."""
        child = self.children.get(ref.layer)
        if ref == _ENTRANCE or (child is not None and child.layer_type == INPUT_LAYER):
            return ref.layer, 0
        if child is None:
            raise UnreadableError(f"it reads {ref.layer[:60]!r}, which is none of the layers")
        key = ref.layer, ref.node - self._offset(child, end=end)
        if key not in self.calls:
            raise UnreadableError(f"it reads the call number {ref.node} of {ref.layer[:60]!r}, which there is not")
        return key

    def _offset(self, child: LayerSpec | ModelSpec, *, end: bool) -> int:
        """Give the number of a model's first call: its own construction may count as one."""
        if isinstance(child, LayerSpec):
            return 0
        if self._generation == 3:
            return int(end and child.kind == "Functional")
        return int(child.children[0].layer_type == INPUT_LAYER)


#: How a Sequential model without an input layer calls what goes into it.
_ENTRANCE: Final = TensorRef("<entrance>", 0, 0)


def _whole(source: CallResult) -> str:
    if source.tensor:
        raise UnreadableError(
            f"it reads a piece of {source.name[:60]!r} that is split, which is not followed into a model"
        )
    return source.name


def _returns_several(child: LayerSpec | ModelSpec | None) -> bool:
    """Say whether a layer is a bare operation that may have several results: which ones is not known yet."""
    return isinstance(child, LayerSpec) and (child.is_operation or child.layer_type in TENSORFLOW_OPERATIONS)


def _listed(ends: _Ends) -> tuple[TensorRef, ...]:
    return tuple(ends.values()) if isinstance(ends, dict) else ends


def _ordered(calls: Mapping[_Key, SerializedCall], start: Iterable[_Key], key: Any) -> list[_Key]:
    """List calls so that each follows what it reads; the file's order is not always that of the data."""
    done: dict[_Key, None] = {}
    active: set[_Key] = set()
    for first in start:
        stack = [first]
        while stack:
            here = stack[-1]
            if here in done or here not in calls:
                stack.pop()
                continue
            needs = [k for k in map(key, calls[here].refs) if k not in done and k in calls]
            if here in active or not needs:
                done[here] = None
                active.discard(here)
                stack.pop()
                continue
            active.add(here)
            if active & set(needs):
                raise UnreadableError("its layers read each other in a circle")
            stack += reversed(needs)
    return list(done)


class _Flattener:
    def __init__(self, generation: Generation) -> None:
        self.generation: Generation = generation
        self.uses: dict[str, LayerCall] = {}
        self._plans: dict[ModelSpec, _Plan] = {}
        self._count = 0

    def plan(self, model: ModelSpec) -> _Plan:
        if model not in self._plans:
            self._plans[model] = _Plan(model, self.generation)
        return self._plans[model]

    def add(self, name: str, leaf: LayerSpec, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> str:
        unique, number = name, 1
        while unique in self.uses:
            number += 1
            unique = f"{name} ({number})"
        self.uses[unique] = LayerCall(unique, leaf, tuple(args), kwargs or {})
        return unique

    def open(self, model: ModelSpec, prefix: str, inputs: Mapping[str, str]) -> list[str]:
        """Add all calls of a model that reads these uses (by its input layers' names); give those of its results."""
        plan = self.plan(model)
        results: dict[_Key, list[str]] = {(name, 0): [use] for name, use in inputs.items()}

        def put(ref: TensorRef, *, end: bool = False) -> CallResult:
            found = results.get(plan.key(ref, end=end), [])
            if ref.tensor >= len(found) == 1 and not end and _returns_several(plan.children.get(ref.layer)):
                return CallResult(found[0], ref.tensor)
            if ref.tensor >= len(found):
                raise UnreadableError(f"it reads result number {ref.tensor} of {ref.layer[:60]!r}, which there is not")
            return CallResult(found[ref.tensor])

        for key in plan.order:
            child, call = plan.children[key[0]], plan.calls[key]
            name = prefix + child.name + (f" ({key[1] + 1})" if key[1] else "")
            self._count += 1
            if self._count > MAX_CALLS:
                raise UnreadableError(f"its models call each other so often that more than {MAX_CALLS} layers result")
            with about_layer(name, child.layer_type):
                args = [replaced(value, put) for value in call.args]
                kwargs = {k: replaced(value, put) for k, value in call.kwargs.items()}
                if not call.refs:
                    raise UnreadableError("it reads nothing")
                if isinstance(child, LayerSpec):
                    results[key] = [self.add(name, child, args, kwargs)]
                    continue
                inner = self._inputs(child, args, kwargs)
            results[key] = self.open(child, f"{name}/", inner)
        return [put(ref, end=True).name for _, ref in plan.outputs]

    def _inputs(self, model: ModelSpec, args: list[Any], kwargs: Mapping[str, Any]) -> dict[str, str]:
        """Say which of a model's input layers stands for which use."""
        check_arguments({key: value for key, value in kwargs.items() if not any(call_results_in(value))})
        ends = self.plan(model).inputs
        given = [*args, *(value for value in kwargs.values() if any(call_results_in(value)))]
        if len(given) == 1 and isinstance(given[0], dict):
            by_key = {key: next(call_results_in(value), None) for key, value in given[0].items()}
            named = ends if isinstance(ends, dict) else {ref.layer: ref for ref in ends}
            if set(by_key) != set(named) or None in by_key.values():
                raise UnreadableError("what it is called with are not its inputs")
            return {named[key].layer: _whole(source) for key, source in by_key.items() if source is not None}
        found = [_whole(source) for value in given for source in call_results_in(value)]
        refs = _listed(ends)
        if len(found) != len(refs):
            raise UnreadableError(f"it has {len(refs)} inputs but is called with {len(found)}")
        return {ref.layer: name for ref, name in zip(refs, found, strict=True)}


def flatten(
    root: ModelSpec, generation: Generation, source: LayerSpec | None
) -> tuple[tuple[LayerCall, ...], tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Flatten the tree of models.

    Parameters
    ----------
    root : ModelSpec
        The outermost model.
    generation : {2, 3}
        Which Keras wrote it.
    source : LayerSpec or None
        What stands for the input of a Sequential model without an input layer.

    Returns
    -------
    uses : tuple of LayerCall
        Every call of a leaf that an output needs, each after what it reads.
    inputs : tuple of str
        The uses that are inputs.
    outputs : tuple of (str, str)
        For every output its name and the use whose result it is.

    Raises
    ------
    UnsupportedLayerError
        A model inside is called in a way that cannot be used.
    UnreadableError
        The description is malformed or would grow beyond measure.
    """
    flattener = _Flattener(generation)
    plan = flattener.plan(root)
    inputs: dict[str, str] = {}
    for ref in _listed(plan.inputs):
        child = plan.children.get(ref.layer, source)
        if isinstance(child, LayerSpec) and ref.layer not in inputs:
            inputs[ref.layer] = flattener.add(child.name, child)
    results = flattener.open(root, "", inputs)
    outputs: dict[str, str] = {}
    for (name, _), use in zip(plan.outputs, results, strict=True):
        unique, number = name, 1
        while unique in outputs:
            number += 1
            unique = f"{name} ({number})"
        outputs[unique] = use
    return tuple(flattener.uses.values()), tuple(inputs.values()), tuple(outputs.items())
