"""The description of a package in the terms of bioimage.io's specification 0.5, as plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from napari_fcnseg.model.sidecar.bioimageio import described
from napari_fcnseg.model.sidecar.values import Citation
from napari_fcnseg.package.tiling import halos, minimum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.model.sidecar import Sidecar
    from napari_fcnseg.preprocess import Step

#: Files of a package.
WEIGHTS: Final = "dense.onnx"
INPUT, OUTPUT = "test_input.npy", "test_output.npy"
#: The same as pictures, for people to look at.
SEEN_INPUT, SEEN_OUTPUT = "sample_input.tif", "sample_output.tif"
README, COVER, CERTIFICATE = "README.md", "cover.png", "certificate.json"
#: Under which this program's own facts stand in a package's ``config``.
CONFIG: Final = "napari_fcnseg"
#: Tensors of the dense network.
IMAGE, ANSWER = "image", "answer"
METHOD: Final = Citation(
    "Li, Zhao, Wang (2014): Highly Efficient Forward and Backward Propagation of Convolutional Neural Networks for "
    "Pixelwise Classification",
    "10.48550/arXiv.1412.4526",
)
_TOLERANCE: Final = 1e-5
#: What the specification calls an axis of time.
_TIME: Final = "time"
_NAMES: Final = {"t": _TIME}
_SHORTEST_NAME, _LONGEST_NAME = 5, 64
_LONGEST_TEXT, _LONGEST_NOTE = 1024, 128


@dataclass(frozen=True)
class Facts:
    """What a package says.

    Attributes
    ----------
    model : PatchModel
        The model.
    sidecar : Sidecar
        What is known of it.
    licence : str
        An SPDX name.
    authors : tuple of str
        Names.
    before, within : tuple of Step
        Steps that are done to an image before another program gets it, and by that program.
    patch_model : str
        The file that the patch model is kept in.
    """

    model: PatchModel
    sidecar: Sidecar
    licence: str
    authors: tuple[str, ...]
    before: tuple[Step, ...]
    within: tuple[Step, ...]
    patch_model: str

    @property
    def name(self) -> str:
        """The package's name, of the letters that the specification allows."""
        name = re.sub(r"[^A-Za-z0-9_+\-() ]+", "-", self.sidecar.name or self.model.name).strip(" -")[:_LONGEST_NAME]
        return name if len(name) >= _SHORTEST_NAME else f"{name} patch classifier".strip()

    @property
    def description(self) -> str:
        """What the model does, in a sentence or as its sidecar says."""
        return (self.sidecar.description or f"Labels each pixel: {', '.join(self.outputs)}.")[:_LONGEST_TEXT]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's numbers. A single one speaks for the second of two classes."""
        return self.model.class_names if self.model.fcn.network.outputs > 1 else self.model.class_names[1:]

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the image's axes, as the specification has them."""
        return tuple(_NAMES.get(name, name) for name in self.sidecar.axes)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the image's channels."""
        named = self.sidecar.channel_names or _distinct(self.model.network.input_names)
        return named or tuple(f"channel {n + 1}" for n in range(self.model.channels))


def description(facts: Facts, format_version: str, attachments: Sequence[str]) -> dict[str, Any]:
    """Return the content of ``bioimageio.yaml``.

    Parameters
    ----------
    facts : Facts
        What it says.
    format_version : str
        Of the specification.
    attachments : sequence of str
        Names of further files.
    """
    opset = _opset()
    cited = [entry for entry in facts.sidecar.cite if entry.doi or entry.url]
    return {
        "type": "model",
        "format_version": format_version,
        "name": facts.name,
        "description": facts.description,
        "authors": [{"name": name} for name in facts.authors],
        "license": facts.licence,
        "documentation": {"source": README},
        "covers": [{"source": COVER}],
        "cite": [_cited(entry) for entry in (*cited, METHOD)],
        "tags": ["semantic-segmentation", "segmentation", f"{len(facts.model.patch_shape)}d", "patch-classifier"],
        "inputs": [_input(facts)],
        "outputs": [_output(facts)],
        "weights": {"onnx": {"source": WEIGHTS, "opset_version": opset, "comment": "The dense network, in float32."}},
        "attachments": [{"source": name} for name in attachments],
        "config": {
            "bioimageio": {
                "reproducibility_tolerance": [
                    {"relative_tolerance": _TOLERANCE, "absolute_tolerance": _TOLERANCE}
                ],
                "architecture_type": "dense patch classifier",
                "task": "semantic segmentation",
            },
            CONFIG: _config(facts),
        },
    }  # fmt: skip


