"""Two label maps to scores: one contingency table, read block by block, and what follows from it."""

from napari_fcnseg.comparison.borders import BorderScores
from napari_fcnseg.comparison.classes import ClassScores, OverallScores
from napari_fcnseg.comparison.comparison import DEFINITIONS, Comparison, compare, write_csv
from napari_fcnseg.comparison.instances import THRESHOLDS, InstanceScores, Matching, ObjectRow
from napari_fcnseg.comparison.table import Contingency, count

__all__ = [
    "DEFINITIONS", "THRESHOLDS", "BorderScores", "ClassScores", "Comparison", "Contingency", "InstanceScores",
    "Matching", "ObjectRow", "OverallScores", "compare", "count", "write_csv",
]  # fmt: skip
