"""Fit the head of a taught model: several small networks at once, each to all strokes but one part of them.

Runs in the child alone: it imports TensorFlow, inside functions. What is returned are the weights of two of Keras's
``Dense`` layers, for the members' scores are averaged: side by side their hidden layers are one wide layer.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_BATCH: Final = 256
_STEPS: Final = 200
_LOOKS: Final = 5  # at the strokes that were held out
_RATE: Final = 1e-3
_DECAY: Final = 0.1
_DROP: Final = (0.25, 0.5)  # of the numbers, and of the hidden ones
#: Power of the classes' rarity that their pixels weigh: 0 would lose thin classes, and 1 would see them everywhere.
_RARITY: Final = 0.5
_HELD: Final = 4_000  # pixels that are looked at, at most


@dataclass(frozen=True)
class _Data:
    """Numbers in the order of the pixels; weights per member and pixel, to learn from and to look at."""

    x: np.ndarray
    y: np.ndarray
    learn: np.ndarray
    look: np.ndarray


def fit(
    numbers: np.ndarray, labels: np.ndarray, strokes: np.ndarray, *, seed: int, members: int, width: int
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Fit a head.

    Parameters
    ----------
    numbers : ndarray of float32, shape (view, n, number)
        What is read at each painted pixel, of each view of the image.
    labels : ndarray of int, shape (n,)
        Class index.
    strokes : ndarray of int, shape (n,)
        Which stroke a pixel is of. Pixels of one stroke are never learned from and looked at by one member.
    seed : int
        Of everything random: the same numbers, seed and computer give the same head.
    members, width : int
        How many networks, and how many hidden numbers each has.

    Returns
    -------
    weights : list of ndarray
        Kernel and bias of the hidden layer, kernel and bias of the scores; of the numbers as they are.
    scores : dict
        Of the members at strokes that they did not learn from: ``"accuracy"`` and ``"dice"``, the mean over classes,
        and ``"pixels"``, how many there were.
    """
    import tensorflow as tf

    views, count, width_in = numbers.shape
    classes = int(labels.max()) + 1
    random = np.random.default_rng(seed)
    parts = _parts(labels, strokes, members, random)
    rarity = (count / classes / np.bincount(labels, minlength=classes)) ** _RARITY
    weight = rarity[labels].astype(np.float32)
    flat = numbers.reshape(-1, width_in)
    center = flat.mean(axis=0, dtype=np.float64)
    spread = flat.std(axis=0, dtype=np.float64)
    spread = np.maximum(spread, 1e-3 * float(spread.max()) + 1e-12)
    x = ((flat - center) / spread).astype(np.float32)
    mine = parts[None] == np.arange(members)[:, None]
    # A stroke that is the only one of its class belongs to no part: every member learns from it.
    data = _Data(x, labels, np.where(mine, 0, weight).astype(np.float32), np.where(mine, weight, 0).astype(np.float32))
    tensors = _trained(tf, data, views, (width_in, width, classes), random)
    return _as_layers(tensors, center, spread), _scores(tensors, data, parts, classes)


def _parts(labels: np.ndarray, strokes: np.ndarray, members: int, random: np.random.Generator) -> np.ndarray:
    """Return for each pixel the member that does not learn from its stroke; -1 for the only stroke of a class."""
    parts = np.full(len(labels), -1)
    for label in np.unique(labels):
        own = random.permutation(np.unique(strokes[labels == label]))
        for place, stroke in enumerate(own if len(own) > 1 else ()):
            parts[strokes == stroke] = (place + int(label)) % members
    return parts


