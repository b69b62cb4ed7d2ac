"""The certificate of a run: how far it was from the patch model itself, and what ran where."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from napari_fcnseg.arrays.frame_source import ChannelStack
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.system.formatting import format_shape
from napari_fcnseg.system.json_file import read_json, write_json
from napari_fcnseg.system.saving.texts import CERTIFICATE
from napari_fcnseg.system.serialization import READ, checked, many, of, to_plain

if TYPE_CHECKING:
    import os


Image: TypeAlias = Mapping[str, Any]
Taught: TypeAlias = Mapping[str, Any] | None
Region: TypeAlias = tuple[tuple[int, ...], ...]

#: Largest difference that counts as equal: some rounding steps of float32 arithmetic. It grows with numbers above 1.
TOLERANCE: Final = 1e-5
FORMAT_VERSION: Final = "4"
_ADDED: Final[dict[str, dict[str, Any]]] = {
    "1": {"frames": None, "mask": None, "edited_pixels": 0},
    "2": {"edited_pixels": 0},
    "3": {},
}  # by version: what a certificate of that one did not say yet

_MAX_BYTES: Final = 2**24
_HASHED_BYTES: Final = 2**28  # bytes; a larger image is not hashed, which would take long


@dataclass(frozen=True)
class CertifiedModel:
    """One model of the run.

    Attributes
    ----------
    name, file, sha256 : str
        Its name, and the file's own name and hash; never the folder.
    output : str
        The output chosen, of a model that has several.
    method : {"dense", "patchwise"}
        How the run computed it.
    patch_shape, receptive_field : tuple of int
        Pixels per axis of a patch, and those that the answer depends on.
    layers : tuple of mapping
        What became of each layer (:class:`napari_fcnseg.conversion.LayerReport`).
    taught : mapping or None
        What a taught model was taught on, as its sidecar says.
    ways : str
        How a processor computed its convolutions and pools (:mod:`napari_fcnseg.conversion.ways`); empty elsewhere.
    """

    name: str
    file: str
    sha256: str
    output: str
    method: str
    patch_shape: tuple[int, ...]
    receptive_field: tuple[int, ...]
    layers: tuple[Mapping[str, Any], ...]
    taught: Taught = None
    ways: str = ""

    def lines(self) -> list[str]:
        """Return it as lines of text, a line per layer."""
        output = f", output {self.output}" if self.output else ""
        layers = (f"  {e.get('layer')} ({e.get('layer_type')}): {e.get('became')}" for e in self.layers)
        return [
            f"Model        {self.file or self.name}{output}, {self.method}: patch {format_shape(self.patch_shape)}, "
            f"receptive field {format_shape(self.receptive_field)}, sha256 {self.sha256 or '-'}",
            *layers,
            *([f"Ways         {self.ways}"] if self.ways else []),
            *([self._taught_line()] if self.taught else []),
        ]

    def _taught_line(self) -> str:
        taught: Mapping[str, Any] = self.taught or {}
        strokes, base = taught.get("strokes", {}), taught.get("model") or {}
        images = [str(image.get("sha256") or "-") for image in taught.get("images", ())]
        return (
            f"Taught       on {strokes.get('pixels', '?')} pixels of {strokes.get('count', '?')} strokes, sha256 "
            f"{strokes.get('sha256', '-')}; images sha256 {', '.join(images)}; begun with "
            f"{base.get('name', 'fixed filters')}, sha256 {base.get('sha256') or '-'}"
        )


@dataclass(frozen=True)
class Certificate:
    """A verified run as plain data.

    Attributes
    ----------
    created : str
        When, in UTC, as ISO 8601.
    models : tuple of CertifiedModel
        The members of the ensemble, or the one model.
    image : mapping
        ``shape``, ``dtype``, and ``sha256`` of the pixels in C order, None where hashing them would take long.
    channel_axis : int or None
        Axis of the image that holds the channels.
    preprocess : tuple of str
        Steps applied to the image.
    border, precision, every, region, frames
        As in :class:`napari_fcnseg.settings.RunSettings`.
    mask : mapping or None
        ``sha256``, ``shape`` and ``pixels`` inside, where only pixels of a mask were computed.
    device : str
        What computed.
    tile : tuple of int
        Size of a tile.
    points, seed : int
        Number of pixels compared, and seed of their choice.
    max_abs_difference : float
        Largest difference from the patch model in any class at any of them.
    label_agreement : float
        Share of them where both say the same class, 0 to 1.
    scale : float
        Largest number of the patch model at them.
    tolerance : float
        Largest difference that counts as equal where ``scale`` is at most 1.
    worst_point : tuple of int
        Where the largest difference is.
    edited_pixels : int
        How many labels were edited by hand after the run; the certificate holds for the model's own.
    seconds : mapping
        ``segmentation`` and ``verification``.
    versions : mapping
        Of the programs that computed.
    """

    created: str
    models: tuple[CertifiedModel, ...]
    image: Image
    channel_axis: int | None
    preprocess: tuple[str, ...]
    border: str
    precision: str
    every: int
    region: Region | None
    frames: Region | None
    mask: Mapping[str, Any] | None
    device: str
    tile: tuple[int, ...]
    points: int
    seed: int
    max_abs_difference: float
    label_agreement: float
    scale: float
    tolerance: float
    worst_point: tuple[int, ...]
    edited_pixels: int
    seconds: Mapping[str, float]
    versions: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether every label agrees and no difference is above the tolerance (of the scale, where that is above 1)."""
        return within_tolerance(self.max_abs_difference, self.label_agreement, self.scale, self.tolerance)

    def as_dict(self) -> dict[str, Any]:
        """Return the certificate as plain data for JSON; a number that is none is None."""
        head = {"program": "napari-fcnseg", "certificate_version": FORMAT_VERSION, "passed": self.passed}
        return {**head, **to_plain(asdict(self))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Certificate:
        """Return a certificate from what :meth:`as_dict` gave.

        Raises
        ------
        SettingsError
            If a field is missing or of another kind, or the verdict does not follow from the numbers.
        """
        version = data.get("certificate_version")
        if isinstance(version, str) and version in _ADDED:
            data = {**_ADDED[version], **data}
        elif version != FORMAT_VERSION:
            raise SettingsError(f"This is no certificate of version {FORMAT_VERSION!r}. Verify again to get one.")
        certificate = cls(**checked(cls, data, _READ, "certificate"))
        if data.get("passed") is not certificate.passed:
            raise SettingsError("The certificate's verdict does not follow from its numbers. Verify again.")
        return certificate

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Certificate:
        """Read a certificate.

        Raises
        ------
        ModelFileError, SettingsError
            If it cannot be read, or is no certificate.
        """
        return cls.from_dict(read_json(Path(path), "certificate", _MAX_BYTES))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the certificate as JSON, and return where.

        Parameters
        ----------
        path : path
            The file.
        overwrite : bool
            Whether an earlier certificate of that name is replaced; nothing else is.

        Raises
        ------
        OutputError
            If it cannot be written, or is there already.
        """
        target = Path(path)
        write_json(target, self.as_dict(), _MAX_BYTES, overwrite=overwrite, kind=CERTIFICATE)
        return target

    def __str__(self) -> str:
        image = self.image
        part = f"; every {self.every} pixels" if self.every > 1 else ""
        part += f"; only region {self.region}" if self.region is not None else ""
        part += f"; only frames {self.frames}" if self.frames is not None else ""
        part += f"; only {self.mask['pixels']:,} pixels of a mask, sha256 {self.mask['sha256']}" if self.mask else ""
        agree = round(self.label_agreement * self.points)
        allowed = self.tolerance * max(1.0, self.scale)
        steps = ", ".join(self.preprocess) or "none"
        exact = self.precision + (", which is not exact" if self.precision != "float32" else "")
        edited = f"{self.edited_pixels:,} pixels were edited by hand since: this holds for the model's own labels."
        lines = [
            f"{'PASSED' if self.passed else 'NOT PASSED'}: {agree} of {self.points} pixels have the original model's "
            f"label; largest difference {self.max_abs_difference:.2g} at {self.worst_point}, allowed {allowed:.2g}.",
            *(f"Edited       {edited}",) * bool(self.edited_pixels),
            f"Made         {self.created} by napari-fcnseg {self.versions.get('napari-fcnseg', '?')}",
            *(line for model in self.models for line in model.lines()),
            f"Image        {format_shape(tuple(image['shape']))} {image['dtype']}, sha256 {image['sha256'] or '-'}",
            f"Settings     preprocessing {steps}; border {self.border}; {exact}; tile {format_shape(self.tile)}{part}",
            f"Device       {self.device}",
            *(["Reference    the patch model itself, computed by TensorFlow"] if "tensorflow" in self.versions else []),
            f"Points       {self.points}, chosen with seed {self.seed}",
            f"Seconds      {', '.join(f'{what} {seconds:.2f}' for what, seconds in self.seconds.items())}",
            f"Versions     {', '.join(f'{name} {version}' for name, version in self.versions.items())}",
        ]
        return "\n".join(lines)


def within_tolerance(difference: float, agreement: float, scale: float, tolerance: float = TOLERANCE) -> bool:
    """Whether every label agrees and no difference is above the tolerance (of the scale, where that is above 1)."""
    return agreement == 1.0 and difference <= tolerance * max(1.0, scale)


def image_sha256(image: Any) -> str | None:
    """Return the hash of an image's pixels in C order; None where reading them would take long."""
    stack = isinstance(image, ChannelStack) and image.in_memory
    if not (stack or type(image) is np.ndarray) or _bytes(image) > _HASHED_BYTES:
        return None
    digest = hashlib.sha256()
    rest = (slice(None),) * (len(image.shape) - 1)
    for row in range(image.shape[0]):
        digest.update(image[(row, *rest)].astype(image.dtype, copy=False).tobytes())
    return digest.hexdigest()


def _bytes(image: Any) -> int:
    return math.prod(map(int, image.shape)) * int(np.dtype(image.dtype).itemsize)


def _read_image(value: Any) -> Image:
    image: Image = of(dict)(value)
    many(of(int))(image.get("shape"))
    of(str)(image.get("dtype"))
    of(str, type(None))(image.get("sha256"))
    return image


def _read_mask(value: Any) -> Mapping[str, Any] | None:
    if value is None:
        return None
    mask: Mapping[str, Any] = of(dict)(value)
    of(str)(mask.get("sha256"))
    many(of(int))(mask.get("shape"))
    of(int)(mask.get("pixels"))
    return mask


def _read_model(value: Any) -> CertifiedModel:
    data = {"taught": None, "ways": "", **of(dict)(value)}
    return CertifiedModel(**checked(CertifiedModel, data, {**READ, "Taught": of(dict, type(None))}, "certificate"))


_READ: Final = {
    **READ,
    "Image": _read_image,
    "Mapping[str, Any] | None": _read_mask,
    "Region | None": lambda value: None if value is None else many(many(of(int)))(value),
    "tuple[CertifiedModel, ...]": many(_read_model),
}
