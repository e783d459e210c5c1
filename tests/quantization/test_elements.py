"""Rounding, layer by layer, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from larq_dense.quantization.elements import (
    FakeQuantize,
    Int8Conv2D,
    Int8DepthwiseConv2D,
    Int8Threshold,
    Scale,
)

RANDOM = np.random.default_rng(0)


def settled(values: np.ndarray) -> FakeQuantize:
    """Return a layer with the range of these values."""
    layer = FakeQuantize(name="range")
    layer.build(None)
    layer.observe()
    layer(tf.constant(values, tf.float32))
    layer.settle()
    return layer


def is_power_of_two(value: float) -> bool:
    return np.log2(value) == round(np.log2(value))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 9.7), (-7.3, 40.0), (-6.0, 0.0)])
def test_a_range_holds_what_was_observed_in_256_steps(low: float, high: float) -> None:
    layer = settled(np.array([low, high]))
    step, bottom, top = (float(v) for v in (layer.step, layer.low, layer.high))
    assert is_power_of_two(step)
    assert top - bottom == 255 * step
    assert bottom / step == round(bottom / step)
    assert bottom <= low + step / 2
    # A symmetric range has one step less above 0 than below.
    assert top >= high - step
    values = RANDOM.uniform(bottom, top, 1000).astype(np.float32)
    expected = np.floor(values / step + 0.5) * step
    np.testing.assert_array_equal(layer(values), np.clip(expected, bottom, top))


def test_a_range_leaves_out_a_thousandth_at_either_end() -> None:
    values = RANDOM.uniform(-1, 1, 4000)
    values[[5, 70, 800]] = 40
    values[[6, 71, 801]] = -40
    layer = settled(values)
    assert float(layer.step) == 2**-7
    assert -1.01 <= float(layer.low) <= -0.98


def test_tensors_that_are_observed_by_one_layer_share_its_range() -> None:
    layer = FakeQuantize(name="range")
    layer.build(None)
    layer.observe()
    for values in ([-3.0, 1.0], [0.5, 5.0]):
        np.testing.assert_array_equal(layer(tf.constant(values)), values)
    layer.settle()
    assert (float(layer.low), float(layer.high)) == (-3.0, 4.96875)


def test_the_gradient_is_1_within_the_range_and_0_beyond() -> None:
    layer = settled(np.array([-1.0, 1.0]))
    x = tf.constant([-2.0, -0.5, 0.3, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 1, 1, 0])


def test_a_mean_keeps_the_sign_of_the_sum_and_its_gradient() -> None:
    source = settled(np.array([-4.0, 4.0]))
    layer = FakeQuantize(of_mean=source, name="mean")
    layer.build(None)
    layer.settle()
    step = float(source.step)
    x = tf.constant([-9.0, -step / 2**16, 0.0, step / 2**16, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    np.testing.assert_array_equal(np.sign(y), np.sign(x))
    np.testing.assert_array_equal(tape.gradient(y, x), np.ones(5))


def ready(layer: tf.keras.layers.Layer, source: FakeQuantize | None, result: FakeQuantize) -> None:
    layer.source, layer.result = source, result
    layer.settle()


def test_scaled_sums_never_lie_between_two_steps() -> None:
    result = settled(np.array([-20.0, 20.0]))
    layer = Scale(name="scale")
    sums = tf.constant(RANDOM.integers(-2304, 2305, (4, 500, 32)), tf.float32)
    layer(sums)
    # Some are so large or small that a fixed number of fraction bits would not do.
    layer.scale.assign(RANDOM.normal(0, 0.02, 32) * 10.0 ** RANDOM.integers(-2, 3, 32))
    layer.offset.assign(RANDOM.normal(0, 2, 32))
    exact = layer(sums).numpy()
    ready(layer, None, result)
    rounded = layer(sums).numpy().astype(np.float64)
    # Scale and offset, each off by half a unit at most.
    assert (np.abs(rounded - exact) <= (2304 + 2) * layer.unit.numpy() / 2).all()
    halves = rounded / (layer.unit.numpy() / 2)
    np.testing.assert_array_equal(np.abs(halves) % 2, np.ones_like(halves))
    in_double = sums.numpy().astype(np.float64) * np.round(layer.scale / layer.unit) * layer.unit
    offset = (np.floor(layer.offset / layer.unit) + 0.5) * layer.unit
    np.testing.assert_array_equal(rounded, in_double + offset)


def test_a_threshold_on_the_inputs_steps_changes_no_sign() -> None:
    source = settled(np.array([-8.0, 8.0]))
    layer = Int8Threshold(name="threshold")
    x = source(tf.constant(RANDOM.uniform(-8, 8, (1, 20, 20, 16)), tf.float32))
    layer(x)
    layer.set_weights([RANDOM.uniform(-2, 2, 16)])
    exact = layer(x).numpy()
    ready(layer, source, source)
    np.testing.assert_array_equal(layer(x).numpy() >= 0, exact >= 0)


@pytest.mark.parametrize("depthwise", [False, True])
def test_a_convolutions_sums_are_2_above_a_multiple_of_4(depthwise: bool) -> None:
    source = settled(np.array([-1.0, 1.0]))
    x = source(tf.constant(RANDOM.uniform(-1, 1, (1, 12, 12, 8)), tf.float32))
    form = Int8DepthwiseConv2D(3, 2, "same") if depthwise else Int8Conv2D(16, 3, 2, "same")
    form(x)
    channels = form.bias.shape[0]
    form.bias.assign(RANDOM.normal(0, 1, channels))
    form.real_kernel.assign(RANDOM.normal(0, 1, form.real_kernel.shape))
    exact = form(x).numpy()
    ready(form, source, settled(np.array([exact.min(), exact.max()])))
    rounded = form(x).numpy()
    unit = form.kernel_step.numpy() * float(source.step)
    sums = rounded / unit
    np.testing.assert_array_equal(sums % 4, np.full_like(sums, 2))
    # 9 or 72 products, each off by half of a kernel's step of 4, and the bias by 4.
    taps = 9 if depthwise else 72
    bound = taps * 2 * form.kernel_step.numpy() + 4 * unit
    assert (np.abs(rounded - exact) <= bound).all()
    kernel = form.rounded()[0].numpy() / form.kernel_step.numpy()
    assert np.abs(kernel).max() <= 127
    assert np.abs(kernel).max() >= 60
