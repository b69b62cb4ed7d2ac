"""*Save as OME-Zarr…*: an image that is only in memory is saved where a cluster's workers see it, and chosen."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_fcnseg._napari.layers.axis_names import guessed_letters, letters_of
from napari_fcnseg._napari.layers.channels import full_resolution
from napari_fcnseg._napari.layers.files import folder_of
from napari_fcnseg._napari.layers.geometry import geometry
from napari_fcnseg._napari.layers.metadata import real
from napari_fcnseg._napari.widgets.save_name import ask_save_name
from napari_fcnseg._napari.widgets.worker import Outcome, wait_in_worker
from napari_fcnseg.arrays.frame_source import transposed
from napari_fcnseg.errors import FcnSegError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg._napari.segment.image.image_box import ImageBox
    from napari_fcnseg._napari.segment.run.controller import RunController
    from napari_fcnseg._napari.segment.run.run_box import RunBox
    from napari_fcnseg.imagefile import ChannelLook, ImageFile
    from napari_fcnseg.system.saving import Inputs

_MILLISECONDS: Final = 100
_LOOK: Final = ("colormap", "contrast_limits", "gamma", "interpolation2d", "interpolation3d", "rendering")
_SHOWN: Final = ("blending", "opacity", "visible")
_COLOURS: Final = (("red", "#ff0000"), ("green", "#00ff00"), ("blue", "#0000ff"))
_ORDER: Final = "T?ZYX"


class StoppedError(Exception):
    """The user cancelled."""


@dataclass(eq=False)
class Saving:
    """Layers that are saved, and how far that is.

    Attributes
    ----------
    files : tuple of (Path, ImageFile, str)
        Where each layer goes, as what, and the letters of the layer's own axes.
    inputs : Inputs
        What is not written over.
    stop : Event
        Set to end it.
    done, total : int
        Blocks.
    """

    files: tuple[tuple[Path, ImageFile, str], ...]
    inputs: Inputs
    stop: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    total: int = 0

    def save(self) -> list[list[Any]]:
        """Save all of them; return the levels of each, with the axes of its layer.

        Raises
        ------
        OutputError
            If one cannot be written.
        StoppedError
            If it was cancelled; of that one nothing is left.
        """
        from napari_fcnseg.imagefile import write_image

        for path, image, _ in self.files:
            write_image(path, image, inputs=self.inputs, proceed=self._proceed)
        return [levels_of(path, image, letters) for path, image, letters in self.files]

    def _proceed(self) -> None:
        if self.stop.is_set():
            raise StoppedError
        self.done += 1


class ImageSaver(QObject):
    """Saves the chosen image, chooses the saved one in its place, and has it run.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.
    box : RunBox
        Has the button.
    controller : RunController
        What runs in the dock.
    image : ImageBox
        Where the image is chosen.
    start : callable
        Starts a run.
    """

    def __init__(
        self, viewer: Viewer, box: RunBox, controller: RunController, image: ImageBox, start: Callable[[], object]
    ) -> None:
        super().__init__(box)
        self._viewer, self._box, self._controller, self._image, self._start = viewer, box, controller, image, start
        self._saving: Saving | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_MILLISECONDS)
        self._timer.timeout.connect(self._show)
        box.save_image.clicked.connect(self._ask)

    def _ask(self) -> None:
        if self._controller.running:
            return
        try:
            source = self._image.source()
        except FcnSegError as error:
            self._controller.report_problem(error)
            return
        proposed = folder_of(source.layers) / f"{source.layers[0].name.replace('/', '-')}.zarr"
        if (chosen := ask_save_name(self._box, str(proposed), "OME-Zarr (*.zarr)")) is not None:
            self._begin(source, chosen[0])

    def _begin(self, source: ImageLayers, path: Path) -> None:
        from napari_fcnseg._napari.files_in_use import in_use

        if path.suffix.lower() != ".zarr":
            path = path.with_name(f"{path.name}.zarr")
        places = [path] if len(source.layers) == 1 else _numbered(path, len(source.layers))
        files = [(place, *image_of(layer, source)) for place, layer in zip(places, source.layers, strict=True)]
        saving = Saving(tuple(files), in_use())
        saving.total = sum(_blocks(image) for _, image, _ in files)
        self._saving = saving
        text = f"Saving {source.layers[0].name} as {path.name}…"
        self._controller.begin(_save, (saving,), text, partial(self._end, source), saving.stop)
        self._timer.start()

    def _show(self) -> None:
        saving = self._saving
        if saving is None or not self._controller.running:
            self._timer.stop()
            return
        self._box.bar.setRange(0, max(saving.total, saving.done + 1))
        self._box.bar.setValue(saving.done)

    def _end(self, source: ImageLayers, outcome: Outcome | None) -> None:
        self._timer.stop()
        saving, self._saving = self._saving, None
        if not self._controller.came(outcome) or outcome is None or saving is None:
            self._box.save_image.show()  # elsewhere, perhaps
            return
        self._image.exchange(self._opened(source.layers, outcome.value, saving))
        self._box.say(f"Saved as {' and '.join(str(path) for path, *_ in saving.files)}.")
        QTimer.singleShot(0, self._start)  # once what has ended here is over

    def _opened(self, layers: Sequence[Image], saved: Sequence[list[Any]], saving: Saving) -> list[tuple[Image, Image]]:
        """Add the saved images over their layers, which stay in the viewer, hidden and under another name."""
        pairs = []
        for layer, levels, (path, *_) in zip(layers, saved, saving.files, strict=True):
            options = _options(layer)
            layer.name, layer.visible = f"{layer.name} (in memory)", False
            multiscale = len(levels) > 1
            new = real(self._viewer.add_image(levels if multiscale else levels[0], multiscale=multiscale, **options))
            new.metadata.setdefault("saved as", str(path))
            here = self._viewer.layers
            if layer in here:
                here.move(here.index(new), here.index(layer) + 1)
            pairs.append((layer, new))
        return pairs


def _save(saving: Saving) -> Generator[None, None, Outcome]:
    try:
        saved = yield from wait_in_worker(saving.save, saving.stop)
    except StoppedError:
        saved = None
    except Exception as error:
        return Outcome(error=error)
    return Outcome(saved, cancelled=saved is None)


def _options(layer: Image) -> dict[str, Any]:
    """Return the keyword arguments of a layer that looks like another one, and lies where it lies."""
    look = () if layer.rgb else _LOOK
    same = {name: getattr(layer, name) for name in (*look, *_SHOWN)}
    return {**geometry(layer), **same, "name": layer.name, "rgb": layer.rgb, "metadata": dict(layer.metadata)}


def _numbered(path: Path, count: int) -> list[Path]:
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def image_of(layer: Image, source: ImageLayers) -> tuple[ImageFile, str]:
    """Return a layer as an image file, its axes in OME-Zarr's order, and the letters of the layer's own axes.

    Parameters
    ----------
    layer : Image
        The layer.
    source : ImageLayers
        What its axes are for the model that is to run on it.
    """
    from napari_fcnseg._napari.layers.pixel_size import size_in_space
    from napari_fcnseg.imagefile import ImageFile, axis_letters

    data = full_resolution(layer)
    found = guessed_letters(source.axes, letters_of(layer.axis_labels), rgb=layer.rgb)
    if source.axes.channel is not None:
        found = tuple("C" if axis == source.axes.channel else letter for axis, letter in enumerate(found))
    letters = axis_letters([letter.partition("/")[0] for letter in found], len(data.shape))
    size, unit = size_in_space(letters[: layer.ndim], list(layer.scale), list(layer.units))
    order = sorted(range(len(letters)), key=lambda axis: _rank(letters[axis]))
    looks = _looks(layer, source, data.shape[letters.index("C")] if "C" in letters else 1)
    axes = "".join(letters[axis] for axis in order)
    return ImageFile(transposed(data, order), axes, size, unit, averaged=True, looks=looks), letters


def _rank(letter: str) -> int:
    """Return where OME-Zarr has an axis: time, then channels or what else there is, then space."""
    return _ORDER.index(letter if letter in _ORDER else "?")


def _looks(layer: Image, source: ImageLayers, channels: int) -> tuple[ChannelLook, ...]:
    from napari_fcnseg.imagefile import ChannelLook

    if layer.rgb:
        high = 255.0 if full_resolution(layer).dtype == np.uint8 else float(layer.contrast_limits[1])
        return tuple(ChannelLook(name, 0.0, high, color) for name, color in _COLOURS) if channels == 3 else ()
    low, high = map(float, layer.contrast_limits)
    colour = np.asarray(layer.colormap.colors)[-1][:3]
    color = "#" + "".join(f"{round(255 * float(part)):02x}" for part in colour)
    names = [layer.name] if channels == 1 else [f"{layer.name} {n}" for n in range(1, channels + 1)]
    if channels > 1 and len(source.need.names) == channels:
        names = list(source.need.names)
    return tuple(ChannelLook(name, low, high, color) for name in names)


def levels_of(path: Path, image: ImageFile, letters: str) -> list[Any]:
    """Return the levels of an image that was written, finest first, with their axes in another order.

    Parameters
    ----------
    path : Path
        Where it is.
    image : ImageFile
        As what it was written.
    letters : str
        Of the axes that are wanted.
    """
    import zarr

    from napari_fcnseg.imagefile import stored_axes

    stored = stored_axes(image, classes="C" in image.axes)
    order = [stored.index(letter) for letter in letters]
    group = zarr.open_group(path, mode="r")
    names = sorted((name for name, _ in group.arrays()), key=int)
    return [transposed(group[name], order) for name in names]


def _blocks(image: ImageFile) -> int:
    """Return about how many blocks are written of an image, its coarser levels among them."""
    return int(np.ceil(np.prod(image.data.shape, dtype=float) / 2**22)) + 1
