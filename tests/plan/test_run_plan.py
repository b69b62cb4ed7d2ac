"""The plan of a run: made without the engine, frozen, the same each time, and with every misfit said."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from patience import patience

from napari_fcnseg.engine import engine
from napari_fcnseg.errors import FcnSegError, ImageError, SettingsError
from napari_fcnseg.model.patch_model import PatchModel, load_model
from napari_fcnseg.plan.run_plan import RunPlan, make_plan
from napari_fcnseg.run.run import Run
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.settings import RunSettings

IMAGE = (4, 210, 170)  # a stack, before its channels


@pytest.fixture(scope="module")
def model() -> PatchModel:
    return load_model(next(iter(SAMPLES.values())).model_path)


def plan_of(model: PatchModel, *, focus=None, mask=None, early=True, separate=False, **settings) -> RunPlan:
    image = np.zeros((*IMAGE, model.channels), np.uint8)
    chosen = RunSettings(**{"channel_axis": -1, "tile": 40, "method": "dense"} | settings)
    return make_plan(image, [model], chosen, focus, mask, early=early, separate=separate)


#: What a process runs whose every attempt to start another one, or to import a framework, ends it.
ALONE = """
    import pickle, sys
    import numpy as np

    with open(sys.argv[1], "rb") as file:
        model = pickle.load(file)

    def forbid(event, arguments):
        if event in {"subprocess.Popen", "os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system"}:
            raise SystemExit(f"{event}: {arguments}")
        if event == "import" and arguments[0].partition(".")[0] in {"tensorflow", "keras", "torch", "jax"}:
            raise SystemExit(f"import {arguments[0]}")

    sys.addaudithook(forbid)
    if sys.argv[2] == "engine":
        from napari_fcnseg.engine import engine
        engine().start().result()
    from napari_fcnseg.plan.run_plan import make_plan
    from napari_fcnseg.settings import RunSettings

    mask = np.zeros((210, 170), bool)
    mask[50:60, 50:60] = True
    image = np.zeros((4, 210, 170, model.channels), np.uint8)
    plan = make_plan(image, [model], RunSettings(channel_axis=-1, tile=40), (1, 55, 55), mask)
    assert not any("napari_fcnseg.run" in name for name in sys.modules), "planning needs nothing that executes"
    print("planned", plan.summary.tiles, plan.summary.pixels)
"""


@pytest.mark.parametrize("wanted", ["plan", "engine"])
def test_a_plan_starts_no_process_and_imports_no_framework(model, tmp_path, wanted) -> None:
    path = tmp_path / "model.pickle"  # read here, where a child process reads model files
    path.write_bytes(pickle.dumps(model))
    command = [sys.executable, "-c", textwrap.dedent(ALONE), str(path), wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50 * patience(), check=False)
    if wanted == "engine":  # what is forbidden is what the engine does
        assert done.returncode != 0
        assert "planned" not in done.stdout
        return
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words[0] == "planned"
    assert int(words[1]) >= 4
    assert int(words[2]) == 4 * 100


def test_a_plan_is_frozen_and_running_it_changes_nothing_of_it(model) -> None:
    plan = plan_of(model, focus=(2, 100, 90), every=5, frames=((2, 3),))
    for part in (plan, plan.schedule, plan.methods[0], plan.layout, plan.settings):
        for field in dataclasses.fields(part):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(part, field.name, None)
    before = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    budget, planned = dataclasses.replace(plan.memory_budget), plan.schedule.planned()
    run = Run(plan)
    first = list(run.execute())
    assert run.devices
    assert all(getattr(plan, name) is value for name, value in before.items())
    assert plan.memory_budget == budget
    assert plan.schedule.planned() == planned
    assert [tile.where for tile in Run(plan).execute()] == [tile.where for tile in first]


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("focus", [None, (2, 100, 90)])
def test_equal_inputs_give_equal_tiles(model, focus) -> None:
    mask = np.zeros(IMAGE[1:], bool)
    mask[30:150, 40:] = True
    one, two = (plan_of(model, focus=focus, mask=mask) for _ in range(2))
    assert one.schedule.planned() == two.schedule.planned()
    assert one.schedule.frames == two.schedule.frames
    assert (one.summary, one.extent, one.tile, one.notes) == (two.summary, two.extent, two.tile, two.notes)
    assert len(one.schedule.planned()[0][1]) > 1


def test_what_changes_a_schedule_leaves_the_old_one_as_it_was(model) -> None:
    schedule = plan_of(model).schedule
    before = schedule.planned()
    near = schedule.nearest_to((3,), (200.0, 160.0))
    alone, early = near.separate(), near.begin_with(((190, 200), (150, 160)))
    assert schedule.planned() == before
    assert near.frames[0] == (3,) != schedule.frames[0]
    assert {tile for _, tile in near.planned()[0][1]} == {tile for _, tile in before[0][1]}
    assert (near.early, alone.early) == (None, None)
    assert early.total == near.total + 1
    last = alone.planned(lambda index, region: (index, region) != ((3,), alone.tiles[-1]))
    assert [len(parts) for _, parts in last] == [1], "computed from none above it"


def test_a_small_tile_comes_first_unless_it_is_not_wanted(model, monkeypatch) -> None:
    monkeypatch.setattr("napari_fcnseg.plan.tile_size._FIRST_WORK", 1e7)
    focus = (2, 100, 90)
    assert plan_of(model, focus=focus).schedule.early is not None
    assert plan_of(model, focus=focus, early=False).schedule.early is None
    apart = plan_of(model, focus=focus, separate=True).schedule
    assert apart.early is None
    assert all(len(group) == 1 for group in apart.groups)
    assert apart.frames[0] == (2,)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"frames": ((0, 5),)}, SettingsError, "Frames 0 to 4 were chosen along axis 0 of the stack, which has 4"),
        ({"disagreement": True}, SettingsError, "Choose several models"),
        ({"region": ((0, 5),)}, SettingsError, "1 axes and the model 2"),
        ({"region": ((900, 950), (0, 9))}, SettingsError, "no pixel"),
        ({"tile": (4, 4, 4)}, SettingsError, "3 sizes and the model 2"),
        ({"memory_limit": 1000}, SettingsError, "too small"),
        ({"preprocess": ("no_such_step",)}, SettingsError, "no_such_step"),
        ({"focus": (1, 2, 3, 4)}, SettingsError, "no pixel of labels with 3 axes"),
        ({"mask": np.zeros((210, 170))}, SettingsError, "no pixel where this run gives labels"),
        ({"mask": np.ones((170, 210))}, SettingsError, "shape 170 × 210"),
        ({"channel_axis": 0}, ImageError, "channel"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_said_when_it_is_planned(model, settings, error, says) -> None:
    with pytest.raises(error, match=says):
        plan_of(model, **settings)


def test_an_image_of_a_type_that_is_no_number_or_smaller_than_a_patch_is_said(model) -> None:
    with pytest.raises(FcnSegError, match=r"type|numbers"):
        make_plan(np.full((50, 50, model.channels), "a"), [model], RunSettings(channel_axis=-1))
    small = np.zeros((5, 5, model.channels), np.uint8)
    with pytest.raises(ImageError, match="smaller than the patch"):
        make_plan(small, [model], RunSettings(channel_axis=-1, border="valid"))


def test_planning_in_this_process_leaves_the_engine_as_it_was(model) -> None:
    warm = engine().warm
    plan_of(model, focus=(0, 3, 3))
    assert engine().warm == warm
