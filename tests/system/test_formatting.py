"""Numbers and names as a person would say them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.system.formatting import shorten_name


@given(st.text(max_size=60), st.integers(3, 50))
def test_a_shortened_name_fits_and_keeps_both_ends(name, most) -> None:
    short = shorten_name(name, most)
    assert len(short) == min(len(name), most)
    if short != name:
        first, last = short.split("…", 1) if name.count("…") == 0 else (short[0], short[-1])
        assert name.startswith(first)
        assert name.endswith(last)
        assert len(first) >= 1
        assert len(last) >= 1
