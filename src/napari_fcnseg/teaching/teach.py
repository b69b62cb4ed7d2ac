"""Teach a patch model with strokes: fit a head to what a network says of the painted pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.engine import engine
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model.patch_model import PatchModel, load_model
from napari_fcnseg.plan.layout import Layout, check_dtype
from napari_fcnseg.teaching.basis import Basis, with_head
from napari_fcnseg.teaching.contradiction import require_different
from napari_fcnseg.teaching.examples import examples_of
from napari_fcnseg.teaching.features import features_at
from napari_fcnseg.teaching.layers import LayerTraining, held_out
from napari_fcnseg.teaching.provenance import taught_on
from napari_fcnseg.teaching.settings import TeachSettings
from napari_fcnseg.teaching.strokes import read_strokes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_fcnseg.graph.network import Network
    from napari_fcnseg.model.patch_model import ModelLike
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.teaching.strokes import Strokes

#: The shares of the work, for progress.
_FITTED: Final = 0.8


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
    all_layers: bool = False,
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
    all_layers : bool
        Whether the network's own layers are trained too, after the head, as long as strokes that were held out get
        better by it: by the dense network's gradient, or patch by patch where that is less work. It takes minutes.
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
    settings = TeachSettings(channel_axis, preprocess, border, device, memory_limit, seed, turned, all_layers)  # type: ignore[arg-type]
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
    layouts : tuple of Layout
        Which axis of each image is what; empty to find out.
    """

    pairs: list[tuple[Any, Any]]
    base: PatchModel | None
    settings: TeachSettings
    layouts: tuple[Layout, ...] = ()

    def fit(
        self,
        class_names: tuple[str, ...] = (),
        class_colors: tuple[str, ...] = (),
        progress: Callable[[int, int], object] | None = None,
    ) -> PatchModel:
        """Return the taught model; parameters as for :func:`teach`."""
        basis = self._basis()
        layouts = self.layouts or tuple(
            Layout.of(tuple(image.shape), basis.network.channels, basis.axes, self._channel_axis(image, marks))
            for image, marks in self.pairs
        )
        painted = read_strokes([marks for _, marks in self.pairs], layouts, self.settings.seed, class_names)
        engine().start_reference()  # it takes seconds, in which the network is computed
        numbers, plans = [], []
        for number, ((image, _), layout, points) in enumerate(zip(self.pairs, layouts, painted.points, strict=True)):

            def tell(share: float, number: int = number) -> None:
                if progress is not None:
                    progress(int(100 * _FITTED * (number + share) / len(self.pairs)), 100)

            plans.append(basis.plan(image, layout))
            if len(points):
                numbers.append(features_at(plans[-1], points, turned=self.settings.turned, progress=tell))
        network, scores = self._trained(basis, np.concatenate(numbers, axis=1), plans, painted, class_names, progress)
        facts = taught_on(self.base, [image for image, _ in self.pairs], layouts, painted, self.settings, scores)
        taught = basis.model(network, painted.classes, class_names, class_colors, facts)
        if progress is not None:
            progress(100, 100)
        return taught

    def _trained(
        self, basis: Basis, numbers: np.ndarray, plans: list[RunPlan], painted: Strokes, names: tuple[str, ...],
        progress: Callable[[int, int], object] | None,
    ) -> tuple[Network, dict[str, float]]:  # fmt: skip
        """Return the network with its head, and how good it is at strokes that were held out."""

        def tell(share: float) -> None:
            if progress is not None:
                progress(int(100 * (_FITTED + (1 - _FITTED) * share)), 100)

        held = held_out(painted, self.settings.seed)
        if self.settings.all_layers and held.any():
            # What tells when to stop must be new to the head as well.
            head, _ = fitted(numbers[:, ~held], painted.only(~held), self.settings, names)
            training = LayerTraining(with_head(basis.network, head), self.settings.seed)
            examples = examples_of(plans, painted, training.numbers.dense, turned=self.settings.turned)
            network, scores = training.train(examples, painted, held, tell)
            if network is not None:
                return network, scores
        head, scores = fitted(numbers, painted, self.settings, names)
        return with_head(basis.network, head), scores

    def _basis(self) -> Basis:
        if self.base is not None:
            return Basis(self.base, self.settings)
        image, marks = self.pairs[0]
        if self.layouts:
            axis = self.layouts[0].channel_axis
        else:
            axis = self._channel_axis(image, marks)
        return Basis(None, self.settings, 1 if axis is None else int(image.shape[axis]))

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


def fitted(
    numbers: np.ndarray, painted: Strokes, settings: TeachSettings, names: Sequence[str] = ()
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Return the head that fits the numbers at painted pixels, and how good it is at strokes that were held out.

    Parameters
    ----------
    numbers : ndarray of float32, shape (view, n, number)
        What the network says there.
    painted : Strokes
        The pixels.
    settings : TeachSettings
        What the user chose.
    names : sequence of str
        Of the classes, for messages.

    Raises
    ------
    SettingsError
        If the strokes contradict each other.
    """
    require_different(numbers[0], painted.labels, names)
    answer = engine().fit_head(
        numbers, painted.labels - 1, painted.stroke, seed=settings.seed, members=settings.members, width=settings.width
    )
    head, scores = answer.result()
    return head, scores
