"""Model files to inert graphs: one file per format; nothing a file holds is ever run."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from napari_fcnseg.errors import ModelFileError
from napari_fcnseg.readers.problem import UnreadableError
from napari_fcnseg.readers.sniff import HEAD, sniff

if TYPE_CHECKING:
    from napari_fcnseg.graph.network import Network

__all__ = ["read_model"]


def read_model(path: str | os.PathLike[str]) -> Network:
    """Read a model file into an inert network.

    The format is told by the file's first bytes. Nothing is imported or run because the file says so.

    Parameters
    ----------
    path : str or os.PathLike
        A ``.keras`` file (Keras 3, tf.keras 2.12 to 2.15) or a whole model in ``.h5`` (Keras 2 and 3).

    Returns
    -------
    Network
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
        return _read(path)
    except UnreadableError as problem:
        reason, advice = problem.reason, problem.advice
    except FileNotFoundError:
        reason, advice = "there is no such file", "Check the folder and the spelling."
    except PermissionError:
        reason, advice = "you have no permission to read it", "Ask its owner, or copy it to a folder of your own."
    except OSError as error:
        reason = f"the system reports: {error.strerror or error}"
        advice = "Check that the disk or network drive is available, then try again."
    raise ModelFileError(f"The file {str(path)!r} cannot be used as a model: {reason}. {advice}")


def _read(path: Path) -> Network:
    # Late: who has files read apart needs none of the libraries that read them.
    from napari_fcnseg.readers import keras_h5, keras_zip

    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise _directory(path)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("it is no ordinary file", "Copy its content into a file first.")
    with path.open("rb") as file:
        kind = sniff(file.read(HEAD))
        file.seek(0)
        if kind == "zip":
            return keras_zip.read(file)
        return keras_h5.read(file, os.fstat(file.fileno()).st_size)


def _directory(path: Path) -> UnreadableError:
    if (path / "saved_model.pb").exists():
        return UnreadableError(
            "it is a TensorFlow SavedModel folder, which is not read yet",
            "Where the model was trained, load it with tf.keras.models.load_model and save it with "
            "model.save('my_model.keras'), then open that file.",
        )
    return UnreadableError("it is a folder", "Choose the model file inside it.")
