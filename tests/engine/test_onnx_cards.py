"""A card is offered once it has computed a small network as the processor does; here the processor stands for it."""

from __future__ import annotations

from _cards import found


def test_cards_that_compute_otherwise_or_are_not_there_are_not_offered(keras_child) -> None:
    assert keras_child(found) == [("onnx:GPU:0", "DmlExecutionProvider"), ("onnx:GPU:1", "OpenVINOExecutionProvider")]
