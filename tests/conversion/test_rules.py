"""Each rule: what an operation becomes, and what is refused in which words."""

from __future__ import annotations

import numpy as np
import pytest

from napari_fcnseg.conversion import convert_network
from napari_fcnseg.conversion.dense_network import (
    ChannelAffine,
    ChannelPReLU,
    DenseConv,
    DensePool,
    Join,
    PerPatch,
    Zeros,
)
from napari_fcnseg.conversion.feature_maps import FeatureMaps, MapRef, Vector
from napari_fcnseg.conversion.network_builder import NetworkBuilder, TooLargeError
from napari_fcnseg.conversion.rules import Refusal, rewrite
from napari_fcnseg.errors import ConversionError, UnsupportedLayerError
from napari_fcnseg.graph.geometry import INTERIOR, Axis
from napari_fcnseg.graph.network import INPUT, Network, Node
from napari_fcnseg.graph.ops import (
    Activation,
    Affine,
    BatchNorm,
    Channels,
    Conv,
    Crop,
    Dense,
    Flatten,
    GlobalPool,
    GroupNorm,
    Identity,
    LayerNorm,
    Merge,
    Pool,
    PReLU,
    UpSample,
    ZeroPad,
)

#: 4 x 4 positions, 2 pixels apart, all of them interior.
MAP = FeatureMaps((Axis(4, 0, 4, 2),) * 2, 4, {(INTERIOR, INTERIOR): MapRef(0, (0, 0))})


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def applied(*ops: object, to: FeatureMaps = MAP) -> tuple[FeatureMaps | Vector, NetworkBuilder]:
    """Apply operations one after the other; the first dense operation stands for what ``to`` refers to."""
    emitter = NetworkBuilder(2)
    emitter.zeros(1)
    value: FeatureMaps | Vector = to
    for op in ops:
        value = rewrite(op, (value,), emitter)
    return value, emitter


def emitted(*ops: object) -> list[object]:
    return [operation.op for operation in applied(*ops)[1].operations[1:]]


def test_a_convolution_is_dilated_by_the_strides_before_it_times_its_own_dilation() -> None:
    value, emitter = applied(Conv(ones(2, 2, 4, 6), None, (2, 1), (1, 3)))
    conv = emitter.operations[1].op
    assert isinstance(conv, DenseConv)
    assert conv.dilations == ((2, 6),)
    assert value.channels == 6
    assert value.steps == (4, 2)


def test_a_pool_keeps_its_window_and_loses_its_stride() -> None:
    assert emitted(Pool("max", (3, 2), (3, 2))) == [
        DensePool("max", ((3, 1),), (2, 1), 1),
        DensePool("max", ((1, 2),), (1, 2), 1),
    ]


def test_flatten_and_dense_become_one_convolution_as_large_as_the_map() -> None:
    kernel = np.arange(4 * 4 * 4 * 5, dtype=np.float32).reshape(64, 5)
    (conv,) = emitted(Flatten(), Dense(kernel, None))
    assert conv.dilations == ((2, 2),)
    assert conv.kernels[0].shape == (4, 4, 4, 5)
    np.testing.assert_array_equal(conv.kernels[0][1, 2, 3], kernel[(1 * 4 + 2) * 4 + 3])


def test_a_map_flattened_with_its_channels_first_has_its_rows_sorted() -> None:
    kernel = np.arange(64 * 5, dtype=np.float32).reshape(64, 5)
    (conv,) = emitted(Flatten((2, 0, 1)), Dense(kernel, None))
    np.testing.assert_array_equal(conv.kernels[0][1, 2, 3], kernel[(3 * 4 + 1) * 4 + 2])


def test_same_padding_gives_an_interior_and_a_variant_for_every_edge_position() -> None:
    value, emitter = applied(Conv(ones(3, 3, 4, 6), None, (1, 1), (1, 1), padding="same"))
    assert value.axes == (Axis(4, 1, 3, 2),) * 2
    assert set(value.maps) == {(r, c) for r in (INTERIOR, 0, 3) for c in (INTERIOR, 0, 3)}
    sizes = [operation.op.kernels[0].shape[:2] for operation in emitter.operations[1:]]
    assert sorted(sizes) == [(2, 2)] * 4 + [(2, 3)] * 2 + [(3, 2)] * 2 + [(3, 3)]


