"""The tour in the docs shows the dock as it is: the same steps are gone through, and the dock says the same."""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
STALE = (
    "The dock says something else than the pictures of the tour show. Run `make tour`, look at them, and commit them."
)


@pytest.fixture
def tool(monkeypatch):
    """Return a function that imports a module of the folder of tools, for as long as a test runs."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    before = set(sys.modules)
    yield import_module
    for name in {"tour", "tour_stage", "tour_step", "tour_steps", "tour_compare"} - before:
        sys.modules.pop(name, None)


def recorded() -> list[dict]:
    """Return what the dock said when the pictures were taken."""
    return json.loads((DOCS / "pictures" / "tour.json").read_text(encoding="utf-8"))


def differences(before: dict, now: dict) -> str:
    """Return what is said now and was not, and the other way round."""
    lines = []
    for kind in sorted(before.keys() | now.keys()):
        old, new = before.get(kind, []), now.get(kind, [])
        if isinstance(old, str):
            lines += [f"{kind} have changed"] * (old != new)
        else:
            lines += [f"{kind}: no longer {text!r}" for text in old if text not in new]
            lines += [f"{kind}: now {text!r}" for text in new if text not in old]
    return "\n".join(lines)


@pytest.mark.timeout(300)
def test_the_pictures_show_the_dock_of_today(viewer, tool) -> None:
    stage = tool("tour_stage").Stage(viewer)
    stale = []
    for step, record in zip(tool("tour_steps").STEPS, recorded(), strict=True):
        step.act(stage)
        if changed := differences(record["shows"], tool("tour_stage").shown(stage)):
            stale.append(f"Step {step.name!r}:\n{changed}")
        if step.leave is not None:
            step.leave(stage)
    assert not stale, "\n\n".join([STALE, *stale])


def test_the_page_is_made_of_the_steps_and_all_its_pictures_are_there(tool) -> None:
    tour, steps = tool("tour"), tool("tour_steps").STEPS
    assert (DOCS / "tour.md").read_text(encoding="utf-8") == tour.page(steps), STALE
    said = [(record["name"], record["title"], record["caption"]) for record in recorded()]
    assert said == [(step.name, step.title, step.caption) for step in steps], STALE
    linked = set()
    for page in (DOCS / "tour.md", ROOT / "README.md"):
        found = re.findall(r"!\[([^\]]+)\]\(([^)]+\.(?:png|gif))\)", page.read_text(encoding="utf-8"))
        assert found, f"{page.name} has no picture with a text for those who do not see it"
        linked |= {(page.parent / name).resolve() for _, name in found}
    assert not [path for path in linked if not path.is_file()]
    wanted = {DOCS / "pictures" / tour.picture_name(step, steps) for step in steps} | {
        DOCS / "pictures" / tour.ANIMATION
    }
    tour = {path for path in linked if path.parent.name == "pictures"}
    assert tour == wanted == {path for path in (DOCS / "pictures").iterdir() if path.suffix in (".png", ".gif")}
    assert not [path.name for path in wanted if path.stat().st_size > (250_000 if path.suffix == ".png" else 1_500_000)]


def test_a_text_that_differs_is_named(tool) -> None:
    masked = tool("tour_stage").masked
    assert masked("About 1.5 s in 12,345 tiles") == masked("About 22 s in 7 tiles") == "About # s in # tiles"
    assert masked('<b style="color:#123456">a</b>&nbsp;/some/where/x.keras') == "a #"
    assert masked("Run") != masked("Start")
    before = {"buttons": ["Cancel", "Run"], "tooltips": "1"}
    assert differences(before, before) == ""
    assert "no longer 'Run'" in differences(before, {"buttons": ["Cancel", "Start"], "tooltips": "1"})
    assert "tooltips have changed" in differences(before, before | {"tooltips": "2"})
