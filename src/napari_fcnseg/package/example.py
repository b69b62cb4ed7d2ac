"""The image that a package is tested with, what the model says of it, and a picture of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.arrays.frame_source import MemorySource
from napari_fcnseg.errors import ImageError
from napari_fcnseg.package.tiling import halos, minimum
from napari_fcnseg.plan.layout import Layout
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.preprocess import prepare
from napari_fcnseg.proof.verification import VerificationSampler
from napari_fcnseg.run.result import ResultArrays, execute_into
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.system.formatting import format_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.preprocess import Step
    from napari_fcnseg.proof.verification import Verification

    Image = npt.NDArray[np.float32]

#: Pixels of a test image along each axis, by the number of axes, where the halo asks for no more.
_SIZES: Final = {1: 1024, 2: 192, 3: 40}
_LARGEST: Final = 255.0
_SIDE: Final = 384  # pixels of a cover picture
_BLOBS: Final = 3.0  # pixels that a test image without an image is smoothed over


@dataclass(frozen=True)
class Example:
    """A test image and the answer to it.

    Attributes
    ----------
    image : ndarray of float32, shape (*spatial, channel)
        As another program is given it.
    labels : ndarray of unsigned integer, shape (*spatial)
        Class index + 1.
    answer : ndarray of float32, shape (*spatial, output)
        The network's numbers at each pixel.
    """

    image: Image
    labels: npt.NDArray[Any]
    answer: Image


def test_image(model: PatchModel, image: Any, channel_axis: int | None, steps: Sequence[Step]) -> Image:
    """Return the middle of an image's first frame, with some steps done to that frame.

    Parameters
    ----------
    model : PatchModel
        The model.
    image : array_like or None
        As for :func:`napari_fcnseg.segment`; None for one made of random numbers.
    channel_axis : int or None
        Axis of its channels.
    steps : sequence of Step
        What is done before another program gets it.

    Raises
    ------
    ImageError
        If the image does not fit the model, or is too small to be reflected at its border.
    SettingsError
        If a step cannot be done to it.
    """
    network = model.fcn.network
    spatial = len(model.patch_shape)
    wanted = tuple(max(_SIZES[spatial], 2 * least) for least in minimum(network))
    if image is None:
        frame = prepare(MemorySource(_made_up((*wanted, model.channels))), steps)
    else:
        layout = Layout.of(tuple(map(int, image.shape)), model.channels, spatial, channel_axis)
        frame = prepare(layout.source(image, (0,) * len(layout.stack_shape)), steps)
    sizes = tuple(min(n, w) for n, w in zip(frame.shape, wanted, strict=False))
    least = tuple(halo + 1 for halo in halos(network))
    if any(n < m for n, m in zip(sizes, least, strict=True)):
        raise ImageError(
            f"The test image is {format_shape(sizes)} pixels, too small for the model's patches of "
            f"{format_shape(model.patch_shape)}. Choose one of at least {format_shape(least)}."
        )
    starts = ((n - size) // 2 for n, size in zip(frame.shape, sizes, strict=False))
    return frame.read(tuple((start, start + size) for start, size in zip(starts, sizes, strict=True))).copy()


def answered(model: PatchModel, image: Image, steps: Sequence[Step]) -> tuple[Example, Verification]:
    """Return a test image with the numbers of the dense network at each of its pixels, and how far they are proven.

    Parameters
    ----------
    model : PatchModel
        The model.
    image : ndarray of float32, shape (*spatial, channel)
        The test image.
    steps : sequence of Step
        What another program does to it first.
    """
    chosen = RunSettings(-1, tuple(map(str, steps)), probabilities=True, method="dense")
    run = Run(make_plan(image, (model,), chosen))
    sampler, arrays = VerificationSampler(run), ResultArrays(run)
    sampler.expect()
    execute_into(run, arrays.write, sampler.see)
    return Example(image, arrays.labels, arrays.arrays["probabilities"]), sampler.verify()


def cover(example: Example, colors: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return a square picture as RGB: the image, and its labels below the diagonal.

    Parameters
    ----------
    example : Example
        The test image.
    colors : sequence of str
        Of the classes, as ``#rrggbb``.
    """
    image, shown = example.image, example.labels
    while shown.ndim > 2:  # the middle of a volume
        image, shown = image[len(image) // 2], shown[len(shown) // 2]
    if shown.ndim == 1:
        image, shown = image[None], shown[None]
    table = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in ("#000000", *colors)], np.uint8)
    low, high = image.min(axis=(0, 1)), image.max(axis=(0, 1))
    grey = (image - low) / np.where(high > low, high - low, 1)
    channels = grey.shape[-1]
    rgb = np.repeat(grey, 3, axis=-1) if channels == 1 else np.zeros((*grey.shape[:-1], 3), np.float32)
    if channels > 1:
        rgb[..., : min(channels, 3)] = grey[..., :3]
    picture = (rgb * _LARGEST).astype(np.uint8)
    rows, columns = (np.arange(_SIDE) * n // _SIDE for n in shown.shape)
    square: npt.NDArray[np.uint8] = picture[rows][:, columns]
    painted = table[shown][rows][:, columns]
    below = np.add.outer(np.arange(_SIDE), np.arange(_SIDE)) >= _SIDE
    square[below] = painted[below]
    return square


def _made_up(shape: tuple[int, ...]) -> Image:
    """Return smooth random numbers from 0 to 1: the same for the same shape."""
    from scipy import ndimage

    noise = np.random.default_rng(0).standard_normal(shape)
    smooth = ndimage.gaussian_filter(noise, [_BLOBS] * (len(shape) - 1) + [0])
    low, high = smooth.min(), smooth.max()
    return np.asarray((smooth - low) / (high - low), np.float32)
