"""What a run can give for each pixel: labels, and the numbers that may be kept with them. A new one is a line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_fcnseg.plan.run_plan import RunPlan
    from napari_fcnseg.settings import RunSettings


@dataclass(frozen=True)
class OutputKind:
    """One array of a result.

    Attributes
    ----------
    name : str
        As in the settings, in the options of the command line, in names of files, and in a ``Segmentation``.
    array : str
        As in a :class:`~napari_fcnseg.run.run.Tile`.
    about : str
        What it holds, as the object of a sentence.
    per_class : bool
        Whether it has the classes along a last axis.
    is_share : bool
        Whether its numbers are from 0 to 1 whatever the network's are.
    """

    name: str
    array: str
    about: str
    per_class: bool = False
    is_share: bool = False

    def is_kept(self, settings: RunSettings) -> bool:
        """Whether a run with these settings gives it."""
        return self is LABELS or bool(getattr(settings, self.name))

    def shape(self, plan: RunPlan, labels: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Return the shape that it has in the result of a plan, where the labels have another shape in that one."""
        shape = plan.result_shape if labels is None else labels
        return (*shape, plan.outputs) if self.per_class else shape

    def dtype(self, plan: RunPlan) -> np.dtype[Any]:
        """Return the type that it has in the result of a plan."""
        return plan.label_dtype if self is LABELS else np.dtype(np.float32)


LABELS = OutputKind("labels", "labels", "the labels")
#: What the user may have kept as well; each is a setting of the same name.
EXTRA_OUTPUTS = (
    OutputKind("probabilities", "scores", "the network's numbers", per_class=True),
    OutputKind("confidence", "confidence", "the winning class's number"),
    OutputKind(
        "disagreement", "disagreement", "the share of the models that say another class than their mean", is_share=True
    ),
)
OUTPUT_KINDS = (LABELS, *EXTRA_OUTPUTS)


def kept_outputs(settings: RunSettings) -> tuple[OutputKind, ...]:
    """Return what a run with these settings gives, the labels first."""
    return tuple(kind for kind in OUTPUT_KINDS if kind.is_kept(settings))
