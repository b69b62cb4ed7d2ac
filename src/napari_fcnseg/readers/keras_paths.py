"""Who reads whom in a Functional model; for now one input, one output and a single path between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from napari_fcnseg.readers.keras_calls import check_arguments, read_calls, read_ends
from napari_fcnseg.readers.layer import INPUT_LAYER, Entry
from napari_fcnseg.readers.problem import RefusedError, UnreadableError, naming

if TYPE_CHECKING:
    from napari_fcnseg.readers.jsonsafe import Fields

_SINGLE_PATH: Final = "Rebuild the network as one chain of layers (for example with keras.Sequential) and train again."


def functional_inputs(config: Fields, entries: tuple[Entry, ...]) -> dict[str, tuple[str, ...]]:
    """Give, for every layer that computes something, the names of those it reads.

    Parameters
    ----------
    config : Fields
        The model's settings.
    entries : tuple of Entry
        All layers.

    Returns
    -------
    dict
        Name -> names of its sources, the edges of the network.

    Raises
    ------
    UnsupportedLayerError
        The layers do not form a single path.
    UnreadableError
        The description is malformed.
    """
    by_name = {entry.name: entry for entry in entries}
    _only_end(read_ends(config.raw("input_layers")), by_name, "input")
    output = _only_end(read_ends(config.raw("output_layers")), by_name, "output")
    inputs = {entry.name: _sources(entry, by_name) for entry in entries if entry.layer_type != INPUT_LAYER}
    read_by: dict[str, str] = {}
    for name, sources in inputs.items():
        for source in sources:
            if source in read_by:
                with naming(source, by_name[source].layer_type):
                    raise RefusedError(
                        f"the network branches there (it is read by {read_by[source]!r} and {name!r}), and only "
                        "networks of a single path can be read",
                        _SINGLE_PATH,
                    )
            read_by[source] = name
    loose = sorted(name for name in by_name if name not in read_by and name != output.name)
    if loose or output.name in read_by:
        raise UnreadableError(f"its layer {loose[0] if loose else output.name!r} does not lie on the way to its output")
    return inputs


def _only_end(names: tuple[str, ...], by_name: dict[str, Entry], what: str) -> Entry:
    for name in names:
        if name not in by_name:
            raise UnreadableError(f"its {what} {name[:60]!r} is none of its layers")
    if not names:
        raise UnreadableError(f"its model has no {what}")
    if len(names) > 1:
        with naming(names[1], by_name[names[1]].layer_type):
            raise RefusedError(
                f"it is the second of {len(names)} {what}s, and only networks with one {what} can be read",
                f"Save a model with a single {what} (keras.Model(input, output)).",
            )
    if what == "input" and by_name[names[0]].layer_type != INPUT_LAYER:
        raise UnreadableError(f"its input {names[0]!r} is no input layer")
    return by_name[names[0]]


def _sources(entry: Entry, by_name: dict[str, Entry]) -> tuple[str, ...]:
    with naming(entry.name, entry.layer_type):
        calls = read_calls(entry.stored.get("inbound_nodes"))
        if len(calls) > 1:
            raise RefusedError(f"it is shared: the network uses it {len(calls)} times", _SINGLE_PATH)
        if not calls or not calls[0].sources:
            raise UnreadableError("it reads nothing")
        if len(calls[0].sources) > 1:
            raise RefusedError(f"it joins {len(calls[0].sources)} branches", _SINGLE_PATH)
        check_arguments(calls[0])
        if calls[0].sources[0] not in by_name:
            raise UnreadableError(f"it reads {calls[0].sources[0][:60]!r}, which is none of the layers")
    return calls[0].sources
