"""What a library cannot do before some version: tests skip it, with the version that is installed as the reason."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from packaging.version import Version

#: The first Keras that has an activation, where that is not the oldest that we admit.
ACTIVATIONS = {
    name: first
    for first, names in {
        "3.7": "celu glu hard_shrink hard_tanh log_sigmoid soft_shrink squareplus tanh_shrink",
        "3.8": "sparse_plus sparsemax",
        "3.10": "sparse_sigmoid",
    }.items()
    for name in names.split()
}


def lacking(library: str, first: str, what: str = "") -> str:
    """Return why the installed version will not do, or nothing where it is ``first`` or later."""
    have = version(library)
    return "" if Version(have) >= Version(first) else f"{library} {have} {what or 'does not have it'}; {first} is right"


def since(library: str, first: str, what: str = "") -> pytest.MarkDecorator:
    """Return the mark of a test that needs ``first`` or later."""
    reason = lacking(library, first, what)
    return pytest.mark.skipif(bool(reason), reason=reason)
