"""Settings under File, Preferences, FCNSeg; napari offers them to plugins from 0.9 on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from napari_fcnseg._napari.reader import PLUGIN

#: The name in ``napari.yaml`` under which the settings stand.
CATEGORY = "defaults"
_MIB = 2**20


@dataclass(frozen=True)
class Preferences:
    """What holds where the dock does not say otherwise.

    Attributes
    ----------
    model_folder : str
        Where file dialogs begin, and whose models the dock offers; empty if none was chosen.
    device : str or None
        As in :class:`napari_fcnseg.settings.RunSettings`; None for the fastest.
    memory_limit : int or None
        Bytes that computing may take in all; None for half of what is free.
    cluster : str
        Where workers compute (:func:`napari_fcnseg.run.cluster.address.connected`); empty to compute here.
    collection : str
        Where the gallery finds models; empty if nobody said.
    """

    model_folder: str = ""
    device: str | None = None
    memory_limit: int | None = None
    cluster: str = ""
    collection: str = ""


def preferred() -> Preferences:
    """Return what the user prefers; nothing special where napari has no place to say it."""
    chosen = _settings()
    if chosen is None:
        return Preferences()
    folder = str(chosen.model_folder).strip()
    return Preferences(
        os.path.abspath(os.path.expanduser(folder)) if folder else "",
        str(chosen.device).strip() or None,
        int(chosen.memory_limit) * _MIB or None,
        str(getattr(chosen, "cluster", "")).strip(),
        str(getattr(chosen, "collection", "")).strip(),
    )


def settable() -> bool:
    """Whether this napari has a place where the user says what is preferred."""
    return _settings() is not None


def _settings() -> Any:
    """Return napari's settings of this plugin; None where it has none, or does not know ours."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:  # before napari 0.9
        return None
    try:
        return getattr(get_plugin_settings(PLUGIN), CATEGORY)
    except (KeyError, AttributeError):  # an npe2 that does not read them
        return None
