"""A bioimage.io package -> the inert network: of a patch classifier, or one that labels every pixel by itself."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

from napari_fcnseg.errors import ConversionError, UnreadableError
from napari_fcnseg.readers.bioimageio import pixel
from napari_fcnseg.readers.bioimageio.container import (
    DESCRIPTIONS,
    Container,
    Unpacked,
    Zipped,
    description_in,
    description_of,
    plain_name,
)
from napari_fcnseg.readers.bioimageio.facts import Facts, facts_of, left_out
from napari_fcnseg.readers.guard import yaml_text
from napari_fcnseg.readers.guard.folder import open_inside
from napari_fcnseg.readers.keras import h5_file, keras_file
from napari_fcnseg.readers.onnx import network as onnx_network
from napari_fcnseg.system import safe_json
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.pixel_network import PixelNetwork
    from napari_fcnseg.readers.guard.archive import Archive
    from napari_fcnseg.readers.options import ReadOptions

_Any = TypeVar("_Any", "Network", "PixelNetwork")

#: Weights that are read, the best first.
_WEIGHTS: Final = {"keras_v3": "keras", "keras_hdf5": "h5", "onnx": "onnx"}
_ENDINGS: Final = {".keras": "keras", ".h5": "h5", ".hdf5": "h5", ".onnx": "onnx"}
#: What this program writes into a package of its own.
_OWN, _SIDECAR = "napari_fcnseg", ".fcnseg.json"


def is_description(path: Path) -> bool:
    """Say whether a file is a package's description by its name."""
    return path.name in DESCRIPTIONS or path.name.endswith((".rdf.yaml", ".bioimageio.yaml"))


def read_archive(archive: Archive, output: str | None, options: ReadOptions) -> Network | PixelNetwork | None:
    """Read a package that is an archive; None if the archive is no package."""
    name = description_in(archive.names())
    return None if name is None else _read(Zipped(archive), name, output, options)


def read_folder(folder: Path, output: str | None, options: ReadOptions) -> Network | PixelNetwork | None:
    """Read a package that is a folder; None if the folder is none."""
    name = description_of(folder)
    return None if name is None else _read(Unpacked(folder), name, output, options)


def read_description(path: Path, output: str | None, options: ReadOptions) -> Network | PixelNetwork:
    """Read the package around a description."""
    network = _read(Unpacked(path.parent), path.name, output, options)
    return replace(network, files=tuple(name for name in network.files if name != path.name))


def _read(container: Container, name: str, output: str | None, options: ReadOptions) -> Network | PixelNetwork:
    data = yaml_text.parse(container.read(name, yaml_text.MAX_BYTES + 1), f"its description {name!r}")
    config = data.get("config")
    own = config.get(_OWN) if isinstance(config, dict) else None
    if isinstance(own, dict) and own.get("patch_model"):
        network: Network | PixelNetwork = _read_own(container, own, output, options)
    else:
        network = _read_other(container, data, output, options)
    return replace(network, files=(*container.opened, *network.files))


def _read_own(container: Container, own: dict[str, Any], output: str | None, options: ReadOptions) -> Network:
    """Read the patch model that this program has kept in a package, and its sidecar."""
    name = plain_name(own["patch_model"], "the patch model")
    kind = _ENDINGS.get(Path(name).suffix.lower(), "")
    beside = Path(name).with_suffix("").name + _SIDECAR
    sidecar = safe_json.parse(container.read(beside, safe_json.MAX_BYTES), f"its sidecar {beside!r}")
    said = {key: sidecar.raw(key) for key in sidecar.keys()}
    network = _weights(container, name, kind, output, _with_sidecar(options, said))
    return replace(network, name=Path(name).stem, said=said)


def _with_sidecar(options: ReadOptions, said: dict[str, Any]) -> ReadOptions:
    """Return the options with what the package's own sidecar says, where the user says nothing."""
    sizes, backend, bands = (said.get(key) for key in ("patch_size", "keras_1_backend", "bands_axis"))
    if not options.patch_shape and isinstance(sizes, list) and all(map(safe_json.is_whole, sizes)):
        options = replace(options, patch_shape=tuple(sizes))
    if options.keras_1_backend is None and backend in ("theano", "tensorflow"):
        options = replace(options, keras_1_backend=backend)
    if options.bands_axis is None and safe_json.is_whole(bands):
        options = replace(options, bands_axis=bands)
    return options


