"""A seeded fluorescence image of cultured cells whose truth is known at every pixel.

Drawn the way a microscope sees it: shapes first, then stain, then optics, then the camera. Each stage has its own
stream of random numbers, so a rounding difference in one stage on another machine cannot change the cells of the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BACKGROUND", "EDGE", "INTERIOR", "cell_instances", "fluorescence_cells"]

Floats: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[np.int32]

#: Label values of the truth: class index + 1, as in every result of this program.
BACKGROUND, EDGE, INTERIOR = 1, 2, 3

#: Pixels of a cell at most this far from anything that is not the cell are its edge.
_EDGE_WIDTH = 2.0
#: Drawn around the image and cut off again, so that cells at the frame look cut, not squeezed.
_MARGIN = 32
_SMALLEST_INTERIOR = 60
_RADIUS = (13.0, 20.0)

_PSF_SIGMA = 1.2
_PHOTONS = (260.0, 200.0)  # expected at full stain: nuclei, cytoplasm
_CAMERA_GAIN = 4.0
_CAMERA_OFFSET = 100.0
_READ_NOISE = 6.0


class _Cell(NamedTuple):
    """One cell before its neighbours press on it."""

    centre: tuple[float, float]
    radius: float
    stretch: float
    angle: float
    lobes: tuple[float, float, float]  # amplitude of the 2nd to 4th harmonic of the outline
    phases: tuple[float, float, float]


class _Drawing(NamedTuple):
    """All cells on the enlarged canvas."""

    instances: Labels  # 0 outside cells, else index of the cell + 1
    radial: Floats  # 0 in the middle of a cell, 1 on the outline it would have alone
    depth: Floats  # distance to the nearest pixel that is not of the same cell


def fluorescence_cells(
    seed: int, shape: tuple[int, int] = (512, 512)
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Draw cultured cells in two stains, with the truth.

    Parameters
    ----------
    seed : int
        The same seed gives the same image.
    shape : tuple of int
        Rows and columns.

    Returns
    -------
    image : ndarray of uint16, shape (row, col, 2)
        Nuclei and cytoplasm: cells of different brightness that touch, blurred, on an uneven background, with the
        noise of photons and of the camera.
    truth : ndarray of uint8, shape (row, col)
        1 background, 2 edge, 3 interior. An edge is the outermost two pixels of a cell, so the interiors of two cells
        never meet.

    Examples
    --------
    >>> image, truth = fluorescence_cells(seed=0, shape=(64, 64))
    >>> image.shape, image.dtype.name, truth.shape
    ((64, 64, 2), 'uint16', (64, 64))
    """
    shapes, stain, optics, camera = _streams(seed)
    canvas = (shape[0] + 2 * _MARGIN, shape[1] + 2 * _MARGIN)
    drawing = _draw(shapes, canvas)
    light = _through_optics(optics, _stained(stain, drawing))
    image = _recorded(camera, light[_inner(shape)])
    return image, _truth(drawing)[_inner(shape)]


def cell_instances(seed: int, shape: tuple[int, int] = (512, 512)) -> Labels:
    """Return which cell each pixel of ``fluorescence_cells(seed, shape)`` belongs to.

    Parameters
    ----------
    seed : int
        As given to `fluorescence_cells`.
    shape : tuple of int
        As given to `fluorescence_cells`.

    Returns
    -------
    ndarray of int32, shape (row, col)
        0 outside cells, else a number of its own for each cell. Numbers may be missing.
    """
    canvas = (shape[0] + 2 * _MARGIN, shape[1] + 2 * _MARGIN)
    return _draw(_streams(seed)[0], canvas).instances[_inner(shape)]


def _streams(seed: int) -> list[np.random.Generator]:
    return [np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(seed).spawn(4)]


