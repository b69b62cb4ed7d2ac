"""Draw the figures of the documentation: ``python tools/docs_figures.py`` writes ``docs/figures/*.svg``.

Each is drawn twice, in ink for a light page and in ink for a dark one; the theme shows the one that fits.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "figures"
_CELL, _GAP = 22, 2


@dataclass(frozen=True)
class Ink:
    """Colours of a page; those of the marks are told apart by colour-blind readers (Okabe and Ito 2008)."""

    text: str
    line: str
    empty: str
    first: str
    second: str
    third: str


INKS = {
    "light": Ink("#24292f", "#8c959f", "#ffffff", "#0072b2", "#d55e00", "#a9d4ec"),
    "dark": Ink("#e6edf3", "#6e7681", "#1c2128", "#56b4e9", "#e69f00", "#1f4a63"),
}


@dataclass
class Drawing:
    """Collects the parts of an SVG picture.

    Parameters
    ----------
    width, height : float
        In pixels.
    title : str
        For those who do not see it.
    ink : Ink
        Colours.
    """

    width: float
    height: float
    title: str
    ink: Ink
    parts: list[str] = field(default_factory=list)

    def box(self, x: float, y: float, fill: str, width: float = _CELL, height: float = _CELL) -> None:
        """Draw a cell."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" fill="{fill}" '
            f'stroke="{self.ink.line}"/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = "", dash: str = "") -> None:
        """Draw a line."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour or self.ink.line}" '
            f'stroke-width="1.5"{dashes}/>'
        )

    def text(
        self, x: float, y: float, words: str, *, anchor: str = "start", colour: str = "", bold: bool = False
    ) -> None:
        """Write words, their baseline at y."""
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour or self.ink.text}"{weight}>{words}</text>'
        )

    def svg(self) -> str:
        """Return the picture."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img" font-size="14" '
            'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">'
        )
        return "\n".join([head, f"<title>{self.title}</title>", *self.parts, "</svg>"]) + "\n"


def sparse_kernels(ink: Ink) -> Drawing:
    """Draw a 3 × 3 kernel with d = 1, 2 and 4: its weights stay, and lie further apart."""
    cell, gap, top = 15, 2, 34
    drawing = Drawing(600, 210, "A 3 by 3 kernel as it is, and spread by 2 and by 4", ink)
    left = 10.0
    for d in (1, 2, 4):
        size = 2 * d + 1
        width = size * (cell + gap)
        for row in range(size):
            for column in range(size):
                weight = row % d == 0 and column % d == 0
                drawing.box(
                    left + column * (cell + gap),
                    top + row * (cell + gap),
                    ink.first if weight else ink.empty,
                    cell,
                    cell,
                )
        words = "the kernel" if d == 1 else f"dilation {d}"
        drawing.text(left, top - 12, words, bold=True)
        left += max(width, 110) + 60
    drawing.text(10, 204, "Filled: a weight. Empty: a pixel that is skipped. No weight is added or changed.")
    return drawing


def stride_to_dilation(ink: Ink) -> Drawing:
    """Draw two neighbouring patches whose pools use different positions, and the dense map that has both."""
    step = _CELL + _GAP
    drawing = Drawing(640, 346, "Two neighbouring patches with a stride of 2, and the dense network with both", ink)
    left, top = 190, 46

    def row(y: float, label: str, marks: dict[int, str], cells: range) -> None:
        drawing.text(left - 14, y + 16, label, anchor="end")
        for i in cells:
            drawing.box(left + i * step, y, marks.get(i, ink.empty))

    drawing.text(10, 22, "Patch by patch: the stride throws away every second position", bold=True)
    row(top, "first layer, patch at 0", dict.fromkeys((0, 2, 4), ink.first), range(12))
    row(top + 36, "patch at 1", dict.fromkeys((1, 3, 5), ink.second), range(12))
    row(top + 72, "patch at 2", dict.fromkeys((2, 4, 6), ink.first), range(12))
    drawing.text(left + 12 * step + 10, top + 88, "2 and 4: again")
    drawing.text(10, 190, "Densely: stride 1, and the next kernel skips with dilation 2", bold=True)
    every = {i: (ink.first, ink.second)[i % 2] for i in range(12)}
    row(212, "first layer, once", every, range(12))
    for origin in (0, 1):
        target = left + (origin + 2) * step + _CELL / 2
        colour = (ink.first, ink.second)[origin]
        for tap in (0, 2, 4):
            drawing.line(left + (origin + tap) * step + _CELL / 2, 212 + _CELL, target, 282, colour)
    row(282, "next layer", {2: ink.first, 3: ink.second}, range(2, 10))
    drawing.text(10, 336, "Each position is computed once and found by every patch that needs it.")
    return drawing


