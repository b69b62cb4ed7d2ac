"""The first example of the README: what it says comes out of it, as Python and on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_fcnseg.cli import main as cli
from napari_fcnseg.samples import SAMPLES

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## First example.*?(?=^## )", README, re.DOTALL | re.MULTILINE)[0]
CODE, COMMANDS = re.search(r"```python\n(.*?)```.*?```\n(.*?)```", SECTION, re.DOTALL).groups()


def test_the_python_prints_what_the_readme_says_it_prints(capsys) -> None:
    said: dict[str, Any] = {}
    exec(compile(CODE, "README.md", "exec"), said)
    printed = capsys.readouterr().out.strip()
    assert printed == CODE.rstrip().rpartition("  # ")[2] == "0 of 40000 pixels differ"
    slow, fast = said["slow"], said["fast"]
    part = tuple(slice(*map(int, ends)) for ends in re.findall(r"\((\d+), (\d+)\)", CODE))
    np.testing.assert_array_equal(slow.labels[part], fast.labels[part])
    assert set(np.unique(slow.labels[part])) == {1, 2, 3}  # all classes, so that there is something to get wrong
    assert slow.provenance["settings"]["method"] != fast.provenance["settings"]["method"]
    first, second = np.sort(slow.probabilities[part], axis=-1)[..., ::-1].transpose(2, 0, 1)[:2]
    assert (first - second).min() > 1e-3  # no near tie, which the rounding of another machine could turn


def test_the_command_line_says_so_too(tmp_path, monkeypatch, capsys) -> None:
    """The commands as they stand there, on a part of the sample."""
    cells = SAMPLES["cells"]
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("image.tif", np.moveaxis(cells.image()[:128, :128], -1, 0), metadata={"axes": "CYX"})
    Path("cells.keras").write_bytes(cells.model_path.read_bytes())
    *segment, compare = COMMANDS.strip().splitlines()
    for command in segment:
        assert cli.main([*command.split()[1:], "--quiet"]) == 0
    monkeypatch.setenv("COLUMNS", "200")
    capsys.readouterr()
    assert cli.main(compare.split()[1:]) == 0
    header, best = capsys.readouterr().out.splitlines()[:2]
    assert re.split(r"\s{2,}", header.strip())[:2] == ["mask", "different"]
    assert best.split()[:4] == ["1", "fast.tif", "0", "1"]
    fast = tifffile.imread("fast.tif")
    fast[10, 20:23] = fast[10, 20:23] % 3 + 1
    tifffile.imwrite("fast.tif", fast)
    assert cli.main(compare.split()[1:]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["1", "fast.tif", "3"]


def test_the_example_is_the_first_in_the_readme() -> None:
    assert README.index(CODE) == README.index("```python\n") + len("```python\n")
    for word in ("Open Sample", "patch by patch", "Compare masks"):
        assert word in SECTION, "it says what to click, too"
