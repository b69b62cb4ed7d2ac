"""All sheets that are painted on, and their classes. Free of Qt."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_fcnseg._napari.segment.teach.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import numpy.typing as npt
    from napari.layers import Layer

    from napari_fcnseg._napari.layers.channels import ImageLayers
    from napari_fcnseg._napari.segment.teach.choice import TeachChoice
    from napari_fcnseg.teaching.kept import KeptStrokes


class Book:
    """Sheets, the one that is painted on now, and the classes of all.

    Attributes
    ----------
    sheets : list of Sheet
        All of them.
    current : Sheet or None
        The one that is painted on now.
    names, colors : tuple of str
        Of the classes.
    """

    def __init__(self) -> None:
        self.sheets: list[Sheet] = []
        self.current: Sheet | None = None
        self.names: tuple[str, ...] = ()
        self.colors: tuple[str, ...] = ()

    def begin(self, choice: TeachChoice, layers: Collection[Layer]) -> None:
        """Begin anew with the sheets whose layers are still there; without any stroke the classes are the model's."""
        from napari_fcnseg.model.sidecar import default_names, palette

        self.sheets = [s for s in self.sheets if s.strokes in layers and all(i in layers for i in s.source.layers)]
        self.current = None
        if not self.any_painted:
            names = choice.names or default_names("class", 2)
            self.set_classes(names, choice.colors or palette(len(names), names))

    @property
    def any_painted(self) -> bool:
        """Whether there is a stroke."""
        return any(sheet.painted().any() for sheet in self.sheets)

    def turn_to(self, source: ImageLayers) -> Callable[[], Sheet] | None:
        """Take an image's sheet as the one that is painted on; return what makes it if there is none."""
        self.current = next((sheet for sheet in self.sheets if sheet.source.of_same_layers(source)), None)
        if self.current is not None:
            return None
        number = max((sheet.number for sheet in self.sheets), default=-1) + 1
        return partial(Sheet, number, source, self.names, self.colors)

    def by_number(self, number: int) -> Sheet | None:
        """Return a sheet."""
        return next((sheet for sheet in self.sheets if sheet.number == number), None)

    def set_classes(self, names: Sequence[str], colors: Sequence[str], gone: int = 0) -> None:
        """Take other classes.

        Parameters
        ----------
        names, colors : sequence of str
            In the order of the labels.
        gone : int
            The label of a class that is deleted, 0 if none is.
        """
        self.names, self.colors = tuple(names), tuple(colors)
        for sheet in self.sheets:
            if gone:
                sheet.without(gone)
            sheet.restyle(names, colors)

    def restore(self, kept: Mapping[int, KeptStrokes | None]) -> str:
        """Paint what was kept of an earlier time where nothing is painted, and say so."""
        said = ""
        for sheet in self.sheets:
            strokes = kept.get(sheet.number)
            if strokes is None or sheet.painted().any():
                continue
            if len(self.sheets) == 1:
                self.set_classes(strokes.names, strokes.colors)
            new = [pair for pair in zip(strokes.names, strokes.colors, strict=True) if pair[0] not in self.names]
            if new:
                names, colors = zip(*new, strict=True)
                self.set_classes((*self.names, *names), (*self.colors, *colors))
            sheet.restore(strokes, [self.names.index(name) + 1 for name in strokes.names])
            said = f"Your strokes on this image are back ({len(strokes.places):,} px)."
        return said

    def painted(self) -> dict[int, npt.NDArray[np.uint8]]:
        """Return the strokes by the numbers of the images."""
        return {sheet.number: sheet.painted() for sheet in self.sheets}

    def paint(self, painted: npt.NDArray[Any]) -> None:
        """Paint labels over the strokes of the current image where they are not 0; one undo takes them back."""
        if self.current is not None:
            where = np.nonzero(painted)
            self.current.strokes.data_setitem(where, painted[where])

    def without(self, layer: Layer) -> tuple[list[Sheet], str]:
        """Forget the sheets that a layer belonged to; return them, and a sentence."""
        gone = [sheet for sheet in self.sheets if layer is sheet.strokes or sheet.is_mine(layer)]
        self.sheets = [sheet for sheet in self.sheets if sheet not in gone]
        if self.current in gone:
            self.current = self.sheets[-1] if self.sheets else None
        names = ", ".join(repr(sheet.source.layers[0].name) for sheet in gone)
        if any(layer is sheet.strokes for sheet in gone):
            return gone, f"The strokes on {names} were deleted. Start teaching brings them back."
        return gone, f"The image {names} was removed, so its strokes teach no more. They come back with it."
