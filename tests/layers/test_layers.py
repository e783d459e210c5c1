"""Each layer against NumPy, over shapes."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import numpy_reference as reference
import pytest
import tensorflow as tf
from hypothesis import given, settings

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.layers import (
    BinaryAttention,
    FixedPoint,
    GatedMerge,
    Merge,
    NearestUpsampling2D,
    ParallelConv2D,
    ParallelUpsampling2D,
    SoftGate,
    Threshold,
)
from larq_dense.layers.estimator import quantizer

few = settings(max_examples=8, deadline=None)


def randomize(layer: tf.keras.layers.Layer, seed: int) -> None:
    """Give every variable values that none starts with."""
    random = np.random.default_rng(seed)
    for variable in layer.variables:
        values = random.uniform(-1, 1, variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)


def inputs(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def norm(layer: Any, x: np.ndarray) -> np.ndarray:
    parts = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    return reference.batch_norm(x, *(p.numpy() for p in parts))


def expected_branch(layer: ParallelConv2D, k: int, x: np.ndarray) -> np.ndarray:
    kernel = layer.convolutions[k].kernel.numpy()
    if layer.precision == "float":
        y = reference.conv2d(x, kernel, layer.strides)
    else:
        tau = layer.thresholds[k].tau.numpy() if layer.thresholds else 0
        signs = reference.sign(x + tau)
        y = reference.conv2d(signs, reference.sign(kernel), layer.strides, pad_value=1)
    return norm(layer.norms[k], np.maximum(y, 0))


@given(
    branches=st.integers(1, 4),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    channels=st.integers(1, 5),
    kernel_size=st.sampled_from([1, 2, 3]),
    strides=st.sampled_from([1, 2]),
    precision=st.sampled_from(["binary", "float"]),
    shared=st.booleans(),
)
@few
def test_parallel_conv(
    branches: int,
    height: int,
    width: int,
    channels: int,
    kernel_size: int,
    strides: int,
    precision: str,
    shared: bool,
) -> None:
    layer = ParallelConv2D(3, kernel_size, branches, strides, precision, shared_threshold=shared)
    x = inputs(height, 2, height, width, channels)
    layer(x)
    randomize(layer, seed=width)
    outputs = layer(x, training=False)
    assert len(outputs) == branches
    for k, y in enumerate(outputs):
        np.testing.assert_allclose(y, expected_branch(layer, k, x), rtol=1e-4, atol=1e-4)


def test_branches_start_with_different_thresholds() -> None:
    layer = ParallelConv2D(4, branches=3, initial_threshold=0.5)
    layer(inputs(0, 1, 2, 2, 3))
    assert [float(t.tau[0]) for t in layer.thresholds] == [-0.5, 0.0, 0.5]


def test_branches_that_share_their_threshold_have_one_that_starts_at_0() -> None:
    layer = ParallelConv2D(4, branches=3, shared_threshold=True)
    layer(inputs(0, 1, 2, 2, 3))
    (tau,) = (variable for variable in layer.trainable_variables if "tau" in variable.name)
    np.testing.assert_array_equal(tau, np.zeros(3))
    assert all(threshold.tau is tau for threshold in layer.thresholds)
    single = ParallelConv2D(4, branches=1, shared_threshold=True)
    single(inputs(0, 1, 2, 2, 3))
    assert not single.thresholds


def test_one_branch_is_the_plain_binary_layer() -> None:
    import larq as lq

    layer = ParallelConv2D(4, branches=1)
    x = inputs(0, 1, 5, 5, 3)
    (y,) = layer(x)
    plain = lq.layers.QuantConv2D(
        4,
        3,
        padding="same",
        pad_values=1.0,
        use_bias=False,
        input_quantizer="approx_sign",
        kernel_quantizer="approx_sign",
    )
    plain(x)
    plain.set_weights([layer.convolutions[0].kernel.numpy()])
    fresh_norm = 1 / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(y, np.maximum(plain(x), 0) * fresh_norm, rtol=1e-5)
    assert not layer.thresholds


def test_each_branch_takes_its_own_input_of_a_list() -> None:
    layer = ParallelConv2D(2, branches=2)
    xs = [inputs(k, 1, 3, 3, 2) for k in range(2)]
    outputs = layer(xs)
    for k, y in enumerate(outputs):
        np.testing.assert_allclose(y, expected_branch(layer, k, xs[k]), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="2 branches but got 3"):
        layer([*xs, xs[0]])


@given(branches=st.integers(2, 5), channels=st.integers(1, 7), seed=st.integers(0, 99))
@few
def test_gate_and_merge(branches: int, channels: int, seed: int) -> None:
    xs = [inputs(seed + k, 2, 3, 4, channels) for k in range(branches)]
    gate, merge, both = SoftGate(), Merge(), GatedMerge()
    gate(xs), merge(xs), both(xs)
    for layer in (gate, merge, both):
        randomize(layer, seed)
    alpha = reference.sigmoid(gate.theta.numpy().astype(np.float64))
    gated = [a * x + (1 - a) * sum(xs) for a, x in zip(alpha, xs, strict=True)]
    for actual, wanted in zip(gate(xs), gated, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)
    weights = merge.weight.numpy()
    summed = sum(w * x for w, x in zip(weights, xs, strict=True))
    np.testing.assert_allclose(merge(xs), summed, rtol=1e-4, atol=1e-5)
    both.gate.theta.assign(gate.theta)
    both.merge.weight.assign(merge.weight)
    # Its coefficients are multiples of 1/64; the exact ones lie within half of that.
    coefficients = both.coefficients().numpy()
    np.testing.assert_array_equal(coefficients * 64 % 1, 0)
    bound = (1 / 128 + 1e-5) * sum(np.abs(x) for x in xs) + 1e-5
    assert (np.abs(both(xs) - merge(gate(xs))) <= bound).all()
    own = sum(c * x for c, x in zip(coefficients, xs, strict=True))
    np.testing.assert_allclose(both(xs), own, rtol=1e-4, atol=1e-5)


@given(branches=st.integers(2, 5), channels=st.integers(1, 7), seed=st.integers(0, 99))
@few
def test_a_merge_without_gates(branches: int, channels: int, seed: int) -> None:
    xs = [inputs(seed + k, 2, 3, 4, channels) for k in range(branches)]
    layer = GatedMerge(gated=False)
    np.testing.assert_allclose(layer(xs), np.mean(xs, axis=0), atol=branches * 0.05)
    (weight,) = layer.trainable_variables
    values = np.random.default_rng(seed).integers(-64, 64, branches) / 64
    weight.assign(values)
    summed = sum(w * x for w, x in zip(values, xs, strict=True))
    np.testing.assert_allclose(layer(xs), summed, rtol=1e-4, atol=1e-5)
    assert layer.coefficients().shape == (branches, channels)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize(
    "arguments", [{}, {"initial_theta": 2.0}, {"gated": False}, {"initial_scale": 2.0}]
)
def test_the_gated_merge_begins_as_the_mean(count: int, arguments: dict[str, Any]) -> None:
    xs = [inputs(k, 1, 2, 3, 4) for k in range(count)]
    # Coefficients are rounded to multiples of 1/64.
    bound = sum(np.abs(x).max() for x in xs) / 128 + 1e-5
    expected = arguments.get("initial_scale", 1) * np.mean(xs, axis=0)
    np.testing.assert_allclose(GatedMerge(**arguments)(xs), expected, atol=bound)


def test_merge_starts_as_the_mean_and_one_branch_passes_unchanged() -> None:
    xs = [inputs(k, 1, 2, 2, 3) for k in range(4)]
    np.testing.assert_allclose(Merge()(xs), np.mean(xs, axis=0), rtol=1e-5)
    single = GatedMerge()
    np.testing.assert_array_equal(single(xs[:1]), xs[0])
    assert not single.variables


def attention_mask(layer: BinaryAttention, xs: list[np.ndarray]) -> np.ndarray:
    joined = np.concatenate(xs, axis=-1)
    mask = np.ones(1)
    for part in layer.used:
        x = joined.mean(axis=(1, 2), keepdims=True) if part == "channel" else joined
        kernel = layer.convolutions[part].kernel.numpy()
        if layer.precision == "float":
            gate = reference.sigmoid(norm(layer.norms[part], reference.conv2d(x, kernel)))
        else:
            y = reference.conv2d(reference.sign(x), reference.sign(kernel), pad_value=1)
            gate = np.maximum(reference.sign(norm(layer.norms[part], y)), 0)
        mask = mask * gate
    return mask


@given(
    parts=st.sampled_from(["spatial", "channel", "both"]),
    precision=st.sampled_from(["binary", "float"]),
    branches=st.integers(1, 3),
    height=st.integers(1, 5),
    width=st.integers(2, 5),
)
@few
def test_attention(parts: str, precision: str, branches: int, height: int, width: int) -> None:
    xs = [inputs(k, 2, height, width, 4) for k in range(branches)]
    layer = BinaryAttention(parts, precision)
    layer(xs)
    randomize(layer, seed=height)
    mask = attention_mask(layer, xs)
    if precision == "binary":
        assert set(np.unique(mask)) <= {0.0, 1.0}
    for actual, x in zip(layer(xs, training=False), xs, strict=True):
        np.testing.assert_allclose(actual, mask * x, rtol=1e-4, atol=1e-5)


def test_masking_the_merge_equals_masking_every_branch() -> None:
    xs = [inputs(k, 2, 4, 5, 6) for k in range(3)]
    attention, merge = BinaryAttention(), GatedMerge()
    each = merge(attention(xs))
    once = attention(xs, targets=merge(xs))
    np.testing.assert_allclose(once, each, rtol=1e-5, atol=1e-6)


def test_a_closed_gate_can_open_again() -> None:
    layer = BinaryAttention("spatial")
    x = tf.constant(inputs(0, 1, 4, 4, 3))
    layer(x)
    layer.norms["spatial"].beta.assign([-0.5])
    layer.norms["spatial"].gamma.assign([0.0])
    with tf.GradientTape() as tape:
        masked = layer(x, training=False)
    assert not masked.numpy().any()
    assert tape.gradient(masked, layer.norms["spatial"].beta).numpy().any()


@given(
    method=st.sampled_from(["subpixel", "nearest"]),
    factor=st.sampled_from([1, 2, 3]),
    branches=st.integers(1, 3),
    height=st.integers(1, 4),
    width=st.integers(1, 4),
    precision=st.sampled_from(["binary", "float"]),
    gated=st.booleans(),
    shared=st.booleans(),
)
@few
def test_parallel_upsampling(
    method: str,
    factor: int,
    branches: int,
    height: int,
    width: int,
    precision: str,
    gated: bool,
    shared: bool,
) -> None:
    layer = ParallelUpsampling2D(
        2,
        factor,
        branches=branches,
        method=method,
        precision=precision,
        gated=gated,
        shared_threshold=shared,
    )
    x = inputs(width, 2, height, width, 3)
    layer(x)
    randomize(layer, seed=factor)
    large = x.repeat(factor, axis=1).repeat(factor, axis=2) if method == "nearest" else x
    outputs = [expected_branch(layer.conv, k, large) for k in range(branches)]
    assert bool(layer.merge.gate.weights) == (gated and branches > 1)
    if branches > 1:
        c = layer.merge.coefficients().numpy()
        y = sum(w * b for w, b in zip(c, outputs, strict=True))
    else:
        y = outputs[0]
    if method == "subpixel":
        y = reference.depth_to_space(y, factor)
    np.testing.assert_allclose(layer(x, training=False), y, rtol=1e-3, atol=1e-3)
    assert layer(x).shape == (2, factor * height, factor * width, 2)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_nearest_upsampling_and_its_gradient(factor: int) -> None:
    layer = NearestUpsampling2D(factor)
    x = tf.Variable(inputs(factor, 2, 3, 4, 5))
    upstream = inputs(factor, 2, 3 * factor, 4 * factor, 5)
    with tf.GradientTape() as tape:
        y = layer(x)
        loss = tf.reduce_sum(y * upstream)
    np.testing.assert_array_equal(y, x.numpy().repeat(factor, 1).repeat(factor, 2))
    blocks = upstream.reshape(2, 3, factor, 4, factor, 5).sum(axis=(2, 4))
    np.testing.assert_allclose(tape.gradient(loss, x), blocks, rtol=1e-4, atol=1e-5)


@given(bits=st.integers(0, 16), seed=st.integers(0, 99), shape=st.sampled_from([(), (3,), (2, 5)]))
@few
def test_fixed_point_and_its_gradient(bits: int, seed: int, shape: tuple[int, ...]) -> None:
    x = tf.Variable(inputs(seed, *shape) * 10)
    with tf.GradientTape() as tape:
        y = FixedPoint(bits)(x)
    np.testing.assert_array_equal(y, np.round(x.numpy() * 2.0**bits) / 2.0**bits)
    np.testing.assert_array_equal(tape.gradient(y, x), np.ones(shape))


@pytest.mark.parametrize("estimator", ["approx_sign", "ste_sign", "swish_sign"])
def test_quantizers_are_larqs_in_value_and_gradient(estimator: str) -> None:
    import larq as lq

    x = tf.Variable(np.linspace(-2, 2, 81, dtype=np.float32))
    results = []
    for one in (quantizer(estimator), lq.quantizers.get(estimator)):
        with tf.GradientTape() as tape:
            y = one(x)
        results.append((y.numpy(), tape.gradient(y, x).numpy()))
    np.testing.assert_array_equal(*(values for values, _ in results))
    np.testing.assert_allclose(*(gradients for _, gradients in results), atol=1e-6)
    np.testing.assert_array_equal(results[0][0], reference.sign(x.numpy()))


SAMPLES = [
    Threshold(0.25),
    SoftGate(0.5),
    Merge(),
    NearestUpsampling2D(3),
    FixedPoint(4),
    GatedMerge(0.5),
    ParallelConv2D(4, 1, 2, 2, initial_threshold=0.3, estimator="ste_sign"),
    ParallelConv2D(4, precision="float"),
    ParallelConv2D(4, shared_threshold=True),
    GatedMerge(gated=False),
    ParallelUpsampling2D(4, gated=False, shared_threshold=True),
    ParallelUpsampling2D(4, 3, 1, 2, "nearest", initial_threshold=0.3),
    BinaryAttention("channel", estimator="ste_sign"),
    BinaryAttention("spatial", "float"),
]


@pytest.mark.parametrize("layer", SAMPLES, ids=lambda layer: layer.name)
def test_config_round_trip(layer: tf.keras.layers.Layer) -> None:
    again = layer.__class__.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    spec = tf.keras.layers.serialize(layer)
    assert spec["registered_name"] == f"larq_dense>{layer.__class__.__name__}"
    assert tf.keras.layers.deserialize(spec).get_config() == layer.get_config()


@pytest.mark.parametrize(
    "error, make",
    [
        (TypeError, lambda: ParallelConv2D(4.0)),
        (TypeError, lambda: ParallelConv2D(4, branches=True)),
        (TypeError, lambda: ParallelConv2D(4, shared_threshold=1)),
        (TypeError, lambda: GatedMerge(gated="no")),
        (TypeError, lambda: ParallelUpsampling2D(4, gated=None)),
        (ValueError, lambda: ParallelConv2D(0)),
        (ValueError, lambda: ParallelConv2D(4, branches=0)),
        (ValueError, lambda: ParallelConv2D(4, precision="int8")),
        (ValueError, lambda: ParallelConv2D(4, estimator="no_such_sign")),
        (ValueError, lambda: ParallelConv2D(4, estimator="magnitude_aware_sign")),
        (ValueError, lambda: ParallelUpsampling2D(4, method="bilinear")),
        (ValueError, lambda: ParallelUpsampling2D(4, factor=0)),
        (TypeError, lambda: FixedPoint(2.5)),
        (ValueError, lambda: FixedPoint(17)),
        (ValueError, lambda: BinaryAttention("everywhere")),
        (ValueError, lambda: BinaryAttention(precision="half")),
    ],
)
def test_wrong_arguments(error: type[Exception], make: Any) -> None:
    with pytest.raises(error, match="must be"):
        make()
