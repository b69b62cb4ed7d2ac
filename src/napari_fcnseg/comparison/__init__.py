"""Compare label maps: align them on one grid, count their overlaps block by block, and derive scores."""

from napari_fcnseg.comparison.agreement_map import (
    AGREEMENT,
    BOTH,
    DIFFERENT,
    NEITHER,
    ONLY_A,
    ONLY_B,
    AgreementMap,
    CellMap,
    Differing,
    compute_map,
    write_map,
)
from napari_fcnseg.comparison.alignment.placed import Placed, placed
from napari_fcnseg.comparison.alignment.world import Aligned, align
from napari_fcnseg.comparison.comparison import Comparison, compare
from napari_fcnseg.comparison.metrics.boundaries import BoundaryScores
from napari_fcnseg.comparison.metrics.classes import ClassScores, OverallScores
from napari_fcnseg.comparison.metrics.contingency import Contingency, count
from napari_fcnseg.comparison.metrics.objects import THRESHOLDS, InstanceScores, Matching, ObjectRow, matches, matchings
from napari_fcnseg.comparison.metrics.scores import DEFINITIONS
from napari_fcnseg.comparison.regions.connected import Place, places
from napari_fcnseg.comparison.settings import AUTO, CLASSES, INSTANCES, KINDS, CompareSettings
from napari_fcnseg.comparison.study import Study, StudyEntry, study
from napari_fcnseg.system.csv_file import write_csv

__all__ = [
    "AGREEMENT",
    "AUTO",
    "BOTH",
    "CLASSES",
    "DEFINITIONS",
    "DIFFERENT",
    "INSTANCES",
    "KINDS",
    "NEITHER",
    "ONLY_A",
    "ONLY_B",
    "THRESHOLDS",
    "AgreementMap",
    "Aligned",
    "BoundaryScores",
    "CellMap",
    "ClassScores",
    "CompareSettings",
    "Comparison",
    "Contingency",
    "Differing",
    "InstanceScores",
    "Matching",
    "ObjectRow",
    "OverallScores",
    "Place",
    "Placed",
    "Study",
    "StudyEntry",
    "align",
    "compare",
    "compute_map",
    "count",
    "matches",
    "matchings",
    "placed",
    "places",
    "study",
    "write_csv",
    "write_map",
]
