"""Tooltips from docstrings, so that a setting is explained in one place only."""

from __future__ import annotations

import inspect
import re


def tooltip_from(documented: object, name: str) -> str:
    """Return what a numpydoc docstring says about a parameter or attribute; empty if it says nothing."""
    match = re.search(rf"^(?:\w+, )*{name}(?:, \w+)* : .*\n((?:    .*\n?)+)", inspect.getdoc(documented) or "", re.M)
    return " ".join(line.strip().replace("``", "") for line in match.group(1).splitlines()) if match else ""
