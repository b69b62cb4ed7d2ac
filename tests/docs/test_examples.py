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
INDEX = DOCS / "how-to" / "index.md"
#: In the order in which the index names them, in which a person may follow them.
PAGES = [INDEX.parent / name for name in dict.fromkeys(re.findall(r"\]\((\w+\.md)[)#]", INDEX.read_text("utf-8")))]
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
def example_files(tmp_path_factory) -> Path:
    """Return a folder with the files that the how-to guides begin with."""
    folder = tmp_path_factory.mktemp("examples")
    with contextlib.chdir(folder):
        assert run_page(INDEX, {}) == 5
    return folder


@pytest.fixture(scope="module")
def followed(example_files, tmp_path_factory) -> Path:
    """Return one folder for all pages: nothing that a page writes is in the way of another."""
    return Path(shutil.copytree(example_files, tmp_path_factory.mktemp("followed") / "work"))


@pytest.fixture
def own_folder(example_files, tmp_path, monkeypatch) -> Path:
    """Go to a folder with the example files, and with two that a reader has: one for each channel."""
    folder = Path(shutil.copytree(example_files, tmp_path / "work"))
    shutil.copy(folder / "nuclei.tif", folder / "phase.tif")
    shutil.copy(folder / "cytoplasm.tif", folder / "dapi.tif")
    monkeypatch.chdir(folder)
    return folder


def first_lines() -> str:
    """Return what the index says that every page's Python begins with."""
    return BLOCK.findall(INDEX.read_text(encoding="utf-8"))[-1][1]


def test_the_index_names_every_page() -> None:
    assert sorted(PAGES) == sorted(page for page in INDEX.parent.glob("*.md") if page != INDEX)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_how_to_run(page, followed, monkeypatch) -> None:
    monkeypatch.chdir(followed)
    names: dict[str, Any] = {}
    run_python(first_lines(), names, INDEX)
    ran = run_page(page, names)
    assert ran > 0 or page.stem == "window", f"{page.name} has no example that runs"


@pytest.mark.usefixtures("own_folder")
def test_the_first_steps_run() -> None:
    assert run_page(DOCS / "start.md", {}, "## In a terminal") == 6


@pytest.mark.usefixtures("own_folder")
def test_the_readme_runs() -> None:
    """But its first Python, which has a test of its own (``test_first_example.py``); of no example is a name known."""
    assert run_page(DOCS.parent / "README.md", {}, "With your own files") == 8


def test_an_example_that_is_wrong_is_found() -> None:
    names: dict[str, Any] = {}
    run_python("print(1 + 1)  # 2", names, Path("page.md"))
    with pytest.raises(AssertionError, match=r"page.md printed \['2'\]"):
        run_python("print(1 + 1)  # 3", names, Path("page.md"))