def _trained(
    tf: Any, data: _Data, views: int, sizes: tuple[int, int, int], random: np.random.Generator
) -> list[np.ndarray]:
    """Return kernels and biases of each member as they were best on the strokes that it did not learn from."""
    members, (inner, hidden, classes) = len(data.learn), sizes
    first = [
        random.normal(0, np.sqrt(2 / inner), (members, inner, hidden)),
        np.zeros((members, 1, hidden)),
        random.normal(0, 0.3 * np.sqrt(2 / hidden), (members, hidden, classes)),
        np.zeros((members, 1, classes)),
    ]
    variables, step, loss = _graph(members, inner, hidden, classes)
    for variable, value in zip(variables, first, strict=False):
        variable.assign(value.astype(np.float32))
    for moment in variables[len(first) :]:
        moment.assign(tf.zeros_like(moment))
    variables = variables[: len(first)]
    count = len(data.y)
    truth = np.eye(classes, dtype=np.float32)[data.y]
    # All of the thin classes, and of the others as many as it takes to tell.
    held = np.sort(random.permutation(count)[:_HELD])
    seen = tf.constant(data.x[held]), tf.constant(truth[held]), tf.constant(data.look[:, held])
    best, kept = np.full(members, np.inf), [variable.numpy() for variable in variables]
    for number in range(_STEPS):
        drawn = random.integers(0, count, _BATCH)
        rows = drawn + count * random.integers(0, views, _BATCH)
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * number / _STEPS))
        step(
            tf.constant(data.x[rows]), tf.constant(truth[drawn]), tf.constant(data.learn[:, drawn]),
            tf.constant(random.integers(0, 2**31, 2), tf.int32), tf.constant(rate, tf.float32),
            tf.constant(number + 1, tf.float32),
        )  # fmt: skip
        if (number + 1) % (_STEPS // _LOOKS) == 0:
            found = loss(*seen).numpy()
            better = (found < best) | ~np.isfinite(best)
            for old, variable in zip(kept, variables, strict=True):
                old[better] = variable.numpy()[better]
            best = np.where(better, np.where(np.isfinite(found), found, best), best)
    return kept


@functools.lru_cache(maxsize=2)
def _graph(
    members: int, inner: int, hidden: int, classes: int
) -> tuple[list[Any], Callable[..., Any], Callable[..., Any]]:
    """Return variables, one step of Adam with decoupled weight decay, and the members' losses.

    Of the variables the first four are kernels and biases, the others their moments. Tracing takes longer than some
    fits: the graphs are kept for the next one.
    """
    import tensorflow as tf

    shapes = ((members, inner, hidden), (members, 1, hidden), (members, hidden, classes), (members, 1, classes))
    variables = [tf.Variable(tf.zeros(shape)) for shape in shapes]
    moments = [(tf.Variable(tf.zeros(shape)), tf.Variable(tf.zeros(shape))) for shape in shapes]
    data = [tf.TensorSpec((None, inner)), tf.TensorSpec((None, classes)), tf.TensorSpec((members, None))]

    def losses(z: Any, truth: Any, weight: Any) -> Any:
        each = tf.nn.softmax_cross_entropy_with_logits(tf.broadcast_to(truth[None], tf.shape(z)), z)
        return tf.reduce_sum(each * weight, axis=1) / (tf.reduce_sum(weight, axis=1) + 1e-6)

    def dropped(x: Any, share: float, key: Any) -> Any:
        return x * tf.cast(tf.random.stateless_uniform(tf.shape(x), key) >= share, tf.float32) / (1 - share)

    @tf.function(input_signature=[*data, tf.TensorSpec((2,), tf.int32), tf.TensorSpec(()), tf.TensorSpec(())])  # type: ignore[untyped-decorator]
    def step(x: Any, truth: Any, weight: Any, key: Any, rate: Any, number: Any) -> None:
        with tf.GradientTape() as tape:
            w1, b1, w2, b2 = variables
            hidden = tf.nn.relu(tf.matmul(dropped(x, _DROP[0], key)[None], w1) + b1)
            z = tf.matmul(dropped(hidden, _DROP[1], key + 1), w2) + b2
            loss = tf.reduce_sum(losses(z, truth, weight))
        for place, (v, (m, s), g) in enumerate(zip(variables, moments, tape.gradient(loss, variables), strict=True)):
            m.assign(0.9 * m + 0.1 * g)
            s.assign(0.999 * s + 0.001 * g * g)
            change = m / (1 - 0.9**number) / (tf.sqrt(s / (1 - 0.999**number)) + 1e-8)
            v.assign_sub(rate * (change + (_DECAY * v if place % 2 == 0 else 0.0)))

    @tf.function(input_signature=data)  # type: ignore[untyped-decorator]
    def loss(x: Any, truth: Any, weight: Any) -> Any:
        w1, b1, w2, b2 = variables
        return losses(tf.matmul(tf.nn.relu(tf.matmul(x[None], w1) + b1), w2) + b2, truth, weight)

    return [*variables, *(moment for pair in moments for moment in pair)], step, loss


def _as_layers(tensors: list[np.ndarray], center: np.ndarray, spread: np.ndarray) -> list[np.ndarray]:
    """Return the members side by side as two layers of the numbers as they are, not centred nor scaled."""
    w1, b1, w2, b2 = (np.asarray(tensor, np.float64) for tensor in tensors)
    members, inner, hidden = w1.shape
    kernel = (w1 / spread[None, :, None]).transpose(1, 0, 2).reshape(inner, members * hidden)
    bias = b1.reshape(-1) - center @ kernel
    scores = w2.reshape(members * hidden, -1) / members
    return [np.asarray(a, np.float32) for a in (kernel, bias, scores, b2.mean(axis=(0, 1)))]


def _scores(tensors: list[np.ndarray], data: _Data, parts: np.ndarray, classes: int) -> dict[str, float]:
    """Return how good each member is at the strokes that it did not learn from, all together."""
    said = np.full(len(data.y), -1)
    for member, (w1, b1, w2, b2) in enumerate(zip(*tensors, strict=True)):
        mine = np.flatnonzero(parts == member)
        said[mine] = (np.maximum(data.x[mine] @ w1 + b1, 0) @ w2 + b2).argmax(axis=1)
    held = said >= 0
    if not held.any():
        return {"accuracy": float("nan"), "dice": float("nan"), "pixels": 0.0}
    truth, said = data.y[held], said[held]
    dice = []
    for label in np.unique(truth):
        both = np.count_nonzero((truth == label) & (said == label))
        dice.append(2 * both / (np.count_nonzero(truth == label) + np.count_nonzero(said == label)))
    return {"accuracy": float((truth == said).mean()), "dice": float(np.mean(dice)), "pixels": float(held.sum())}