def _opset() -> int:
    from napari_fcnseg.engine.onnx_graph.model_bytes import OPSET

    return OPSET


def _config(facts: Facts) -> dict[str, Any]:
    axes = facts.sidecar.axes
    taught = facts.sidecar.other.get("taught")
    return {
        "package_version": "1",
        "patch_model": facts.patch_model,
        "output": facts.model.output,
        "patch_shape": list(facts.model.patch_shape),
        "head": facts.model.fcn.network.head,
        "sha256": facts.model.sha256,
        "prepared_with": [described(step, axes) for step in facts.before],
        **({"taught": taught} if taught else {}),
    }


def _input(facts: Facts) -> dict[str, Any]:
    note = "Any size from the least on." if not facts.before else f"After {', '.join(map(str, facts.before))}."
    sizes = [{"min": least, "step": 1} for least in minimum(facts.model.fcn.network)]
    spatial = [{**axis, "size": size} for axis, size in zip(_spatial(facts), sizes, strict=True)]
    entry = {
        "id": IMAGE,
        "description": note if len(note) <= _LONGEST_NOTE else "Prepared as the README says.",
        "axes": [_BATCH, *spatial, {"type": "channel", "channel_names": list(facts.channels)}],
        "test_tensor": {"source": INPUT},
        "sample_tensor": {"source": SEEN_INPUT},
        "data": {"type": "float32"},
        "preprocessing": [*(described(step, facts.axes) for step in facts.within), _AS_FLOAT],
    }
    return entry | ({"pad": {"mode": "reflect"}} if any(halos(facts.model.fcn.network)) else {})


def _output(facts: Facts) -> dict[str, Any]:
    spatial = [
        {**axis, "size": {"tensor_id": IMAGE, "axis_id": axis["id"]}, **({"halo": halo} if halo else {})}
        for axis, halo in zip(_spatial(facts), halos(facts.model.fcn.network), strict=True)
    ]
    what = {"softmax": "Probabilities of the classes", "sigmoid": "Probabilities", "scores": "Scores of the classes"}
    return {
        "id": ANSWER,
        "description": f"{what[facts.model.fcn.network.head]} at each pixel.",
        "axes": [_BATCH, *spatial, {"type": "channel", "channel_names": list(facts.outputs)}],
        "test_tensor": {"source": OUTPUT},
        "sample_tensor": {"source": SEEN_OUTPUT},
        "data": {"type": "float32"},
    }


#: Otherwise a program may hand on what a step makes: whether a pixel is above a threshold.
_AS_FLOAT: Final[Mapping[str, Any]] = {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}
#: The dense network takes one image at a time.
_BATCH: Final[Mapping[str, Any]] = {"type": "batch", "size": 1}


def _spatial(facts: Facts) -> list[dict[str, Any]]:
    sizes = facts.sidecar.pixel_size or (None,) * len(facts.sidecar.axes)
    axes = []
    for name, size in zip(facts.axes, sizes, strict=True):
        axis: dict[str, Any] = {"type": "time" if name == _TIME else "space", "id": name}
        if size is not None and axis["type"] == "space":
            axis |= {"scale": size, **({"unit": facts.sidecar.unit} if facts.sidecar.unit else {})}
        axes.append(axis)
    return axes


def _cited(entry: Citation) -> dict[str, str]:
    found = {"text": entry.text, "doi": entry.doi, "url": entry.url}
    return {key: value for key, value in found.items() if value}


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of channels with a number where one name is that of several."""
    return tuple(
        name if names.count(name) == 1 else f"{name} {names[: n + 1].count(name)}" for n, name in enumerate(names)
    )
