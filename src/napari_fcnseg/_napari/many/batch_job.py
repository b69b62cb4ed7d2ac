"""What a batch from the window works on, in its worker thread, and the layer that shows one of its results."""

from __future__ import annotations

import queue
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg._napari.image.channels import METADATA, Source, full_resolution, is_result, works_alone
from napari_fcnseg._napari.image.geometry import placed
from napari_fcnseg._napari.running.job import POLL, in_background
from napari_fcnseg._napari.running.orders import Outcome
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari.layers import Image, Labels

    from napari_fcnseg._napari.image.channels import Need
    from napari_fcnseg._napari.models.hints import Hints
    from napari_fcnseg.batch import Line, Standing
    from napari_fcnseg.imagefile import ImageFile
    from napari_fcnseg.model import PatchModel
    from napari_fcnseg.settings import RunSettings


_ADVICE = "tick “Replace earlier results”"


@dataclass(frozen=True)
class Begun:
    """The files of a batch, known before the first is begun.

    Attributes
    ----------
    names : tuple of str
        All of them, those that are left out first.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class BatchOrder:
    """Everything a batch needs to know, as it was when Start was pressed.

    Attributes
    ----------
    folder : str
        Where the images are; empty if they are layers.
    recursive : bool
        Whether its subfolders count.
    layers : tuple of (str, ImageFile)
        Names and images of layers.
    results : str
        Folder for the results.
    form : str
        What they are written as.
    models : tuple of PatchModel
        The ensemble.
    settings : RunSettings
        What the user chose.
    overwrite : bool
        Whether earlier results are replaced.
    inputs : tuple of path
        What is never written over.
    stop : threading.Event
        Set to end the batch and keep the files that are done.
    """

    folder: str
    recursive: bool
    layers: tuple[tuple[str, ImageFile], ...]
    results: str
    form: str
    models: tuple[PatchModel, ...]
    settings: RunSettings
    overwrite: bool = False
    inputs: tuple[str | Path, ...] = ()
    stop: threading.Event = field(default_factory=threading.Event)


def batching(order: BatchOrder) -> Generator[tuple[Begun | Line | Standing, ...], None, Outcome]:
    """Do a batch; yield what is new several times a second. The value of the outcome is the report's path.

    The work is done in a thread that nobody has to wait for: reading a large file cannot be interrupted.
    """
    news: queue.SimpleQueue[Begun | Line | Standing] = queue.SimpleQueue()
    done = in_background(lambda: _work(order, news), "napari-fcnseg-batch")
    ended = False
    try:
        while not (done.done() and news.empty()):
            entries = []
            try:
                entries.append(news.get(timeout=POLL))
                while True:
                    entries.append(news.get_nowait())
            except queue.Empty:
                yield tuple(entries)
        ended = True
    finally:
        if not ended:
            order.stop.set()
    try:
        return Outcome(done.result(), cancelled=order.stop.is_set())
    except Exception as error:
        return Outcome(error=error)


def _work(order: BatchOrder, news: queue.SimpleQueue[Any]) -> Path:
    from napari_fcnseg.batch import Batch, images_in, named_items

    left_out: tuple[Line, ...] = ()
    inputs = order.inputs
    if order.folder:
        source, results = Path(order.folder), Path(order.results)
        found = images_in(source, order.recursive, results if results.resolve() != source.resolve() else None)
        items, left_out, inputs = found.items, found.left_out, (*inputs, *found.others)
    else:
        items = named_items(order.layers)
    batch = Batch(
        items, order.models, order.settings, order.results, form=order.form, left_out=left_out,
        overwrite=order.overwrite, inputs=inputs, advice=_ADVICE,
    )  # fmt: skip
    news.put(Begun((*(line.input for line in left_out), *(item.name for item in items))))
    with closing(batch.execute(order.stop)) as entries:
        for entry in entries:
            news.put(entry)
    return batch.report


def warm() -> None:
    """Import what a batch needs, so that Start need not wait for it in the window's own thread."""
    from napari_fcnseg._napari.results import writer  # noqa: F401
    from napari_fcnseg.batch import Batch  # noqa: F401


