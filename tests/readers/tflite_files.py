"""TensorFlow Lite files: composed with the flatbuffers package that TensorFlow brings along, or written by it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FLOAT, INT, INT8 = 0, 2, 9
CONV, SOFTMAX, RESHAPE, FULLY, PAD, WHILE = 3, 25, 22, 9, 34, 119
RANDOM = np.random.default_rng(4)
KERNEL = RANDOM.standard_normal((4, 3, 3, 2)).astype(np.float32)
BIAS = RANDOM.standard_normal(4).astype(np.float32)
HEAD = RANDOM.standard_normal((3, 36)).astype(np.float32)


class Writer:
    """Writes tables field by field: ``(number, form, value)``; forms are those of ``struct``, and lists and tables."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(0)

    def table(self, *fields: tuple[int, str, Any]) -> int:
        """Write one table."""
        build = self.builder
        build.StartObject(max((number for number, _, _ in fields), default=0) + 1)
        for number, form, value in fields:
            if form == "offset":
                build.PrependUOffsetTRelativeSlot(number, value, 0)
            else:
                {"b": build.PrependInt8Slot, "i": build.PrependInt32Slot, "I": build.PrependUint32Slot}[form](
                    number, value, 99_999 if form == "I" else -99
                )
        return int(build.EndObject())

    def tables(self, places: list[int]) -> int:
        """Write a list of tables."""
        self.builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self.builder.PrependUOffsetTRelative(place)
        return int(self.builder.EndVector())

    def numbers(self, values: Any, dtype: str = "<i4") -> int:
        """Write a list of numbers."""
        return int(self.builder.CreateNumpyVector(np.ascontiguousarray(values, dtype)))


#: Name -> shape, type, array.
TENSORS: dict[str, tuple[tuple[int, ...], int, Any]] = {
    "patch": ((-1, 5, 5, 2), FLOAT, None),
    "kernel": (KERNEL.shape, FLOAT, KERNEL),
    "bias": (BIAS.shape, FLOAT, BIAS),
    "functional_1/first/Relu;functional_1/first/BiasAdd": ((-1, 3, 3, 4), FLOAT, None),
    "shape": ((2,), INT, np.array([-1, 36])),
    "functional_1/flat/Reshape": ((-1, 36), FLOAT, None),
    "head": (HEAD.shape, FLOAT, HEAD),
    "functional_1/head/MatMul": ((-1, 3), FLOAT, None),
    "StatefulPartitionedCall:0": ((-1, 3), FLOAT, None),
}
#: Operator, tensors it reads and makes, form of its settings and these.
OPERATORS: list[tuple[int, list[int], list[int], int, list[tuple[int, str, Any]]]] = [
    (CONV, [0, 1, 2], [3], 1, [(0, "b", 1), (1, "i", 1), (2, "i", 1), (3, "b", 1)]),
    (RESHAPE, [3, 4], [5], 17, []),
    (FULLY, [5, 6, -1], [7], 8, []),
    (SOFTMAX, [7], [8], 9, [(0, "f", 1.0)]),
]


def compose(
    tensors: dict[str, tuple[tuple[int, ...], int, Any]] = TENSORS,
    operators: list[Any] = OPERATORS,
    version: int = 3,
) -> bytes:
    """Compose a file of a convolution with a ReLU, a dense layer and a softmax."""
    write = Writer()
    buffers, described, calls, codes = [write.table()], [], [], []
    for name, (shape, kind, array) in tensors.items():
        number = 0
        if array is not None:
            data = write.numbers(np.frombuffer(np.ascontiguousarray(array, _DTYPES[kind]).tobytes(), "u1"), "u1")
            number = len(buffers)
            buffers.append(write.table((0, "offset", data)))
        text = write.builder.CreateString(name)
        sizes, signature = write.numbers([abs(n) for n in shape]), write.numbers(shape)
        fields = [(0, "offset", sizes), (1, "b", kind), (2, "I", number), (3, "offset", text)]
        described.append(write.table(*fields, (7, "offset", signature)))
    for code, read, made, form, settings in operators:
        codes.append(write.table((0, "b", min(code, 127)), (3, "i", code)))
        inputs, outputs = write.numbers(read), write.numbers(made)
        build = write.builder
        build.StartObject(8)
        for number, kind, value in settings:
            {"b": build.PrependInt8Slot, "i": build.PrependInt32Slot, "f": build.PrependFloat32Slot}[kind](
                number, value, -99
            )
        options = build.EndObject()
        fields = [(0, "I", len(calls)), (1, "offset", inputs), (2, "offset", outputs)]
        calls.append(write.table(*fields, (3, "b", form), (4, "offset", options)))
    graph = [write.tables(described), write.numbers([0]), write.numbers([len(tensors) - 1]), write.tables(calls)]
    main = write.table(*[(number, "offset", place) for number, place in enumerate(graph)])
    parts = [(1, "offset", write.tables(codes)), (2, "offset", write.tables([main]))]
    whole = write.table((0, "I", version), *parts, (4, "offset", write.tables(buffers)))
    write.builder.Finish(whole, b"TFL3")
    return bytes(write.builder.Output())


