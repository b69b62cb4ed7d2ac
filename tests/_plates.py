"""Write plates as the specification of OME-Zarr says, with zarr alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zarr

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

AXES = ({"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "micrometer"} for n in "yx"))


def describe(group: zarr.Group, version: str, **what: Any) -> None:
    """Describe a group."""
    if version == "0.5":
        group.attrs["ome"] = {"version": version, **what}
        return
    for key, value in what.items():
        if isinstance(value, list):
            group.attrs[key] = [{"version": version, **one} if isinstance(one, dict) else one for one in value]
        else:
            group.attrs[key] = {"version": version, **value}


def write_plate(path: Path, fields: Mapping[str, np.ndarray], version: str = "0.5", **about: Any) -> Path:
    """Write a plate with images ``(channel, row, column)`` of half-micrometre pixels.

    Parameters
    ----------
    path : Path
        Where.
    fields : mapping of str to ndarray
        The images, by their places, such as ``"A/1/0"``.
    version : {"0.4", "0.5"}
        Of OME-Zarr.
    **about
        What else the plate says.
    """
    root = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    wells = list(dict.fromkeys(name.rpartition("/")[0] for name in fields))
    rows, columns = (sorted({well.split("/")[n] for well in wells}) for n in (0, 1))
    listed = [
        {"path": well, "rowIndex": rows.index(well.split("/")[0]), "columnIndex": columns.index(well.split("/")[1])}
        for well in wells
    ]
    names = {"rows": [{"name": name} for name in rows], "columns": [{"name": name} for name in columns]}
    for well in wells:
        images = [{"path": name.rpartition("/")[2]} for name in fields if name.rpartition("/")[0] == well]
        describe(root.require_group(well), version, well={"images": images})
    for name, pixels in fields.items():
        write_field(root, name, pixels, version)
    describe(root, version, plate={**names, "wells": listed, **about})
    return path


def write_field(root: zarr.Group, name: str, pixels: np.ndarray, version: str) -> None:
    """Write one image of a plate."""
    field = root.require_group(name)
    how: dict[str, Any] = {"dimension_names": ["c", "y", "x"]} if version == "0.5" else {}
    array = field.create_array("0", shape=pixels.shape, dtype=pixels.dtype, chunks=(1, 16, 16), **how)
    array[...] = pixels
    moves = [{"type": "scale", "scale": [1.0, 0.5, 0.5]}]
    scales = [{"axes": list(AXES), "datasets": [{"path": "0", "coordinateTransformations": moves}], "name": name}]
    describe(field, version, multiscales=scales)


def edit(group: zarr.Group, key: str, **changed: Any) -> None:
    """Change what a group says under a key."""
    attributes = dict(group.attrs)
    if "ome" in attributes:
        attributes["ome"] = {**attributes["ome"], key: {**attributes["ome"][key], **changed}}
    else:
        attributes[key] = {**attributes[key], **changed}
    group.attrs.update(attributes)
