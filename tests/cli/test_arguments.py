"""What the command line says of an image before it is computed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.cli.arguments import channels_note
from napari_fcnseg.imagefile import ImageFile


@pytest.mark.parametrize(
    ("axes", "axis", "says"),
    [("ZYX", 0, "calls axis 0 depth (z); it is taken for the channels"), ("TYX", 0, "calls axis 0 time"),
     ("QYX", 0, ""), ("CYX", 0, ""), ("ZYX", None, "")],
)  # fmt: skip
def test_an_axis_that_the_file_calls_something_else_is_not_taken_for_the_channels_without_a_word(
    axes, axis, says
) -> None:
    note = channels_note(ImageFile(np.zeros((3, 40, 30)), axes), axis)
    assert says in note
    assert bool(says) == bool(note)