_DTYPES = {FLOAT: "<f4", INT: "<i4", INT8: "i1"}


def bomb() -> bytes:
    """Compose a list of two million graphs that are all the same table, in eight megabytes."""
    content = bytearray(compose())
    root = struct.unpack_from("<I", content, 0)[0]
    fields = root - struct.unpack_from("<i", content, root)[0]
    place = root + struct.unpack_from("<H", content, fields + 4 + 2 * 2)[0]
    count, start = 2_000_000, len(content)
    struct.pack_into("<I", content, place, start - place)
    return bytes(content + struct.pack("<I", count) + np.arange(4 * count, 0, -4, dtype="<u4").tobytes() + b"\0" * 16)


# What TensorFlow writes, in the process that has it ------------------------------------------------------------------

NAMES = ("chain", "residual", "cuts", "dilated", "volume", "any_size")


def can_convert() -> bool:
    """Say whether the installed TensorFlow still has its converter."""
    import tensorflow as tf

    return hasattr(tf, "lite")


def convert(name: str, folder: Path, half: bool = False, quantised: bool = False) -> None:
    """Write ``NAME.tflite``, and ``NAME.npz`` with patches ``x`` and what Keras says of them, ``y``."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    model = _models(keras)[name]()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if half or quantised:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if half:
        converter.target_spec.supported_types = [tf.float16]
    (folder / f"{name}.tflite").write_bytes(converter.convert())
    x = np.random.default_rng(0).standard_normal((3, *(n or 9 for n in model.inputs[0].shape[1:]))).astype("f4")
    np.savez(folder / f"{name}.npz", x=x, y=np.asarray(model(x)))


def _models(keras: Any) -> dict[str, Callable[[], Any]]:
    kl, ops, Input = keras.layers, keras.ops, keras.Input  # noqa: N806 - as Keras calls it

    def head(i: Any, x: Any) -> Any:
        return keras.Model(i, kl.Dense(3, activation="softmax")(kl.Flatten()(x)))

    def chain() -> Any:
        i = Input((13, 12, 2))
        x = kl.Conv2D(32, 3, activation="relu")(kl.Rescaling(0.1)(i))
        x = kl.MaxPooling2D(2)(kl.BatchNormalization(epsilon=0.3)(x))
        return head(i, kl.Activation("tanh")(kl.Conv2D(8, 3, strides=2, padding="same")(x)))

    def residual() -> Any:
        i = Input((9, 9, 2))
        x = kl.Conv2D(8, 3, activation="relu6")(i)
        x = kl.Add()([x, kl.DepthwiseConv2D(3, padding="same", activation="swish")(x)])
        gate = kl.Dense(8, activation="sigmoid")(kl.GlobalAveragePooling2D()(x))
        return head(i, kl.PReLU(shared_axes=[1, 2])(kl.Conv2D(8, 1, groups=2)(x * kl.Reshape((1, 1, 8))(gate))))

    def cuts() -> Any:
        i = Input((14, 14, 3))
        a = kl.Conv2D(4, 3, activation="leaky_relu")(kl.MaxPooling2D(2)(i))
        b = kl.AveragePooling2D(2, padding="same")(kl.Conv2D(4, 5, activation="gelu")(i))[:, :5, :5, 1:]
        c, d = ops.split(a, 2, axis=-1)
        x = kl.Cropping2D(2)(kl.ZeroPadding2D(1)(kl.Concatenate()([d, c, b])))
        x = kl.Conv2DTranspose(3, 3, strides=2, padding="same")(kl.Dense(6, activation="elu")(x))
        x = ops.mean(ops.square(kl.Conv2DTranspose(3, 2, strides=3)(x)), axis=1)
        return keras.Model(i, kl.Dense(2)(ops.max(x, axis=1)))

    def dilated() -> Any:
        i = Input((17, 17, 2))
        x = kl.Conv2D(4, 3, dilation_rate=3, padding="same")(kl.Conv2D(4, 3, dilation_rate=2, activation="relu")(i))
        return head(i, kl.DepthwiseConv2D(3, dilation_rate=2)(x))

    def volume() -> Any:
        i = Input((7, 9, 8, 1))
        x = kl.Conv3D(4, 2, strides=2)(kl.Conv3D(4, 3, activation="relu")(i))
        return keras.Model(i, kl.Dense(2, activation="sigmoid")(kl.GlobalAveragePooling3D()(x)))

    def any_size() -> Any:
        i = Input((None, None, 2))
        return keras.Model(i, kl.Dense(2)(kl.GlobalAveragePooling2D()(kl.Conv2D(4, 3)(i))))

    return {function.__name__: function for function in (chain, residual, cuts, dilated, volume, any_size)}
