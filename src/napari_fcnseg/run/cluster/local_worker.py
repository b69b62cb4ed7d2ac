"""What Dask runs at the start of each worker that was started for one run.

Ctrl-C is for the head to handle; and what a worker needs is imported while the head still reads the model.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
from typing import Any, Final

from napari_fcnseg.system.background import in_background

_NEEDED: Final = ("napari_fcnseg.run.cluster.bench", "zarr")


def dask_setup(worker: Any) -> None:
    """Ignore Ctrl-C, which a terminal sends to all processes of a command, and import ahead."""
    in_background(lambda: list(map(importlib.import_module, _NEEDED)), "napari-fcnseg-ahead")
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
