"""The demo in a real window, as ``make demo`` runs it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from patience import patience

from napari_fcnseg.cli.demo import UNATTENDED


@pytest.mark.timeout(260)
def test_the_demo_ends_verified_with_a_picture_of_the_window(tmp_path) -> None:
    command = [sys.executable, "-m", "napari_fcnseg._napari.segment.demo", "cells", str(tmp_path)]
    shown = subprocess.run(
        command,
        env={**os.environ, UNATTENDED: "1"},
        capture_output=True,
        text=True,
        timeout=240 * patience(),
        check=False,
    )
    assert shown.returncode == 0, shown.stderr[-2000:]
    assert "256 of 256" in shown.stdout
    assert (tmp_path / "window.png").stat().st_size > 10_000
