"""A result's provenance as a script and as a command line: each gives the very same numbers in a process of its own."""

from __future__ import annotations

import functools
import json
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from patience import patience

import napari_fcnseg as fcn
from napari_fcnseg.errors import SettingsError
from napari_fcnseg.imagefile import read_image
from napari_fcnseg.run.recipe import Inputs, as_command_line, as_python, check_models, settings_of
from napari_fcnseg.samples import SAMPLES
from napari_fcnseg.settings import RunSettings

ONNX = Path(__file__).resolve().parent.parent / "readers" / "onnx"
CELLS, TISSUE = (SAMPLES[name].model_path for name in ("cells", "tissue"))
STEPS = ("divide_by_median", "subtract_local_mean:61")
EXTRAS = ("probabilities", "confidence", "disagreement")

#: Executes scripts and command lines, each in a folder of its own.
ELSEWHERE = """
import json, os, sys
from napari_fcnseg.cli.main import main

for folder, script, words in json.load(sys.stdin):
    os.chdir(folder)
    if script is not None:
        exec(compile(script, "script", "exec"), {})
    else:
        assert words[0] == "napari-fcnseg"
        assert main(words[1:]) == 0, words
"""


@functools.cache
def cells() -> np.ndarray:
    """Return the sample's image, which takes a second to draw."""
    return SAMPLES["cells"].image()


@dataclass
class Case:
    """A run, and where its image lies for the script and for the command line."""

    image: Any
    models: list[Any]
    script: Inputs
    command: Inputs
    settings: dict[str, Any] = field(default_factory=dict)


def case_cells(folder: Path) -> Case:
    """Return the whole sample, by its name and in a file."""
    image = cells()
    np.save(folder / "cells.npy", image)
    inputs = Inputs(sample="cells"), Inputs((str(folder / "cells.npy"),))
    return Case(image, [CELLS], *inputs, {"preprocess": STEPS, "channel_axis": 2})


def case_colours(folder: Path) -> Case:
    """Return a colour image with transparency, of which the model takes three channels."""
    image = SAMPLES["tissue"].image()[:90, :101]
    path = folder / "it's 100 % colour.png"
    iio.imwrite(path, np.dstack([image, np.full(image.shape[:2], 77, np.uint8)]))
    inputs = Inputs((str(path),))
    return Case(image, [TISSUE], inputs, inputs, {"border": "edge", "tile": 40, "memory_limit": 3 * 2**30})


def case_stack(folder: Path) -> Case:
    """Return a stack of frames with the channels in the middle, of which some are computed, and inside a region."""
    image = np.stack([cells()[n : n + 70, :90] for n in (0, 60, 120, 180)]).transpose(0, 3, 1, 2)
    mask = np.zeros((70, 90), bool)
    mask[10:40, 5:60] = True
    tifffile.imwrite(folder / "stack.ome.tif", image, metadata={"axes": "TCYX"})
    np.save(folder / "mask.npy", mask)
    inputs = Inputs((str(folder / "stack.ome.tif"),), mask=str(folder / "mask.npy"))
    settings = {"preprocess": STEPS, "frames": ((1, 3),), "mask": mask, "border": "constant"}
    return Case(image, [CELLS], inputs, inputs, settings)


def case_part(folder: Path) -> Case:
    """Return every third pixel of a region of an image with a file per channel, which are one image to the run."""
    image = cells()[:80, :90]
    names = [str(folder / f"{name}.tif") for name in ("nuclei", "cytoplasm")]
    for name, channel in zip(names, np.moveaxis(image, -1, 0), strict=True):
        tifffile.imwrite(name, channel, imagej=True, resolution=(2, 2), metadata={"unit": "um"})
    both = str(folder / "both.tif")
    channels = np.moveaxis(image, -1, 0)
    tifffile.imwrite(both, channels, imagej=True, resolution=(2, 2), metadata={"unit": "um", "axes": "CYX"})
    settings = {"preprocess": (), "region": ((7, 60), (10, 71)), "every": 3, "tile": 30, "method": "patchwise"}
    return Case(image, [CELLS], Inputs(tuple(names)), Inputs((both,), channel_axis=0), settings)


