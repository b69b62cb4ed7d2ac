"""Which earlier results a new one takes the place of, and which it lies over."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from napari.layers import Labels

from napari_fcnseg._napari.layers.edits import pixels_in
from napari_fcnseg._napari.layers.metadata import METADATA, real
from napari_fcnseg._napari.segment.run.stopped import run_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari.components import LayerList
    from napari.layers import Layer

    from napari_fcnseg._napari.segment.run.request import RunRequest

_kept: WeakSet[Layer] = WeakSet()


def keep(layers: Iterable[Layer]) -> None:
    """Have layers stay when the same image is segmented again with the same model."""
    for layer in layers:
        _kept.add(real(layer))


def is_kept(layer: Layer) -> bool:
    """Whether a layer stays."""
    return real(layer) in _kept


def rename_older(layers: Iterable[Layer], new: Layer) -> None:
    """Give earlier results that are called like a new one another name, so that the new one has its own."""
    for layer in layers:
        run = run_of(layer)
        if run is not None and run is not run_of(new) and layer.name == new.name:
            layer.name = f"{layer.name} · earlier"


def hide_older(layers: Iterable[Layer], new: Layer) -> None:
    """Hide the labels of earlier runs on the same image: two masks over each other look like a third."""
    mine = run_of(new)
    for layer in layers:
        run = run_of(layer)
        if mine is None or run is None or run is mine or not isinstance(layer, Labels):
            continue
        if run.request.source.of_same_layers(mine.request.source):
            layer.visible = False


def replaced(layers: Iterable[Layer], new: Layer) -> list[Layer]:
    """Return the layers that a whole new result takes the place of.

    Those of the same image, model and region; nothing that the user keeps or has edited.

    Parameters
    ----------
    layers : iterable of Layer
        All that are shown.
    new : Layer
        One of the new result.
    """
    mine = run_of(new)
    if mine is None or mine.done < mine.total:
        return []
    candidates = [layer for layer in layers if (run := run_of(layer)) is not None and run is not mine]
    runs = {id(run): run for layer in candidates if (run := run_of(layer)) is not None}
    gone = []
    for run in runs.values():
        its = [layer for layer in candidates if run_of(layer) is run]
        stays = any(is_kept(layer) or pixels_in(layer.metadata.get(METADATA, {})) for layer in its)
        same = run.request.source.of_same_layers(mine.request.source)
        if not stays and same and _same_task(run.request, mine.request):
            gone += its
    return gone


def take_place(layers: LayerList, older: Sequence[Layer], new: Layer) -> None:
    """Put the labels of a new result where those are in the list that it replaces, under whatever lies over them."""
    places = [layers.index(layer) for layer in older if isinstance(layer, Labels) and layer in layers]
    if places and (here := layers.index(new)) > places[-1]:
        layers.move(here, places[-1])


def _same_task(one: RunRequest, other: RunRequest) -> bool:
    """Whether two runs have the same model, compute in the same way, and label the same pixels."""

    def task(request: RunRequest) -> tuple[object, ...]:
        models = tuple((m.sha256 or id(m), m.output) for m in request.models)
        chosen = request.settings
        return models, chosen.region, chosen.frames, chosen.every, chosen.method, chosen.precision, request.inside

    return task(one) == task(other)
