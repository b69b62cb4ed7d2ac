"""Write a patch model's dense network as a bioimage.io package."""

from __future__ import annotations

import difflib
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.engine.onnx_graph.dense_model import dense_model
from napari_fcnseg.errors import OutputError, SettingsError
from napari_fcnseg.model.patch_model import PatchModel, load_model
from napari_fcnseg.model.pixel_form import not_converted
from napari_fcnseg.model.sidecar import Sidecar, blank, sidecar_path
from napari_fcnseg.package import description as files
from napari_fcnseg.package.description import Facts, description
from napari_fcnseg.package.example import answered, cover, test_image
from napari_fcnseg.package.known import completed
from napari_fcnseg.package.normalisation import split
from napari_fcnseg.package.readme import readme
from napari_fcnseg.preprocess import parse
from napari_fcnseg.system.json_file import MAX_BYTES, write_json
from napari_fcnseg.system.saving import Inputs, Plan, save_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from napari_fcnseg.model.patch_model import ModelLike
    from napari_fcnseg.package.example import Example
    from napari_fcnseg.proof.certificate import Certificate
    from napari_fcnseg.proof.verification import Verification

#: Formats in which a model is one file, and is kept as it is.
_ONE_FILE: Final = (".keras", ".onnx")


@dataclass(frozen=True)
class PackageSettings:
    """What a package is to say that the model's files do not.

    Attributes
    ----------
    licence : str
        Under which others may use the model, as an SPDX name such as ``"CC-BY-4.0"``.
    authors : tuple of str
        Who made it.
    name, description : str
        What the sidecar says otherwise.
    preprocess : tuple of str or None
        Steps; those that the sidecar names otherwise.
    """

    licence: str
    authors: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    preprocess: tuple[str, ...] | None = None


def write_package(
    model: ModelLike,
    path: str | os.PathLike[str],
    *,
    licence: str = "",
    authors: Sequence[str] = (),
    image: Any = None,
    channel_axis: int | None = None,
    preprocess: str | Sequence[str] | None = None,
    name: str = "",
    description: str = "",
    overwrite: bool = False,
) -> Path:
    """Write a model's dense network as a bioimage.io package, with its proof, for other programs to run.

    The package holds the dense network as ONNX, the patch model itself, a test image with the answer to it, the
    certificate of a verification on that image, a README and a picture. It is found valid by ``bioimageio.spec`` before
    it gets its name.

    Parameters
    ----------
    model : path or PatchModel
        The patch model.
    path : path
        A ``.zip`` file, usually ``name.bioimage.zip``.
    licence : str
        Under which others may use the model, as an SPDX name such as ``"CC-BY-4.0"``. It has to be given.
    authors : sequence of str
        Who made the model.
    image : array_like, optional
        As for :func:`napari_fcnseg.segment`. The middle of its first frame becomes the test image, which others can
        see; without it, smooth random numbers do.
    channel_axis : int, optional
        Axis of the image's channels; found by its length otherwise.
    preprocess : sequence of str, optional
        Steps; those that the sidecar, or the catalogue of the samples, names otherwise.
    name, description : str
        Of the model; as its sidecar says otherwise.
    overwrite : bool
        Whether a file of that name is replaced.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    SettingsError
        If the licence is missing or none that is known, or ``bioimageio.spec`` is not installed.
    ImageError
        If the image does not fit the model.
    OutputError
        If the dense network cannot be packaged, or the file cannot be written or is there already.
    """
    target = Path(path)
    if target.suffix.lower() != ".zip":
        raise OutputError(f"A package is written as a .zip file: choose {target.stem or 'model'}.bioimage.zip.")
    chosen = model if isinstance(model, PatchModel) else load_model(model)
    if chosen.labels_every_pixel:
        raise not_converted(chosen.name, "export")
    check_licence(licence)
    steps = tuple(map(str, parse(preprocess))) if preprocess is not None else None
    settings = PackageSettings(licence, _names(authors), name, description, steps)
    with Plan((target,), Inputs(chosen.files), overwrite=overwrite).claim():
        _check_packable(chosen)
        chosen = completed(chosen)
        with tempfile.TemporaryDirectory(prefix="fcnseg-") as folder:
            package = _assembled(chosen, Path(folder), settings, image, channel_axis)
            save_whole(target, lambda part: shutil.copyfile(package, part), overwrite=overwrite)
    return target


def check_licence(licence: str) -> None:
    """Find out whether a licence is given and known, and the library that writes packages is there.

    Raises
    ------
    SettingsError
        If that is not so.
    """
    if not licence:
        raise SettingsError(
            "A package says under which licence others may use the model. Choose one by its SPDX name, for example "
            'CC-BY-4.0 or MIT: licence="CC-BY-4.0" in Python, --licence CC-BY-4.0 on the command line.'
        )
    names = licences()
    if licence not in names:
        close = difflib.get_close_matches(licence.upper(), [n.upper() for n in names], 3, 0.5)
        like = [n for n in names if n.upper() in close]
        meant = f" Did you mean {' or '.join(like)}?" if like else " Common ones are CC-BY-4.0, CC0-1.0 and MIT."
        raise SettingsError(f"There is no licence {licence[:60]!r} among the SPDX names.{meant}")


def _names(authors: Sequence[str]) -> tuple[str, ...]:
    """Return names of authors, found to be such as the specification allows."""
    names = tuple(filter(None, map(str.strip, authors)))
    for name in names:
        if "/" in name or "\\" in name:
            raise SettingsError(f"An author's name has no slash, and {name[:60]!r} has one. Name several one by one.")
    return names


