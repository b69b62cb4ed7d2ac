"""Files that others' services read: workflows, forms, citation; and the addresses that come from one place."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def loaded(path: Path) -> dict:
    """Return a file of YAML."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def targets() -> set[str]:
    """Return what can be made."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_only_and_names_versions_of_its_actions(path) -> None:
    workflow = loaded(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        for step in job.get("steps", ()):
            if "uses" in step:
                assert re.search(r"@(v\d+|release/v\d+)$|^docker://.+:\d+$", step["uses"]), f"{name}: {step['uses']}"
            if "actions/checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
        assert "timeout-minutes" in job or "uses" in job, f"{name} may hang for hours"


def test_the_workflows_make_what_can_be_made_on_every_python() -> None:
    made = {name for path in WORKFLOWS for name in re.findall(r"run: make ([a-z]+)$", path.read_text(), re.MULTILINE)}
    assert {"check", "docs", "test"} <= made <= targets()
    matrix = loaded(GITHUB / "workflows" / "test.yml")["jobs"]["test"]["strategy"]["matrix"]
    classifiers = [c.rpartition(" ")[2] for c in PROJECT["project"]["classifiers"] if ":: 3." in c]
    assert matrix["python"] == classifiers
    assert {os.partition("-")[0] for os in matrix["os"]} == {"ubuntu", "windows", "macos"}


def test_the_forms_ask_for_the_doctor() -> None:
    forms = [path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) == 3
    for path in forms:
        fields = {field["id"]: field for field in loaded(path)["body"]}
        assert "napari-fcnseg doctor --json" in fields["doctor"]["attributes"]["label"]
        assert fields["doctor"].get("validations", {}).get("required", False) is (path.stem != "feature")


def test_the_citation_is_of_this_version_and_of_the_method() -> None:
    citation = loaded(ROOT / "CITATION.cff")
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["references"][0]["url"] == "https://arxiv.org/abs/1412.4526"


def test_the_address_stands_in_one_place() -> None:
    address = PROJECT["tool"]["napari-fcnseg"]["repository"]
    files = [
        *ROOT.glob("*.md"), *ROOT.glob("*.cff"), *(ROOT / "docs").rglob("*.md"), *GITHUB.rglob("*.yml"),
        *(ROOT / "src").rglob("*.py"), *ROOT.glob("*.py"),
    ]  # fmt: skip
    assert [str(path) for path in files if address in path.read_text(encoding="utf-8")] == []


@pytest.fixture
def tool(monkeypatch):
    """Return a function that imports a module of the folder of tools, or of the top, for as long as a test runs."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.syspath_prepend(str(ROOT))
    yield import_module
    for name in ("check_release", "hatch_build"):
        sys.modules.pop(name, None)


def test_links_of_the_readme_are_whole_on_the_index(tool) -> None:
    pytest.importorskip("hatchling")
    whole = tool("hatch_build").with_whole_links
    text = "![p](docs/a.gif) [b](c.md#d) [e](https://example.org/x) [f](#g)"
    assert whole(text, "https://example.org/p") == (
        "![p](https://example.org/p/raw/main/docs/a.gif) [b](https://example.org/p/blob/main/c.md#d) "
        "[e](https://example.org/x) [f](#g)"
    )


def test_a_release_needs_its_version_its_date_and_its_address(tool, tmp_path) -> None:
    problems = tool("check_release").problems
    files = {
        "pyproject.toml": '[project]\nversion = "1.2.0"\n[tool.napari-fcnseg]\nrepository = "https://example.org/p"\n',
        "CITATION.cff": "version: 1.2.0\n",
        "CHANGELOG.md": "## 1.2.0 (2027-01-31)\n",
        "CODE_OF_CONDUCT.md": "Write to us@example.org.\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert problems("v1.2.0", tmp_path) == []
    assert problems("v1.3.0", tmp_path) == ["The tag is v1.3.0, and pyproject.toml has version 1.2.0."]
    for name, old, new, found in (
        ("CITATION.cff", "1.2.0", "1.1.0", "CITATION.cff"),
        ("CHANGELOG.md", "2027-01-31", "unreleased", "CHANGELOG.md"),
        ("pyproject.toml", "example.org", "example.org/OWNER", "placeholder"),
        ("CODE_OF_CONDUCT.md", "us@example.org", "CONTACT-ADDRESS", "CODE_OF_CONDUCT.md"),
    ):
        (tmp_path / name).write_text(files[name].replace(old, new), encoding="utf-8")
        assert len(problems("v1.2.0", tmp_path)) == 1
        assert found in problems("v1.2.0", tmp_path)[0]
        (tmp_path / name).write_text(files[name], encoding="utf-8")
