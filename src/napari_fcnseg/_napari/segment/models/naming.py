"""Write names and colours that the user gave into a model's sidecar and onto its results. Free of Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels

from napari_fcnseg._napari.layers.class_colors import is_classes, recolour, restyle
from napari_fcnseg._napari.layers.metadata import METADATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari.layers import Layer

    from napari_fcnseg._napari.segment.models.hints import ModelHints
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.model.sidecar import Sidecar

_PART = re.compile(r" \(\d[\d,]* of \d[\d,]* tiles\)$")


@dataclass(frozen=True)
class SidecarEntries:
    """What stands in the window.

    Attributes
    ----------
    class_names, class_colors, channel_names : tuple of str
        In the model's order.
    preprocess : str
        Steps as text.
    pixel_size : str
        A number for all axes, or one per axis.
    unit : str
        Of the pixel size.
    citation, doi : str
        What to cite first.
    """

    class_names: tuple[str, ...]
    class_colors: tuple[str, ...]
    channel_names: tuple[str, ...]
    preprocess: str = ""
    pixel_size: str = ""
    unit: str = ""
    citation: str = ""
    doi: str = ""


def entries_of(model: PatchModel, hints: ModelHints, preprocess: str) -> SidecarEntries:
    """Return what is known now: by the sidecar, by hints, and by the line with the steps."""
    from napari_fcnseg.model.sidecar import default_names

    sidecar = model.sidecar
    cite = sidecar.cite[0] if sidecar is not None and sidecar.cite else None
    sizes = sidecar.pixel_size if sidecar is not None else ()
    channels = hints.channel_names
    return SidecarEntries(
        hints.class_names,
        hints.class_colors,
        channels if len(channels) == model.channels else default_names("channel", model.channels),
        preprocess,
        f"{sizes[0]:g}" if sizes and len(set(sizes)) == 1 else ", ".join(f"{n:g}" for n in sizes),
        sidecar.unit if sidecar is not None else "",
        cite.text if cite is not None else "",
        cite.doi if cite is not None else "",
    )


def write(models: Sequence[PatchModel], entries: SidecarEntries) -> tuple[Path, ...]:
    """Write the sidecars of a model, or of all members of an ensemble; what to cite belongs to the first alone.

    Raises
    ------
    FcnSegError
        With a sentence, if a value is not of its kind or a file cannot be written.
    """
    from napari_fcnseg.model.sidecar import write_sidecar

    sidecars = [_sidecar(model, entries, first=model is models[0]) for model in models]
    return tuple(
        write_sidecar(model.path, sidecar, files=model.files)
        for model, sidecar in zip(models, sidecars, strict=True)
        if model.path is not None
    )


def _sidecar(model: PatchModel, entries: SidecarEntries, *, first: bool) -> Sidecar:
    """Return a model's present sidecar with the entries in it; names and colours that nobody chose are left out."""
    from napari_fcnseg import preprocess
    from napari_fcnseg.model.sidecar import Classes, blank, check, default_names, palette, read_sidecar

    numbers = {"classes": model.classes, "channels": model.channels, "spatial": len(model.patch_shape)}
    present = read_sidecar(model.path, numbers["spatial"]) if model.path is not None else None
    names = _chosen(entries.class_names, default_names("class", model.classes))
    colors = _chosen(entries.class_colors, palette(model.classes, names))
    start = present or model.own_sidecar or replace(blank(**numbers), class_names=(), class_colors=())
    changes: dict[str, Any] = {
        "channel_names": _chosen(entries.channel_names, default_names("channel", model.channels)),
        "preprocess": tuple(map(str, preprocess.parse(entries.preprocess))),
        "pixel_size": _sizes(entries.pixel_size, numbers["spatial"]),
        "unit": entries.unit if entries.pixel_size.strip() else "",
    }
    if first:
        changes["cite"] = _cited(entries, start)
    sidecar = replace(start, **changes)
    check(replace(sidecar, class_names=names, class_colors=colors), **numbers)
    if not model.output:
        return replace(sidecar, class_names=names, class_colors=colors)
    return replace(sidecar, outputs={**sidecar.outputs, model.output: Classes(names, colors)})


def _chosen(given: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    return () if given == default else tuple(text.strip() for text in given)


def _sizes(text: str, spatial: int) -> tuple[float, ...]:
    from napari_fcnseg.errors import SettingsError

    if not text.strip():
        return ()
    try:
        sizes = tuple(float(number) for number in text.split(","))
    except ValueError:
        raise SettingsError(f"The pixel size is a number, or one per axis such as 0.65, 0.65, not {text!r}.") from None
    return sizes * spatial if len(sizes) == 1 else sizes


def _cited(entries: SidecarEntries, start: Sidecar) -> tuple[Any, ...]:
    """Return the citations with the one in the window in the first place."""
    from napari_fcnseg.model.sidecar import Citation

    text, doi = entries.citation.strip(), entries.doi.strip()
    if not text and not doi:
        return start.cite[1:]
    first = start.cite[0] if start.cite else Citation("")
    return (replace(first, text=text or doi, doi=doi), *start.cite[1:])


def show_classes(
    layers: Iterable[Layer], models: Sequence[PatchModel], colors: Sequence[str], hidden: Sequence[int]
) -> None:
    """Show and hide classes in the results of models."""
    wanted = [(model.sha256, model.output) for model in models]
    for layer in layers:
        if isinstance(layer, Labels) and _models_of(layer) == wanted and is_classes(layer, len(colors)):
            recolour(layer, colors, hidden)


def restyle_results(
    layers: Iterable[Layer],
    models: Sequence[PatchModel],
    names: Sequence[str],
    colors: Sequence[str],
    hidden: Sequence[int] = (),
) -> None:
    """Give the results of models that are shown the names and colours that their classes have now.

    Parameters
    ----------
    layers : iterable of Layer
        All that are shown; those that no run of these very models made stay as they are.
    models : sequence of PatchModel
        The model, or the members of the ensemble.
    names, colors : sequence of str
        In the model's order.
    hidden : sequence of int
        Labels of classes that are not shown.
    """
    wanted = [(model.sha256, model.output) for model in models]
    mine = [layer for layer in layers if _models_of(layer) == wanted]
    renamed: dict[str, str] = {}
    for layer in mine:
        if isinstance(layer, Labels) and is_classes(layer, len(names)):
            title, part = split_name(layer.name)
            renamed |= {
                f"{title} · {old}{part}": f"{title} · {new}{part}"
                for old, new in zip(list(layer.features["class"])[1:], names, strict=True)
            }
            restyle(layer, names, colors, hidden)
    for layer in mine:
        if isinstance(layer, Image) and layer.name in renamed:  # the probabilities of a class
            layer.name = renamed[layer.name]


def _models_of(layer: Layer) -> list[tuple[str, str]] | None:
    """Return hash and answer of the models that made a layer; None for a layer that is no result."""
    entry = layer.metadata.get(METADATA)
    models = entry.get("models") if isinstance(entry, dict) else None
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        return None
    return [(model.get("sha256", ""), model.get("output", "")) for model in models]


def models_name(models: Sequence[PatchModel]) -> str:
    """Return the name of a model, or of an ensemble."""
    more = len(models) - 1
    return models[0].name + (f" + {more} more" if more else "")


def split_name(name: str) -> tuple[str, str]:
    """Return the name of a result, and how much of it is done where it was stopped."""
    match = _PART.search(name)
    return (name[: match.start()], match.group()) if match else (name, "")
