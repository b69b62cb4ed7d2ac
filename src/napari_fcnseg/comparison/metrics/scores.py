"""Every score: what it is called, what it means and where it is from, and which tables show it.

A new score is a line here, and the number of the same name that a module of this folder computes. The window, the
report, the command line and the documentation show what this file says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Score:
    """A score.

    Attributes
    ----------
    name : str
        As in :meth:`Comparison.rows` and in the dataclasses.
    definition : str
        What it means and who defined it, in a sentence or two.
    title : str
        What it is called in tables, where its name with a capital is not enough.
    classes_only : bool
        Whether it takes equal labels for the same thing, which single objects are not.
    is_length : bool
        Whether it is in the unit of the pixels' spacing.
    of_border : bool
        Whether it is of a class's border, which is not always searched.
    is_change : bool
        Whether it is a share that can be below 0, shown in per cent with its sign.
    """

    name: str
    definition: str
    title: str = ""
    classes_only: bool = False
    is_length: bool = False
    of_border: bool = False
    is_change: bool = False

    def heading(self, unit: str = "") -> str:
        """Return what it is called in tables, with the unit if it is a length that has one."""
        words = self.title or self.name.replace("_", " ").capitalize()
        return f"{words} ({unit})" if self.is_length and unit else words


_SCORES: Final = (
    Score("pixels", "Pixels that were compared.", title="Pixels compared"),
    Score("different", "Pixels whose labels are not equal.", title="Pixels that differ", classes_only=True),
    Score(
        "accuracy",
        "Share of pixels with the same label, 0 included (scikit-learn; Pedregosa et al. 2011).",
        classes_only=True,
    ),
    Score(
        "kappa",
        "Agreement beyond what chance would give, label 0 included (Cohen 1960). 0: as by chance; 1: the same.",
        title="Cohen's kappa",
        classes_only=True,
    ),
    Score(
        "rand_error",
        "Adapted Rand error where the truth is not 0 (Arganda-Carreras et al. 2015; scikit-image). 0: same.",
        title="Adapted Rand error",
    ),
    Score(
        "rand_precision",
        "Of the pairs of pixels that the truth has in one label, the share that the mask has in one too: below 1, "
        "splits (Arganda-Carreras et al. 2015, named as scikit-image does).",
        title="… precision",
    ),
    Score(
        "rand_recall",
        "Of the pairs of pixels that the mask has in one label, the share that the truth has in one too: below 1, "
        "merges (Arganda-Carreras et al. 2015, named as scikit-image does).",
        title="… recall",
    ),
    Score(
        "variation_of_information",
        "Bits lost and gained between the two, label 0 included (Meilă 2007; scikit-image). 0: the same.",
    ),
    Score(
        "split_entropy",
        "The part of the variation of information that comes from false splits, in bits (Meilă 2007).",
        title="… from splits",
    ),
    Score(
        "merge_entropy",
        "The part of the variation of information that comes from false merges, in bits (Meilă 2007).",
        title="… from merges",
    ),
    Score("a_pixels", "Pixels of this class in the truth.", title="Pixels in A"),
    Score("b_pixels", "Pixels of this class in the mask.", title="Pixels in B"),
    Score("both", "Pixels of this class in both."),
    Score("dice", "Twice the shared pixels over the pixels of both (Dice 1945). 1: the same; 0: nothing in common."),
    Score("jaccard", "Shared pixels over the pixels of either, also called IoU (Jaccard 1912)."),
    Score(
        "precision",
        "Share of the mask's pixels of this class that are right; of objects, share of the mask's that are found in "
        "the truth.",
    ),
    Score("recall", "Share of the truth's pixels of this class that were found; of objects, share of the truth's."),
    Score(
        "volume_difference",
        "How much larger the class is in the mask than in the truth, as a share of the truth.",
        is_change=True,
    ),
    Score("mean_dice", "Mean Dice of all classes but label 0.", title="Mean Dice", classes_only=True),
    Score("mean_jaccard", "Mean Jaccard index of all classes but label 0.", title="Mean Jaccard", classes_only=True),
    Score(
        "border_precision",
        "Share of the mask's border that is within the tolerance of the truth's (Csurka et al. 2013).",
        of_border=True,
    ),
    Score(
        "border_recall",
        "Share of the truth's border that is within the tolerance of the mask's (Csurka et al. 2013).",
        of_border=True,
    ),
    Score(
        "border_f1",
        "Share of border pixels within the tolerance of the other border, both ways (Csurka et al. 2013).",
        title="Boundary F1",
        of_border=True,
    ),
    Score(
        "hausdorff_95",
        "95 % of border pixels are at most this far from the other border (Huttenlocher 1993; MedPy).",
        title="Hausdorff 95 %",
        is_length=True,
        of_border=True,
    ),
    Score(
        "hausdorff",
        "The farthest that a border pixel is from the other border (Huttenlocher et al. 1993; MedPy).",
        is_length=True,
        of_border=True,
    ),
    Score("a_objects", "Objects in the truth."),
    Score("b_objects", "Objects in the mask."),
    Score(
        "found",
        "Objects of the truth with a partner in the mask: one each, overlapping by the IoU threshold or more.",
    ),
    Score("missed", "Objects of the truth without a partner in the mask."),
    Score("spurious", "Objects of the mask without a partner in the truth."),
    Score("f1", "Twice the found objects over all objects of both: recognition quality (Kirillov et al. 2019)."),
    Score("segmentation_quality", "Mean IoU of the found objects with their partners (Kirillov et al. 2019)."),
    Score(
        "panoptic_quality",
        "Mean IoU of the pairs times the F1 score of objects (Kirillov et al. 2019, with StarDist's pairs: an IoU "
        "equal to the threshold is enough).",
    ),
    Score(
        "average_precision",
        "Objects found over found, missed and spurious, at an IoU threshold (Caicedo et al. 2019).",
        title="AP",
    ),
    Score(
        "mean_average_precision",
        "Mean of the average precision at IoU 0.5, 0.55, … 0.95 (Caicedo et al. 2019).",
        title="Mean AP (0.5–0.95)",
    ),
    Score("splits", "Truth objects that hold two or more objects of the mask by over half of each."),
    Score("merges", "Objects of the mask that hold two or more truth objects by over half of each."),
    Score("iou", "Pixels that an object shares with its best partner over the pixels of either (Jaccard 1912)."),
)
_PROBABILITY: Final = (
    Score(
        "average_precision",
        "Mean precision over all thresholds, weighted by the recall that each adds (Manning 2008; scikit-learn). 1: a "
        "threshold parts the class from the rest.",
        title="AP",
    ),
    Score(
        "best_threshold",
        "From this value on, calling a pixel the class gives the largest Dice; the highest of several.",
    ),
    Score("best_dice", "Dice of the class at the best threshold (Dice 1945)."),
    Score("best_precision", "Precision at the best threshold."),
    Score("best_recall", "Recall at the best threshold."),
    Score("dice", "Dice of the class at the threshold 0.5 (Dice 1945).", title="Dice at 0.5"),
    Score(
        "calibration_error",
        "How far what is said to be probable is from how often it is so, over ten equal bins, by their pixels "
        "(expected calibration error, Guo et al. 2017). 0: calibrated.",
    ),
    Score("largest_calibration_error", "The largest of these distances (maximum calibration error, Guo et al. 2017)."),
    Score(
        "brier",
        "Mean square of the distance from 1 where the class is and from 0 elsewhere (Brier 1950). 0: all right.",
        title="Brier score",
    ),
    Score("positives", "Pixels of the class in the truth."),
    Score("pixels", "Pixels that were compared.", title="Pixels compared"),
)
#: Of masks, by their names.
SCORES: Final[Mapping[str, Score]] = {score.name: score for score in _SCORES}
#: Of maps of probabilities, by their names.
PROBABILITY_SCORES: Final[Mapping[str, Score]] = {score.name: score for score in _PROBABILITY}
DEFINITIONS: Final[Mapping[str, str]] = {score.name: score.definition for score in _SCORES}

#: What tables show, in this order: of a mask as a whole, of each class, of objects at a threshold, of objects.
OF_WHOLE = (
    "accuracy", "kappa", "mean_dice", "mean_jaccard", "rand_error", "rand_precision", "rand_recall",
    "variation_of_information", "split_entropy", "merge_entropy", "pixels", "different",
)  # fmt: skip
OF_CLASS = ("dice", "jaccard", "precision", "recall", "volume_difference", "border_f1", "hausdorff_95")
OF_MATCHING = (
    "found", "missed", "spurious", "precision", "recall", "f1", "average_precision", "segmentation_quality",
    "panoptic_quality",
)  # fmt: skip
OF_OBJECTS = ("mean_average_precision", "splits", "merges")
#: What masks are ranked by, the first before the others.
CLASS_RANKS = ("mean_dice", "mean_jaccard", "accuracy", "kappa", "rand_error", "variation_of_information")
OBJECT_RANKS = ("mean_average_precision", "average_precision", "panoptic_quality", "splits", "merges", "rand_error")


def title(score: str) -> str:
    """Return what a score of masks is called in tables."""
    return SCORES[score].heading()


def whole_scores(*, single: bool) -> tuple[str, ...]:
    """Return the scores of a mask as a whole that mean something where labels are single objects, or classes."""
    return tuple(name for name in OF_WHOLE if not (single and SCORES[name].classes_only))
