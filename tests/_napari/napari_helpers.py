"""What the window tests share: small models as data, and driving the dock as a user does."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from patience import patience

from napari_fcnseg._napari.segment.models.hints import ModelHints
from napari_fcnseg._napari.segment.models.model_job import LoadedModels
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import Activation, Conv, Dense, Flatten, Pool
from napari_fcnseg.model.patch_model import PatchModel

#: Small models that PyTorch exported: ``residual`` has two channels and three classes, ``two`` has two answers, and
#: ``norms`` is better run patch by patch.
ONNX = Path(__file__).resolve().parent.parent / "readers" / "onnx"


class SlowImage:
    """A stack of frames that takes its time, so that a test can do something in mid-run.

    The first two frames come at once, as a run reads one ahead; the others, once ``go`` was cleared, when it is set
    again. These are noted in ``read``.
    """

    ndim = 3
    dtype = np.dtype(np.float32)

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.shape = data.shape
        self.size = data.size
        self.go = threading.Event()
        self.go.set()  # the dock looks at an image before a run does
        self.read: set[int] = set()

    def __getitem__(self, where):
        if threading.current_thread() is not threading.main_thread() and where[0] > 1:
            self.go.wait(20 * patience())
            self.read.add(where[0])
        return self.data[where]

    def __array__(self, dtype=None, copy=None):
        return np.array(self.data, dtype)


def small_model(channels: int = 1, classes: int = 3, seed: int = 0, spatial: int = 2) -> PatchModel:
    """Return a patch model with random weights: a patch of 8 pixels per axis, one convolution, one pool."""
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

    window, pool = (3,) * spatial, (2,) * spatial
    ops = [
        (Conv(weights(*window, channels, 4), weights(1, 4)[0], (1,) * spatial, (1,) * spatial), Activation("relu")),
        (Pool("max", pool, pool),),
        (Flatten(),),
        (Dense(weights(3**spatial * 4, classes), weights(1, classes)[0]), Activation("softmax", {"axis": -1})),
    ]
    nodes, previous = [], INPUT
    for index, chain in enumerate(ops):
        name = f"layer_{index}"
        nodes.append(Node(name, type(chain[0]).__name__, chain, (previous,)))
        previous = name
    return PatchModel(Network(f"small{seed}", (*(8,) * spatial, channels), tuple(nodes), previous))


def image(*shape: int, seed: int = 0) -> np.ndarray:
    """Return an image of noise."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def give(dock: Any, *models: PatchModel, hints: ModelHints | None = None) -> None:
    """Hand models to the dock as if it had read them from files just now."""
    choice = dock.choice
    choice.wanted, choice._given, choice._output, choice._fill_in = ("files",), hints or ModelHints(), "", False
    choice._request += 1
    choice.take(LoadedModels(("files",), models, request=choice._request))


def settle(qtbot: Any) -> None:
    """Let what the layer list has to tell arrive."""
    qtbot.wait(20)


def finish(qtbot: Any, dock: Any, timeout: int = 60_000) -> str:
    """Wait until the dock takes requests again; return what it says."""
    qtbot.waitUntil(lambda: not dock.controller.running, timeout=timeout)
    assert dock.run.run.isEnabled()
    assert dock.run.verify.isEnabled()
    assert not dock.run.cancel.isEnabled()
    assert dock.run.bar.isHidden()
    return dock.run.message.text()


def run(qtbot: Any, dock: Any) -> str:
    """Press Run and wait for the end; return what the dock says."""
    settle(qtbot)
    dock.run.run.click()
    return finish(qtbot, dock)


def results(viewer: Any, layers_before: int) -> list[Any]:
    """Return the layers that a run has added."""
    return list(viewer.layers)[layers_before:]


def choose(qtbot: Any, dock: Any, *paths: Path) -> None:
    """Choose model files and wait until they are read."""
    dock.choose_models([str(path) for path in paths])
    qtbot.waitUntil(lambda: bool(dock.models), timeout=30_000)
    settle(qtbot)
