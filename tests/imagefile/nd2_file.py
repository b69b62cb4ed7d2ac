"""Writes small files as Nikon's NIS-Elements does (version 2: named chunks, described in XML), for tests of reading."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

_MAGIC = 0x0ABECEDA
_RESERVED = 4072  # bytes for the name of a frame, whose pixels begin on a page of memory
_KINDS = {bool: "bool", int: "lx_uint32", float: "double", str: "CLxStringW"}


def write_nd2(path: Path, frames: np.ndarray, loops: list[tuple[int, int, float]], size: float) -> None:
    """Write frames ``(frame, channel, row, column)``, 16 bits, of one or two loops.

    ``loops`` has kind (2: positions, 4: z), number and step in micrometres of each, the outer one first; ``size`` is
    that of a pixel, 0 for one that is not known.
    """
    count, channels, rows, columns = frames.shape
    probe = {"m_ExcitationSpectrum": {"pPoint": {"Point0": {"dTValue": 1.0, "dWavelength": 488.0}}}}
    probe["m_EmissionSpectrum"] = probe["m_ExcitationSpectrum"]
    plane = {"uiCompCount": 1, "pFluorescentProbe": probe}
    planes = {f"a{n}": {**plane, "uiSampleIndex": 0, "sDescription": f"c{n}"} for n in range(channels)}
    described = {
        "bCalibrated": size > 0, "dCalibration": size or 1.0,
        "sPicturePlanes": {"uiCount": channels, "sPlaneNew": planes},
    }  # fmt: skip
    attributes = {
        "uiWidth": columns, "uiWidthBytes": columns * channels * 2, "uiHeight": rows, "uiComp": channels,
        "uiBpcInMemory": 16, "uiBpcSignificant": 16, "uiSequenceCount": count, "eCompression": 2,
    }  # fmt: skip
    experiment: dict[str, Any] = {}
    for kind, number, step in reversed(loops):
        parameters: dict[str, Any] = {"uiCount": number, "dZStep": step}
        if kind == 2:
            parameters["Points"] = {f"i{n:010}": {"dPosX": float(n), "dPosY": 0.0, "dPosZ": 0.0} for n in range(number)}
        inner = {"i0000000000": experiment} if experiment else {}
        experiment = {"eType": kind, "uLoopPars": parameters, **({"ppNextLevelEx": inner} if inner else {})}
    chunks = {
        "ImageAttributes!": _xml(attributes), "ImageMetadataSeq|0!": _xml(described),
        "ImageMetadata!": _xml(experiment),
    }  # fmt: skip
    for number, frame in enumerate(frames):  # the channels of a pixel lie side by side
        chunks[f"ImageDataSeq|{number}!"] = struct.pack("<d", 0.0) + frame.transpose(1, 2, 0).tobytes()
    data = _chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver2.1".ljust(64, b"\0"))
    places = b""
    for name, content in chunks.items():
        places += name.encode() + struct.pack("<QQ", len(data), len(content))
        reserved = _RESERVED if name.startswith("ImageDataSeq") else 0
        data += _chunk(name.encode().ljust(reserved, b"\0"), content)
    signature = b"ND2 CHUNK MAP SIGNATURE 0000001!"
    end = struct.pack("<32sQ", signature, len(data))
    path.write_bytes(data + _chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", places + end))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<IIQ", _MAGIC, len(name), len(content)) + name + content


def _xml(values: dict[str, Any]) -> bytes:
    return f'<variant version="1.0"><no_name runtype="CLxListVariant">{_nodes(values)}</no_name></variant>'.encode()


def _nodes(values: dict[str, Any]) -> str:
    return "".join(_node(name, value) for name, value in values.items())


def _node(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return f'<{name} runtype="CLxListVariant">{_nodes(value)}</{name}>'
    text = str(value).lower() if isinstance(value, bool) else value
    return f'<{name} runtype="{_KINDS[type(value)]}" value="{text}"/>'
