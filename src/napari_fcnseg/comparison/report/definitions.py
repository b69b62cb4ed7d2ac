"""What each score means, and where it is from: the text of tooltips and of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_fcnseg.comparison.study import StudyEntry

#: A sentence or two for each score, by its name in :meth:`Comparison.rows` and in the dataclasses.
DEFINITIONS: Final[Mapping[str, str]] = {
    "pixels": "Pixels that were compared.",
    "different": "Pixels whose labels are not equal.",
    "accuracy": "Share of pixels with the same label, 0 included (scikit-learn; Pedregosa et al. 2011).",
    "kappa": "Agreement beyond what chance would give, label 0 included (Cohen 1960). 0: as by chance; 1: the same.",
    "rand_error": "Adapted Rand error where the truth is not 0 (Arganda-Carreras et al. 2015; scikit-image). 0: same.",
    "rand_precision": "Of the pairs of pixels that the truth has in one label, the share that the mask has in one too: "
    "below 1, splits (Arganda-Carreras et al. 2015, named as scikit-image does).",
    "rand_recall": "Of the pairs of pixels that the mask has in one label, the share that the truth has in one too: "
    "below 1, merges (Arganda-Carreras et al. 2015, named as scikit-image does).",
    "variation_of_information": "Bits lost and gained between the two, label 0 included (Meilă 2007; scikit-image). "
    "0: the same.",
    "split_entropy": "The part of the variation of information that comes from false splits, in bits (Meilă 2007).",
    "merge_entropy": "The part of the variation of information that comes from false merges, in bits (Meilă 2007).",
    "a_pixels": "Pixels of this class in the truth.",
    "b_pixels": "Pixels of this class in the mask.",
    "both": "Pixels of this class in both.",
    "dice": "Twice the shared pixels over the pixels of both (Dice 1945). 1: the same; 0: nothing in common.",
    "jaccard": "Shared pixels over the pixels of either, also called IoU (Jaccard 1912).",
    "precision": "Share of the mask's pixels of this class that are right; of objects, share of the mask's that are "
    "found in the truth.",
    "recall": "Share of the truth's pixels of this class that were found; of objects, share of the truth's.",
    "volume_difference": "How much larger the class is in the mask than in the truth, as a share of the truth.",
    "mean_dice": "Mean Dice of all classes but label 0.",
    "mean_jaccard": "Mean Jaccard index of all classes but label 0.",
    "border_precision": "Share of the mask's border that is within the tolerance of the truth's (Csurka et al. 2013).",
    "border_recall": "Share of the truth's border that is within the tolerance of the mask's (Csurka et al. 2013).",
    "border_f1": "Share of border pixels within the tolerance of the other border, both ways (Csurka et al. 2013).",
    "hausdorff_95": "95 % of border pixels are at most this far from the other border (Huttenlocher 1993; MedPy).",
    "hausdorff": "The farthest that a border pixel is from the other border (Huttenlocher et al. 1993; MedPy).",
    "a_objects": "Objects in the truth.",
    "b_objects": "Objects in the mask.",
    "found": "Objects of the truth with a partner in the mask: one each, overlapping by the IoU threshold or more.",
    "missed": "Objects of the truth without a partner in the mask.",
    "spurious": "Objects of the mask without a partner in the truth.",
    "f1": "Twice the found objects over all objects of both: recognition quality (Kirillov et al. 2019).",
    "segmentation_quality": "Mean IoU of the found objects with their partners (Kirillov et al. 2019).",
    "panoptic_quality": "Mean IoU of the pairs times the F1 score of objects (Kirillov et al. 2019, with StarDist's "
    "pairs: an IoU equal to the threshold is enough).",
    "average_precision": "Objects found over found, missed and spurious, at an IoU threshold (Caicedo et al. 2019).",
    "mean_average_precision": "Mean of the average precision at IoU 0.5, 0.55, … 0.95 (Caicedo et al. 2019).",
    "splits": "Truth objects that hold two or more objects of the mask by over half of each.",
    "merges": "Objects of the mask that hold two or more truth objects by over half of each.",
    "iou": "Pixels that an object shares with its best partner over the pixels of either (Jaccard 1912).",
}

#: Words for scores whose names in the API are not words enough.
_TITLES: Final[Mapping[str, str]] = {
    "kappa": "Cohen's kappa", "rand_error": "Adapted Rand error", "f1": "F1", "mean_dice": "Mean Dice",
    "mean_jaccard": "Mean Jaccard", "border_f1": "Boundary F1", "hausdorff_95": "Hausdorff 95 %",
    "mean_average_precision": "Mean AP (0.5–0.95)", "average_precision": "AP", "dice": "Dice", "jaccard": "Jaccard",
    "split_entropy": "… from splits", "merge_entropy": "… from merges", "rand_precision": "… precision",
    "rand_recall": "… recall", "different": "Pixels that differ", "pixels": "Pixels compared",
    "volume_difference": "Volume difference", "a_pixels": "Pixels in A", "b_pixels": "Pixels in B",
}  # fmt: skip
_OVERALL = (
    "accuracy", "kappa", "mean_dice", "mean_jaccard", "rand_error", "rand_precision", "rand_recall",
    "variation_of_information", "split_entropy", "merge_entropy", "pixels", "different",
)  # fmt: skip
#: Those of them that take equal labels for the same thing, which single objects are not.
_OF_CLASSES = ("accuracy", "kappa", "mean_dice", "mean_jaccard", "different")


def title(score: str) -> str:
    """Return what a score is called in tables."""
    return _TITLES.get(score, score.replace("_", " ").capitalize())


def with_unit(score: str, unit: str) -> str:
    """Return the heading of a score that is a length, with its unit where it has one."""
    return f"{score} ({unit})" if unit else score


def overall_scores(entry: StudyEntry) -> tuple[str, ...]:
    """Return the names of the scores of a mask as a whole that mean something for its kind of labels."""
    single = entry.comparison.instances is not None
    return tuple(score for score in _OVERALL if not (single and score in _OF_CLASSES))
