"""Write a graph of another format in ONNX's operators, so that one table of operations reads all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from napari_fcnseg.readers.onnx.onnx_file import OnnxNode, readable, unique_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_fcnseg.readers.onnx.tensors import Constant

#: The version of ONNX's operators that is written.
OPSET: Final = 21


class Composer:
    """The nodes and constants written so far.

    Parameters
    ----------
    constants : dict
        The arrays of the file by name; more are added.
    """

    def __init__(self, constants: dict[str, Constant]) -> None:
        self.constants = constants
        self.nodes: list[OnnxNode] = []
        self._used: dict[str, int] = {}

    def layer(self, name: str) -> str:
        """Give a layer a readable name that no other has."""
        return unique_name(readable(name) or "layer", self._used)

    def constant(self, value: Any) -> str:
        """Add numbers that stand in a layer's settings, and give the name by which they are read."""
        array = np.asarray(value)
        name = f"constant {len(self.constants)}"
        while name in self.constants:
            name += "'"
        self.constants[name] = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        return name

    def add(
        self, layer: str, op_type: str, inputs: Sequence[str], outputs: Sequence[str] | None = None, **settings: Any
    ) -> str:
        """Add an operator.

        Parameters
        ----------
        layer : str
            The layer that it belongs to, whose name a person knows.
        op_type : str
            The operator.
        inputs : sequence of str
            What it reads; ``""`` is left out.
        outputs : sequence of str, optional
            What it makes; by default one result that is read by nothing but the same layer.
        **settings
            Its settings, as :class:`~napari_fcnseg.readers.onnx.onnx_file.OnnxNode` has them.

        Returns
        -------
        str
            The name of its first result.
        """
        outputs = (f"{layer} step {len(self.nodes)}",) if outputs is None else tuple(outputs)
        self.nodes.append(OnnxNode(layer, op_type, tuple(inputs), tuple(outputs), settings))
        return outputs[0]

    def named(self, name: str, result: str, layer: str) -> None:
        """Give the last result another name."""
        if self.nodes and self.nodes[-1].outputs == (name,):
            self.nodes[-1] = replace(self.nodes[-1], outputs=(result,))
        else:
            self.add(layer, "Identity", [name], [result])
