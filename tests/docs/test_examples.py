"""Every example of the documentation runs, and prints what the page says it prints."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from napari_fcnseg.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGES = sorted(page for page in (DOCS / "how-to").glob("*.md") if page.name != "index.md")
BLOCK = re.compile(r"^```(python|)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PRINTS = re.compile(r"^print\(.*\)  # ([^a-z].*)$", re.MULTILINE)  # a remark that begins with a small letter is prose
# One engine, and one folder of example files; the first page pays for the start and for timing the convolutions.
pytestmark = [pytest.mark.xdist_group("docs"), pytest.mark.timeout(240)]


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each of our commands after the program's own name."""
    for line in text.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line, comments=True) or [""]
        if program == "napari-fcnseg":
            yield words


def run_python(code: str, names: dict[str, Any], page: Path) -> None:
    """Run Python, and compare what it prints with the remarks behind ``print``."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(page), "exec"), names)
    wanted = PRINTS.findall(code)
    lines = printed.getvalue().splitlines()
    assert [line for line in wanted if line not in lines] == [], f"{page.name} printed {lines}"


def run_page(page: Path, names: dict[str, Any], heading: str = "") -> int:
    """Run all examples of a page in their order, or those from a heading on; return how many there were."""
    count = 0
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8").partition(heading or "#")[2]):
        if language:
            run_python(text, names, page)
            count += 1
            continue
        for words in commands(text):
            assert main(words) == 0, f"{page.name}: napari-fcnseg {shlex.join(words)}"
            count += 1
    return count


@pytest.fixture(scope="module")
def example_files(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """Return a folder with the files that the how-to guides begin with, and the names that their Python has."""
    folder = tmp_path_factory.mktemp("examples")
    names: dict[str, Any] = {}
    with contextlib.chdir(folder):
        assert run_page(DOCS / "how-to" / "index.md", names) == 5
    return folder, names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_how_to_run(page, example_files, tmp_path, monkeypatch) -> None:
    folder, names = example_files
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    ran = run_page(page, dict(names))
    assert ran > 0 or page.stem == "window", f"{page.name} has no example that runs"


def test_the_first_steps_run(example_files, tmp_path, monkeypatch) -> None:
    folder, names = example_files
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    assert run_page(DOCS / "start.md", dict(names)) == 3


def test_the_readme_runs(example_files, tmp_path, monkeypatch) -> None:
    """But its first example, which has a test of its own (``test_first_example.py``)."""
    folder, names = example_files
    shutil.copytree(folder, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    assert run_page(DOCS.parent / "README.md", dict(names), "## Five minutes, in napari") == 4


def test_an_example_that_is_wrong_is_found(example_files) -> None:
    names = dict(example_files[1])
    run_python("print(1 + 1)  # 2", names, Path("page.md"))
    with pytest.raises(AssertionError, match=r"page.md printed \['2'\]"):
        run_python("print(1 + 1)  # 3", names, Path("page.md"))