def test_taps_on_zero_padding_are_left_out() -> None:
    _, emitter = applied(ZeroPad(((1, 1), (1, 1))), Conv(ones(3, 3, 4, 6), None, (1, 1), (1, 1)))
    _, same = applied(Conv(ones(3, 3, 4, 6), None, (1, 1), (1, 1), padding="same"))
    sizes = [[k.shape for k in o.op.kernels] for e in (emitter, same) for o in e.operations[1:]]
    assert sizes[: len(sizes) // 2] == sizes[len(sizes) // 2 :]


def test_an_average_leaves_padding_out_of_its_count_and_pytorch_s_does_not() -> None:
    for counted, counts in ((False, {1, 2}), (True, {2})):
        pools = emitted(Pool("average", (2, 2), (2, 2), ((1, 1), (1, 1)), counted))
        assert {pool.count for pool in pools} - {1} == counts - {1}
    assert {pool.count for pool in emitted(Pool("average", (2, 2), (2, 2), ((1, 1), (1, 1)), True))} == {2}


def test_cropping_and_repeating_positions_compute_nothing() -> None:
    value, emitter = applied(Crop(((1, 0), (0, 2))), UpSample((1, 2)))
    assert value.sizes == (3, 4)
    assert len(emitter.operations) == 1
    assert value.at((0, 3)) == MAP.at((1, 1))


def test_branches_join_where_both_are_interior() -> None:
    other = FeatureMaps((Axis(4, 1, 3, 2), Axis(4, 0, 4, 2)), 4, {
        (row, INTERIOR): MapRef(0, (0, 0)) for row in (INTERIOR, 0, 3)
    })  # fmt: skip
    emitter = NetworkBuilder(2)
    joined = rewrite(Merge("add"), (MAP, other), emitter)
    assert joined.axes == (Axis(4, 1, 3, 2), Axis(4, 0, 4, 2))
    # the first interior row of the sum is row 1 of both, which the first map has two pixels on
    interior = emitter.operations[joined.maps[INTERIOR, INTERIOR].step]
    assert interior.inputs[1].offset[0] - interior.inputs[0].offset[0] == -2


def test_branches_on_different_lattices_join_position_by_position() -> None:
    other = FeatureMaps((Axis(4, 0, 4, 1),) * 2, 4, {(INTERIOR, INTERIOR): MapRef(0, (0, 0))})
    joined = rewrite(Merge("maximum"), (MAP, other), NetworkBuilder(2))
    assert joined.axes == (Axis.of_variants(4),) * 2


def test_numbers_that_differ_by_position_make_variants_along_those_axes_only() -> None:
    alpha = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 1, 4)
    value, emitter = applied(PReLU(alpha))
    assert set(value.maps) == {(row, INTERIOR) for row in range(4)}
    slopes = [operation.op.alpha for operation in emitter.operations[1:] if isinstance(operation.op, ChannelPReLU)]
    np.testing.assert_array_equal(slopes, alpha[:, 0])


def test_numbers_that_are_the_same_everywhere_do_not() -> None:
    (affine,) = emitted(Flatten(), Affine(ones(), np.tile(ones(4) * 2, 16), ones(64)))
    assert isinstance(affine, ChannelAffine)
    assert affine.scale.shape == (4,)


def test_what_mixes_positions_is_computed_for_each_patch() -> None:
    value, emitter = applied(LayerNorm(ones(4, 4, 4), ones(4, 4, 4), 1e-3, (1, 2, 3)))
    kinds = [type(operation.op) for operation in emitter.operations[1:]]
    assert kinds == [Join, PerPatch] + [Channels] * 16
    assert value.axes == (Axis.of_variants(4),) * 2


def test_far_too_many_numbers_per_pixel_are_not_brought_side_by_side() -> None:
    wide = FeatureMaps((Axis(400, 0, 400),) * 2, 4, {(INTERIOR, INTERIOR): MapRef(0, (0, 0))})
    with pytest.raises(TooLargeError):
        applied(GroupNorm(ones(4), ones(4), 1e-3, 2), to=wide)


def test_the_identity_and_linear_leave_nothing() -> None:
    assert emitted(Identity("off"), Activation("linear")) == []


def test_the_same_operation_on_the_same_map_is_computed_once() -> None:
    relu = Activation("relu")
    value, emitter = applied(UpSample((2, 2)), relu)
    assert [operation.op for operation in emitter.operations] == [Zeros(), relu]
    assert len(value.maps) == 7 * 7  # of 8 x 8 positions, 2 x 2 neighbours remain interior