def _inner(shape: tuple[int, int]) -> tuple[slice, slice]:
    return slice(_MARGIN, _MARGIN + shape[0]), slice(_MARGIN, _MARGIN + shape[1])


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Floats:
    """Gaussian random field with mean 0, standard deviation 1 and features about ``sigma`` wide."""
    field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return np.asarray((field - field.mean()) / field.std())


# --- shapes


def _draw(rng: np.random.Generator, canvas: tuple[int, int]) -> _Drawing:
    rows, cols = np.mgrid[: canvas[0], : canvas[1]].astype(np.float64)
    # Moving the coordinates by a few pixels makes outlines, and the borders between cells, irregular.
    rows += 2.0 * _smooth_noise(rng, canvas, 7.0)
    cols += 2.0 * _smooth_noise(rng, canvas, 7.0)
    instances = np.zeros(canvas, np.int32)
    radial = np.ones(canvas)
    for number, cell in enumerate(_placed(rng, canvas), start=1):
        reach = int(2 * cell.radius) + 8
        window = tuple(slice(max(int(middle) - reach, 0), int(middle) + reach) for middle in cell.centre)
        own = _radial(cell, rows[window], cols[window])
        # A pixel goes to the cell in which it lies deeper: that is where two cells that press on each other meet.
        nearer = own < radial[window]
        instances[window][nearer] = number
        radial[window][nearer] = own[nearer]
    depth = _depth(instances)
    return _Drawing(instances, radial, depth)


def _placed(rng: np.random.Generator, canvas: tuple[int, int]) -> list[_Cell]:
    """Cells in clusters, no two closer than they can be squeezed."""
    crowding = _smooth_noise(rng, canvas, 45.0)
    cells: list[_Cell] = []
    tries = canvas[0] * canvas[1] // 150
    spots = rng.uniform(0.0, 1.0, (tries, 2)) * canvas
    radii = rng.uniform(*_RADIUS, tries)
    traits = rng.uniform(0.0, 1.0, (tries, 8))
    chance = 0.25 + 0.5 * (crowding[spots[:, 0].astype(int), spots[:, 1].astype(int)] > 0.3)
    for spot, radius, trait, likely in zip(spots, radii, traits, chance, strict=True):
        if trait[0] > likely or not _has_room(spot, float(radius), cells):
            continue
        if crowding[int(spot[0]), int(spot[1])] < -0.35:  # free stretches of background
            continue
        lobes = (0.10 * trait[3], 0.08 * trait[4], 0.05 * trait[5])
        phases = (2 * np.pi * trait[6], 2 * np.pi * trait[7], 2 * np.pi * trait[3])
        cells.append(_Cell((spot[0], spot[1]), float(radius), 1 + 0.5 * trait[1], np.pi * trait[2], lobes, phases))
    return cells


def _has_room(spot: Floats, radius: float, cells: Sequence[_Cell]) -> bool:
    return all(np.hypot(*(spot - cell.centre)) > 0.78 * (radius + cell.radius) for cell in cells)


def _radial(cell: _Cell, rows: Floats, cols: Floats) -> Floats:
    """Distance from the centre, in units of the outline in that direction."""
    down, right = rows - cell.centre[0], cols - cell.centre[1]
    along = down * np.cos(cell.angle) + right * np.sin(cell.angle)
    across = right * np.cos(cell.angle) - down * np.sin(cell.angle)
    root = np.sqrt(cell.stretch)
    along, across = along / root, across * root
    direction = np.arctan2(across, along)
    outline = np.ones_like(direction)
    for order, (amplitude, phase) in enumerate(zip(cell.lobes, cell.phases, strict=True), start=2):
        outline += amplitude * np.cos(order * direction + phase)
    return np.asarray(np.hypot(along, across) / (cell.radius * outline))


