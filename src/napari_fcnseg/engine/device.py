"""What a network can run on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A device of the computing process.

    Attributes
    ----------
    key : str
        What a user writes to choose it: ``"CPU:0"``, ``"GPU:0"``.
    address : str
        The framework's name for it.
    name : str
        What it is, for a person: ``"NVIDIA H100"``.
    """

    key: str
    address: str
    name: str

    def __str__(self) -> str:
        return f"{self.key} ({self.name})"
