"""Exceptions for everything that a user can cause; their messages say what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: What helps against a file that is damaged or was written in an unusual way.
SAVE_AGAIN: Final = "Save the model again with model.save('my_model.keras') where it was trained, and open that file."

__all__ = [
    "ClusterError",
    "ConversionError",
    "EngineError",
    "FcnSegError",
    "ImageError",
    "ModelFileError",
    "OutOfMemoryError",
    "OutputError",
    "SettingsError",
    "Understood",
    "UnsupportedLayerError",
]


@dataclass(frozen=True)
class Understood:
    """What is known of a model that was refused.

    Attributes
    ----------
    layers : tuple of (str, str)
        Name and class of each of its layers, in an order in which every layer follows what it reads.
    rows : tuple of tuple of str
        For the first so many of them the rows of a report (:meth:`ConversionReport.rows`), as long as they are known.
    outputs : tuple of str
        All answers that it offers, by name; empty where there is only one.
    """

    layers: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    outputs: tuple[str, ...] = ()


#: What a window says of a model of any patch size, above the fields for the size.
SAY_SIZE: Final = "Say the size of the patches that it was trained on below."
#: What is said of a model that labels every pixel by itself wherever others have their report.
AS_IT_IS: Final = "Not converted, no proof needed: it already labels every pixel."
#: What is said of a network that would do so and comes without what describes it.
AS_A_PACKAGE: Final = (
    "A network that labels every pixel runs as it is from a bioimage.io package with ONNX weights: choose its package, "
    "or a patch classifier."
)


class FcnSegError(Exception):
    """Base of every error a person can cause: one sentence or two that say what, where, and what to do.

    Attributes
    ----------
    understood : Understood or None
        What is known of the model that it is about, where it is about one that could be read.
    """

    understood: Understood | None = None


class ModelFileError(FcnSegError):
    """The file is no readable model (wrong kind, truncated, weights only, guarded against).

    Attributes
    ----------
    reason : str
        What is wrong with it, as a clause; empty where it is only said whole.
    """

    reason: str = ""


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


class PatchSizeError(ConversionError):
    """The model takes patches of any size, and nobody said which.

    Parameters
    ----------
    message : str
        The sentence.
    axes : int
        How many sizes there are to say.
    in_window : str
        The sentence where the size is asked for in a field below it.
    """

    def __init__(self, message: str, axes: int, in_window: str = "") -> None:
        super().__init__(message, axes, in_window)
        self.axes = axes
        self.in_window = in_window or message

    def __str__(self) -> str:
        return str(self.args[0])


class ImageError(FcnSegError):
    """The image does not fit: shape, channels, type, or values that are not finite."""


class SettingsError(FcnSegError):
    """A chosen setting is not one of the possible ones."""


class InMemoryError(SettingsError):
    """An image is only in this computer's memory, and others are to read it: saved, it can be."""


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


class ClusterError(FcnSegError):
    """A cluster cannot be reached, cannot do the run, or was lost."""


class OutputError(FcnSegError):
    """A result could not be written."""


class UnreadableError(Exception):
    """The file is no model that can be read.

    Parameters
    ----------
    reason : str
        A clause that says what is wrong.
    advice : str
        A sentence that says what to do.
    """

    def __init__(self, reason: str, advice: str = SAVE_AGAIN) -> None:
        super().__init__(reason, advice)
        self.reason = reason
        self.advice = advice


class GalleryError(FcnSegError):
    """A collection of models, or a model in it, cannot be had.

    Parameters
    ----------
    sentence : str
        What is wrong, and what to do.
    status : int
        What the server answered; 0 where it did not.
    """

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status
