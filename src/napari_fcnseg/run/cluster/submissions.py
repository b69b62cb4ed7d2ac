"""What a scheduler notes of every job that it is given, and would keep for ever.

Dask groups jobs into *spans*, and its scheduler adds a line to a job's span with each submission (0.3 kB, seen in
distributed 2026.8): of a run of a million blocks that is as much as an image. The jobs of a run have a span of their
own here, whose lines are removed again and again, and nobody else's.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OFTEN: Final = 2048  # submissions after which their lines are removed


class Submissions:
    """The submissions of one window.

    Parameters
    ----------
    client : distributed.Client
        What they go through.
    """

    def __init__(self, client: Any) -> None:
        import distributed

        self._client, self._count, self._kept = client, 0, True
        with distributed.span("napari-fcnseg") as self._span:
            pass

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Have what is submitted meanwhile noted in the span."""
        from dask.base import annotate

        with annotate(span={"name": ("napari-fcnseg",), "ids": (self._span,)}):
            yield
        self._count += 1
        if self._kept and self._count % _OFTEN == 0:
            self._forget()

    def _forget(self) -> None:
        try:
            self._client.run_on_scheduler(_forgetting(), self._span)
        except Exception:  # a scheduler that allows nobody to, or that is gone, which the next submission will say
            self._kept = False


def _forgetting() -> Callable[..., None]:
    """Return what is run in the scheduler; as a function in a function it is sent whole, and needs nothing there."""

    def forget(span: str, dask_scheduler: Any = None) -> None:
        spans = getattr(dask_scheduler.extensions.get("spans"), "spans", {})
        noted = getattr(spans.get(span), "_metadata", None)
        if noted:
            del noted["collections"][1:]

    return forget
