"""Find, read and write a model's sidecar."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.errors import ModelFileError, OutputError, SettingsError
from napari_fcnseg.model.sidecar import values
from napari_fcnseg.model.sidecar.data import Sidecar, check
from napari_fcnseg.readers.options import ReadOptions
from napari_fcnseg.system.json_file import MAX_BYTES, read_json, write_json
from napari_fcnseg.system.saving import Inputs, Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ENDING: Final = ".fcnseg.json"


def sidecar_path(model: str | os.PathLike[str]) -> Path:
    """Return where a model's sidecar lies: ``cells.keras`` and the folder ``cells/`` have ``cells.fcnseg.json``."""
    path = Path(os.path.abspath(model))
    return path.with_name((path.name if path.is_dir() else path.stem) + ENDING)


def read_sidecar(model: str | os.PathLike[str], spatial: int = 2) -> Sidecar | None:
    """Read the sidecar of a model.

    Parameters
    ----------
    model : path
        The model's file or folder, not the sidecar's.
    spatial : int
        Number of spatial axes of the model, for a sidecar that does not name them.

    Returns
    -------
    Sidecar or None
        None if absent.

    Raises
    ------
    ModelFileError
        If it cannot be read or holds something else; the sentence names file and field.
    """
    path = sidecar_path(model)
    if not os.path.exists(path):
        return None
    try:
        return Sidecar.from_dict(read_json(path, "sidecar"), spatial)
    except SettingsError as error:
        raise _in_file(path, error) from None


def read_options(model: str | os.PathLike[str]) -> ReadOptions:
    """Read what a model's sidecar says about how the model is to be read.

    Raises
    ------
    ModelFileError
        If the sidecar cannot be read, or one of these fields is not of its kind.
    """
    path = sidecar_path(model)
    if not os.path.exists(path):
        return ReadOptions()
    data = read_json(path, "sidecar")
    try:
        return ReadOptions(
            values.patch_size(data.get("patch_size") or ()),
            values.backend(data.get("keras_1_backend") or "") or None,  # type: ignore[arg-type]
            values.bands_axis(data.get("bands_axis")),
            values.outputs_are(data.get("outputs_are") or "") == "classes",
        )
    except ValueError as error:
        raise _in_file(path, SettingsError(f"The sidecar's field {error}.")) from None


def write_sidecar(
    model: str | os.PathLike[str], sidecar: Sidecar, *, replace_unreadable: bool = False, files: Iterable[Path] = ()
) -> Path:
    """Write the sidecar of a model. Fields of the present one that this program does not know are kept.

    Parameters
    ----------
    model : path
        The model's file or folder, not the sidecar's.
    sidecar : Sidecar
        What to write.
    replace_unreadable : bool
        Whether a file may be replaced that cannot be read as a sidecar.
    files : iterable of Path
        What else the model was read from.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    OutputError
        If it cannot be written, or something is there that cannot be read as a sidecar.
    """
    path = sidecar_path(model)
    if path.is_dir():  # replacing it could lose more than a file
        raise OutputError(f"The sidecar cannot be written: {path} is a folder. Move it away.")
    inputs = Inputs(file for file in (model, *files) if os.fspath(file) != os.fspath(path))
    with Plan((path,), inputs, overwrite=True).claim():
        return _update(model, path, sidecar, replace_unreadable=replace_unreadable)


def write_patch_size(model: str | os.PathLike[str], sizes: Sequence[int]) -> Path:
    """Write into the sidecar how large the patches of a model are that takes any; everything else in it stays.

    Parameters
    ----------
    model : path
        The model's file or folder.
    sizes : sequence of int
        Of the patch, per axis.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    OutputError
        If it cannot be written.
    ModelFileError
        If there is one that cannot be read.
    """
    path = sidecar_path(model)
    with Plan((path,), Inputs([model]), overwrite=True).claim():
        present = read_json(path, "sidecar") if path.exists() else {}
        write_json(path, {**present, "patch_size": list(values.patch_size(list(sizes)))}, MAX_BYTES, overwrite=True)
    return path


def _update(model: str | os.PathLike[str], path: Path, sidecar: Sidecar, *, replace_unreadable: bool) -> Path:
    """Read what is there, and write it with what is new, while no other process does."""
    try:
        present = read_sidecar(model, len(sidecar.axes))
    except ModelFileError as error:
        if not replace_unreadable:
            raise OutputError(f"The sidecar was not written, for there is one already. {error}") from None
        present = None
    kept = present.other if present is not None else {}
    data = sidecar.as_dict()
    data |= {key: value for key, value in kept.items() if key not in data}
    write_json(path, data, MAX_BYTES, overwrite=True)
    return path


def sidecar_for(
    model: str | os.PathLike[str], *, classes: int, channels: int, spatial: int, output: str = ""
) -> Sidecar | None:
    """Read the sidecar of a model and check that it fits it.

    Parameters
    ----------
    model : path
        The model's file or folder.
    classes, channels, spatial : int
        Numbers of classes, input channels and spatial axes of the model.
    output : str
        The output chosen, of a model that has several.

    Raises
    ------
    ModelFileError
        As :func:`read_sidecar`, and if it does not fit.
    """
    sidecar = read_sidecar(model, spatial)
    if sidecar is None:
        return None
    sidecar = sidecar.for_output(output)
    try:
        check(sidecar, classes=classes, channels=channels, spatial=spatial)
    except SettingsError as error:
        raise _in_file(sidecar_path(model), error) from None
    return sidecar


def sidecar_within(
    model: str | os.PathLike[str], said: Mapping[str, Any], *, classes: int, channels: int, spatial: int
) -> Sidecar:
    """Return what a package says of its model as a sidecar, found to fit it.

    Names of classes are left out where there are not as many as classes: others describe outputs in other ways.

    Parameters
    ----------
    model : path
        The package.
    said : mapping
        What it says, as it was parsed.
    classes, channels, spatial : int
        Numbers of classes, input channels and spatial axes of the model.

    Raises
    ------
    ModelFileError
        If it is not of its kind, or does not fit.
    """
    names = said.get("class_names")
    fitting = {
        k: v for k, v in said.items() if k != "class_names" or (isinstance(v, list) and len(names or ()) == classes)
    }
    try:
        sidecar = Sidecar.from_dict(fitting, spatial)
        check(sidecar, classes=classes, channels=channels, spatial=spatial)
    except SettingsError as error:
        text = str(error).replace("The sidecar's field", "What it says of the field")
        raise ModelFileError(f"The package {str(model)!r} cannot be used as a model. {text}") from None
    return sidecar


def _in_file(path: Path, error: SettingsError) -> ModelFileError:
    return ModelFileError(f"{error} Correct {str(path)!r}, or move that file away.")


def agreed_preprocess(members: Sequence[tuple[str, Sidecar | None]]) -> tuple[str, ...]:
    """Return the preprocessing that the sidecars of an ensemble ask for; none where there is no sidecar.

    Parameters
    ----------
    members : sequence of (str, Sidecar or None)
        Name and sidecar of each model.

    Raises
    ------
    SettingsError
        If they ask for different steps.
    """
    wanted = [(name, sidecar.preprocess if sidecar is not None else ()) for name, sidecar in members]
    for name, steps in wanted[1:]:
        if steps != wanted[0][1]:
            said = [f"{n!r} asks for {', '.join(s) or 'none'}" for n, s in (wanted[0], (name, steps))]
            raise SettingsError(
                f"The models do not agree on preprocessing: {' and '.join(said)}. Name the steps to use, or use models "
                "that were trained with the same."
            )
    return wanted[0][1] if wanted else ()
