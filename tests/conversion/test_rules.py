"""Each rule: what an operation becomes, and what is refused in which words."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.conversion import convert_network
from napari_fcnseg.conversion.fcn import ChannelAffine, DenseConv, DensePool, Unfold
from napari_fcnseg.conversion.rules import Refusal, rewrite
from napari_fcnseg.errors import ConversionError, UnsupportedLayerError
from napari_fcnseg.graph.geometry import Geometry
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import (
    Activation,
    Affine,
    BatchNorm,
    Conv,
    Dense,
    Flatten,
    GlobalPool,
    Identity,
    LayerNorm,
    Pool,
    PReLU,
)

MAP = Geometry.of_patch((8, 8, 4)).window((2, 2), (2, 2), (1, 1), 4)  # 4 × 4 positions, 2 pixels apart


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def test_a_convolution_is_dilated_by_the_strides_before_it_times_its_own_dilation() -> None:
    rewritten = rewrite(Conv(ones(2, 2, 4, 6), None, (2, 1), (1, 3)), MAP)
    ((conv, channels),) = rewritten.ops
    assert isinstance(conv, DenseConv)
    assert conv.dilation == (2, 6)
    assert channels == rewritten.geometry.channels == 6
    assert rewritten.geometry.steps == (4, 2)


def test_a_pool_keeps_its_window_and_loses_its_stride() -> None:
    ((pool, _),) = rewrite(Pool("max", (3, 2), (3, 2)), MAP).ops
    assert pool == DensePool("max", (3, 2), (2, 2))


def test_flatten_and_dense_become_one_convolution_as_large_as_the_map() -> None:
    flat = rewrite(Flatten(), MAP).geometry
    kernel = np.arange(4 * 4 * 4 * 5, dtype=np.float32).reshape(64, 5)
    ((conv, _),) = rewrite(Dense(kernel, None), flat).ops
    assert isinstance(conv, DenseConv)
    assert conv.size == (4, 4)
    assert conv.dilation == (2, 2)
    np.testing.assert_array_equal(conv.kernel[1, 2, 3], kernel[(1 * 4 + 2) * 4 + 3])


def test_numbers_that_differ_by_position_unfold_a_flattened_map() -> None:
    flat = rewrite(Flatten(), MAP).geometry
    alpha = np.linspace(0, 1, 64, dtype=np.float32)
    (unfold, channels), (prelu, _) = rewrite(PReLU(alpha), flat).ops
    assert unfold == Unfold((4, 4), (2, 2))
    assert channels == 64
    np.testing.assert_array_equal(prelu.alpha, alpha)


def test_numbers_that_are_the_same_everywhere_do_not() -> None:
    flat = rewrite(Flatten(), MAP).geometry
    ((affine, channels),) = rewrite(Affine(ones(), np.tile(ones(4) * 2, 16), ones(64)), flat).ops
    assert isinstance(affine, ChannelAffine)
    assert channels == 4


def test_the_identity_and_linear_leave_nothing() -> None:
    assert rewrite(Identity("off"), MAP).ops == ()
    assert rewrite(Activation("linear"), MAP).ops == ()


@pytest.mark.parametrize(
    ("op", "says"),
    [
        (Conv(ones(3, 3, 4, 1), None, (1, 1), (1, 1), padding="same"), 'padding="same"'),
        (Pool("average", (2, 2), (2, 2), "same"), 'padding="same"'),
        (LayerNorm(ones(4), ones(4), 1e-3, (1, 2, 3)), "normalises over positions"),
        (LayerNorm(ones(4), ones(4), 1e-3, (1,)), "normalises over positions"),
        (BatchNorm(ones(4), ones(4), ones(4), ones(4), 1e-3, axis=1), "spatial axis"),
        (Activation("softmax", {"axis": 1}), "mixes positions"),
        (PReLU(np.random.default_rng(0).random((4, 4, 4)).astype(np.float32)), "slopes differ from position"),
        (Conv(ones(5, 5, 4, 1), None, (1, 1), (1, 1)), "does not fit"),
    ],
)
def test_what_depends_on_the_patch_s_edge_is_refused_with_the_reason(op, says) -> None:
    with pytest.raises(Refusal) as refusal:
        rewrite(op, MAP)
    assert says in refusal.value.reason
    assert refusal.value.advice.endswith(".")


def network(*ops: object, shape: tuple[int, ...] = (9, 9, 2)) -> Network:
    nodes = []
    for number, op in enumerate(ops):
        before = nodes[-1].name if nodes else INPUT
        nodes.append(Node(f"layer_{number}", type(op).__name__, (op,), (before,)))
    return Network("test", shape, tuple(nodes), nodes[-1].name if nodes else INPUT)


def test_a_refusal_names_the_layer() -> None:
    same = Conv(ones(3, 3, 2, 1), None, (1, 1), (1, 1), padding="same")
    with pytest.raises(UnsupportedLayerError, match=r"'layer_0' \(Conv\)"):
        convert_network(network(same))


@pytest.mark.parametrize(
    ("ops", "says"),
    [
        ((Conv(ones(3, 3, 2, 3), None, (1, 1), (1, 1)),), "7 × 7"),
        ((Flatten(),), "flattened numbers"),
        ((Identity("off"),), "map of 9 × 9"),
    ],
)
def test_a_network_that_is_no_patch_classifier_is_refused(ops, says) -> None:
    with pytest.raises(ConversionError, match=says):
        convert_network(network(*ops))


def test_batch_normalisation_is_folded_into_the_convolution_before_it() -> None:
    random = np.random.default_rng(0)
    kernel, gamma, mean = (random.standard_normal(s).astype(np.float32) for s in ((9, 9, 2, 3), (3,), (3,)))
    dense = convert_network(
        network(
            Conv(kernel, None, (1, 1), (1, 1)),
            BatchNorm(gamma, ones(3), mean, 4 * ones(3), 0.0),
            Activation("softmax", {"axis": -1}),
        )
    )
    assert [type(step.op) for step in dense.steps] == [DenseConv, Activation]
    np.testing.assert_allclose(dense.steps[0].op.kernel, kernel * gamma / 2, rtol=1e-6)
    np.testing.assert_allclose(dense.steps[0].op.bias, 1 - mean * gamma / 2, rtol=1e-5, atol=1e-6)
    assert dense.report.layers[1].became == "folded into layer_0"
    assert dense.head == "softmax"


def test_batch_normalisation_after_an_activation_stays() -> None:
    dense = convert_network(
        network(
            Conv(ones(9, 9, 2, 3), None, (1, 1), (1, 1)),
            Activation("relu"),
            BatchNorm(ones(3), ones(3), ones(3), ones(3), 0.0),
        )
    )
    assert [type(step.op) for step in dense.steps] == [DenseConv, Activation, ChannelAffine]


def test_rows_that_no_stride_reaches_are_not_read() -> None:
    dense = convert_network(network(Pool("max", (2, 2), (2, 2)), GlobalPool("average")))
    assert dense.patch_shape == (9, 9)
    assert dense.reach == (8, 8)


def test_the_report_adds_up_for_a_network_counted_by_hand() -> None:
    report = convert_network(
        network(Conv(ones(2, 2, 2, 3), None, (1, 1), (1, 1)), Pool("max", (2, 2), (2, 2)), Flatten(),
                Dense(ones(48, 5), None))
    ).report  # fmt: skip
    conv, pool, _, dense = report.layers
    assert (conv.flop_per_pixel, conv.flop_per_patch) == (2 * 24, 2 * 24 * 64)
    assert (pool.flop_per_pixel, pool.flop_per_patch) == (2 * 3, 3 * 16 * 3)
    assert (dense.flop_per_pixel, dense.flop_per_patch) == (2 * 240, 2 * 240)
    assert dense.dilation == (2, 2)
    assert report.flop_per_pixel == 48 + 6 + 480
    assert report.speedup_ceiling == pytest.approx((48 * 64 + 144 + 480) / 534)
    assert report.as_dict()["layers"][0]["layer"] == "layer_0"
