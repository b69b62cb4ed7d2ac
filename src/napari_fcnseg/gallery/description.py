"""What a model's description says to somebody who chooses, and which files belong to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import UnreadableError
from napari_fcnseg.gallery.addresses import host_of
from napari_fcnseg.gallery.entries import is_archive, line
from napari_fcnseg.readers.bioimageio.container import plain_name
from napari_fcnseg.readers.bioimageio.facts import Facts
from napari_fcnseg.readers.bioimageio.facts import facts_of as read_facts
from napari_fcnseg.readers.guard import yaml_text
from napari_fcnseg.system.formatting import format_bytes, format_shape

if TYPE_CHECKING:
    from napari_fcnseg.gallery.entries import Entry
    from napari_fcnseg.readers.bioimageio.facts import Axis

#: Weights that are read, the best first, of a patch model and of what labels every pixel.
_PATCH: Final = ("keras_v3", "keras_hdf5", "onnx")
_PIXEL: Final = ("onnx",)
_OWN: Final = "napari_fcnseg"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_MOST_CITED: Final = 5


@dataclass(frozen=True)
class File:
    """A file of a package: its name inside, and its hash where that is said."""

    name: str
    sha256: str = ""


@dataclass(frozen=True)
class Description:
    """What a model's description says.

    Attributes
    ----------
    name, about, licence : str
        Of the model.
    cite : tuple of str
        What to cite.
    authors : tuple of str
        Who made it.
    expects, gives : str
        What goes in, and what comes out, in words.
    prepared : str
        How an image is normalised before, as the steps are written elsewhere; empty where nothing says so.
    problem : str
        Why it cannot be used here; empty where nothing says so.
    files : tuple of File
        What belongs to it beside the description.
    cover : File
        A picture inside; its name is empty where there is none.
    """

    name: str
    about: str
    licence: str
    cite: tuple[str, ...]
    authors: tuple[str, ...]
    expects: str
    gives: str
    problem: str
    files: tuple[File, ...]
    cover: File = File("")
    prepared: str = ""


def parse(content: bytes) -> Description:
    """Read a description.

    Raises
    ------
    UnreadableError
        If it is no description of a model, or names files elsewhere.
    """
    data = yaml_text.parse(content, "its description")
    problem, expects, gives, prepared = "", "", "", ""
    files: tuple[File, ...] = ()
    try:
        facts, own = read_facts(data), _own(data).get("patch_model")
        expects, gives = _expects(facts), _gives(facts, is_patch_model=bool(own) or not facts.labels_every_pixel)
        prepared = _prepared(data, facts)
        files = _own_files(own) if own else _files(data, facts)
    except UnreadableError as refused:
        problem = f"It cannot be used here: {refused.reason}."
    return Description(
        line(data.get("name"), 200), line(data.get("description")), line(data.get("license"), 60),
        tuple(filter(None, map(_cited, _dicts(data.get("cite"))[:_MOST_CITED]))),
        tuple(filter(None, (line(author.get("name"), 100) for author in _dicts(data.get("authors"))[:20]))),
        expects, gives, problem, files, _inside(first_picture(data.get("covers"))), prepared,
    )  # fmt: skip


def _own(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a package of this program says of its patch model; nothing in any other."""
    config = data.get("config")
    own = config.get(_OWN) if isinstance(config, dict) else None
    return own if isinstance(own, dict) else {}


def _own_files(own: object) -> tuple[File, ...]:
    name = plain_name(own, "the patch model")
    return (File(name), File(name.rsplit(".", 1)[0].rsplit("/", 1)[-1] + ".fcnseg.json"))


def _files(data: dict[str, Any], facts: Facts) -> tuple[File, ...]:
    """Return the files that a model is read from, and a picture of it.

    Raises
    ------
    UnreadableError
        If its weights are of a kind that is not read, or elsewhere.
    """
    weights = data.get("weights")
    found = weights if isinstance(weights, dict) else {}
    kinds = _PIXEL if facts.labels_every_pixel else _PATCH
    kind = next((kind for kind in kinds if isinstance(found.get(kind), dict)), None)
    if kind is None:
        what = "ONNX" if facts.labels_every_pixel else "Keras or ONNX"
        there = ", ".join(str(name)[:40] for name in list(found)[:8]) or "none"
        raise UnreadableError(f"it has weights as {there}, and those as {what} are read", "")
    entry = found[kind]
    files = [_file(entry, "its weights")]
    if isinstance(entry.get("external_data"), dict):
        files.append(_file(entry["external_data"], "its arrays"))
    return tuple(files)


