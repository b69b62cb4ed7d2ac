"""Recognise the kind of a file by its first bytes, never by its name."""

from __future__ import annotations

from typing import Final, Literal

from napari_fcnseg.errors import SAVE_AGAIN, UnreadableError

#: How many of a file's first bytes are looked at.
HEAD: Final = 64

_MODEL: Final = "Open a model file that Keras wrote (.keras or .h5), or an ONNX export."
_PYTORCH: Final = "Export the model with torch.onnx.export, or rebuild it in Keras and save it as .keras."
_PICKLE: Final = (
    "it is a Python pickle (perhaps a PyTorch or scikit-learn model), which is never opened because that runs its code"
)
_KERAS_AGAIN: Final = "Where the model was trained, save it with model.save('my_model.keras'), and open that file."
_MATLAB: Final = (
    "Where the network was trained, write it with exportONNXNetwork(net, 'my_model.onnx'), and open that file."
)
_FOREIGN: Final = (
    (b"\x89PNG", "it is a PNG image", _MODEL),
    (b"\xff\xd8\xff", "it is a JPEG image", _MODEL),
    (b"II*\0", "it is a TIFF image", _MODEL),
    (b"MM\0*", "it is a TIFF image", _MODEL),
    (b"II+\0", "it is a TIFF image", _MODEL),
    (b"\x93NUMPY", "it is a NumPy array", _MODEL),
    (b"%PDF", "it is a PDF document", _MODEL),
    (b"MATLAB ", "it is a MATLAB file", _MATLAB),
    (b"GIF8", "it is a GIF image", _MODEL),
    (b"\x1f\x8b", "it is compressed with gzip", "Unpack it first, and open the model file inside."),
    (b"BZh", "it is compressed with bzip2", "Unpack it first, and open the model file inside."),
    (b"7z\xbc\xaf", "it is a 7-Zip archive", "Unpack it first, and open the model file inside."),
    (b"PK\x05\x06", "it is an empty zip archive", SAVE_AGAIN),
    (b"version https://git-lfs", "it only points to a file in Git LFS", "Fetch the file itself with 'git lfs pull'."),
)


def sniff(head: bytes) -> Literal["zip", "hdf5", "json", "onnx", "tflite"]:
    """Tell the format by the first bytes.

    Parameters
    ----------
    head : bytes
        The first :data:`HEAD` bytes, fewer in a shorter file.

    Returns
    -------
    {"zip", "hdf5", "json", "onnx", "tflite"}
        The format.

    Raises
    ------
    UnreadableError
        It is none of those, with a name for what it looks like.
    """
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.lstrip().startswith(b"{"):
        return "json"
    # A bare protocol buffer whose first field is the version of the ONNX format, a small number.
    if head[:1] == b"\x08" and len(head) > 2 and 2 < head[1] < 0x20:
        return "onnx"
    for magic, reason, advice in _FOREIGN:
        if head.startswith(magic):
            raise UnreadableError(reason, advice)
    raise _unnamed(head)


def _unnamed(head: bytes) -> UnreadableError:
    """Name what has no magic bytes of its own."""
    if not head:
        return UnreadableError("it is empty", "Copy or download the file again, or save the model again.")
    if head.startswith((b"backend:", b"class_name:", b"config:")):
        return UnreadableError(
            "it describes a network in YAML, without its weights",
            "Build it with keras.models.model_from_yaml where it was trained (TensorFlow before 2.6), load the "
            "weights, and write model.to_json() beside them, or save it whole with model.save('my_model.h5').",
        )
    if head.startswith(b"model_checkpoint_path"):
        return UnreadableError(
            "it names the newest of TensorFlow's checkpoints, which hold weights without a network",
            f"Build the network again, load the checkpoint into it with model.load_weights. {_KERAS_AGAIN}",
        )
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return UnreadableError(
            "it is a web page, whatever its name says", "Download the file itself (often there is a button 'raw')."
        )
    if head[0] == 0x80 and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return UnreadableError(_PICKLE, _PYTORCH)
    # Bare protocol buffers: a SavedModel starts with its version, 1; a GraphDef with its first node.
    if head.startswith(b"\x08\x01\x12") or (head.startswith(b"\x0a") and b"Placeholder" in head):
        return UnreadableError(
            "it seems to be a TensorFlow graph or a part of a SavedModel",
            "Open the folder of the SavedModel, or save the model with Keras: model.save('my_model.keras').",
        )
    if head.lstrip().startswith(b"["):
        return UnreadableError("it is a JSON text that describes no model", _MODEL)
    if _is_text(head):
        return UnreadableError("it is a text file, whatever its name says", _MODEL)
    return UnreadableError("it is neither a zip archive nor an HDF5 file nor an ONNX model", _MODEL)


def _is_text(head: bytes) -> bool:
    try:
        text = head[:-3].decode("utf-8") if len(head) == HEAD else head.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)
