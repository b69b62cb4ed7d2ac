"""What the tests of ONNX Runtime's cards have a computing process do: it imports ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np

#: How far half precision is off, about.
HALF = 1e-3


def found() -> list[tuple[str, str]]:
    """Return the cards of a machine on which one is absent, one computes in half precision, and two are right."""
    from napari_fcnseg.engine.backends import onnx, onnx_cards

    def make(model: bytes, address: str) -> Any:
        if address == "CUDAExecutionProvider":
            raise RuntimeError("no driver")
        session = onnx._session(model)
        return Rounded(session) if address == "CoreMLExecutionProvider" else session

    available = ["CPUExecutionProvider", "AzureExecutionProvider", *reversed(onnx_cards.PROVIDERS)]
    available.remove("MIGraphXExecutionProvider")
    return [(device.key, device.address) for device in onnx_cards.cards(available, make)]


class Rounded:
    """A session that computes in half precision and does not say so."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, names: Any, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Return what a session gives, off by as much as half precision is."""
        return [answer + np.float32(HALF) for answer in self._session.run(names, given)]
