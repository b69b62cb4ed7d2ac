"""What is known of a tensor while an architecture is drawn: its shape, and roughly how many dense maps it will take."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Tensor:
    """A tensor of the network, channels last.

    Attributes
    ----------
    sizes : tuple of int
        Its positions; empty for a vector.
    channels : int
        Its channels or features.
    fringe : tuple of int
        Per axis, how many of its positions depend on padding, about.
    steps : tuple of int
        Per axis, the strides so far.
    """

    sizes: tuple[int, ...]
    channels: int
    fringe: tuple[int, ...]
    steps: tuple[int, ...]

    @classmethod
    def of_patch(cls, sizes: tuple[int, ...], channels: int) -> Tensor:
        """Return the input."""
        return cls(sizes, channels, (0,) * len(sizes), (1,) * len(sizes))

    @classmethod
    def vector(cls, features: int) -> Tensor:
        """Return a tensor without positions."""
        return cls((), features, (), ())

    @property
    def maps(self) -> int:
        """How many dense maps it becomes, about."""
        return math.prod(f + (f < n) for f, n in zip(self.fringe, self.sizes, strict=True))

    @property
    def numbers(self) -> int:
        """How many numbers it is."""
        return math.prod(self.sizes) * self.channels

    def with_channels(self, channels: int) -> Tensor:
        """Return the tensor with other channels."""
        return Tensor(self.sizes, channels, self.fringe, self.steps)

    def dissolved(self) -> Tensor:
        """Return the tensor with every position on its own."""
        return Tensor(self.sizes, self.channels, self.sizes, self.steps)

    def resized(self, sizes: list[int], interior: list[int], strides: tuple[int, ...] | None = None) -> Tensor:
        """Return the tensor with other positions, so many of them free of padding."""
        fringe = tuple(n - min(max(i, 0), n) for n, i in zip(sizes, interior, strict=True))
        strides = strides or (1,) * len(sizes)
        steps = tuple(a * b for a, b in zip(self.steps, strides, strict=True))
        return Tensor(tuple(sizes), self.channels, fringe, steps)

    def windowed(
        self, kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], padding: str
    ) -> Tensor:
        """Return what a window makes of it."""
        sizes, interior = [], []
        for n, f, k, s, d in zip(self.sizes, self.fringe, kernel, strides, dilation, strict=True):
            span = (k - 1) * d + 1
            sizes.append((n - span) // s + 1 if padding == "valid" else -(-n // s))
            interior.append((n - f - span) // s + 1)
        return self.resized(sizes, interior, strides)

    def padded(self, width: list[list[int]]) -> Tensor:
        """Return it with zeros around it; cropped where they are negative."""
        sizes = [n + sum(w) for n, w in zip(self.sizes, width, strict=True)]
        return self.resized(sizes, [n - f for n, f in zip(self.sizes, self.fringe, strict=True)])

    def repeated(self, times: tuple[int, ...]) -> Tensor:
        """Return it with every position repeated."""
        sizes = [n * t for n, t in zip(self.sizes, times, strict=True)]
        inside = [n - f if t == 1 else 1 for n, f, t in zip(self.sizes, self.fringe, times, strict=True)]
        return self.resized(sizes, inside)

    def transposed(self, kernel: tuple[int, ...], strides: tuple[int, ...], padding: str) -> Tensor:
        """Return what a transposed convolution makes of it."""
        sizes, inside = [], []
        for n, f, k, s in zip(self.sizes, self.fringe, kernel, strides, strict=True):
            sizes.append(n * s if padding == "same" else n * s + max(k - s, 0))
            inside.append(n - f - k + 1 if s == 1 else 0)
        return self.resized(sizes, inside)

    def joined(self, other: Tensor) -> Tensor:
        """Return what it and another become together, position by position."""
        if not self.sizes:
            return self if self.channels >= other.channels else other
        sizes = list(map(max, zip(self.sizes, other.sizes, strict=True)))
        inside = [
            min(n - f, m - g) if n == m and (s == t or min(n - f, m - g) == 1) else 0
            for n, f, s, m, g, t in zip(
                self.sizes, self.fringe, self.steps, other.sizes, other.fringe, other.steps, strict=True
            )
        ]
        steps = tuple(map(max, zip(self.steps, other.steps, strict=True)))
        plain = Tensor(tuple(sizes), max(self.channels, other.channels), (0,) * len(sizes), steps)
        return plain.resized(sizes, inside)
