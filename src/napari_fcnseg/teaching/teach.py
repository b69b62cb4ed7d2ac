"""Teach a patch model with strokes: fit a head to what a network says of the painted pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.engine import engine
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.graph.network import Network, Node
from napari_fcnseg.graph.ops import Activation, Dense
from napari_fcnseg.model.patch_model import PatchModel, load_model
from napari_fcnseg.model.sidecar import Sidecar, default_names, palette
from napari_fcnseg.plan.layout import Layout, check_dtype
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.teaching.features import features_at
from napari_fcnseg.teaching.provenance import taught_on
from napari_fcnseg.teaching.settings import TeachSettings
from napari_fcnseg.teaching.starter import starter_network
from napari_fcnseg.teaching.strokes import read_strokes
from napari_fcnseg.teaching.taps import FEATURES, feature_network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.model.patch_model import ModelLike

#: The shares of the work, for progress.
_FITTED: Final = 0.8
_ALIKE: Final = 1e-4
_FROM_NOTHING: Final = ("zero_mean_unit_variance",)


def teach(
    images: Any,
    strokes: Any,
    model: ModelLike | None = None,
    *,
    channel_axis: int | None = None,
    preprocess: str | Sequence[str] | None = None,
    border: str = "reflect",
    class_names: Sequence[str] = (),
    class_colors: Sequence[str] = (),
    device: str | None = None,
    memory_limit: int | None = None,
    seed: int = 0,
    turned: bool = True,
    progress: Callable[[int, int], object] | None = None,
) -> PatchModel:
    """Teach a patch model with strokes: what it knows stays, what its classes look like is learned anew.

    Parameters
    ----------
    images : array_like, or list of them
        As for :func:`napari_fcnseg.segment`, each with the model's channels. Of a large one only what is near strokes
        is read, and what preprocessing needs.
    strokes : array_like of int, or list of them
        For each image: as large as it without its channels, 0 where nothing is painted, else the class, from 1.
    model : path or PatchModel, optional
        The model to begin with; otherwise fixed filters at several scales, for images of two axes.
    channel_axis : int, optional
        Axis of the channels; found by its length otherwise.
    preprocess : sequence of str
        Steps applied to each whole frame; those that the model's sidecar names otherwise, and without a model
        ``zero_mean_unit_variance``.
    border : {"reflect", "edge", "constant"}
        What surrounds an image.
    class_names, class_colors : sequence of str
        Of the classes; those of the model otherwise, if it has as many.
    device : str, optional
        Where the network is computed; the fastest otherwise. The head is always fitted by the processor.
    memory_limit : int, optional
        Bytes that the computing process may take in all.
    seed : int
        The same strokes, seed and computer give the same model.
    turned : bool
        Whether strokes are seen turned and mirrored too: better where images have no upright, in four times the time.
    progress : callable, optional
        Called with the share that is done, in percent, and with 100.

    Returns
    -------
    PatchModel
        An ordinary patch model: segment with it, verify it, and write it with :meth:`PatchModel.save`. Its sidecar
        says under ``taught`` what it was taught on, and how good it is on strokes that it did not learn from.

    Raises
    ------
    FcnSegError
        With a sentence that says what does not fit, where, and what to do.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_fcnseg as fcn
    >>> from napari_fcnseg.samples import SAMPLES
    >>> sample = SAMPLES["cells"]
    >>> image, truth = sample.image()[:128, :128], sample.truth()[:128, :128]
    >>> strokes = np.zeros_like(truth)
    >>> strokes[20:100:20] = truth[20:100:20]
    >>> model = fcn.teach(image, strokes, sample.model_path, preprocess=sample.preprocess, turned=False)
    >>> model.classes, model.patch_shape, model.sidecar.other["taught"]["strokes"]["pixels"]
    (3, (31, 31), 512)
    """
    settings = TeachSettings(channel_axis, preprocess, border, device, memory_limit, seed, turned)  # type: ignore[arg-type]
    pairs = paired(images, strokes)
    base = None if model is None else model if isinstance(model, PatchModel) else load_model(model)
    return Teaching(pairs, base, settings).fit(tuple(class_names), tuple(class_colors), progress)


def paired(images: Any, strokes: Any) -> list[tuple[Any, Any]]:
    """Return each image with its strokes.

    Raises
    ------
    SettingsError
        If they are not as many.
    """
    given, painted = ([array] if hasattr(array, "shape") else list(array) for array in (images, strokes))
    if not given:
        raise SettingsError("No image was chosen. Choose at least one.")
    if len(given) != len(painted):
        raise SettingsError(f"There are {len(given)} images and strokes on {len(painted)}. Give one array for each.")
    return [(_array(image), _array(marks)) for image, marks in zip(given, painted, strict=True)]


def _array(array: Any) -> Any:
    return array if hasattr(array, "shape") and hasattr(array, "dtype") else np.asarray(array)


@dataclass(frozen=True)
class Teaching:
    """Images, their strokes, and what they are taught on.

    Attributes
    ----------
    pairs : list of (array_like, array_like)
        Each image with its strokes.
    base : PatchModel or None
        The model to begin with.
    settings : TeachSettings
        What the user chose.
    """

    pairs: list[tuple[Any, Any]]
    base: PatchModel | None
    settings: TeachSettings

    def fit(
        self,
        class_names: tuple[str, ...] = (),
        class_colors: tuple[str, ...] = (),
        progress: Callable[[int, int], object] | None = None,
    ) -> PatchModel:
        """Return the taught model; parameters as for :func:`teach`."""
        network, settings = self._features(), self.settings
        steps = self._steps()
        layouts = [
            Layout.of(tuple(image.shape), network.channels, len(network.patch_shape), self._channel_axis(image, marks))
            for image, marks in self.pairs
        ]
        painted = read_strokes([marks for _, marks in self.pairs], layouts, settings.seed)
        engine().start_reference()  # it takes seconds, in which the network is computed
        reading = PatchModel(network, outputs_are_classes=True)
        numbers = []
        for number, ((image, _), layout, points) in enumerate(zip(self.pairs, layouts, painted.points, strict=True)):
            chosen = RunSettings(layout.channel_axis, steps, settings.border, device=settings.device,
                                 memory_limit=settings.memory_limit)  # fmt: skip

            def tell(share: float, number: int = number) -> None:
                if progress is not None:
                    progress(int(100 * _FITTED * (number + share) / len(self.pairs)), 100)

            if len(points):
                plan = make_plan(image, [reading], chosen, separate=True)
                numbers.append(features_at(plan, points, turned=settings.turned, progress=tell))
        _require_different(np.concatenate(numbers, axis=1)[0], painted.labels)
        head, scores = (
            engine()
            .fit_head(
                np.concatenate(numbers, axis=1), painted.labels - 1, painted.stroke,
                seed=settings.seed, members=settings.members, width=settings.width,
            )
            .result()
        )  # fmt: skip
        taught = PatchModel(with_head(network, head), outputs_are_classes=True)
        facts = taught_on(self.base, [image for image, _ in self.pairs], layouts, painted, settings, scores)
        taught.sidecar = self._sidecar(painted.classes, steps, class_names, class_colors, facts)
        if progress is not None:
            progress(100, 100)
        return taught

    def _features(self) -> Network:
        if self.base is not None:
            return feature_network(self.base.network)
        image, marks = self.pairs[0]
        axis = self._channel_axis(image, marks)
        return starter_network(1 if axis is None else int(image.shape[axis]))

    def _steps(self) -> tuple[str, ...]:
        if self.settings.preprocess is not None:
            return self.settings.preprocess
        if self.base is None:
            return _FROM_NOTHING
        return self.base.sidecar.preprocess if self.base.sidecar is not None else ()

    def _channel_axis(self, image: Any, marks: Any) -> int | None:
        """Return the axis that an image has and its strokes have not, unless it was named or could be several."""
        check_dtype(np.dtype(image.dtype))
        if self.settings.channel_axis is not None or len(image.shape) != len(marks.shape) + 1:
            return self.settings.channel_axis
        lacking = [
            axis for axis in range(len(image.shape)) if (*image.shape[:axis], *image.shape[axis + 1 :]) == marks.shape
        ]
        if len(lacking) > 1:
            if self.base is not None:
                return None
            raise SettingsError(
                f"Any of the axes {', '.join(map(str, lacking))} of the image may hold its channels: say which."
            )
        return lacking[0] if lacking else None

    def _sidecar(
        self,
        classes: int,
        steps: tuple[str, ...],
        names: tuple[str, ...],
        colors: tuple[str, ...],
        facts: dict[str, Any],
    ) -> Sidecar:
        known = self.base.sidecar if self.base is not None else None
        for what, given in (("names", names), ("colours", colors)):
            if given and len(given) != classes:
                raise SettingsError(f"There are {len(given)} {what} for {classes} classes. Give one for each.")
        kept = known if known is not None else Sidecar(axes=("z", "y", "x")[-self._axes :])
        fits = len(kept.class_names) == classes
        return replace(
            kept,
            class_names=names or (kept.class_names if fits else default_names("class", classes)),
            class_colors=colors or (kept.class_colors if fits and kept.class_colors else palette(classes)),
            preprocess=steps,
            outputs={},
            outputs_are="",
            patch_size=(),
            keras_1_backend="",
            bands_axis=None,
            other={**kept.other, "taught": facts},
        )

    @property
    def _axes(self) -> int:
        return len(self.base.patch_shape) if self.base is not None else 2


def _require_different(numbers: np.ndarray, labels: np.ndarray) -> None:
    """Raise a :class:`SettingsError` where most pixels of a class look exactly as some of another one."""
    # Numbers of equal patches differ in their last digits: four sums of all are compared, in steps that hide that.
    sums = numbers @ np.random.default_rng(0).normal(size=(numbers.shape[1], 4)).astype(np.float32)
    steps = np.round(sums / (np.abs(sums).max(axis=0) * _ALIKE + 1e-30))
    _, group = np.unique(steps, axis=0, return_inverse=True)
    group = group.ravel()
    pairs = np.unique(np.stack([group, labels]), axis=1)
    torn = np.bincount(pairs[0])[group] > 1
    for label in np.unique(labels):
        mine = labels == label
        if 2 * np.count_nonzero(torn & mine) > np.count_nonzero(mine):
            other = next(
                int(other) for other in np.unique(labels[torn & np.isin(group, group[torn & mine])]) if other != label
            )
            raise SettingsError(
                f"The strokes contradict each other: most pixels of class {min(label, other)} look exactly like some "
                f"of class {max(label, other)}. Erase the wrong strokes, or paint where the classes differ."
            )


def with_head(network: Network, head: Sequence[np.ndarray]) -> Network:
    """Return the network that gives classes, from the one that gives what the head reads.

    Parameters
    ----------
    network : Network
        Ends with :data:`FEATURES`.
    head : sequence of ndarray
        Kernel and bias of the hidden layer, and of the scores.
    """
    hidden, bias, kernel, last = head
    nodes = (
        Node("taught_hidden", "Dense", (Dense(hidden, bias), Activation("relu")), (FEATURES,)),
        Node("taught_classes", "Dense", (Dense(kernel, last), Activation("softmax", {"axis": -1})), ("taught_hidden",)),
    )
    return replace(network, name="taught", nodes=(*network.nodes, *nodes), output="taught_classes")
