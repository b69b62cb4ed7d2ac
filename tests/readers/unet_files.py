"""Packages of tiny networks that label every pixel by themselves, composed here."""

from __future__ import annotations

import copy
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from onnx.reference import ReferenceEvaluator
from readers.onnx_files import model, node

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

HALO = 8


def unet(
    *, maps: int = 3, channels: int = 1, last: str = "Softmax", pad: int = 1, axes: int = 2, names: str = "y"
) -> onnx.ModelProto:
    """Return a U-Net of two levels, ``(1, channel, row, column)`` to ``(1, map, row, column)``."""
    random = np.random.default_rng(7)

    def weights(*shape: int) -> Any:
        return (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    window, two, pads = [3] * axes, [2] * axes, [pad] * (2 * axes)
    arrays = {
        "w1": weights(4, channels, *window), "w2": weights(5, 4, *window), "w3": weights(5, 4, *two),
        "w4": weights(maps, 8, *window) * 3, "b4": weights(maps, 1)[:, 0],
    }  # fmt: skip
    nodes = [
        node("Conv", "x w1", "a", pads=[1] * (2 * axes), kernel_shape=window),
        node("Relu", "a", "b"),
        node("MaxPool", "b", "c", kernel_shape=two, strides=two),
        node("Conv", "c w2", "d", pads=[1] * (2 * axes), kernel_shape=window),
        node("Relu", "d", "e"),
        node("ConvTranspose", "e w3", "f", kernel_shape=two, strides=two),
        node("Concat", "b f", "g", axis=1),
        node("Conv", "g w4 b4", "h", pads=pads, kernel_shape=window),
        node(last, "h", "y", **({"axis": 1} if last == "Softmax" else {})),
    ]
    for number, each in enumerate(nodes):
        each.name = f"{each.op_type}_{number}"
    return model(nodes, arrays, ("n", channels, *(f"s{n}" for n in range(axes))), opset=18)


def description(axes: str = "yx", **changes: Any) -> dict[str, Any]:
    """Return what a package says of such a network; ``changes`` replace entries of the whole."""
    data: dict[str, Any] = {
        "type": "model",
        "format_version": "0.5.4",
        "name": "Tiny U-Net",
        "description": "Nuclei.",
        "license": "MIT",
        "inputs": [
            {
                "id": "raw",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": ["dna"]},
                    *({"type": "space", "id": axis, "size": {"min": 16, "step": 2}} for axis in axes),
                ],
                "preprocessing": [{"id": "scale_linear", "kwargs": {"gain": 0.01, "offset": -0.5}}],
            }
        ],
        "outputs": [
            {
                "id": "y",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": ["off", "edge", "inside"]},
                    *(
                        {"type": "space", "id": axis, "size": {"tensor_id": "raw", "axis_id": axis}, "halo": HALO}
                        for axis in axes
                    ),
                ],
            }
        ],
        "weights": {"onnx": {"source": "weights.onnx", "opset_version": 18}},
    }
    return {**data, **copy.deepcopy(changes)}


def one_map(data: dict[str, Any], name: str = "nuclei", *after: Any) -> dict[str, Any]:
    """Return the description with one map, and steps after the network."""
    data = copy.deepcopy(data)
    data["outputs"][0]["axes"][1] = {"type": "channel", "channel_names": [name]}
    data["outputs"][0]["postprocessing"] = list(after)
    return data


def package(path: Path, data: Any, weights: onnx.ModelProto | bytes, **files: bytes) -> Path:
    """Write a package."""
    content = weights if isinstance(weights, bytes) else weights.SerializeToString()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rdf.yaml", data if isinstance(data, bytes) else yaml.safe_dump(data))
        for name, each in {"weights.onnx": content, **files}.items():
            archive.writestr(name, each)
    return path


def truth(weights: onnx.ModelProto, image: Any) -> Any:
    """Return what ONNX's own definition of the operators gives of an image without channels: ``(*spatial, map)``."""
    (answer,) = ReferenceEvaluator(weights).run(None, {"x": np.asarray(image, np.float32)[None, None]})
    return np.moveaxis(answer[0], 0, -1)