def case_ensemble(folder: Path) -> Case:
    """Return an ensemble with all that can be asked of it."""
    image = cells()[:64, :77]
    np.save(folder / "image.npy", image)
    inputs = Inputs((str(folder / "image.npy"),))
    settings = {"preprocess": "scale_range:1,99", "confidence": True, "disagreement": True, "channel_axis": 2}
    return Case(image, [CELLS, ONNX / "chain2d.dynamo.onnx"], inputs, inputs, settings)


def case_answer(folder: Path) -> Case:
    """Return the second answer of a model that has two."""
    model = fcn.load_model(ONNX / "two.ts.onnx")
    model = fcn.load_model(ONNX / "two.ts.onnx", model.outputs[1])
    image = np.random.default_rng(3).normal(size=(40, 45, model.channels)).astype(np.float32)
    np.save(folder / "image.npy", image)
    inputs = Inputs((str(folder / "image.npy"),))
    return Case(image, [model], inputs, inputs, {"border": "valid", "channel_axis": 2})


CASES = (case_cells, case_colours, case_stack, case_part, case_ensemble, case_answer)


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> dict[str, tuple[Path, fcn.Segmentation]]:
    """Compute every case here, and again in one fresh process: its script, and its command line."""
    results, orders = {}, []
    for case_of in CASES:
        folder = tmp_path_factory.mktemp(case_of.__name__)
        case = case_of(folder)
        result = fcn.segment(case.image, case.models, probabilities=True, **case.settings)
        results[case_of.__name__] = folder, result
        provenance = json.loads(json.dumps(result.provenance))  # as it comes back from a file
        script, command = as_python(provenance, case.script), as_command_line(provenance, case.command, windows=False)
        for name, order in (("script", (script, None)), ("command", (None, shlex.split(command)))):
            (folder / name).mkdir()
            orders.append((str(folder / name), *order))
    command = [sys.executable, "-c", ELSEWHERE]
    there = subprocess.run(
        command, input=json.dumps(orders), text=True, capture_output=True, check=False, timeout=300 * patience()
    )
    assert there.returncode == 0, there.stderr[-3000:]
    return results


@pytest.mark.parametrize("way", ["script", "command"])
@pytest.mark.parametrize("case", [case_of.__name__ for case_of in CASES])
def test_the_same_numbers_to_the_last_bit(done, case, way) -> None:
    folder, result = done[case]
    np.testing.assert_array_equal(tifffile.imread(folder / way / "labels.tif"), result.labels)
    again = tifffile.imread(folder / way / "labels.probabilities.tif")
    again = again[..., None] if again.ndim < result.probabilities.ndim else np.moveaxis(again, -3, -1)
    np.testing.assert_array_equal(again, result.probabilities)
    for name in ("confidence", "disagreement"):
        path = folder / way / f"labels.{name}.tif"
        expected = getattr(result, name)
        assert path.exists() == (expected is not None)
        if expected is not None:
            np.testing.assert_array_equal(tifffile.imread(path), expected)


def test_a_script_knows_axes_and_pixel_size_as_the_command_line_does(done) -> None:
    for case, (folder, _) in done.items():
        script, command = (read_image([folder / way / "labels.tif"]) for way in ("script", "command"))
        if case != "case_cells":  # a sample has a pixel size, and its array in a file has none
            assert (script.axes, script.pixel_size) == (command.axes, command.pixel_size)
    assert read_image([done["case_part"][0] / "script" / "labels.tif"]).pixel_size == {"Y": 1.5, "X": 1.5}
    sample = read_image([done["case_cells"][0] / "script" / "labels.tif"])
    assert (sample.axes, sample.unit) == ("YX", "µm")
    assert sample.pixel_size == pytest.approx({"Y": 0.65, "X": 0.65})  # TIFF has it as a fraction