def _depth(instances: Labels) -> Floats:
    """Distance to the nearest pixel outside the cell; tidies ``instances`` in place.

    Each cell keeps its largest piece only, and goes if no interior worth the name is left of it.
    """
    depth = np.zeros(instances.shape)
    for number, found in enumerate(ndimage.find_objects(instances), start=1):
        if found is None:
            continue
        own = instances[found] == number
        piece = _largest(own)
        distance = ndimage.distance_transform_edt(np.pad(piece, 1))[1:-1, 1:-1]
        interior = _largest(distance > _EDGE_WIDTH)
        if interior.sum() < _SMALLEST_INTERIOR:
            piece = np.zeros_like(piece)
        instances[found][own & ~piece] = 0
        # A thin bridge inside a cell is all edge; what hangs behind it would count as a second interior.
        distance[(distance > _EDGE_WIDTH) & ~interior] = _EDGE_WIDTH
        depth[found][piece] = distance[piece]
    return depth


def _largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]))


def _truth(drawing: _Drawing) -> npt.NDArray[np.uint8]:
    truth = np.full(drawing.instances.shape, BACKGROUND, np.uint8)
    truth[drawing.instances > 0] = EDGE
    truth[drawing.depth > _EDGE_WIDTH] = INTERIOR
    return truth


# --- stain, optics, camera


def _stained(rng: np.random.Generator, drawing: _Drawing) -> Floats:
    """Amount of stain, 0 to about 2, shape ``(row, col, 2)``."""
    canvas = drawing.instances.shape
    count = int(drawing.instances.max()) + 1
    inside = drawing.instances > 0
    size = rng.uniform(0.48, 0.64, count)[drawing.instances]
    # A nucleus ends softly, over about a pixel and a half, because it is round in depth too.
    nucleus = inside / (1.0 + np.exp((drawing.radial - size) / 0.04))
    brightness = rng.lognormal(-0.1, 0.30, (count, 2))[drawing.instances]
    chromatin = 1.0 + 0.16 * _smooth_noise(rng, canvas, 1.6) + 0.10 * _smooth_noise(rng, canvas, 4.0)
    texture = 1.0 + 0.10 * _smooth_noise(rng, canvas, 1.3) + 0.14 * _smooth_noise(rng, canvas, 5.0)
    thickness = inside * (0.30 + 0.70 * (1.0 - np.exp(-drawing.depth / 3.5)))
    cytoplasm = thickness * (1.0 - 0.35 * nucleus) * texture
    return np.clip(np.stack([nucleus * chromatin, cytoplasm], axis=-1) * brightness, 0.0, None)


def _through_optics(rng: np.random.Generator, stain: Floats) -> Floats:
    """Blur, haze, crosstalk, shading and background: expected light, 1 being full stain."""
    canvas = (stain.shape[0], stain.shape[1])
    sharp = ndimage.gaussian_filter(stain, (_PSF_SIGMA, _PSF_SIGMA, 0.0))
    haze = ndimage.gaussian_filter(stain, (10.0, 10.0, 0.0))
    light = 0.88 * sharp + 0.12 * haze
    light[..., 0] += 0.05 * light[..., 1]  # the stains' spectra overlap a little
    down, right = (np.linspace(-1.0, 1.0, length) for length in canvas)
    middle = rng.uniform(-0.3, 0.3, 2)
    shading = 1.0 - 0.16 * ((down[:, None] - middle[0]) ** 2 + (right[None, :] - middle[1]) ** 2)
    floor = np.stack([0.10 + 0.020 * _smooth_noise(rng, canvas, 60.0) for _ in range(2)], axis=-1)
    return np.asarray(np.clip(light + floor, 0.0, None) * shading[..., None])


def _recorded(rng: np.random.Generator, light: Floats) -> npt.NDArray[np.uint16]:
    electronics = _READ_NOISE * rng.standard_normal(light.shape)
    photons = rng.poisson(light * np.array(_PHOTONS))
    counts = _CAMERA_OFFSET + _CAMERA_GAIN * photons + electronics
    return np.asarray(np.clip(np.rint(counts), 0, np.iinfo(np.uint16).max), np.uint16)
