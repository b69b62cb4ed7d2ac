"""The shape of the source: small modules and functions, one manifest, nothing that only works on one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from _keras_side import versions

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for folder in ("src", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
# About 300 lines is the aim; the limit is where splitting is certainly better than one more paragraph. A limit at the
# aim itself made files of 299 lines, and crumbs.
MODULE_LINES, FUNCTION_LINES = 350, 50

# Spelled in pieces, so that this file does not hold what it looks for.
HOSTS = ("py" + r"pi\.org", "python" + r"hosted\.", r"deb\.debian" + r"\.", "npm" + r"js\.", "anaconda" + r"\.")
PLACES = ("/wor" + "k/", "/roo" + "t/", "/hom" + r"e/\w", "/User" + r"s/\w", r"\bC:\\" + r"Users")
FORBIDDEN = re.compile("|".join((*HOSTS, *PLACES)))


def committed_files() -> list[Path]:
    """Files git knows, links left out; skips the test in a copy without git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_modules_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_functions_are_short() -> None:
    long = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > FUNCTION_LINES:
                long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = body_lines(node)
    assert long == {}


def test_top_level_manifest_is_a_link_to_the_one_in_the_package() -> None:
    link = ROOT / "napari.yaml"
    assert link.is_symlink()
    assert link.readlink() == Path("src/napari_fcnseg/napari.yaml")
    assert link.is_file()


def test_no_committed_file_names_a_registry_or_a_place_on_one_machine() -> None:
    found = []
    for path in committed_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a model
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in FORBIDDEN.finditer(text)]
    assert found == []


def test_base_install_has_neither_napari_nor_qt() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0].lower() for requirement in project["dependencies"]}
    assert not {name for name in names if re.fullmatch(r"napari|pyqt\d*|pyside\d*", name)}
    assert any(requirement.startswith("napari[all]") for requirement in project["optional-dependencies"]["all"])


def test_importing_the_package_imports_no_window_and_no_framework() -> None:
    heavy = "{'napari', 'qtpy', 'PyQt6', 'PySide6', 'tensorflow', 'keras', 'torch', 'jax'}"
    code = f"import sys, napari_fcnseg; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_frameworks_live_in_one_child_process(keras_child) -> None:
    first, second = keras_child(versions), keras_child(versions)
    assert first == second
    assert int(first["keras"].split(".")[0]) >= 3
    assert not {"tensorflow", "keras"} & sys.modules.keys()
