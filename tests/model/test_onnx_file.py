"""The dense network as an ONNX file: valid, of any size, and the engine's own numbers in another program's hands."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from architectures import keras_model
from architectures.draw import draw_architecture
from architectures.proof import draw_case

from napari_fcnseg import convert, errors, load_model
from napari_fcnseg.engine import engine
from napari_fcnseg.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from napari_fcnseg.model.patch_model import PatchModel


def check_file(model: PatchModel, path: Path) -> None:
    """Write a model's dense network and compare what ONNX Runtime makes of the file with the engine."""
    import onnxruntime

    fcn = convert(model)
    assert fcn.save(path) == path
    loaded = onnx.load(path)
    onnx.checker.check_model(loaded, full_check=True)
    network = fcn.network
    assert {p.key: p.value for p in loaded.metadata_props}["reach"] == " ".join(map(str, network.reach))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for more in (0, 11):
        x = rng.standard_normal((1, *(n + more for n in network.reach), network.channels)).astype(np.float32)
        [found] = session.run(["answer"], {"image": x})
        wanted = engine().run(network, engine().device("tensorflow:CPU"), x).result()
        assert found.shape == wanted.shape == (1, *(1 + more,) * len(network.reach), network.outputs)
        np.testing.assert_allclose(found, wanted, atol=1e-5 * max(1, np.abs(wanted).max()))


def test_a_sample_is_written_and_answers_the_same(tmp_path) -> None:
    check_file(load_model(SAMPLES["cells"].model_path), tmp_path / "dense.onnx")


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_random_architectures_answer_the_same(keras_child, tmp_path, rank) -> None:
    random = Random(rank)
    written = 0
    for number in range(4):
        case = draw_case(random, draw_architecture(random, rank))
        path = tmp_path / f"{number}.{case['spec']['file']}"
        output = keras_child(keras_model.make, case["spec"], str(path))
        model = load_model(path, output)
        if convert(model).network.steps:
            check_file(model, tmp_path / f"{number}.onnx")
            written += 1
    assert written


def test_another_ending_is_refused_with_those_that_there_are(tmp_path) -> None:
    with pytest.raises(errors.OutputError, match=r"\.keras or an \.onnx"):
        convert(load_model(SAMPLES["cells"].model_path)).save(tmp_path / "dense.h5")
