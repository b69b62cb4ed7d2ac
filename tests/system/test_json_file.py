"""JSON files that people can read: what they hold comes back, and what fits on a line stands on one."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_fcnseg.errors import OutputError
from napari_fcnseg.system.json_file import read_json, write_json

ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DATA = st.dictionaries(
    st.text(), st.recursive(ATOMS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), min_size=1
)


@pytest.mark.timeout(150)
@given(DATA)
def test_what_is_written_is_read_and_no_line_could_be_joined(data) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.json"
        write_json(path, data)
        text = path.read_text(encoding="utf-8")
    assert json.loads(text) == data
    assert text == _expected(data) + "\n"


def _expected(value: object, indent: int = 0) -> str:
    """Return the text by the plainest rule: a value on a line of its own length, if that is at most 100 letters."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (indent and indent + len(flat) <= 100):
        return flat
    pad, end = "\n" + " " * (indent + 1), "\n" + " " * indent
    if isinstance(value, list):
        return f"[{pad}" + f",{pad}".join(_expected(one, indent + 1) for one in value) + f"{end}]"
    pairs = (f"{json.dumps(key, ensure_ascii=False)}: {_expected(one, indent + 1)}" for key, one in value.items())
    return f"{{{pad}" + f",{pad}".join(pairs) + f"{end}}}"


def test_a_file_is_whole_or_not_there(tmp_path) -> None:
    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match="JSON"):
            write_json(tmp_path / "a.json", {"number": [number]})
    with pytest.raises(OutputError, match="larger than 1 KiB"):
        write_json(tmp_path / "a.json", {"text": "x" * 2000}, limit=1024)
    with pytest.raises(OutputError, match="could not be written"):
        write_json(tmp_path / "none" / "a.json", {})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "a.json", {"text": "é"})
    assert read_json(tmp_path / "a.json", "file") == {"text": "é"}
