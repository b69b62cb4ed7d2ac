"""Models to choose from: those in a folder, and those in a collection elsewhere, fetched when asked for."""

from __future__ import annotations

from napari_fcnseg.gallery.checking import check
from napari_fcnseg.gallery.collection import Collection, read_collection
from napari_fcnseg.gallery.description import Description, facts_of
from napari_fcnseg.gallery.entries import Entry
from napari_fcnseg.gallery.getting import copy_of, cover_of, describe, get, size_of
from napari_fcnseg.gallery.local import models_of

__all__ = [
    "Collection",
    "Description",
    "Entry",
    "check",
    "copy_of",
    "cover_of",
    "describe",
    "facts_of",
    "get",
    "models_of",
    "read_collection",
    "size_of",
]
