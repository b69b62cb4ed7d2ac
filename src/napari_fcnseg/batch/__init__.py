"""Segment many images one after the other, each on its own, with a line each in a report."""

from napari_fcnseg.batch.batch import Batch
from napari_fcnseg.batch.item import BatchItem, FoundImages
from napari_fcnseg.batch.items import IMAGE_SUFFIXES, images_in, named_items
from napari_fcnseg.batch.places import OUTPUT_FORMATS
from napari_fcnseg.batch.progress import BatchProgress
from napari_fcnseg.batch.report import DONE, FAILED, KEPT, SKIPPED, STOPPED, ReportLine, summary

__all__ = [
    "DONE",
    "FAILED",
    "IMAGE_SUFFIXES",
    "KEPT",
    "OUTPUT_FORMATS",
    "SKIPPED",
    "STOPPED",
    "Batch",
    "BatchItem",
    "BatchProgress",
    "FoundImages",
    "ReportLine",
    "images_in",
    "named_items",
    "summary",
]
