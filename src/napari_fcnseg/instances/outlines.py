"""Outlines of objects along the edges of their pixels, for ImageJ and QuPath: their area is that of the pixels."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg.errors import OutputError
from napari_fcnseg.system.saving import put, save_text
from napari_fcnseg.system.saving.texts import OUTLINES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from napari_fcnseg.instances.measuring import ObjectTable

#: Corners ``(row, col)``, the first one not repeated.
Ring = list[tuple[int, int]]

ENDINGS = (".zip", ".geojson")
_LEFT = {(0, 1): (-1, 0), (-1, 0): (0, -1), (0, -1): (1, 0), (1, 0): (0, 1)}


def rings_of(mask: npt.NDArray[np.bool_]) -> list[Ring]:
    """Return the closed lines around a mask, its holes among them; places that touch at a corner are apart.

    Parameters
    ----------
    mask : ndarray of bool, shape (row, col)
        One object.

    Returns
    -------
    list of list of (row, col)
        Corners of pixels, at which a line turns. The inside is to the right of where a line goes: outer lines and
        holes turn in different directions.
    """
    padded = np.pad(mask, 1)
    ahead: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def add(rows: Any, cols: Any, start: tuple[int, int], way: tuple[int, int]) -> None:
        for r, c in zip((rows + start[0] - 1).tolist(), (cols + start[1] - 1).tolist(), strict=True):
            ahead.setdefault((r, c), []).append(way)

    for shift, start, way in (
        ((-1, 0), (0, 0), (0, 1)), ((0, 1), (0, 1), (1, 0)), ((1, 0), (1, 1), (0, -1)), ((0, -1), (1, 0), (-1, 0)),
    ):  # fmt: skip
        outside = ~np.roll(padded, (-shift[0], -shift[1]), (0, 1))
        rows, cols = np.nonzero(padded & outside)
        add(rows, cols, start, way)
    rings = []
    while ahead:
        first = here = next(iter(ahead))
        way = ahead[here][0]
        ring: Ring = []
        while True:
            ways = ahead[here]
            # Two lines cross where pixels touch at a corner: turning to the right stays with the own pixel.
            right = tuple(-n for n in _LEFT[way])
            step = right if len(ways) > 1 and right in ways else ways[0]
            ways.remove(step)
            if not ways:
                del ahead[here]
            if step != way or not ring:
                ring.append(here)
            way = step
            here = (here[0] + way[0], here[1] + way[1])
            if here == first and _closes(ahead, here, way):
                break
        rings.append(_without_straight(ring))
    return rings


def _closes(ahead: Any, here: tuple[int, int], way: tuple[int, int]) -> bool:
    """Whether a line that came back to its beginning is whole: no other way on is its own."""
    ways = ahead.get(here)
    return not ways or tuple(-n for n in _LEFT[way]) not in ways


def _without_straight(ring: Ring) -> Ring:
    """Return a ring without its first corner if the line goes straight on there."""
    (a, b), (c, d), (e, f) = ring[-1], ring[0], ring[1]
    return ring[1:] if (c - a) * (f - d) == (d - b) * (e - c) else ring


def area_of(ring: Ring) -> float:
    """Return the area inside a ring; negative for a hole."""
    corners = np.array(ring, float)
    after = np.roll(corners, -1, axis=0)
    return float(np.sum(after[:, 0] * corners[:, 1] - corners[:, 0] * after[:, 1]) / 2)


def save_outlines(path: Path, labels: Any, table: ObjectTable, *, overwrite: bool = False) -> int:
    """Write the outlines of objects: ``.zip`` for ImageJ, ``.geojson`` for QuPath.

    Parameters
    ----------
    path : Path
        The file.
    labels : array_like of int, shape (*stack, row, col)
        The objects; of a volume each plane is outlined alone.
    table : ObjectTable
        The same, measured.
    overwrite : bool
        Whether a file of that name is replaced.

    Returns
    -------
    int
        How many outlines were written.

    Raises
    ------
    OutputError
        If it cannot be written, or is there already.
    """
    path = Path(path)
    if path.suffix.lower() == ".geojson":
        features = [_feature(*each) for each in _outlined(labels, table)]
        text = json.dumps({"type": "FeatureCollection", "features": features})
        save_text(path, text, overwrite=overwrite, kind=OUTLINES)
        return len(features)
    if path.suffix.lower() != ".zip":
        raise OutputError(f"Outlines are written as .zip (ImageJ) or .geojson (QuPath), not as {path.name}.")
    if path.exists() and not (overwrite and zipfile.is_zipfile(path)):
        raise OutputError(f"{path} is there already{' and holds no outlines' * overwrite}. Choose another name.")
    rois = [roi for each in _outlined(labels, table) for roi in _rois(*each)]

    def write(part: Path) -> None:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as file:
            for roi in rois:
                file.writestr(f"{roi.name}.roi", roi.tobytes())

    put(path, write)
    return len(rois)


def _outlined(labels: Any, table: ObjectTable) -> Iterator[tuple[int, tuple[int, ...], list[Ring]]]:
    """Yield label, frame and rings of each object, plane by plane."""
    for label, box in zip(table.columns["label"].tolist(), table.boxes.tolist(), strict=True):
        start, stop = box
        planes = np.ndindex(*(b - a for a, b in zip(start[:-2], stop[:-2], strict=True)))
        for plane in planes:
            index = tuple(a + i for a, i in zip(start, plane, strict=False))
            crop = np.asarray(labels[(*index, slice(start[-2], stop[-2]), slice(start[-1], stop[-1]))]) == label
            rings = [[(r + start[-2], c + start[-1]) for r, c in ring] for ring in rings_of(crop)]
            if rings:
                yield label, index, rings


def _feature(label: int, index: tuple[int, ...], rings: list[Ring]) -> dict[str, Any]:
    """Return an object as QuPath reads it: a cell, its holes cut out."""
    outer = [ring for ring in rings if area_of(ring) > 0]
    holes = [ring for ring in rings if area_of(ring) < 0]
    polygons = [[_closed(ring)] for ring in outer]
    for hole in holes:
        inside = min(
            (place for place, ring in enumerate(outer) if _contains(ring, hole[0])),
            key=lambda place: area_of(outer[place]),
            default=0,
        )
        polygons[inside].append(_closed(hole))
    geometry: dict[str, Any] = {"type": "Polygon", "coordinates": polygons[0]}
    if len(polygons) > 1:
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
    names: dict[str, Any] = {"objectType": "detection", "name": str(label), "measurements": {"label": label}}
    if index:
        names["plane"] = list(index)
    return {"type": "Feature", "geometry": geometry, "properties": names}


def _closed(ring: Ring) -> list[list[int]]:
    """Return a ring as ``(x, y)``, its first corner repeated at the end."""
    return [[c, r] for r, c in (*ring, ring[0])]


def _contains(ring: Ring, point: tuple[int, int]) -> bool:
    from skimage.measure import points_in_poly

    near = np.array([point], float) + [[dr, dc] for dr in (-0.25, 0.25) for dc in (-0.25, 0.25)]
    inside = points_in_poly(near, np.array(ring, float))  # type: ignore[no-untyped-call]
    return bool(inside.any())


def _rois(label: int, index: tuple[int, ...], rings: list[Ring]) -> Iterator[Any]:
    """Yield the outer lines of an object as ImageJ's polygons; its holes have no place in them."""
    import roifile

    outer = [ring for ring in rings if area_of(ring) > 0]
    for number, ring in enumerate(outer, 1):
        roi = roifile.ImagejRoi.frompoints(np.array(ring)[:, ::-1])
        roi.roitype = roifile.ROI_TYPE.POLYGON
        part = f"-{number}" * (len(outer) > 1)
        frame = "".join(f"-{i + 1:04d}" for i in index)
        roi.name = f"{label:05d}{frame}{part}"
        if index:
            roi.position = index[-1] + 1
        yield roi
