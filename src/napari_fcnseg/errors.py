"""Everything that can go wrong because of what a person chose, as sentences they can act on."""

from __future__ import annotations

__all__ = [
    "ConversionError",
    "EngineError",
    "FcnSegError",
    "ImageError",
    "ModelFileError",
    "OutOfMemoryError",
    "OutputError",
    "SettingsError",
    "UnsupportedLayerError",
]


class FcnSegError(Exception):
    """Base of every error a person can cause: one sentence or two that say what, where, and what to do."""


class ModelFileError(FcnSegError):
    """The file is no readable model (wrong kind, truncated, weights only, guarded against)."""


class UnsupportedLayerError(FcnSegError):
    """The model holds a layer that this program cannot read or convert.

    Parameters
    ----------
    layer : str
        The layer's own name in the model.
    layer_type : str
        Its class, for example ``"LSTM"``.
    reason : str
        Why it cannot be done, as a clause that ends a sentence.
    advice : str
        What the user can do about it, as a sentence.
    """

    def __init__(self, layer: str, layer_type: str, reason: str, advice: str) -> None:
        super().__init__(layer, layer_type, reason, advice)
        self.layer = layer
        self.layer_type = layer_type
        self.reason = reason
        self.advice = advice

    def __str__(self) -> str:
        return f"Layer {self.layer!r} ({self.layer_type}) cannot be used: {self.reason}. {self.advice}"


class ConversionError(FcnSegError):
    """The network as a whole has no dense form (no fixed patch size, an image as output, …)."""


class ImageError(FcnSegError):
    """The image does not fit: shape, channels, type, or values that are not finite."""


class SettingsError(FcnSegError):
    """A chosen setting is not one of the possible ones."""


class EngineError(FcnSegError):
    """The computing process ended, failed, or has no such device."""


class OutOfMemoryError(EngineError):
    """What was to be computed did not fit into memory.

    Parameters
    ----------
    message : str
        The sentence.
    pid : int or None
        The computing process, if it ended of it. One that was killed from outside or crashed counts too: the system
        kills for want of memory, a library that is refused memory may crash, and nobody can tell that from others.
    """

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message, pid)
        self.pid = pid

    def __str__(self) -> str:
        return str(self.args[0])


class OutputError(FcnSegError):
    """A result could not be written."""
