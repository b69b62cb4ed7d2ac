"""Names and colours of classes that nobody has chosen."""

from __future__ import annotations

import pytest

from napari_fcnseg.model.classes import default_names, palette

GREY = "#999999"


@pytest.mark.parametrize(
    ("names", "grey"),
    [
        ((), 0), (default_names("class", 3), 0), (("background", "edge", "interior"), 0),
        (("edge", "interior", "Background"), 2), (("edge", "bg", "nucleus"), 1),
    ],
)  # fmt: skip
def test_grey_is_for_the_background(names, grey) -> None:
    colors = palette(3, names)
    assert colors.index(GREY) == grey
    assert len(set(colors)) == 3
    assert [c for c in colors if c != GREY] == list(palette(3)[1:]), "the others keep their order"


def test_no_class_is_grey_where_none_is_background() -> None:
    assert GREY not in palette(12, [f"organelle {n}" for n in range(12)])
    assert len(set(palette(60, default_names("class", 60)))) == 60
