"""Segment many images, each on its own, with a line each in a report."""

from __future__ import annotations

from typing import Any

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
    "batch_on",
    "images_in",
    "named_items",
    "summary",
]


def batch_on(cluster: str | None, *batch: Any, **options: Any) -> Batch:
    """Return a batch (:class:`Batch`), on the workers of a cluster if one is named, else on this computer.

    Parameters
    ----------
    cluster : str or None
        A scheduler's address, or ``"local:N"``.
    *batch, **options
        As for :class:`Batch`.
    """
    if cluster is None:
        return Batch(*batch, **options)
    from napari_fcnseg.batch.on_cluster import ClusterBatch

    return ClusterBatch(*batch, cluster=cluster, **options)
