"""The computing process decides its arithmetic itself, whatever a processor lacks or a user has set."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from napari_fcnseg.engine import engine
from napari_fcnseg.engine.environment import ONEDNN, ProcessPurpose, onednn_switch
from napari_fcnseg.engine.process import EngineProcess
from napari_fcnseg.errors import EngineError
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Conv, ConvTranspose, Dense, DepthwiseConv, Flatten, Op
from napari_fcnseg.model.patch_model import PatchModel
from napari_fcnseg.plan.run_plan import make_plan
from napari_fcnseg.run.run import Run
from napari_fcnseg.settings import RunSettings

SWITCH = "TF_ENABLE_ONEDNN_OPTS"


@pytest.mark.parametrize("theirs", ["0", "1", None])
@pytest.mark.parametrize(
    ("machine", "ours", "switch"),
    [
        ("x86_64", None, "1"),
        ("AMD64", "", "1"),
        ("AMD64", "yes", "1"),
        ("x86_64", "0", "0"),
        ("aarch64", None, None),
        ("arm64", "1", "1"),
    ],
)
def test_onednn_is_our_choice_and_not_what_is_set_for_others(monkeypatch, machine, ours, switch, theirs) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    for name, value in ((ONEDNN, ours), (SWITCH, theirs)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert ProcessPurpose("tensorflow").environment()[SWITCH] == switch
    assert onednn_switch() == ({SWITCH: switch} if switch else {})
    assert SWITCH not in {k for k, v in ProcessPurpose("torch").environment().items() if v is not None}


def test_what_would_make_float32_inexact_is_not_inherited(monkeypatch) -> None:
    for name in ("ONEDNN_DEFAULT_FPMATH_MODE", "TF_SET_ONEDNN_FPMATH_MODE"):
        monkeypatch.setenv(name, "BF16")
        assert ProcessPurpose("tensorflow").environment()[name] is None


def network(spatial: int, seed: int = 0) -> Network:
    """Return a patch network of what some processors lack: grouped, depthwise, dilated, transposed; with ReLU."""
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

    one, two, window = (1,) * spatial, (2,) * spatial, (3,) * spatial
    ops: list[Op] = [
        Conv(weights(*window, 2, 8), weights(1, 8)[0], one, one, groups=2),
        # Keras has no depthwise convolution of volumes.
        DepthwiseConv(weights(*window, 8, 1), weights(1, 8)[0], one, one)
        if spatial < 3
        else Conv(weights(*window, 1, 8), weights(1, 8)[0], one, one, groups=8),
        Conv(weights(*(2,) * spatial, 4, 6), weights(1, 6)[0], one, two, groups=2),
        ConvTranspose(weights(*(2,) * spatial, 4, 6), weights(1, 4)[0], one, two, ((1, 1),) * spatial),
    ]
    chains = [*((op, Activation("relu")) for op in ops), (Flatten(),)]
    side = 9 - 2 - 2 - 2 + 2 - 2
    chains.append((Dense(weights(side**spatial * 4, 3), None), Activation("softmax", {"axis": -1})))
    nodes, previous = [], INPUT
    for number, chain in enumerate(chains):
        nodes.append(Node(f"layer_{number}", type(chain[0]).__name__, chain, (previous,)))
        previous = f"layer_{number}"
    return Network(f"lacking{spatial}", (*(9,) * spatial, 4), tuple(nodes), previous)


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """Return a computing process without oneDNN, started by somebody whose settings are for other programs."""
    theirs = tmp_path_factory.mktemp("keras")
    said = {"floatx": "float16", "epsilon": 0.1, "backend": "torch", "image_data_format": "channels_first"}
    (theirs / "keras.json").write_text(json.dumps(said))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ONEDNN, "0")
        patch.setenv(SWITCH, "1")
        patch.setenv("KERAS_HOME", str(theirs))
        patch.setenv("TF_USE_LEGACY_KERAS", "1")
        host = EngineProcess(ProcessPurpose("tensorflow"))
    yield host
    host.child.kill()


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_a_processor_without_onednn_computes_the_same(without, spatial) -> None:
    [device] = [d for d in without.devices.result() if d.is_cpu]
    assert device.library == "Eigen"
    patch = network(spatial)
    dense = PatchModel(patch).fcn.network
    image = np.random.default_rng(1).standard_normal((1, *(12,) * spatial, 4)).astype(np.float32)
    usual = engine().device("CPU")
    for one, x in ((dense, image), (patch, image[(slice(None), *(slice(9),) * spatial)])):
        there = without.call("run", one, device, x).result()
        here = engine().run(one, usual, x).result()
        assert there.shape == here.shape
        np.testing.assert_allclose(there, here, atol=1e-6)
        assert here.std() > 0.01, "answers that never vary prove nothing"


@pytest.mark.parametrize("device", ["CPU", "tensorflow:CPU"])
def test_the_library_is_in_the_provenance(device) -> None:
    model = PatchModel(network(2))
    run = Run(make_plan(np.zeros((12, 12, 4), np.float32), [model], RunSettings(channel_axis=2, device=device)))
    for _ in run.execute():
        pass
    found = run.provenance()
    package, library = ("onnxruntime", "MLAS") if device == "CPU" else ("tensorflow", "oneDNN")
    assert {"onnxruntime", "tensorflow"} & set(found["versions"]) == {package}
    if device != "CPU" and os.environ.get(ONEDNN) == "0":
        library = "Eigen"
    if device == "CPU" or onednn_switch():
        assert found["libraries"] == {f"{device}:0": library}


def test_a_network_that_cannot_be_compiled_says_why() -> None:
    patch = network(2)
    last = Node("odd", "Dense", (Dense(np.zeros((7, 3), np.float32), None),), (patch.nodes[-2].name,))
    nodes = (*patch.nodes[:-1], last)
    odd = Network("odd", patch.input_shape, nodes, "odd")
    usual = engine().device("CPU")
    with pytest.raises(EngineError) as caught:
        engine().run(odd, usual, np.zeros((1, 9, 9, 4), np.float32)).result()
    assert "not loaded" not in str(caught.value)
    assert "failed with ValueError" in str(caught.value)
