"""Where the time of a run goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_fcnseg import load_model
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.run import Run
from napari_fcnseg.run.time_spent import TimeSpent
from napari_fcnseg.settings import RunSettings

MODEL = Path(__file__).resolve().parent.parent / "readers" / "onnx" / "residual.ts.onnx"


def test_the_parts_make_up_the_whole_and_what_took_nothing_is_left_out() -> None:
    assert TimeSpent(3, 0.21, 1.4).of(5.1) == (
        "3 s starting the computing process, 0.2 s preparing the network, 1 s computing, "
        "0.5 s reading, planning and showing"
    )
    assert TimeSpent(0, 0, 0.4).of(0.4) == "0.4 s computing"
    assert TimeSpent(0.1234567).as_dict() == {"starting": 0.123, "preparing": 0.0, "computing": 0.0}


def test_a_run_says_what_it_does_and_what_that_took() -> None:
    image = np.random.default_rng(0).random((40, 40, 2), np.float32)
    run = Run(make_plan(image, [load_model(MODEL)], RunSettings(tile=(20, 20), channel_axis=-1)))
    assert run.doing == "Starting the computing process"
    tiles = run.execute()
    next(tiles)
    assert run.doing == "Computing"
    assert len(list(tiles)) == 3
    entry = run.provenance()
    assert entry["spent"] == run.spent.as_dict()
    assert entry["seconds"] == run.spent.computing > 0
    first = run.spent
    list(run.execute(skip=lambda *_: False))
    assert run.spent.starting >= first.starting, "a run that goes on adds to it"
    assert run.spent.computing == pytest.approx(first.computing, abs=60)
    assert run.spent.computing > first.computing
