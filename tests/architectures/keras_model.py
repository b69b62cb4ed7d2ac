"""An architecture's data -> a Keras model with random weights. Used in the process that has TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
from _keras_side import applied

#: The model whose answers count, the newest one, with its data and the weights of its layers.
_newest: dict[str, Any] = {}


def make(spec: dict[str, Any], path: str) -> str | None:
    """Build a model, give it random weights, save it; return the name of the output to be read if there are several."""
    import keras

    keras.backend.clear_session()
    model, tensors, layers = _build(spec, "twin" if spec["first"] else "last")
    random = np.random.default_rng(spec["seed"])
    for layer in layers:
        layer.set_weights([_random_weight(random, layer, v) for v in layer.variables if "seed" not in v.path])
    _liven(model, tensors[spec["head"]], spec, random)
    written = model
    if spec["first"]:
        written, _, others = _build(spec, "first")
        for source, target in zip(layers, others, strict=True):
            target.set_weights([_channels_first(w, source, len(spec["patch"])) for w in source.get_weights()])
    _newest.update(model=model, spec=spec, weights=[layer.get_weights() for layer in layers])
    written.save(path)
    return written.output_names[spec["pick"]] if len(spec["outputs"]) > 1 else None


def answers(patches: np.ndarray) -> np.ndarray:
    """Return what Keras itself says of patches ``(n, *patch, channel)``: ``(n, output)``."""
    return _applied(_newest["model"], patches)


def gradients(
    patches: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, softmax: bool, exact: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each array that Keras trains, and the gradient of the patches' cross-entropies together by it.

    ``softmax`` is whether the answers are chances already, ``exact`` whether it is computed in double precision.
    """
    import tensorflow as tf

    spec, kind = _newest["spec"], "float64" if exact else "float32"
    model = _exact_model() if exact else _newest["model"]
    variables = [v.value for v in model.trainable_variables]

    def found(inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            result = model(inputs, training=False)
            z = tf.reshape(result[spec["pick"]] if len(spec["outputs"]) > 1 else result, (len(patches), -1))
            chances = z if softmax else tf.nn.softmax(z)
            loss = -tf.reduce_sum(tf.math.log(tf.gather(chances, labels, axis=1, batch_dims=1)) * weights.astype(kind))
        return tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    # By TensorFlow's compiler: it has averages over volumes in double precision, and gradients without oneDNN. With
    # oneDNN the gradient of some convolutions, one operation after the other, now and then writes where it must not.
    each = tf.function(found, jit_compile=True)(_inputs(spec, patches.astype(kind)))
    return [(np.asarray(v, np.float32), np.asarray(g)) for v, g in zip(variables, each, strict=True)]


def exact_answers(patches: np.ndarray) -> np.ndarray:
    """Return the same in double precision: what Keras would say if it did not round."""
    import tensorflow as tf

    model = _exact_model()
    # TensorFlow has no average over volumes in double precision, but its compiler has.
    compiled = tf.function(lambda inputs, training: model(inputs, training=training), jit_compile=True)
    return _applied(compiled, patches.astype(np.float64))


def _exact_model() -> Any:
    import keras

    spec = _newest["spec"]
    keras.config.set_dtype_policy("float64")
    try:
        model, _, layers = _build(spec, "twin" if spec["first"] else "last")
    finally:
        keras.config.set_dtype_policy("float32")
    for layer, weights in zip(layers, _newest["weights"], strict=True):
        layer.set_weights(weights)
    return model


def _applied(model: Any, patches: np.ndarray) -> np.ndarray:
    spec = _newest["spec"]
    result = applied(model, _inputs(spec, patches))
    chosen = result[spec["pick"]] if len(spec["outputs"]) > 1 else result
    return np.asarray(chosen).reshape(len(patches), -1)


def forget() -> None:
    """Free what the newest model holds."""
    import keras

    _newest.clear()
    keras.backend.clear_session(free_memory=True)


def _inputs(spec: dict[str, Any], patches: np.ndarray) -> Any:
    parts = np.split(patches, np.cumsum(spec["inputs"])[:-1], axis=-1)
    return parts[0] if len(parts) == 1 else parts


def _build(spec: dict[str, Any], mode: str) -> tuple[Any, list[Any], list[Any]]:
    """Build a network: ``last``, ``first`` (channels first) or ``twin``, which is ``first`` with the channels last.

    Returns the model, all tensors, and all layers in the order of the data.
    """
    import keras

    sizes = tuple(spec["patch"])
    inputs = [keras.Input((c, *sizes) if mode == "first" else (*sizes, c)) for c in spec["inputs"]]
    tensors = list(inputs)
    made: list[Any] = []
    _add(spec["nodes"], tensors, made, mode, len(sizes))
    outputs = [tensors[x] for x in spec["outputs"]]
    if spec["kind"] == "Sequential" and mode != "twin":
        return _chain(tensors), tensors, made
    return keras.Model(_one_or_all(inputs), _one_or_all(outputs)), tensors, made


def _chain(tensors: list[Any]) -> Any:
    import keras

    return keras.Sequential([tensors[0], *(t._keras_history.operation for t in tensors[1:])])


def _one_or_all(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors


def _add(nodes: list[dict[str, Any]], tensors: list[Any], made: list[Any], mode: str, rank: int) -> None:
    import keras

    layers: dict[int, Any] = {}
    for node in nodes:
        given = [tensors[x] for x in node["in"]]
        number = len(tensors)
        if "again" in node:
            layer = layers[node["again"]]
        elif "model" in node:
            inner = [keras.Input(given[0].shape[1:])]
            _add(node["nodes"], inner, made, mode, rank)
            layer = _chain(inner) if node["model"] == "Sequential" else keras.Model(inner[0], inner[-1])
        elif node["layer"].startswith("ops."):
            tensors.append(getattr(keras.ops, node["layer"][4:])(*given, **node["args"]))
            continue
        else:
            layer = _layer(node, len(given[0].shape) == rank + 2, mode, rank)
            made.append(layer)
            if mode == "twin" and node.get("plain"):
                given = [keras.layers.Permute((rank + 1, *range(1, rank + 1)))(given[0])]
        layers[number] = layer
        tensors.append(layer(given if len(given) > 1 else given[0]))


def _layer(node: dict[str, Any], is_map: bool, mode: str, rank: int) -> Any:
    import keras

    name, args = node["layer"], dict(node["args"])
    if mode == "first" and is_map:
        spatial = ("Conv", "Pool", "ZeroPadding", "Cropping", "UpSampling", "SpatialDropout")
        formatted = any(word in name for word in spatial) and name not in ("SpatialDropout1D", "Cropping1D")
        if formatted or (name == "Flatten" and not node["plain"]):
            args["data_format"] = "channels_first"
        if args.get("activation") == "softmax" and name == "Activation":  # Keras's acts along the last axis
            name, args = "Softmax", {}
        if name in ("BatchNormalization", "LayerNormalization", "GroupNormalization", "Concatenate", "Softmax"):
            args.setdefault("axis", -1)
        args |= {key: _axes_first(args[key], rank) for key in ("axis", "shared_axes") if args.get(key) is not None}
    return getattr(keras.layers, name)(**args)


def _axes_first(axes: Any, rank: int) -> Any:
    if isinstance(axes, list):
        return sorted(_axes_first(axis, rank) for axis in axes)
    return 1 if axes in (-1, rank + 1) else axes + 1


def _channels_first(weight: np.ndarray, layer: Any, rank: int) -> np.ndarray:
    whole = type(layer).__name__ in ("PReLU", "LayerNormalization") and weight.ndim == rank + 1
    return np.moveaxis(weight, -1, 0) if whole else weight


def _random_weight(random: np.random.Generator, layer: Any, variable: Any) -> np.ndarray:
    """Draw numbers that keep activations near 1, nothing at its initial value."""
    shape, name = tuple(variable.shape), variable.name
    if name == "count":
        return np.zeros(shape, variable.dtype)
    if "variance" in name:
        values = random.uniform(0.5, 2.0, shape)
    elif name == "gamma":
        values = random.uniform(0.6, 1.4, shape) * random.choice([-1, 1, 1], shape)
    elif "kernel" in name:
        fan = np.prod(shape[:-2]) * (1 if "depthwise" in name or "Depthwise" in type(layer).__name__ else shape[-2])
        if "Transpose" in type(layer).__name__:
            fan = np.prod(shape[:-2]) * shape[-1] / np.prod(layer.strides)
        values = random.standard_normal(shape) * np.sqrt(1.7 / max(fan, 1))
    else:
        values = random.standard_normal(shape) * 0.3
    return values.astype(np.float32)


def _liven(model: Any, head: Any, spec: dict[str, Any], random: np.random.Generator) -> None:
    """Scale and shift the layer that gives the classes' numbers, so that they vary from patch to patch."""
    import keras

    layer = head._keras_history.operation
    if not hasattr(layer, "kernel"):
        return
    activation, layer.activation = layer.activation, keras.activations.linear
    probe = keras.Model(_one_or_all(model.inputs), head)
    patches = random.standard_normal((64, *spec["patch"], sum(spec["inputs"]))).astype(np.float32)
    seen = np.asarray(probe(_inputs(spec, patches), training=False))
    layer.activation = activation
    seen = seen.reshape(len(patches), -1, seen.shape[-1]).mean(axis=1)
    gain = np.clip(1.5 / np.maximum(seen.std(axis=0), 1e-9), 0.1, 4)
    kernel, *bias = layer.get_weights()
    layer.set_weights([kernel * gain, *(gain * (b - seen.mean(axis=0)) for b in bias)])
