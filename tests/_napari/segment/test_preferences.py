"""What the user set in napari's Preferences, as the dock takes it."""

from __future__ import annotations

import os

import napari.settings
import pytest

from napari_fcnseg._napari.reader import PLUGIN
from napari_fcnseg._napari.segment.models.preferences import CATEGORY, Preferences, preferred, settable
from napari_fcnseg.settings import RunSettings


@pytest.mark.skipif(not settable(), reason="napari has settings of plugins from 0.9 on")
def test_what_is_set_is_taken_in_the_units_of_a_run() -> None:
    chosen = getattr(napari.settings.get_plugin_settings(PLUGIN), CATEGORY)
    assert preferred() == Preferences()
    try:
        chosen.memory_limit, chosen.device, chosen.model_folder = 512, " GPU:1 ", "~/models"
        chosen.cluster = " local:2 "
        wanted = preferred()
        assert wanted == Preferences(os.path.expanduser(os.path.join("~", "models")), "GPU:1", 512 * 2**20, "local:2")
        assert RunSettings(device=wanted.device, memory_limit=wanted.memory_limit).memory_limit == 2**29
        with pytest.raises(ValueError, match="memory_limit"):
            chosen.memory_limit = -1
    finally:
        chosen.memory_limit, chosen.device, chosen.model_folder, chosen.cluster = 0, "", "", ""
    assert preferred() == Preferences()


def test_a_napari_without_such_settings_prefers_nothing(monkeypatch) -> None:
    monkeypatch.delattr(napari.settings, "get_plugin_settings", raising=False)
    assert preferred() == Preferences()
    assert not settable()