@pytest.mark.parametrize(
    ("op", "says"),
    [
        (Conv(ones(5, 5, 4, 1), None, (1, 1), (1, 1)), "does not fit"),
        (Activation("glu", {"axis": 1}), "a spatial axis"),
        (Crop(((2, 2), (0, 0))), "cuts 4 of 4"),
        (Channels(2, 6), "channels 2 to 6 of 4"),
        (BatchNorm(ones(4), ones(4), ones(4), ones(4), 1e-3, axis=7), "axis 7"),
        (PReLU(ones(3, 1, 4)), "do not fit a tensor"),
        (Pool("max", (2, 2), (2, 2), ((2, 0), (0, 0))), "nothing but padding"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(op, says) -> None:
    with pytest.raises(Refusal) as refusal:
        applied(op)
    assert says in refusal.value.reason
    assert refusal.value.advice.endswith(".")


def network(*ops: object, shape: tuple[int, ...] = (9, 9, 2)) -> Network:
    nodes: list[Node] = []
    for number, op in enumerate(ops):
        before = nodes[-1].name if nodes else INPUT
        nodes.append(Node(f"layer_{number}", type(op).__name__, (op,), (before,)))
    return Network("test", shape, tuple(nodes), nodes[-1].name if nodes else INPUT)


def test_a_refusal_names_the_layer() -> None:
    with pytest.raises(UnsupportedLayerError, match=r"'layer_0' \(Conv\)"):
        convert_network(network(Conv(ones(11, 3, 2, 1), None, (1, 1), (1, 1))))


def test_branches_that_do_not_fit_are_refused_with_both_their_names() -> None:
    nodes = (
        Node("wide", "Conv2D", (Conv(ones(3, 3, 2, 1), None, (1, 1), (1, 1)),), (INPUT,)),
        Node("narrow", "Conv2D", (Conv(ones(5, 5, 2, 1), None, (1, 1), (1, 1)),), (INPUT,)),
        Node("sum", "Add", (Merge("add"),), ("wide", "narrow")),
    )
    with pytest.raises(UnsupportedLayerError, match=r"7, 5 differ .*'wide' and 'narrow'"):
        convert_network(Network("test", (9, 9, 2), nodes, "sum"))


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
    np.testing.assert_allclose(dense.steps[0].op.kernels[0], kernel * gamma / 2, rtol=1e-6)
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


def test_batch_normalisation_of_a_convolution_that_others_read_stays() -> None:
    nodes = (
        Node("conv", "Conv2D", (Conv(ones(9, 9, 2, 3), None, (1, 1), (1, 1)),), (INPUT,)),
        Node("norm", "BatchNormalization", (BatchNorm(*[ones(3)] * 4, 0.0),), ("conv",)),
        Node("sum", "Add", (Merge("add"),), ("conv", "norm")),
    )
    dense = convert_network(Network("test", (9, 9, 2), nodes, "sum"))
    assert sum(isinstance(step.op, ChannelAffine) for step in dense.steps) == 1


def test_rows_that_no_stride_reaches_are_not_read() -> None:
    dense = convert_network(network(Pool("max", (2, 2), (2, 2)), GlobalPool("average")))
    assert dense.patch_shape == (9, 9)
    assert (dense.origin, dense.reach) == ((0, 0), (8, 8))


def test_what_is_cropped_away_is_not_read() -> None:
    dense = convert_network(network(Crop(((3, 2), (0, 4))), GlobalPool("max")))
    assert (dense.origin, dense.reach) == ((3, 0), (4, 5))


def test_layers_the_answer_does_not_depend_on_are_not_computed() -> None:
    nodes = (
        Node("dead", "Conv2D", (Conv(ones(3, 3, 2, 1), None, (1, 1), (1, 1)),), (INPUT,)),
        Node("pool", "GlobalMaxPooling2D", (GlobalPool("max"),), (INPUT,)),
    )
    dense = convert_network(Network("test", (9, 9, 2), nodes, "pool"))
    assert {step.layer for step in dense.steps} == {"pool"}


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
    assert pool.became == "max over 2 × 2"
    assert dense.receptive_field == (9, 9)
    assert report.flop_per_pixel == 48 + 6 + 480
    assert report.speedup_ceiling == pytest.approx((48 * 64 + 144 + 480) / 534)
    assert report.as_dict()["layers"][0]["layer"] == "layer_0"
    assert report.cheaper == "dense"


def test_a_network_of_nothing_but_padding_is_better_run_patch_by_patch() -> None:
    convs = [Conv(ones(5, 5, 2, 2), None, (1, 1), (1, 1), padding="same") for _ in range(6)]
    dense = convert_network(network(*convs, GlobalPool("max")))
    assert dense.report.cheaper == "patchwise"
    assert "patch by patch" in dense.report.summary()


def test_a_dense_form_with_far_too_many_maps_is_not_built() -> None:
    convs = [Conv(ones(3, 3, 2, 2), None, (1, 1), (1, 1), padding="same") for _ in range(20)]
    dense = convert_network(network(*convs, GlobalPool("max"), shape=(41, 41, 2)))
    assert dense.steps == ()
    assert (dense.outputs, dense.report.cheaper, dense.report.dense) == (2, "patchwise", False)
    assert dense.report.flop_per_patch > 20 * 2 * 36 * 41 * 41