def licences() -> tuple[str, ...]:
    """Return the SPDX names of licences that the specification knows.

    Raises
    ------
    SettingsError
        If ``bioimageio.spec`` is not installed.
    """
    try:
        from bioimageio.spec.utils import get_spdx_licenses
    except ImportError:
        raise SettingsError(
            "Packages are written with bioimageio.spec, which is not installed. Install it with: "
            "pip install 'napari-fcnseg[package]'"
        ) from None
    known = get_spdx_licenses()["licenses"]
    return tuple(str(entry["licenseId"]) for entry in known if not entry["isDeprecatedLicenseId"])


def _check_packable(model: PatchModel) -> None:
    network = model.fcn.network
    if not network.steps:
        raise OutputError(
            f"The model {model.name!r} cannot be packaged: its dense network would be far larger than the model, and "
            "other programs run dense networks only. Hand on the model file."
        )


def _assembled(
    model: PatchModel, folder: Path, settings: PackageSettings, image: Any, channel_axis: int | None
) -> Path:
    """Return the package, in a folder for files on the way to it."""
    sidecar = _sidecar(model, settings)
    before, within = split(sidecar.preprocess)
    example, found = answered(model, test_image(model, image, channel_axis, before), within)
    certificate = _certified(model, found)
    patch_model = _keep_patch_model(model, folder)
    write_json(folder / sidecar_path(folder / patch_model).name, sidecar.as_dict(), MAX_BYTES, overwrite=True)
    facts = Facts(model, sidecar, settings.licence, settings.authors, before, within, patch_model)
    _write_files(facts, folder, example, certificate)
    attachments = [files.CERTIFICATE, patch_model, sidecar_path(folder / patch_model).name]
    return _packed(facts, folder, attachments)


def _sidecar(model: PatchModel, settings: PackageSettings) -> Sidecar:
    """Return what is known of the model, with what the user says now."""
    spatial = len(model.patch_shape)
    plain = replace(blank(classes=model.classes, channels=model.channels, spatial=spatial), channel_names=())
    known = model.sidecar or plain
    return replace(
        known,
        name=settings.name or known.name,
        description=settings.description or known.description,
        preprocess=settings.preprocess if settings.preprocess is not None else known.preprocess,
        outputs={},
        patch_size=model.patch_shape if model.network.bands is None else known.patch_size,  # its file may leave it open
    )


def _certified(model: PatchModel, found: Verification) -> Certificate:
    if not found.passed:
        raise OutputError(
            f"The model {model.name!r} was not packaged, for its dense network is not proven on the test image. "
            f"{found} Give an image of the kind that the model was trained on."
        )
    return found.certificate


def _keep_patch_model(model: PatchModel, folder: Path) -> str:
    """Put the patch model into a folder, as its own file where it is one; return that one's name."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", model.name).strip("-") or "model"
    stem = f"patch-{stem}" if f"{stem}.onnx" == files.WEIGHTS else stem
    is_whole = not (model.network.files or model.network.outputs)
    ending = model.path.suffix.lower() if model.path is not None else ""
    if model.path is not None and ending in _ONE_FILE and is_whole:
        shutil.copyfile(model.path, folder / f"{stem}{ending}")
        return f"{stem}{ending}"
    model.save(folder / f"{stem}.keras", overwrite=True)
    return f"{stem}.keras"


def _write_files(facts: Facts, folder: Path, example: Example, certificate: Certificate) -> None:
    import imageio.v3 as iio
    import tifffile

    try:
        (folder / files.WEIGHTS).write_bytes(dense_model(facts.model.fcn.network, reflected=True))
    except ValueError as error:
        raise OutputError(
            f"The model {facts.model.name!r} cannot be packaged: {error}. Hand on the model file."
        ) from None
    for array, exact, seen in (
        (example.image, files.INPUT, files.SEEN_INPUT),
        (example.answer, files.OUTPUT, files.SEEN_OUTPUT),
    ):
        np.save(folder / exact, array[None])
        tifffile.imwrite(folder / seen, array[None], photometric="minisblack", compression="zlib")
    iio.imwrite(folder / files.COVER, cover(example, facts.model.class_colors))
    certificate.save(folder / files.CERTIFICATE)
    (folder / files.README).write_text(readme(facts, certificate), encoding="utf-8")


def _packed(facts: Facts, folder: Path, attachments: Sequence[str]) -> Path:
    """Return the package of the files in a folder, found valid."""
    from bioimageio.spec import (
        InvalidDescr,
        ValidationContext,
        build_description,
        load_description,
        save_bioimageio_package_as_folder,
    )
    from bioimageio.spec.model import ModelDescr

    content = description(facts, ModelDescr.implemented_format_version, attachments)
    # An address that is known is not asked for: nobody wants a citation to be looked up.
    urls = [entry["url"] for entry in content["cite"] if "url" in entry]
    known = dict.fromkeys([*urls, *(f"{url}/" for url in urls)])  # it adds one to an address without a path
    package = folder / "package.zip"
    with ValidationContext(root=folder, file_name="rdf.yaml", known_files=dict(known)):
        found = build_description(content)
        if not isinstance(found, InvalidDescr):
            _zip(Path(save_bioimageio_package_as_folder(found, output_path=folder / "package")), package)
            found = load_description(package, perform_io_checks=True, known_files=dict(known))
    if isinstance(found, InvalidDescr):
        raise OutputError(f"The model {facts.model.name!r} was not packaged: {found.get_reason()}")
    return package


def _zip(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