def test_settings_are_those_that_were_used(done) -> None:
    provenance = done["case_part"][1].provenance
    settings = settings_of(provenance)
    assert settings.tile == (30, 30)  # ten places of three pixels each
    assert settings.device == "CPU:0"
    assert (settings.region, settings.every, settings.preprocess) == (((7, 60), (10, 71)), 3, ())
    assert settings_of(provenance, Inputs(("a",), channel_axis=0)).channel_axis == 0
    for broken in ({}, {**provenance, "tile": None}, {**provenance, "settings": {"every": 0}}):
        with pytest.raises(SettingsError):
            settings_of(broken)


def test_every_setting_has_a_flag(done) -> None:
    """A setting that is new must not be forgotten: the command line that has it is read back."""
    from napari_fcnseg.cli import arguments
    from napari_fcnseg.cli import main as cli

    values = {
        "channel_axis": 0, "preprocess": ("clip:0,1", "sigmoid"), "border": "edge", "precision": "bfloat16",
        "device": "CPU:0", "tile": (20, 20), "memory_limit": 2**31 + 1, "probabilities": True, "method": "dense",
        "every": 2, "region": ((0, 9), (2, 8)), "frames": ((0, 1),), "confidence": True, "disagreement": True,
    }  # fmt: skip
    provenance = done["case_part"][1].provenance
    values["ways"] = ("2 direct", "plain")  # as they were taken, not as they were chosen
    assert set(RunSettings.__dataclass_fields__) == set(values)
    models = [{**provenance["models"][0], "ways": ways} for ways in values["ways"]]
    provenance |= {"models": models, "settings": {**values, "ways": None}, "tile": [10, 10], "channel_axis": 0}
    words = shlex.split(as_command_line(provenance, Inputs(("a.tif",)), windows=False))
    chosen = cli._parser().parse_args(words[1:])
    assert {name: getattr(chosen, name) for name in EXTRAS} == {n: Path(f"labels.{n}.tif") for n in EXTRAS}
    assert arguments.settings_of(chosen, **dict.fromkeys(EXTRAS, True)) == RunSettings.from_dict(values)


def test_one_image_of_a_file_that_holds_several_is_named(done) -> None:
    provenance = {**done["case_cells"][1].provenance, "series": 0}
    words = shlex.split(as_command_line(provenance, Inputs(("a.tif",)), windows=False))
    assert words[words.index("--series") + 1] == "0"
    assert "read_image(['a.tif'], series=0)" in as_python(provenance, Inputs(("a.tif",)))


def test_windows_is_quoted_in_its_own_way(done) -> None:
    provenance = done["case_cells"][1].provenance
    command = as_command_line(provenance, Inputs(("C:\\my cells\\a.tif",)), windows=True)
    assert '"C:\\my cells\\a.tif"' in command


def test_another_model_is_told_from_the_one_that_was_used(done, tmp_path) -> None:
    provenance = done["case_cells"][1].provenance
    check_models(provenance, [fcn.load_model(CELLS)])
    other = tmp_path / "cells31.keras"
    other.write_bytes(TISSUE.read_bytes())
    with pytest.raises(SettingsError, match="is not the one that the result was made with"):
        check_models(provenance, [fcn.load_model(other)])
    with pytest.raises(SettingsError, match="made with 1 models, not with 2"):
        check_models(provenance, [fcn.load_model(CELLS)] * 2)


def test_what_a_text_cannot_name_is_said(done) -> None:
    provenance = done["case_stack"][1].provenance
    with pytest.raises(SettingsError, match="region that is in no file"):
        as_python(provenance, Inputs(("a.tif",)))
    provenance = done["case_ensemble"][1].provenance
    with pytest.raises(SettingsError, match="image is in no file"):
        as_command_line(provenance, Inputs(sample="cells"))
    with pytest.raises(SettingsError, match="image is in no file"):
        as_python(provenance, Inputs())
    one, other = provenance["models"]
    with pytest.raises(SettingsError, match="'chain2d' was read from no file"):
        as_python(provenance | {"models": [one, other | {"path": "", "name": "chain2d"}]}, Inputs(("a.tif",)))
    answers = provenance | {"models": [one | {"output": "a"}, other | {"output": "b"}]}
    assert "output='b'" in as_python(answers, Inputs(("a.tif",)))
    with pytest.raises(SettingsError, match="another of its answers"):
        as_command_line(answers, Inputs(("a.tif",)))
