"""Model files to inert graphs: one file per format; nothing a file holds is ever run."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from napari_fcnseg.errors import ModelFileError, UnreadableError
from napari_fcnseg.readers.guard.sniff import HEAD, sniff
from napari_fcnseg.readers.options import PLAIN, ReadOptions
from napari_fcnseg.readers.problem import too_much_memory

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.graph.pixel_network import PixelNetwork

__all__ = ["read_model"]


def read_model(
    path: str | os.PathLike[str], output: str | None = None, options: ReadOptions = PLAIN
) -> Network | PixelNetwork:
    """Read a model file into an inert network.

    The format is told by the file's first bytes. Nothing is imported or run because the file says so.

    Parameters
    ----------
    path : str or os.PathLike
        A ``.keras`` file (Keras 3, tf.keras 2.12 to 2.15); a whole model in ``.h5`` (Keras 2 and 3); a SavedModel
        folder of Keras 2; an architecture as ``.json`` or its weights as ``.h5``, with the other of the two beside it;
        a bioimage.io package.
    output : str, optional
        Which of several outputs; the first where none is named.
    options : ReadOptions
        What the file does not say.

    Returns
    -------
    Network or PixelNetwork
        The network and its arrays.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, of another kind, or holds no whole model.
    UnsupportedLayerError
        The model holds a layer that cannot be used.
    ConversionError
        The model has no fixed patch size.
    """
    path = Path(path)
    try:
        return _read(path, output, options)
    except UnreadableError as problem:
        reason, advice = problem.reason, problem.advice
    except MemoryError:
        reason, advice = too_much_memory()
        reason = reason.removesuffix(".")
    except FileNotFoundError:
        reason, advice = "there is no such file", "Check the folder and the spelling."
    except PermissionError:
        reason, advice = "you have no permission to read it", "Ask its owner, or copy it to a folder of your own."
    except OSError as error:
        reason = f"the system reports: {error.strerror or error}"
        advice = "Check that the disk or network drive is available, then try again."
    what = "folder" if path.is_dir() else "file"
    refused = ModelFileError(f"The {what} {str(path)!r} cannot be used as a model: {reason}. {advice}")
    refused.reason = reason
    raise refused


def _read(path: Path, output: str | None, options: ReadOptions) -> Network | PixelNetwork:
    # Late: who has files read apart needs none of the libraries that read them.
    from napari_fcnseg.readers import programs
    from napari_fcnseg.readers.bioimageio import package
    from napari_fcnseg.readers.keras import weights_only
    from napari_fcnseg.readers.onnx import network as onnx_network
    from napari_fcnseg.readers.savedmodel import saved_model
    from napari_fcnseg.readers.tflite import network as tflite_network

    status = path.stat()
    folder = path if stat.S_ISDIR(status.st_mode) else saved_model.folder_of(path)
    if folder is not None:
        if path == folder and (network := package.read_folder(folder, output, options)) is not None:
            return network
        if (refused := programs.refusal(folder)) is not None:
            raise refused
        if not saved_model.is_saved_model(folder):
            raise UnreadableError("it is a folder", "Choose the model file inside it.")
        return _read_saved_model(folder, path, output, options)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("it is no ordinary file", "Copy its content into a file first.")
    if package.is_description(path):
        return package.read_description(path, output, options)
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD))
        file.seek(0)
        if kind == "zip":
            return _read_zip(path, file, output, options)
        if kind == "onnx":
            return onnx_network.read(file, path, output, options)
        if kind == "tflite":
            return tflite_network.read(file, path, output, options)
        if kind == "json":
            if path.name == programs.CONFIG and (refused := programs.refusal(path.parent)) is not None:
                raise refused
            return weights_only.read_json(path, file, output, options)
        return _read_hdf5(path, file, output, options)


def _read_saved_model(folder: Path, path: Path, output: str | None, options: ReadOptions) -> Network:
    from napari_fcnseg.readers import programs
    from napari_fcnseg.readers.savedmodel import saved_model

    if not programs.is_deepimagej(folder):
        return saved_model.read(path, output, options)
    try:
        network = saved_model.read(path, output, options)
    except UnreadableError as problem:
        raise UnreadableError(f"it is in a folder of deepImageJ, and {problem.reason}", problem.advice) from None
    return replace(network, notes=(*network.notes, *programs.macro_note(folder)))


def _read_zip(path: Path, file: BinaryIO, output: str | None, options: ReadOptions) -> Network | PixelNetwork:
    from napari_fcnseg.readers import programs
    from napari_fcnseg.readers.bioimageio import package
    from napari_fcnseg.readers.guard.archive import Archive
    from napari_fcnseg.readers.keras import keras_file
    from napari_fcnseg.readers.torch_export import network as exported
    from napari_fcnseg.readers.torch_export.archive import is_exported

    archive = Archive(file)
    if any(name.endswith("saved_model.pb") for name in archive.names()) and (no := programs.refusal(path.parent)):
        raise no
    if is_exported(archive.names()):
        file.seek(0)
        return exported.read(file, path, output, options)
    network = package.read_archive(archive, output, options)
    file.seek(0)
    return keras_file.read(file, output, options) if network is None else network


def _read_hdf5(path: Path, file: BinaryIO, output: str | None, options: ReadOptions) -> Network:
    from napari_fcnseg.readers import programs
    from napari_fcnseg.readers.guard.hdf5 import Hdf5
    from napari_fcnseg.readers.keras import h5_file, weights_only

    size = os.fstat(file.fileno()).st_size
    with Hdf5(file, size) as content:
        if weights_only.holds_weights_only(content):
            if (refused := programs.refusal(path.parent)) is not None:
                raise refused
            return weights_only.read_weights(path, content, output, options)
    file.seek(0)
    return h5_file.read(file, size, output, options)
