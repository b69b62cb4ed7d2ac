"""Tables that the program itself knows, so that a page cannot go stale: ``{fcnseg-table} scores`` or ``steps``."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sphinx.application import Sphinx


def scores() -> Iterator[tuple[str, str]]:
    """Yield the name of each score, and what it means."""
    from napari_fcnseg.comparison.metrics.scores import DEFINITIONS

    for name, words in DEFINITIONS.items():
        yield f"`{name}`", words


def steps() -> Iterator[tuple[str, str]]:
    """Yield how each preprocessing step is written, and what it does."""
    from napari_fcnseg.preprocess import STEPS, usage

    for name, step in STEPS.items():
        yield f"`{usage(name)}`", (inspect.getdoc(step) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")


_STAR = re.compile(r"\*(?=\w+[,)])")
TABLES = {"scores": (("score", "meaning"), scores), "steps": (("step", "what it does"), steps)}


class FcnsegTable(SphinxDirective):
    """A table with two columns."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        header, rows = TABLES[self.arguments[0]]
        container = nodes.container()
        self.state.nested_parse(StringList(markdown(header, rows())), 0, container)
        return container.children


def markdown(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a table as lines of Markdown."""
    lines = [header, ("---",) * len(header), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def escape_stars(_app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Escape the stars of shapes such as ``(*spatial, class)`` in the types of parameters, which mean no emphasis."""
    lines[:] = [line if "`" in line else _STAR.sub(r"\\*", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the directive known, and see docstrings before napoleon does."""
    app.add_directive("fcnseg-table", FcnsegTable)
    app.connect("autodoc-process-docstring", escape_stars, priority=400)
    return {"parallel_read_safe": True}
