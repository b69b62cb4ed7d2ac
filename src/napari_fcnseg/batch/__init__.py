"""Many images one after the other: a folder, or some that are named; each alone, and each with its line in a report."""

from napari_fcnseg.batch.batch import FORMS, Batch, Standing
from napari_fcnseg.batch.items import IMAGES, Found, Item, images_in, named_items
from napari_fcnseg.batch.report import DONE, FAILED, KEPT, SKIPPED, STOPPED, Line, summary

__all__ = [
    "DONE", "FAILED", "FORMS", "IMAGES", "KEPT", "SKIPPED", "STOPPED", "Batch", "Found", "Item", "Line", "Standing",
    "images_in", "named_items", "summary",
]  # fmt: skip
