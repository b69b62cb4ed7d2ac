"""What a tile may take: planned, corrected by what was measured, remembered for the next run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_fcnseg import load_model
from napari_fcnseg.plan.memory_budget import FRAMEWORK, MemoryBudget, remember_budgets
from napari_fcnseg.plan.run_plan import RunPlan, make_plan
from napari_fcnseg.samples import catalogue
from napari_fcnseg.settings import RunSettings
from napari_fcnseg.system.memory import MemoryUsage

MIB = 2**20


def memory_budget(budget: float = 400 * MIB, limit: int | None = None) -> MemoryBudget:
    """Return a memory budget for tiles that take 1 KiB per place."""
    return MemoryBudget(lambda size: 1024 * math.prod(size), limit, budget)


def test_a_tile_is_halved_along_its_longest_axis_until_it_fits() -> None:
    assert memory_budget().tile((600, 600)) == (600, 600)
    assert memory_budget().tile((1000, 700)) == (500, 700)


def test_what_did_not_fit_is_not_tried_again() -> None:
    mine = memory_budget()
    assert mine.shrink((600, 600), 2) == (300, 600)
    assert mine.tile((600, 600)) == (300, 600)
    assert mine.tile((200, 100)) == (200, 100)
    assert mine.shrink((8, 8), 2) is None


def test_tiles_that_take_more_than_the_model_says_become_smaller() -> None:
    mine = memory_budget()
    mine.learn((600, 600), [MemoryUsage(1000 * MIB, 1700 * MIB)])  # 700 MiB instead of 352
    assert mine.tile((600, 600)) == (300, 600)
    mine.learn((300, 600), [MemoryUsage(1700 * MIB, 1700 * MIB)])  # the process has kept what the larger tile took
    assert mine.tile((600, 600)) == (300, 600)


def test_small_tiles_and_unknown_usages_teach_nothing() -> None:
    mine = memory_budget()
    mine.learn((30, 30), [MemoryUsage(0, 900 * MIB), None])
    assert mine.tile((600, 600)) == (600, 600)


def test_the_limit_is_that_of_the_whole_computing_process() -> None:
    mine = memory_budget(limit=800 * MIB)
    mine.learn(
        (600, 600), [MemoryUsage(700 * MIB, 1000 * MIB)]
    )  # so 100 MiB are left, and a quarter of the limit is ours
    assert mine.budget == 200 * MIB


@pytest.fixture(scope="module")
def model():
    return load_model(next(iter(catalogue.SAMPLES.values())).model_path)


@pytest.fixture
def image(model) -> np.ndarray:
    return np.zeros((3000, 3000, model.channels), np.uint8)


def plan_with(model, image, **settings) -> RunPlan:
    return make_plan(image, [model], RunSettings(channel_axis=-1, **settings))


def test_a_chosen_tile_that_cannot_fit_the_limit_is_made_smaller_and_that_is_said(model, image) -> None:
    plan = plan_with(model, image, tile=3000, memory_limit=1000 * MIB)
    assert max(plan.tile) < 3000
    assert plan.methods[0].bytes(plan.tile) < 1000 * MIB - FRAMEWORK
    assert "3000 × 3000" in plan.notes[0]


def test_a_limit_below_what_the_framework_takes_is_said(model, image) -> None:
    plan = plan_with(model, image, memory_limit=150 * MIB)
    assert "memory limit of 150 MiB is less than this run takes" in plan.notes[-1]


def test_without_a_limit_there_is_nothing_to_say(model, image) -> None:
    assert plan_with(model, image, tile=64).notes == ()


@pytest.mark.usefixtures("own_cache")
def test_the_next_run_knows_what_did_not_fit_and_what_tiles_took(model, image) -> None:
    first = plan_with(model, image, tile=512)
    assert first.tile == (512, 512)
    first.memory_budget.shrink((512, 512), 4)
    first.memory_budget.measured = 3.0
    remember_budgets([first.memory_budget], first.methods, first.settings)
    again = plan_with(model, image, tile=512)
    assert again.memory_budget.predict(again.tile) <= first.memory_budget.predict((512, 512)) / 4
    assert again.memory_budget.correction == 3.0
    assert plan_with(model, image, tile=512, memory_limit=2**40).tile == (512, 512)  # elsewhere it may fit