def choosable(layers: Sequence[Image], need: Need) -> list[tuple[Image, str]]:
    """Return the images among a viewer's layers, each with the reason why it cannot be segmented alone, or none."""
    several = (
        f"The model takes {need.channels} channels. To put them into one layer, select theirs, right-click, "
        "Merge to Stack."
    )
    return [(layer, "" if works_alone(layer, need) else several) for layer in layers if not is_result(layer)]


def layer_image(layer: Image, need: Need, every: int) -> tuple[ImageFile, Spot | None]:
    """Return a layer as an image file would be, with letters for its axes and its pixel size, and where its labels lie.

    One that does not fit the model has no such place: its line will say why.
    """
    from napari_fcnseg._napari.results.writer import pixel_size
    from napari_fcnseg.imagefile import ImageFile, axis_letters

    names = [str(name) for name in layer.axis_labels]
    if names == [str(axis) for axis in range(-layer.ndim, 0)]:  # napari's own, which say nothing
        names = ["z", "y", "x"] if need.spatial == layer.ndim == 3 else []
    letters = axis_letters(names, layer.ndim)
    size, unit = pixel_size(letters, list(layer.scale), list(layer.units))
    letters += "S" if layer.rgb else ""
    try:
        source = Source.of([layer], need)
        channel = source.layout.channel_axis
        image, order = source.image, source.axes.order
    except FcnSegError:
        return ImageFile(full_resolution(layer), letters, size, unit), None
    letters = "".join(letters[axis] for axis in order) + "C" * (len(image.shape) - len(order))
    spot = Spot(*placed(layer, source.dropped_axis, source.spatial_axes, every), source.axes.result)
    return ImageFile(image, letters, size, unit).with_channels_along(channel), spot


@dataclass(frozen=True)
class Spot:
    """Where the labels of a layer lie in the world.

    Attributes
    ----------
    geometry : mapping
        Arguments for a layer.
    spanned_axis : int or None
        Axis of length 1 that the layer has beside the result's own.
    axes : tuple of int
        The image layer's axes that labels have, in their order.
    """

    geometry: Mapping[str, Any]
    spanned_axis: int | None
    axes: tuple[int, ...]


def result_layer(path: Path, hints: Hints, classes: int, spot: Spot | None = None) -> Labels:
    """Return a layer with the labels in a file, where the file says that they are, or where the image's layer is.

    Raises
    ------
    ImageError
        If the file cannot be read.
    """
    from napari.layers import Labels

    from napari_fcnseg._napari.results.result import class_look
    from napari_fcnseg.beside import provenance_of_file
    from napari_fcnseg.imagefile import read_image

    image = read_image([path])
    data = image.data
    geometry: Mapping[str, Any] = _geometry(image)
    if spot is not None:
        data, geometry = np.asarray(data).transpose(np.argsort(spot.axes)), spot.geometry
        if spot.spanned_axis is not None:
            data = np.expand_dims(data, spot.spanned_axis)
    names = hints.class_names if len(hints.class_names) == classes else tuple(f"class {n + 1}" for n in range(classes))
    provenance = provenance_of_file(path)
    return Labels(
        data, name=path.name.partition(".labels.")[0], metadata={METADATA: provenance},
        **class_look(names, hints.class_colors), **geometry,
    )  # fmt: skip


def _geometry(image: ImageFile) -> dict[str, Any]:
    """Return the arguments that give a layer the pixel size that its file says."""
    size, unit = image.pixel_size, image.unit or "pixel"
    return {
        "scale": [size.get(letter, 1.0) for letter in image.axes],
        "units": [unit if letter in size else "pixel" for letter in image.axes],
    }
