"""A patch network being written down as plain data, one layer after the other.

The data is JSON: ``{"patch", "inputs", "nodes", "outputs", "pick", "head", "seed", "kind", "first", "file"}``. A node
is ``{"layer": class, "args": {…}, "in": [numbers]}``, ``{"again": number, "in": …}`` for a layer used once more, or
``{"model": "Sequential" | "Functional", "nodes": […], "in": …}``. Tensors are numbered: the inputs first, then one per
node. Everything is written channels last; with ``first`` Keras is given the same network with the channels first.
"""

from __future__ import annotations

from typing import Any

from architectures.shapes import Tensor

Args = dict[str, Any]


class Graph:
    """What a network has so far. Every method adds a layer to tensor ``x`` and returns the number of its result."""

    def __init__(self, inputs: list[Tensor]) -> None:
        self.rank = len(inputs[0].sizes)
        self.tensors = list(inputs)
        self.inputs = len(inputs)
        self.nodes: list[dict[str, Any]] = []
        self.head = 0  # the tensor whose layer gives the classes' numbers

    def __getitem__(self, x: int) -> Tensor:
        return self.tensors[x]

    @property
    def last(self) -> int:
        """The number of the newest tensor."""
        return len(self.tensors) - 1

    @property
    def maps(self) -> int:
        """Dense maps of all tensors, about."""
        return sum(t.maps for t in self.tensors)

    def add(self, layer: str, args: Args, inputs: int | list[int], result: Tensor) -> int:
        """Add a layer."""
        sources = [inputs] if isinstance(inputs, int) else list(inputs)
        self.nodes.append({"layer": layer, "args": args, "in": sources})
        self.tensors.append(result)
        return self.last

    def _name(self, stem: str) -> str:
        return stem.replace("?", str(self.rank))

    def _full(self, value: int | tuple[int, ...]) -> tuple[int, ...]:
        return (value,) * self.rank if isinstance(value, int) else tuple(value)

    def conv(
        self, x: int, filters: int, kernel: Any = 3, strides: Any = 1, dilation: Any = 1, padding: str = "valid",
        kind: str = "Conv", **args: Any,
    ) -> int:  # fmt: skip
        """Add a convolution: ``kind`` is Conv, DepthwiseConv (filters: the multiplier) or SeparableConv."""
        kernel, strides, dilation = map(self._full, (kernel, strides, dilation))
        depthwise = kind == "DepthwiseConv"
        own = {"depth_multiplier" if depthwise else "filters": filters}
        shape = {"kernel_size": list(kernel), "strides": list(strides), "dilation_rate": list(dilation)}
        if self.rank == 1:
            shape = {key: value[0] for key, value in shape.items()}
        elif kind != "Conv":
            shape["strides"] = strides[0]  # TensorFlow has no depthwise convolution with unequal strides
        arguments = {**own, **shape, "padding": padding, **args}
        result = self[x].windowed(kernel, strides, dilation, padding)
        channels = self[x].channels * filters if depthwise else filters
        return self.add(self._name(f"{kind}?D"), arguments, x, result.with_channels(channels))

    def transpose(self, x: int, filters: int, kernel: Any, strides: Any, padding: str, **args: Any) -> int:
        """Add a transposed convolution."""
        kernel, strides = map(self._full, (kernel, strides))
        result = self[x].transposed(kernel, strides, padding).with_channels(filters)
        shape = {"kernel_size": self._plain(kernel), "strides": self._plain(strides)}
        arguments = {"filters": filters, **shape, "padding": padding, **args}
        return self.add(self._name("Conv?DTranspose"), arguments, x, result)

    def pool(self, x: int, kind: str, size: Any = 2, strides: Any = None, padding: str = "valid") -> int:
        """Add a pooling; ``kind`` is Max or Average."""
        size = self._full(size)
        full = size if strides is None else self._full(strides)
        args = {
            "pool_size": self._plain(size),
            "strides": None if strides is None else self._plain(full),
            "padding": padding,
        }
        result = self[x].windowed(size, full, self._full(1), padding)
        return self.add(self._name(f"{kind}Pooling?D"), args, x, result)

    def _plain(self, values: tuple[int, ...]) -> Any:
        return values[0] if self.rank == 1 else list(values)

    def global_pool(self, x: int, kind: str, keepdims: bool = False) -> int:
        """Add a global pooling."""
        channels, ones = self[x].channels, (1,) * self.rank
        result = Tensor(ones, channels, (0,) * self.rank, ones) if keepdims else Tensor.vector(channels)
        return self.add(self._name(f"Global{kind}Pooling?D"), {"keepdims": keepdims}, x, result)

    def pad(self, x: int, width: list[list[int]]) -> int:
        """Add zeros around."""
        return self.add(self._name("ZeroPadding?D"), {"padding": self._width(width)}, x, self[x].padded(width))

    def crop(self, x: int, width: list[list[int]]) -> int:
        """Cut positions off."""
        less = self[x].padded([[-a, -b] for a, b in width])
        return self.add(self._name("Cropping?D"), {"cropping": self._width(width)}, x, less)

    def _width(self, width: list[list[int]]) -> Any:
        return width[0] if self.rank == 1 else width

    def up(self, x: int, times: tuple[int, ...]) -> int:
        """Repeat every position."""
        return self.add(self._name("UpSampling?D"), {"size": self._plain(times)}, x, self[x].repeated(times))

    def same(self, x: int, layer: str, **args: Any) -> int:
        """Add a layer that keeps the shape and every position by itself."""
        return self.add(self._name(layer), args, x, self[x])

    def mixing(self, x: int, layer: str, **args: Any) -> int:
        """Add a layer that keeps the shape and mixes positions."""
        return self.add(layer, args, x, self[x].dissolved())

    def dense(self, x: int, units: int, **args: Any) -> int:
        """Add a dense layer."""
        return self.add("Dense", {"units": units, **args}, x, self[x].with_channels(units))

    def flatten(self, x: int, *, plain: bool = False, reshape: bool = False) -> int:
        """Flatten; ``plain`` as the numbers lie where the channels come first."""
        name, args = ("Reshape", {"target_shape": [-1]}) if reshape else ("Flatten", {})
        result = self.add(name, args, x, Tensor.vector(self[x].numbers))
        self.nodes[-1]["plain"] = plain or reshape
        return result

    def merge(self, kind: str, xs: list[int]) -> int:
        """Join position by position."""
        result = self[xs[0]]
        for x in xs[1:]:
            result = result.joined(self[x])
        return self.add(kind, {}, xs, result)

    def concatenate(self, xs: list[int]) -> int:
        """Join along the channels."""
        result = self[xs[0]]
        for x in xs[1:]:
            result = result.joined(self[x])
        return self.add("Concatenate", {"axis": -1}, xs, result.with_channels(sum(self[x].channels for x in xs)))

    def again(self, node: int, x: int, result: Tensor) -> int:
        """Use a layer, given by the number of its first result, once more."""
        self.nodes.append({"again": node, "in": [x]})
        self.tensors.append(result)
        return self.last

    def model(self, x: int, kind: str, inner: Graph) -> int:
        """Add a model inside the model; ``inner`` was begun with tensor ``x`` as its only input."""
        self.nodes.append({"model": kind, "nodes": inner.nodes, "in": [x], "maps": inner.maps})
        self.tensors.append(inner[inner.last])
        return self.last

    def spec(self, outputs: list[int], **more: Any) -> dict[str, Any]:
        """Return the whole network as data."""
        inputs = self.tensors[: self.inputs]
        whole = {
            "patch": list(inputs[0].sizes), "inputs": [t.channels for t in inputs], "nodes": self.nodes,
            "outputs": outputs, "pick": 0, "head": self.head, "seed": 0, "kind": "Functional", "first": False,
            "file": "keras",
        }  # fmt: skip
        return {**whole, **more}
