"""What a step of the tour is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget
    from tour_stage import Stage


@dataclass(frozen=True)
class Step:
    """One picture of the tour.

    Attributes
    ----------
    name, title, caption : str
        Of the picture's file, above it, and below it.
    act : callable
        What a person does, and what is waited for; it gets the stage.
    part : callable, optional
        Returns the part of the window that is shown; by default all of it.
    leave : callable, optional
        What is done once the picture is taken.
    film : bool
        Whether it is in the animation.
    """

    name: str
    title: str
    caption: str
    act: Callable[[Stage], None]
    part: Callable[[Stage], QWidget] | None = None
    leave: Callable[[Stage], None] | None = None
    film: bool = True