def _read_other(
    container: Container, data: dict[str, Any], output: str | None, options: ReadOptions
) -> Network | PixelNetwork:
    facts = facts_of(data)
    if facts.labels_every_pixel:
        return _read_pixel(container, data, facts, output)
    kind, entry = _chosen(data.get("weights"))
    name = plain_name(entry, "its weights")
    _check_second_file(container, entry)
    if not options.patch_shape:
        options = replace(options, patch_shape=facts.patch_shape)
    network = _weights(container, name, _WEIGHTS[kind], output, options, entry.get("sha256"))
    if facts.patch_shape and network.bands is None and network.patch_shape != facts.patch_shape:
        raise ConversionError(
            f"The package says that patches are {format_shape(facts.patch_shape)}, and its weights take "
            f"{format_shape(network.patch_shape)}. "
            "Download it again, or ask its authors."
        )
    return replace(network, said=facts.said, notes=(*network.notes, *_notes(facts)))


def _read_pixel(container: Container, data: dict[str, Any], facts: Facts, output: str | None) -> PixelNetwork:
    """Read a network that labels every pixel by itself, which is run as it is: from ONNX alone."""
    weights = data.get("weights")
    entry = weights.get("onnx") if isinstance(weights, dict) else None
    if not isinstance(entry, dict):
        raise UnreadableError(
            "it labels every pixel by itself, and such a network is run from ONNX alone; it has weights as "
            f"{_kinds(weights)}",
            "Ask its authors for weights as ONNX, or add them with bioimageio.core.",
        )
    name = plain_name(entry, "its weights")
    _check_second_file(container, entry)

    def read(file: BinaryIO, path: Path) -> PixelNetwork:
        return pixel.read(file, path, facts, data, output)

    return _onnx(container, name, entry.get("sha256"), read)


def _chosen(weights: Any) -> tuple[str, dict[str, Any]]:
    """Return the weights to read, with what is said of them."""
    found = weights if isinstance(weights, dict) else {}
    for kind in _WEIGHTS:
        if isinstance(found.get(kind), dict):
            return kind, found[kind]
    raise UnreadableError(
        f"it has weights as {_kinds(weights)}, and those as Keras or ONNX are read (others can only be opened by "
        "running code)",
        "Ask its authors for weights as ONNX or Keras, or add them with bioimageio.core.",
    )


def _kinds(weights: Any) -> str:
    found = weights if isinstance(weights, dict) else {}
    return ", ".join(str(kind)[:40] for kind in list(found)[:8]) or "none"


def _check_second_file(container: Container, entry: dict[str, Any]) -> None:
    if entry.get("external_data") and container.folder is None:
        raise UnreadableError(
            "the numbers of its ONNX weights are in a file of their own", "Unpack it, and open the folder."
        )


def _notes(facts: Facts) -> tuple[str, ...]:
    names = left_out(facts)
    return (
        (f"The package asks for {', '.join(names)} after the network, which is not done: labels are those of the "
         "highest output.",) if names else ()
    )  # fmt: skip


def _weights(
    container: Container, name: str, kind: str, output: str | None, options: ReadOptions, sha256: object = None
) -> Network:
    """Read the file of weights."""
    if kind == "onnx":
        return _onnx(container, name, sha256, lambda file, path: onnx_network.read(file, path, output, options))
    content = container.read(name)
    _check_hash(content, sha256, name)
    if kind == "keras":
        return keras_file.read(io.BytesIO(content), output, options)
    if kind == "h5":
        return h5_file.read(io.BytesIO(content), len(content), output, options)
    raise UnreadableError(f"its file {name!r} is of a kind that is not read", _AGAIN)


def _onnx(container: Container, name: str, sha256: object, read: Callable[[BinaryIO, Path], _Any]) -> _Any:
    """Read weights of which, in a folder, a part may be in a file beside them."""
    if container.folder is None:
        content = container.read(name)
        _check_hash(content, sha256, name)
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.seek(0)
            return read(file, _NOWHERE / Path(name).name)
    with open_inside(container.folder, *name.split("/")) as file:
        _check_hash(file.read(), sha256, name)
        file.seek(0)
        network = read(file, container.folder / name)
    inside = name.rpartition("/")[0]
    container.opened.append(name)
    return replace(network, files=tuple(f"{inside}/{each}" if inside else each for each in network.files))


def _check_hash(content: bytes, sha256: object, name: str) -> None:
    known = isinstance(sha256, str) and re.fullmatch(r"[0-9a-f]{64}", sha256)
    if known and hashlib.sha256(content).hexdigest() != sha256:
        raise UnreadableError(f"its file {name!r} is not the one that its description names (by its hash)", _AGAIN)


#: Beside which there can be no second file.
_NOWHERE: Final = Path(os.devnull)
_AGAIN: Final = "Download the package again."
