"""The examples in docstrings run, and print what they say; the main functions have one each."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import napari_fcnseg

SOURCE = Path(napari_fcnseg.__file__).parent
MAIN = ("load_model", "convert", "segment", "iter_segment", "verify", "compare", "find_instances")
# Found in the text, so that no module is imported that brings Qt or a framework along.
MODULES = [
    ".".join(("napari_fcnseg", *path.relative_to(SOURCE).with_suffix("").parts))
    for path in sorted(SOURCE.rglob("*.py"))
    if "\n    >>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.xdist_group("docs")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("name", MAIN)
def test_the_main_functions_have_an_example(name: str) -> None:
    assert doctest.DocTestFinder().find(getattr(napari_fcnseg, name), name)[0].examples
