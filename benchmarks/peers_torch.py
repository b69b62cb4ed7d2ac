"""PyTorch's way: dilated convolutions and pools, in either memory format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dense_graph
import numpy as np
from contender import Tiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from contender import Job
    from dense_graph import Ints


class Torch:
    """The operations of ``torch.nn.functional``, arrays channels first."""

    def __init__(self, axes: int, *, channels_last: bool) -> None:
        import torch

        last = torch.channels_last if axes == 2 else torch.channels_last_3d
        self.format = last if channels_last else torch.contiguous_format
        self.axes = axes
        self.weights: dict[Any, Any] = {}

    def conv(self, key: tuple[int, int], x: Any, kernel: np.ndarray, bias: np.ndarray | None, dilation: Ints) -> Any:
        """``F.conv2d(dilation=…)`` or ``F.conv3d``."""
        import torch

        if key not in self.weights:
            first = torch.from_numpy(np.ascontiguousarray(np.moveaxis(kernel, (-1, -2), (0, 1))))
            offset = None if bias is None else torch.from_numpy(np.array(bias))
            self.weights[key] = first.contiguous(memory_format=self.format), offset
        weights, offset = self.weights[key]
        return getattr(torch.nn.functional, f"conv{self.axes}d")(x, weights, offset, dilation=dilation)

    def max_pool(self, x: Any, size: Ints, dilation: Ints) -> Any:
        """``F.max_pool2d(dilation=…)``."""
        import torch

        return getattr(torch.nn.functional, f"max_pool{self.axes}d")(x, size, stride=1, dilation=dilation)

    def cut(self, x: Any, before: Ints, after: Ints) -> Any:
        """Cut by slicing: a view."""
        inner = (slice(b, n - a) for b, a, n in zip(before, after, x.shape[2:], strict=True))
        return x[(slice(None), slice(None), *inner)]

    def combine(self, a: Any, b: Any, kind: str) -> Any:
        """Two tensors as one."""
        import torch

        return getattr(torch, {"add": "add", "subtract": "sub", "multiply": "mul"}.get(kind, kind))(a, b)

    def scale(self, x: Any, factor: float) -> Any:
        """Return a multiple."""
        return x * factor

    def join(self, xs: list[Any]) -> Any:
        """Side by side."""
        import torch

        return torch.cat(xs, 1)

    def take(self, x: Any, channels: list[int]) -> Any:
        """Return some channels."""
        return x[:, channels]

    def activation(self, x: Any, name: str) -> Any:
        """Apply an activation; ReLU in place."""
        import torch

        return {"relu": torch.relu_, "sigmoid": torch.sigmoid, "tanh": torch.tanh}.get(
            name, lambda y: torch.softmax(y, 1)
        )(x)


class TorchDilated(Tiled):
    """The dense network in PyTorch."""

    name, package = "PyTorch F.conv(dilation)", "torch"
    styles = tuple(
        {"memory format": memory, "own_pool": own}
        for memory in ("channels_last", "contiguous")
        for own in (False, True)
    )

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(job.threads)
        super().__init__(job)

    def build(self, **style: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Return the network, without gradients."""
        import torch

        framework = Torch(len(self.shape), channels_last=style["memory format"] == "channels_last")

        @torch.inference_mode()
        def apply(window: np.ndarray) -> np.ndarray:
            x = torch.from_numpy(window).movedim(-1, 1).contiguous(memory_format=framework.format)
            answer = dense_graph.apply(self.network, framework, x, own_pool=style["own_pool"])
            return answer.movedim(1, -1).numpy()

        return apply