def _file(entry: dict[str, Any], what: str) -> File:
    known = entry.get("sha256")
    return File(plain_name(entry, what), known if isinstance(known, str) and _HASH.fullmatch(known) else "")


def _prepared(data: dict[str, Any], facts: Facts) -> str:
    """Return the normalisation as text; a package of this program says that of the patch model beside."""
    from napari_fcnseg.model.sidecar import values  # late: a list of models needs none of it

    steps = _own(data).get("prepared_with", facts.said.get("preprocessing"))
    if not isinstance(steps, list):
        return ""
    try:
        return ", ".join(values.steps(steps, [axis.name for axis in facts.inputs[0].space]))
    except (ValueError, UnreadableError):  # steps that are not known here: opening the model says more
        return ", ".join(filter(None, (line(step.get("id"), 60) for step in _dicts(steps))))


def _expects(facts: Facts) -> str:
    """Return what goes in, as a sentence."""
    first = facts.inputs[0]
    names = [name for tensor in facts.inputs for name in tensor.channels]
    channels = len(names) or sum(_channels(tensor.axes) for tensor in facts.inputs)
    called = f" ({', '.join(names[:8])})" if names and len(set(names)) == len(names) else ""
    axes = ", ".join(axis.name for axis in first.space)
    parts = [f"{channels} channel{'s' * (channels != 1)}{called}", f"axes {axes}"]
    if not facts.labels_every_pixel and facts.patch_shape:
        parts.append(f"patches of {format_shape(facts.patch_shape)} pixels")
    if all(axis.scale is not None and axis.unit for axis in first.space):
        parts.append("pixels of " + " × ".join(f"{axis.scale:g}" for axis in first.space) + f" {first.space[0].unit}")
    return ", ".join(parts)


def _channels(axes: tuple[Axis, ...]) -> int:
    return next((axis.size or len(axis.names) or 1 for axis in axes if axis.kind == "channel"), 1)


def _gives(facts: Facts, *, is_patch_model: bool) -> str:
    names = facts.outputs[0].channels
    what = f": {', '.join(names[:12])}" if names else ""
    if not is_patch_model:
        return f"a label for every pixel, as it is{what}"
    return f"the class of the pixel in the middle of a patch{what}"


def _cited(entry: dict[str, Any]) -> str:
    return " ".join(filter(None, (line(entry.get("text")), line(entry.get("doi")), line(entry.get("url")))))[:300]


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def first_picture(covers: object) -> File:
    """Return the first picture that a description or a list names, alone or with its hash; often there is none."""
    first = covers[0] if isinstance(covers, list) and covers else None
    entry = first if isinstance(first, dict) else {"source": first}
    name, known = entry.get("source"), entry.get("sha256")
    return File(
        name if isinstance(name, str) else "", known if isinstance(known, str) and _HASH.fullmatch(known) else ""
    )


def _inside(picture: File) -> File:
    try:
        return File(plain_name(picture.name, "its picture"), picture.sha256) if picture.name else picture
    except UnreadableError:
        return File("")


def facts_of(entry: Entry, said: Description | None, size: int | None = None) -> list[tuple[str, str]]:
    """Return what is known of a model as titles and texts, for somebody who chooses.

    Parameters
    ----------
    entry : Entry
        What the list says of it.
    said : Description or None
        What its description says, where it was read.
    size : int, optional
        Bytes of a download, where they are known.
    """
    rows = [
        ("Name", (said.name if said is not None else "") or entry.name),
        ("Not usable", said.problem if said is not None else ""),
        ("About", (said.about if said is not None else "") or entry.about),
        ("Takes", said.expects if said is not None else ""),
        ("Normalisation", said.prepared if said is not None and not said.problem else ""),
        ("Gives", said.gives if said is not None and not said.problem else ""),
        ("More", "This is a zipped package: what it takes is known after the download." if is_archive(entry) else ""),
        ("Download", format_bytes(size) if size is not None else ""),
        ("Licence", (said.licence if said is not None else "") or entry.licence or "none is named"),
        ("Authors", ", ".join(said.authors) if said is not None else ""),
        ("Cite", "; ".join(said.cite) if said is not None else ""),
        ("From", str(entry.path) if entry.path is not None else host_of(entry.source) or entry.source),
    ]
    return [(title, text) for title, text in rows if text]
