"""What the pages of the documentation say exists: names, files, links, words of the window, features."""

from __future__ import annotations

import argparse
import ast
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

import napari_fcnseg

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
#: Words in bold type that are no words of our window.
PROSE = re.compile(r"[a-z]|.*\.$|\d|.* (?:as|is|you|in|on) ")
NAPARI = {
    "File",
    "Open File(s)…",
    "Open Sample",
    "FCNSeg",
    "Layers",
    "Segment",
    "Measure",
    "Merge to Stack",
    "Preferences",
    "Plugins",
    "Save Selected Layers...",
}


@pytest.fixture
def tool(monkeypatch):
    """Return a function that imports a module of the folder of tools, for as long as a test runs."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    yield import_module
    for name in ("check_links", "docs_figures"):
        sys.modules.pop(name, None)


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "reference" / "api.rst").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto(?:function|class):: (\w+)$", text, re.MULTILINE)
    assert sorted(listed) == sorted(set(napari_fcnseg.__all__) - {"errors"})
    assert ".. automodule:: napari_fcnseg.errors" in text


def test_the_figures_are_those_that_the_tool_draws(tool) -> None:
    drawn = dict(tool("docs_figures").pictures())
    assert sorted(drawn) == sorted(path.name for path in (DOCS / "figures").iterdir())
    for name, text in drawn.items():
        assert (DOCS / "figures" / name).read_text(encoding="utf-8") == text, f"run tools/docs_figures.py: {name}"


def test_no_link_is_dead(tool) -> None:
    links = tool("check_links")
    assert [problem for page in PAGES for problem in links.problems(page)] == []


def test_a_dead_link_is_found(tool, tmp_path) -> None:
    links = tool("check_links")
    (tmp_path / "there.md").write_text("# A `heading` here\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md#a-heading-here) [b](there.md#gone) [c](gone.md) [d](https://nowhere) [e](https://example.org/x)",
        encoding="utf-8",
    )
    assert [problem.split(": ", 1)[1] for problem in links.problems(page)] == [
        "'there.md#gone' leads to no #gone there",
        "'gone.md' leads to no file",
        "'https://nowhere' is not a well-formed address",
    ]
    site = tmp_path / "page.html"
    site.write_text('<link rel="stylesheet" href="https://example.org/a.css"><p id="x"><a href="#x">', encoding="utf-8")
    assert [problem.split(": ", 1)[1] for problem in links.problems(site)] == [
        "it loads https://example.org/a.css from another site"
    ]


def texts_of_the_window() -> set[str]:
    """Return all texts in the code of the window, and those of the manifest."""
    texts = set()
    for path in (ROOT / "src" / "napari_fcnseg" / "_napari").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    manifest = (ROOT / "src" / "napari_fcnseg" / "napari.yaml").read_text(encoding="utf-8")
    return texts | set(re.findall(r"(?:display_name|title): (.+)", manifest))


def test_the_buttons_that_a_page_names_are_in_the_window() -> None:
    """Words in bold that begin with a capital letter name a button or a section, paths with ▸ a menu."""
    known = texts_of_the_window()
    missing = []
    for page in (DOCS / "start.md", DOCS / "trouble.md", *sorted((DOCS / "how-to").glob("*.md")), ROOT / "README.md"):
        text = page.read_text(encoding="utf-8")
        named = {" ".join(words.split()) for words in re.findall(r"\*\*([^*]+)\*\*", text)}
        for path in re.findall(r"(?<!\*)\*([^*]+▸[^*]+)\*(?!\*)", text):
            named |= {" ".join(word.split()) for word in path.split("▸")}
        buttons = {words for words in named if not PROSE.match(words)} - NAPARI
        missing += [f"{page.name}: {b}" for b in sorted(buttons) if not any(b in text for text in known)]
    assert not missing


def test_the_settings_that_a_page_names_are_in_the_window() -> None:
    """Words in italics that begin with a capital letter name a setting or an entry, by all that the window calls it."""
    known = {re.sub(r"^\d +", "", text) for text in texts_of_the_window()}  # the steps of *Compare masks* have numbers
    missing = []
    pages = [DOCS / name for name in ("tour.md", "trouble.md", "start.md")]
    for page in (*pages, *(DOCS / "how-to").glob("*.md"), ROOT / "README.md"):
        text = re.sub(r"(?ms)^```.*?^```|\*\*[^*]+\*\*", "", page.read_text(encoding="utf-8"))
        for path in re.findall(r"(?<![\w*])\*([^*]+)\*(?![\w*])", text):
            named = [" ".join(word.split()) for word in path.split("▸")]
            missing += [f"{page.name}: {word}" for word in named if word[0].isupper() and word not in known | NAPARI]
    assert not missing


def test_every_command_and_option_that_a_page_names_is_there() -> None:
    from napari_fcnseg.cli.main import _parser

    commands = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    options = {
        option for command in commands.values() for action in command._actions for option in action.option_strings
    }
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for command in re.findall(r"(?:^|`)napari-fcnseg ([a-z]+)", text, re.MULTILINE):
            assert command in commands, f"{page.name}: {command}"
        if page.parent.name == "how-to":
            named = set(re.findall(r"`(--[a-z-]+)", text))
            assert named <= options, f"{page.name}: {named - options}"


def test_every_environment_variable_is_documented() -> None:
    used = set()
    for path in (ROOT / "src").rglob("*.py"):
        used |= set(re.findall(r"\bNAPARI_FCNSEG_[A-Z_]+", path.read_text(encoding="utf-8")))
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert used <= set(re.findall(r"`(NAPARI_FCNSEG_[A-Z_]+)`", page))


def test_the_tests_that_the_proof_names_exist() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", (DOCS / "explain" / "proof.md").read_text(encoding="utf-8"))
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("file", "part", "ways"),
    [
        ("ENGINE.md", 1, ("ours, end to end", "ours, engine", "ONNX", "OpenVINO")),
        ("RESULTS.md", 0, (
            "ours, end to end", "ours, engine", "blog post", "Keras", "PyTorch", "OpenVINO", "ONNX",
            "patch by patch, best",
        )),
    ],
)  # fmt: skip
def test_the_figures_of_the_performance_page_are_those_measured(file, part, ways) -> None:
    """Its two tables repeat files of ``benchmarks/``, rounded."""
    results = (ROOT / "benchmarks" / file).read_text(encoding="utf-8")
    page = (DOCS / "explain" / "performance.md").read_text(encoding="utf-8").split("\nOn an Intel Xeon")[part]
    sections = {
        "DeepCell, 61": "DeepCell-61", "DeepCell, 31": "DeepCell-31", "SK-Net-like": "SK-Net", "3D": "3D",
        "two branches": "multi-resolution", "`same`-padded": "same-padded-64",
    }  # fmt: skip
    rows = [line for line in page.splitlines() if " × " in line]
    for begins, name in sections.items():
        said = next(row for row in rows if row.startswith(f"| {begins}")).split("|")[2:-1]
        found = results.split(f"\n## {name}: ")[1].split("\n## ")[0].splitlines()
        measured = []
        for way, seconds in zip(ways, said, strict=False):
            line = next(line for line in found if line.startswith(f"| {way}"))
            measured.append(float(line.split("|")[2].replace(",", "")))
            assert float(seconds.replace(",", "")) == pytest.approx(measured[-1], rel=0.06), f"{name}, {way}"
        if len(said) > len(ways):  # the engine's share of the quickest of the others
            assert float(said[-1]) == pytest.approx(measured[1] / min(measured[2:]), rel=0.02), name


def test_the_rooms_and_files_that_contributing_names_exist() -> None:
    """A table that sends people where nothing is, is worse than none."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    named = {name for line in tables for name in re.findall(r"`((?:[\w.]+/)+(?:\w+\.\w+)?|\w+\.py)`", line)}
    assert len(named) > 25
    found = {f"/{path.relative_to(ROOT).as_posix()}{'/' * path.is_dir()}" for path in (ROOT / "src").rglob("*")}
    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in found)] == []
