"""Random patch networks: a hypothesis strategy for single-path Keras models that classify a patch."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ACTIVATIONS = ("relu", "elu", "selu", "tanh", "sigmoid", "softplus", "softsign", "silu", "gelu", "leaky_relu", "relu6",
               "hard_sigmoid", "hard_silu", "mish", "linear")  # fmt: skip


class _Chain:
    """A network being drawn: what it has so far, and the size of its map."""

    def __init__(self, draw: Any, spatial: int) -> None:
        self.draw = draw
        top = {1: 20, 2: 15, 3: 8}[spatial]
        self.size = [draw(st.integers(3, top)) for _ in range(spatial)]
        self.channels = draw(st.integers(1, 3))
        self.spec: dict[str, Any] = {
            "input": (*self.size, self.channels),
            "layers": [],
            "seed": draw(st.integers(0, 99)),
        }

    def add(self, name: str, **arguments: Any) -> None:
        self.spec["layers"].append((name, arguments))

    def _per_axis(self, low: int, high: list[int]) -> tuple[int, ...]:
        return tuple(self.draw(st.integers(low, max(low, h))) for h in high)

    def _shrink(self, window: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]) -> None:
        self.size = [
            (n - ((k - 1) * d + 1)) // s + 1 for n, k, s, d in zip(self.size, window, strides, dilation, strict=True)
        ]

    def conv(self) -> None:
        rank, ones = len(self.size), (1,) * len(self.size)
        kind = self.draw(st.sampled_from(["Conv", "Conv", "Conv", "Depthwise", "Separable"] if rank < 3 else ["Conv"]))
        window = self._per_axis(1, [min(n, 4) for n in self.size])
        strides = dilation = ones
        if self.draw(st.booleans()) and rank == 2:
            dilation = self._per_axis(1, [2 if (k - 1) * 2 < n else 1 for k, n in zip(window, self.size, strict=True)])
        elif self.draw(st.booleans()):
            # Keras has no depthwise convolution with unequal strides on TensorFlow
            strides = self._per_axis(1, [3] * rank) if kind == "Conv" else (self.draw(st.integers(1, 3)),) * rank
        arguments: dict[str, Any] = {
            "kernel_size": window, "strides": strides, "dilation_rate": dilation,
            "activation": self.draw(st.sampled_from(ACTIVATIONS)), "use_bias": self.draw(st.booleans()),
        }  # fmt: skip
        if kind == "Depthwise":
            multiplier = self.draw(st.integers(1, 2))
            self.add(f"DepthwiseConv{rank}D", depth_multiplier=multiplier, **arguments)
            self.channels *= multiplier
        else:
            filters = self.draw(st.sampled_from([2, 3, 4, 6]))
            groups = self.draw(st.sampled_from([g for g in (1, 1, 2, 3) if self.channels % g == filters % g == 0]))
            more = {"groups": groups} if kind == "Conv" else {"depth_multiplier": 2}
            self.add(f"{kind if kind == 'Conv' else 'SeparableConv'}{rank}D", filters=filters, **more, **arguments)
            self.channels = filters
        self._shrink(window, strides, dilation)

    def pool(self) -> None:
        rank = len(self.size)
        kind = self.draw(st.sampled_from(["Max", "Average"]))
        window = self._per_axis(1, [min(n, 3) for n in self.size])
        strides = self.draw(st.sampled_from([None, 1, 2, 3]))
        self.add(f"{kind}Pooling{rank}D", pool_size=window, strides=strides)
        self._shrink(window, (strides,) * rank if strides else window, (1,) * rank)

    def pointwise(self) -> None:
        shared = list(range(1, len(self.size) + 1))
        name, arguments = self.draw(
            st.sampled_from([
                ("BatchNormalization", {}), ("BatchNormalization", {"scale": False}),
                ("PReLU", {"shared_axes": shared}),
                ("LeakyReLU", {"negative_slope": 0.2}), ("ELU", {"alpha": 0.7}), ("ReLU", {"max_value": 1.5}),
                ("Dropout", {"rate": 0.5}), ("GaussianNoise", {"stddev": 1.0}), ("Softmax", {}),
                ("Activation", {"activation": "swish"}), ("Rescaling", {"scale": 0.7, "offset": -0.1}),
                ("LayerNormalization", {}), ("Dense", {"units": 3}),
            ])
        )  # fmt: skip
        self.add(name, **arguments)
        self.channels = 3 if name == "Dense" else self.channels

    def head(self) -> None:
        rank = len(self.size)
        if self.draw(st.booleans()):
            self.add(self.draw(st.sampled_from([f"GlobalAveragePooling{rank}D", f"GlobalMaxPooling{rank}D"])))
        else:
            self.add("Flatten")
            if self.draw(st.booleans()):
                self.add(self.draw(st.sampled_from(["BatchNormalization", "Dropout", "ReLU", "PReLU"])), **{})
        if self.spec["layers"][-1][0] == "Dropout":
            self.spec["layers"][-1] = ("Dropout", {"rate": 0.3})
        if self.draw(st.booleans()):
            self.add("Dense", units=5, activation="relu")
            self.add("BatchNormalization")
        units, activation = self.draw(st.sampled_from([(3, "softmax"), (2, "softmax"), (1, "sigmoid"), (4, "linear")]))
        self.add("Dense", units=units, activation=activation)


@st.composite
def chains(draw: Any, spatial: int = 2) -> dict[str, Any]:
    """Draw a patch network as plain data that ``_keras_side.save_model`` builds."""
    chain = _Chain(draw, spatial)
    for _ in range(draw(st.integers(1, 5))):
        draw(st.sampled_from([chain.conv, chain.conv, chain.pool, chain.pointwise]))()
    chain.head()
    return chain.spec
