"""What a reader says when it stops: without the file's name, which the entry point adds."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_fcnseg.errors import ConversionError, Understood, UnreadableError, UnsupportedLayerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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