def edge_variants(ink: Ink) -> Drawing:
    """Draw which positions of a padded patch are shared by all patches, and which belong to one."""
    step = _CELL + _GAP
    drawing = Drawing(640, 232, "A patch with zero padding: interior positions and edge variants", ink)
    left = 200
    drawing.text(10, 22, "A patch of 9 positions, two convolutions of 3 with padding=same", bold=True)
    for number, (label, edges) in enumerate((("input", 0), ("after the first", 1), ("after the second", 2))):
        y = 46 + number * 46
        drawing.text(left - 44, y + 16, label, anchor="end")
        if number < 2:
            for x in (left - step, left + 9 * step):
                drawing.text(x + _CELL / 2, y + 16, "0", anchor="middle", colour=ink.text)
                drawing.line(x + 3, y + _CELL, x + _CELL - 3, y + _CELL, dash="3 2")
        for i in range(9):
            drawing.box(left + i * step, y, ink.second if min(i, 8 - i) < edges else ink.third)
    for x, fill, words in (
        (10, ink.third, "interior: no zero ever touched it,"),
        (330, ink.second, "edge variant: depends on where"),
    ):
        drawing.box(x, 188, fill, 16, 16)
        drawing.text(x + 24, 201, words)
    drawing.text(34, 220, "one map for all patches")
    drawing.text(354, 220, "the patch ends, a map of its own")
    return drawing


def halo_and_strips(ink: Ink) -> Drawing:
    """Draw a tile with its halo, and an image in strips."""
    drawing = Drawing(640, 268, "A tile with its halo, and an image that is computed in strips", ink)
    drawing.text(10, 22, "Tile and halo", bold=True)
    drawing.box(10, 40, ink.empty, 240, 170)
    drawing.box(70, 70, ink.third, 140, 110)
    drawing.box(90, 90, ink.first, 100, 70)
    drawing.text(140, 130, "tile", anchor="middle", colour=ink.empty, bold=True)
    drawing.text(140, 84, "halo", anchor="middle")
    drawing.text(10, 234, "To label the tile, P − 1 more rows and")
    drawing.text(10, 252, "columns of the image are read: the halo.")
    drawing.text(340, 22, "Strips", bold=True)
    for number, (fill, words) in enumerate(
        ((ink.third, "done"), (ink.third, "done"), (ink.first, "now"), (ink.empty, "to come"))
    ):
        drawing.box(340, 40 + number * 43, fill, 280, 41)
        colour = ink.empty if fill == ink.first else ink.text
        drawing.text(480, 65 + number * 43, words, anchor="middle", colour=colour, bold=fill == ink.first)
    drawing.line(340, 124, 620, 124, ink.second, "6 4")
    drawing.text(340, 234, "Each layer keeps its last rows")
    drawing.text(340, 252, "(dashed) for the next strip.")
    return drawing


FIGURES: dict[str, Callable[[Ink], Drawing]] = {
    "sparse-kernels": sparse_kernels,
    "stride-to-dilation": stride_to_dilation,
    "edge-variants": edge_variants,
    "halo-and-strips": halo_and_strips,
}


def pictures() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file."""
    for name, draw in FIGURES.items():
        for page, ink in INKS.items():
            yield f"{name}-{page}.svg", draw(ink).svg()


def main() -> None:
    """Write the figures."""
    parser = argparse.ArgumentParser(description="Draw the figures of the documentation.")
    parser.add_argument("--output", type=Path, default=FOLDER, metavar="FOLDER", help="for the figures (docs/figures)")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pictures():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
