"""What becomes of a run whose dock is closed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_fcnseg._napari.segment.run.activity import Activity
from napari_fcnseg._napari.segment.run.stopped import run_of, show_progress
from napari_fcnseg._napari.widgets.worker import end_workers

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Sequence

    from napari.layers import Layer

    from napari_fcnseg._napari.segment.run.result_layers import ResultLayers
    from napari_fcnseg._napari.widgets.worker import Outcome

_SETTLED_MILLISECONDS = 500  # until a worker that was told to stop has done so


def leave(
    stop: threading.Event, work: list[Generator[Any, None, Outcome]], shown: list[Activity | ResultLayers]
) -> None:
    """End what runs for a dock that is gone: it leaves napari's list, and its layers say that it was stopped."""
    end_workers(stop, work)
    for each in shown:
        if isinstance(each, Activity):
            each.close()
        elif each.layers and (segmented := run_of(each.layers[-1])) is not None:
            show_progress(each.layers, segmented.done, segmented.total)
            QTimer.singleShot(_SETTLED_MILLISECONDS, partial(_redraw, each.layers))
    shown.clear()


def _redraw(layers: Sequence[Layer]) -> None:
    """Draw layers anew: a preview was taken back where no tile was done."""
    for layer in layers:
        layer.refresh()
