"""Write a patch network as a ``.keras`` file that Keras and this program read.

Imported inside functions of :mod:`napari_fcnseg.engine` alone: it imports Keras.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import keras

from napari_fcnseg.engine.patch_network import patch_model

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network

#: Of every part of the file, as zip has no earlier one: the same network gives the same bytes on any day.
_DAY: Final = (1980, 1, 1, 0, 0, 0)
_ID: Final = re.compile(r'"shared_object_id": (\d+)')


def save_patch_model(network: Network, path: str) -> None:
    """Write a patch network; the same one is the same file, on one computer and with one version of Keras."""
    keras.utils.clear_session()  # names of layers are counted
    patch_model(network, written=True).save(path)
    file = Path(path)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in sorted(archive.namelist())}
    ids: dict[str, int] = {}  # addresses in memory, by which Keras knows a setting that layers share
    parts["config.json"] = _ID.sub(
        lambda found: f'"shared_object_id": {ids.setdefault(found[1], len(ids))}', parts["config.json"].decode()
    ).encode()
    if "metadata.json" in parts:
        metadata = json.loads(parts["metadata.json"])
        metadata.pop("date_saved", None)
        parts["metadata.json"] = json.dumps(metadata).encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _DAY), content)
