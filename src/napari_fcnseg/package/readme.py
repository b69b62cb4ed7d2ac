"""What a package says to people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_fcnseg.package.description import CERTIFICATE, IMAGE, METHOD, WEIGHTS
from napari_fcnseg.package.normalisation import recipe
from napari_fcnseg.package.tiling import halos, minimum
from napari_fcnseg.preprocess import JOINT_STEPS
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from napari_fcnseg.model.sidecar.values import Citation
    from napari_fcnseg.package.description import Facts
    from napari_fcnseg.proof.certificate import Certificate


def readme(facts: Facts, certificate: Certificate) -> str:
    """Return the README of a package as Markdown.

    Parameters
    ----------
    facts : Facts
        What the package says.
    certificate : Certificate
        Of the test image.
    """
    sections = {
        facts.name: _what(facts),
        "Prepare the image": _prepared(facts),
        "Run it": _run(facts),
        "Validation": _validated(certificate),
        "Training data": _taught(facts),
        "Cite": "\n".join(f"- {_cited(entry)}" for entry in (*facts.sidecar.cite, METHOD)),
        "Licence": facts.licence,
    }
    return (
        "\n\n".join(f"{'#' * (1 + bool(n))} {title}\n{text}" for n, (title, text) in enumerate(sections.items())) + "\n"
    )


def _what(facts: Facts) -> str:
    names = "\n".join(f"{n}. {name}" for n, name in enumerate(facts.model.class_names, 1))
    text = (
        f"{facts.description}\n\nThe model classifies the middle pixel of a patch of "
        f"{format_shape(facts.model.patch_shape)} pixels. `{WEIGHTS}` is its dense network, converted by "
        "napari-fcnseg: it returns the same numbers at every pixel of an image in one pass. "
        f"`{facts.patch_model}` is the patch model itself.\n\nClasses:\n\n{names}"
    )
    if facts.model.fcn.network.outputs == 1:
        text += f"\n\nThere is one number per pixel. It speaks for the second class, {facts.outputs[0]}."
    return text


def _prepared(facts: Facts) -> str:
    if not facts.before:
        if not facts.within:
            return "The model takes the image as it is."
        return f"A program that reads this package does it: {', '.join(map(str, facts.within))}."
    steps = ", ".join(f"`{step}`" for step in facts.before)
    text = f"Do this to the whole image first, in this order: {steps}."
    axes = tuple(range(len(facts.model.patch_shape)))
    if code := recipe(facts.before):
        text += (
            " In Python, for an image `(" + ", ".join((*facts.sidecar.axes, "channel")) + ")`:\n\n```python\n"
            "import numpy as np\nfrom scipy.ndimage import uniform_filter\n\n"
            f"spatial = {axes}\nimage = image.astype(np.float32)\n{code}\n```"
        )
    else:
        text += " The documentation of napari-fcnseg says what each step does."
    if facts.within:
        text += f"\n\nA program that reads this package does the rest: {', '.join(map(str, facts.within))}."
    return text


def _run(facts: Facts) -> str:
    network = facts.model.fcn.network
    axes = ", ".join((*facts.sidecar.axes, "channel"))
    return (
        f"The image is `(1, {axes})` with the channels {', '.join(facts.channels)}, in float32. It may be of any size "
        f"from {format_shape(h + 1 for h in halos(network))} pixels on.\n\n"
        f"A tile overlaps its neighbours by {format_shape(halos(network))} pixels at either end (`halo`); with it, a "
        f"tile is at least {format_shape(minimum(network))} pixels. The answer inside is that of the whole image: no "
        "seam shows. At the border of the image, the network reflects it. Large tiles are quicker, for each computes "
        f"its overlap again.{_statistics(facts)}\n\n"
        "```python\nfrom bioimageio.core import predict\n\n"
        f'sample = predict(model="package.zip", inputs={{"{IMAGE}": image}}, blocksize_parameter=400)\n```\n\n'
        "There are weights as ONNX alone. As a Keras model the dense network needs layers that Keras does not have "
        "(a maximum over dilated windows), which other programs could not open."
    )


def _statistics(facts: Facts) -> str:
    if not facts.within or facts.within[0].name not in JOINT_STEPS:
        return ""
    return (
        f" `{facts.within[0]}` takes its numbers from the image itself. bioimageio.core 0.11 takes them from the "
        "reflected image where it does not predict in tiles: there, use tiles, or skip_input_padding=True and "
        "skip_output_cropping=True."
    )


def _validated(certificate: Certificate) -> str:
    return (
        "The dense network was compared with the patch model itself, pixel by pixel, on the test image. "
        f"`{CERTIFICATE}` is the certificate:\n\n```\n{certificate}\n```\n\n"
        "It says that the dense network is the patch model, not that the patch model is right: compare its labels with "
        "ones that you trust, on images that it has not seen."
    )


def _taught(facts: Facts) -> str:
    taught = facts.sidecar.other.get("taught")
    if not taught:
        return "What the model was trained on is not known to the program that wrote this package."
    return f"The model was taught with strokes on these images:\n\n```json\n{json.dumps(taught, indent=1)}\n```"


def _cited(entry: Citation) -> str:
    link = f"https://doi.org/{entry.doi}" if entry.doi else entry.url
    return " ".join(filter(None, (entry.text, link)))
