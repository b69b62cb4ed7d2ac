"""Plan a run: everything is checked and decided, nothing is computed, no process is started."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg import preprocess
from napari_fcnseg.arrays.border import check_border
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.model.sidecar import agreed_preprocess
from napari_fcnseg.plan.layout import Layout, check_dtype
from napari_fcnseg.plan.mask import Mask
from napari_fcnseg.plan.memory_budget import FRAMEWORK, memory_budget_for
from napari_fcnseg.plan.method import choose_method
from napari_fcnseg.plan.schedule import PlanSummary, Schedule, chosen_frames
from napari_fcnseg.plan.tile_size import early_tile, extent_of, strips_per_group, tile_size_for
from napari_fcnseg.plan.tiles import cut_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.arrays.frame_source import Region
    from napari_fcnseg.model.patch_model import PatchModel
    from napari_fcnseg.model.pixel_form import Form
    from napari_fcnseg.plan.memory_budget import MemoryBudget
    from napari_fcnseg.plan.method import AnyMethod
    from napari_fcnseg.settings import RunSettings


@dataclass(frozen=True, eq=False)
class RunPlan:
    """One image, one or more models and settings, checked against each other; :func:`make_plan` makes it.

    Attributes
    ----------
    image : array_like
        Any numeric type.
    models : tuple of PatchModel
        The ensemble.
    settings : RunSettings
        What the user chose, with the preprocessing that it comes to.
    steps : tuple of Step
        The preprocessing.
    layout : Layout
        The image's axes.
    extent : Region
        The output pixels that get a prediction. In output pixels, ``every`` image pixels apart.
    methods : tuple of Method
        How each model's numbers are computed.
    memory_budget : MemoryBudget
        What one tile may take; each device learns on a copy of its own.
    tile : tuple of int
        Largest tile, in output pixels per axis.
    mask : Mask or None
        Where labels are wanted.
    focus : tuple of int or None
        The pixel of the labels that the user looks at.
    schedule : Schedule
        Which tiles are computed, and in which order.
    notes : tuple of str
        What the user should know before the run, as sentences.
    """

    image: Any
    models: tuple[PatchModel, ...]
    settings: RunSettings
    steps: tuple[preprocess.Step, ...]
    layout: Layout
    extent: Region
    methods: tuple[AnyMethod, ...]
    memory_budget: MemoryBudget
    tile: tuple[int, ...]
    mask: Mask | None
    focus: tuple[int, ...] | None
    schedule: Schedule
    notes: tuple[str, ...]

    @property
    def networks(self) -> tuple[Form, ...]:
        """What each model gives at every pixel: its dense network, or what it is itself."""
        return tuple(model.form for model in self.models)

    @property
    def ways(self) -> tuple[str, ...]:
        """How a processor computes each model (:mod:`napari_fcnseg.conversion.ways`); empty for any way."""
        return tuple(method.dense.ways if method.name == "dense" else "" for method in self.methods)

    @property
    def patch(self) -> tuple[int, ...]:
        """Largest patch of the models, in pixels per axis."""
        return tuple(map(max, zip(*(network.patch_shape for network in self.networks), strict=True)))

    @property
    def outputs(self) -> int:
        """Numbers per pixel."""
        return self.networks[0].outputs

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the labels; along the model's axes one entry per ``every`` pixels of the image."""
        return (*self.layout.stack_shape, *(-(-n // self.settings.every) for n in self.layout.frame_shape))

    @property
    def label_dtype(self) -> np.dtype[Any]:
        """The smallest unsigned integer that holds every label."""
        return np.min_scalar_type(self.networks[0].classes)

    @property
    def summary(self) -> PlanSummary:
        """The plan in four numbers, to show to the user."""
        tile, schedule = self.tile, self.schedule
        return PlanSummary(tile, schedule.total, schedule.pixels, self.memory_budget.expected(tile) + FRAMEWORK)


def make_plan(
    image: Any,
    models: Sequence[PatchModel],
    settings: RunSettings,
    focus: Sequence[int] | None = None,
    mask: Any = None,
    *,
    early: bool = True,
    separate: bool = False,
) -> RunPlan:
    """Decide how an image is computed. The image is not read, a mask only where tiles lie.

    Parameters
    ----------
    image : array_like
        Any numeric type; spatial axes last, a channel axis anywhere, other axes are a stack of frames.
    models : sequence of PatchModel
        An ensemble that fits together (:func:`napari_fcnseg.model.patch_model.as_ensemble`).
    settings : RunSettings
        What the user chose.
    focus : sequence of int, optional
        A pixel of the labels: an index per stack axis and per spatial axis of the image. What is nearest to it comes
        first. Otherwise tiles come column by column, from top to bottom. The order changes no number.
    mask : array_like or Mask, optional
        Labels are wanted where it is not 0: pixels of a frame, or of the whole stack. Tiles are those of the run
        without it; one that holds nothing of it is not computed.
    early : bool
        Whether a long run with a focus begins with a small tile around it.
    separate : bool
        Whether every tile is computed alone, and none early, which suits a few tiles that lie anywhere.

    Returns
    -------
    RunPlan

    Raises
    ------
    ImageError, SettingsError
        If they do not fit together.
    """
    image, models = _checked_image(image), tuple(models)
    settings = resolve_settings(settings, models)
    steps = preprocess.parse(settings.preprocess or ())
    layout, extent = _layout_and_extent(image, models, settings)
    sizes = tuple(stop - start for start, stop in extent)
    # Of the whole image, whatever the region and frames: a part of a run has the numbers of the whole, to the last bit.
    pixels = math.prod(sizes) * math.prod(layout.stack_shape)
    ways = _ways(settings, len(models))
    methods = tuple(choose_method(m, settings, pixels, way) for m, way in zip(models, ways, strict=True))
    memory_budget, notes = memory_budget_for(methods, settings), list[str]()
    tile = tile_size_for(methods, sizes, settings, memory_budget, notes.append)
    mask = mask if mask is None or isinstance(mask, Mask) else Mask(mask, layout, settings.every)
    frames = chosen_frames(layout, settings.frames)
    schedule = Schedule.of(cut_tiles(extent, tile), strips_per_group(methods, tile), frames, mask)
    looked_at = None if focus is None else tuple(focus)
    plan = RunPlan(
        image, models, settings, steps, layout, extent, methods, memory_budget, tile, mask, looked_at, schedule,
        tuple(notes),
    )  # fmt: skip
    return replace(plan, schedule=_in_order(plan, early=early and not separate, separate=separate))


def _ways(settings: RunSettings, models: int) -> tuple[str, ...]:
    """Return the ways of computing that the user chose for each model; empty where none are."""
    ways = settings.ways or ("",)
    if len(ways) not in (1, models):
        raise SettingsError(
            f"There are ways of computing for {len(ways)} models, not for {models}. Give one text for each model."
        )
    return ways if len(ways) == models else ways * models


def _checked_image(image: Any) -> Any:
    """Return an image as something with a shape and a type that can be computed with."""
    image = image if hasattr(image, "shape") and hasattr(image, "dtype") else np.asarray(image)
    check_dtype(np.dtype(image.dtype))
    return image


def resolve_settings(settings: RunSettings, models: Sequence[PatchModel]) -> RunSettings:
    """Return what the user chose with the preprocessing that the models' sidecars agree on, if none was chosen.

    Raises
    ------
    SettingsError
        If models cannot run with these settings, whatever the image.
    """
    check_border(settings.border)
    if settings.disagreement and len(models) == 1:
        raise SettingsError("One model cannot disagree with itself. Choose several models, or no disagreement.")
    named = settings.preprocess
    steps = named if named is not None else agreed_preprocess([(m.name, m.sidecar) for m in models])
    return replace(settings, preprocess=steps)


def _layout_and_extent(image: Any, models: tuple[PatchModel, ...], settings: RunSettings) -> tuple[Layout, Region]:
    """Return the image's axes, and the output pixels that get a prediction."""
    networks = [model.form for model in models]
    first = networks[0]
    layout = Layout.of(tuple(image.shape), first.channels, len(first.patch_shape), settings.channel_axis)
    return layout, extent_of(layout.frame_shape, [network.patch_shape for network in networks], settings)


def _in_order(plan: RunPlan, *, early: bool, separate: bool) -> Schedule:
    """Return a plan's tiles in the order that the user's focus gives them."""
    schedule, focus = plan.schedule, plan.focus
    if focus is not None:
        stack, axes = len(plan.layout.stack_shape), len(plan.result_shape)
        if len(focus) != axes:
            raise SettingsError(f"The focus {focus} is no pixel of labels with {axes} axes.")
        place = tuple(i / plan.settings.every for i in focus[stack:])
        schedule = schedule.nearest_to(focus[:stack], place)
        if early:
            first = early_tile(plan.methods, plan.extent, plan.settings, plan.tile, schedule.total, place)
            schedule = schedule.begin_with(first)
    return schedule.separate() if separate else schedule
