"""What a reader says when it stops: without the file's name, which the entry point adds."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from napari_fcnseg.errors import ConversionError, Understood, UnreadableError, UnsupportedLayerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


#: Names the megabytes that reading a file may take beside a few times its size.
MEMORY_MEGABYTES: Final = "NAPARI_FCNSEG_READ_MEMORY"


def too_much_memory() -> tuple[str, str]:
    """Give the clause and the advice for what reached the limit of memory, or all there is."""
    return (
        "reading it was stopped because it took more memory than a file of its size may take.",
        f"If it is a sound model, close other programs, allow more megabytes with the environment variable "
        f"{MEMORY_MEGABYTES}=4000, and open it again. If that does not help, the file is damaged: copy or download it "
        "again.",
    )


class RefusedError(Exception):
    """A layer is understood but cannot be used; the layer's name is added by whoever knows it.

    Parameters
    ----------
    reason : str
        A clause that ends the sentence "this layer cannot be used: …".
    advice : str
        A sentence that says what to do.
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason, advice)
        self.reason = reason
        self.advice = advice


@contextmanager
def inside(where: str) -> Iterator[None]:
    """Say of every :class:`UnreadableError` raised inside where it was."""
    try:
        yield
    except UnreadableError as problem:
        raise UnreadableError(f"{where}: {problem.reason}", problem.advice) from None


@contextmanager
def about_layer(layer: str, layer_type: str) -> Iterator[None]:
    """Give every problem raised inside the name of the layer that it is about."""
    try:
        with inside(f"layer {layer!r} ({layer_type})"):
            yield
    except RefusedError as refusal:
        raise UnsupportedLayerError(layer, layer_type, refusal.reason, refusal.advice) from None


@contextmanager
def with_overview(layers: Iterable[tuple[str, str]], outputs: Iterable[str]) -> Iterator[None]:
    """Have every refusal inside tell which layers (name and class) and which answers the model has."""
    try:
        yield
    except (UnsupportedLayerError, ConversionError) as error:
        several = tuple(outputs)
        error.understood = Understood(tuple(layers), outputs=several if len(several) > 1 else ())
        raise
