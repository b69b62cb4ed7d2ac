"""The files in ``constraints/`` are complete, and hold nothing but names and versions."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PINNED_EXTRAS = ("all", "dev", "distributed", "formats", "package", "remote", "bench")
TOOLS = ("pip", "uv", "hatchling", "editables")
PIN = re.compile(r"(?P<name>[a-z0-9]+(-[a-z0-9]+)*)==(?P<version>[0-9][0-9a-z.]*)( ; (?P<marker>.+))?")
CONDITION = r"sys_platform == '(linux|darwin|win32)'( and platform_machine == '(x86_64|aarch64|arm64)')?"
MARKER = re.compile(rf"{CONDITION}( or {CONDITION})*")
SYSTEMS = {
    "Linux": ("linux", "x86_64"),
    "Linux on ARM": ("linux", "aarch64"),
    "Windows": ("win32", "AMD64"),
    "Mac": ("darwin", "arm64"),
    "Intel Mac": ("darwin", "x86_64"),
}
#: TensorFlow has no build for it.
IMPOSSIBLE = ("3.13", "Intel Mac")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pythons(project: dict[str, Any]) -> list[str]:
    """Return the Pythons that the classifiers name."""
    names = [line.rpartition(" ")[2] for line in project["project"]["classifiers"] if "Python :: 3." in line]
    assert names
    assert all(name in SpecifierSet(project["project"]["requires-python"]) for name in names)
    return names


def lines(python: str) -> list[str]:
    return (ROOT / "constraints" / f"python{python}.txt").read_text(encoding="utf-8").splitlines()


def pins(python: str, system: str) -> dict[str, Version]:
    """Return the version of each package on one system; that there are not two of one is asked here."""
    platform, machine = SYSTEMS[system]
    environment = {"sys_platform": platform, "platform_machine": machine, "python_full_version": f"{python}.0"}
    found: dict[str, Version] = {}
    for text in lines(python):
        pin = PIN.fullmatch(text)
        assert pin, text
        if pin["marker"] is None or Marker(pin["marker"]).evaluate(environment):
            assert pin["name"] not in found, f"{pin['name']} has two versions on {system}"
            found[pin["name"]] = Version(pin["version"])
    return found


def asked_for(project: dict[str, Any]) -> list[Requirement]:
    extras = project["project"]["optional-dependencies"]
    texts = [*project["project"]["dependencies"], *(text for extra in PINNED_EXTRAS for text in extras[extra])]
    return [Requirement(text) for text in [*texts, *project["build-system"]["requires"], *TOOLS]]


def test_every_supported_python_has_its_file_and_no_other(project: dict[str, Any]) -> None:
    assert {file.name for file in (ROOT / "constraints").iterdir()} == {
        f"python{name}.txt" for name in pythons(project)
    }


def test_a_line_is_a_name_a_version_and_at_most_a_system(project: dict[str, Any]) -> None:
    for python in pythons(project):
        for text in lines(python):
            pin = PIN.fullmatch(text)
            assert pin, f"constraints/python{python}.txt: {text}"
            assert pin["marker"] is None or MARKER.fullmatch(pin["marker"]), f"constraints/python{python}.txt: {text}"
        assert len(set(lines(python))) == len(lines(python))


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_pyproject_asks_for_is_there_and_within_its_bounds(project: dict[str, Any], system: str) -> None:
    for python in pythons(project):
        if (python, system) == IMPOSSIBLE:
            continue
        found = pins(python, system)
        for requirement in asked_for(project):
            pinned = found.get(canonicalize_name(requirement.name))
            assert pinned, f"{requirement.name} is missing for Python {python} on {system}: run `make lock`"
            assert pinned in requirement.specifier, f"{requirement} is pinned to {pinned}: run `make lock`"
            assert not pinned.is_prerelease
            assert pinned.local is None


def test_make_env_installed_these_versions(project: dict[str, Any]) -> None:
    """In ``.venv``, where its stamp says that ``make env`` made it; another environment may have what it likes."""
    if Path(sys.prefix).resolve() != ROOT / ".venv" or not (ROOT / ".venv" / "napari-fcnseg.json").exists():
        pytest.skip("not the environment of `make env`")
    elsewhere = {"uv", "openvino"}  # uv where it can be had, the others after `make bench`
    for text in lines(f"3.{sys.version_info[1]}"):
        pin = Requirement(text)
        if pin.name in {canonicalize_name(each.name) for each in asked_for(project)} - elsewhere:
            if pin.marker is None or pin.marker.evaluate():
                assert version(pin.name) in pin.specifier, f"{pin.name}: run `make env`"
