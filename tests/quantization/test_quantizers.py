"""Rounding, quantizer by quantizer, against NumPy."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from larq_dense.quantization.elements import Scale
from larq_dense.quantization.quantizers import (
    KERNEL_GRID,
    OUTLIERS,
    FactorQuantizer,
    InterpolatedRange,
    KernelQuantizer,
    OffsetQuantizer,
    Quantizer,
    Range,
    ThresholdQuantizer,
    converting,
)

RANDOM = np.random.default_rng(0)


def rounded(quantizer: Quantizer, values: Any) -> Any:
    return quantizer(tf.constant(values, tf.float32), training=False, weights={})


def built(quantizer: Quantizer, shape: tuple[int, ...] = ()) -> Quantizer:
    quantizer.build(shape, "value", tf.keras.layers.Layer(name="owner"))
    return quantizer


def settle(quantizer: Quantizer, *observed: Any, outliers: float = OUTLIERS[0]) -> Quantizer:
    """Let a quantizer see some values, which it passes on, and settle."""
    quantizer.observe()
    for values in observed:
        np.testing.assert_array_equal(rounded(quantizer, values), np.float32(values))
    quantizer.settle(outliers)
    return quantizer


def range_of(*observed: Any, outliers: float = OUTLIERS[0]) -> Any:
    return settle(built(Range()), *observed, outliers=outliers)


def factor_of(layer: Scale, result: Any) -> Any:
    factor = FactorQuantizer(result)
    factor.build(layer.gain.shape, "gain", tf.keras.layers.Wrapper(layer, name="owner"))
    factor.observe()
    rounded(factor, layer.gain)
    factor.settle(OUTLIERS[0])
    return factor


def is_power_of_two(value: float) -> bool:
    return np.log2(value) == round(np.log2(value))


def test_an_interpolated_range_rounds_ties_away_from_0_but_for_the_converter() -> None:
    source = range_of([-3.0, 5.0])
    step, low = float(source.step), float(source.low)
    integers = np.arange(-120, 120, 0.25, np.float32)
    quantizer = InterpolatedRange(source)
    values = (integers + 128) * step + low
    expected = np.sign(integers) * np.floor(np.abs(integers) + 0.5)
    np.testing.assert_array_equal(rounded(quantizer, values), (expected + 128) * step + low)
    with converting():
        np.testing.assert_array_equal(rounded(quantizer, values), rounded(source, values))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 9.7), (-7.3, 40.0), (-6.0, 0.0)])
def test_a_range_holds_what_was_observed_in_256_steps(low: float, high: float) -> None:
    quantizer = range_of([low, high])
    step, bottom, top = (float(v) for v in (quantizer.step, quantizer.low, quantizer.high))
    assert is_power_of_two(step)
    assert top - bottom == 255 * step
    assert bottom / step == round(bottom / step)
    assert bottom <= low + step / 2
    # A symmetric range has one step less above 0 than below.
    assert top >= high - step
    values = RANDOM.uniform(bottom, top, 1000).astype(np.float32)
    expected = np.floor(values / step + 0.5) * step
    np.testing.assert_array_equal(rounded(quantizer, values), np.clip(expected, bottom, top))


@pytest.mark.parametrize("outliers", OUTLIERS)
def test_a_range_leaves_out_a_few_values_at_either_end(outliers: float) -> None:
    values = RANDOM.uniform(-1, 1, 4000)
    few = int(outliers * 4000)
    values[:few], values[few : 2 * few] = 40, -40
    quantizer = range_of(values, outliers=outliers)
    assert float(quantizer.step) == 2**-7
    assert -1.01 <= float(quantizer.low) <= -0.98


def test_tensors_that_one_range_observes_share_it() -> None:
    quantizer = range_of([-3.0, 1.0], [0.5, 5.0])
    assert (float(quantizer.low), float(quantizer.high)) == (-3.0, 4.96875)


def test_a_shared_range_has_its_variables_once() -> None:
    quantizer = Range()
    first, second = tf.keras.layers.Layer(name="first"), tf.keras.layers.Layer(name="second")
    for layer in (first, second):
        quantizer.build((), "output", layer)
    assert [len(layer.weights) for layer in (first, second)] == [3, 0]


def test_the_gradient_is_1_within_the_range_and_0_beyond() -> None:
    quantizer = range_of([-1.0, 1.0])
    x = tf.constant([-2.0, -0.5, 0.3, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = rounded(quantizer, x)
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 1, 1, 0])


def test_a_mean_keeps_the_sign_of_the_sum_and_its_gradient() -> None:
    source = range_of([-4.0, 4.0])
    quantizer = settle(built(Range(of_mean=source)))
    step = float(source.step)
    x = tf.constant([-9.0, -step / 2**16, 0.0, step / 2**16, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = rounded(quantizer, x)
    np.testing.assert_array_equal(np.sign(y), np.sign(x))
    np.testing.assert_array_equal(tape.gradient(y, x), np.ones(5))


def test_scaled_sums_never_lie_between_two_steps() -> None:
    layer = Scale(name="scale")
    sums = RANDOM.integers(-2304, 2305, (4, 500, 32)).astype(np.float32)
    layer(sums)
    # Some are so large or small that a fixed number of fraction bits would not do.
    layer.scale.assign(RANDOM.normal(0, 0.02, 32) * 10.0 ** RANDOM.integers(-2, 3, 32))
    layer.gain.assign(RANDOM.uniform(0.8, 1.2, 32))
    layer.offset.assign(RANDOM.normal(0, 2, 32))
    exact = layer(sums).numpy()
    factor = factor_of(layer, range_of([-20.0, 20.0]))
    unit = factor.unit.numpy()
    offset = OffsetQuantizer(lambda: factor.unit)
    layer.factor, layer.offset = rounded(factor, layer.gain), rounded(offset, layer.offset)
    scaled = layer(sums).numpy().astype(np.float64)
    # Factor and offset, each off by half a unit at most.
    assert (np.abs(scaled - exact) <= (2304 + 2) * unit / 2).all()
    halves = scaled / (unit / 2)
    np.testing.assert_array_equal(np.abs(halves) % 2, np.ones_like(halves))
    in_double = sums.astype(np.float64) * np.float64(layer.factor) + np.float64(layer.offset)
    np.testing.assert_array_equal(scaled, in_double)


@pytest.mark.parametrize("scale", [38.6, 1e4])
def test_a_channel_that_never_opens_is_no_tie_either(scale: float) -> None:
    result = range_of([-8.0, 8.0])
    step = float(result.step)
    layer = Scale(name="scale")
    layer(np.zeros((1, 1, 1, 1), np.float32))
    layer.scale.assign([scale])
    factor = factor_of(layer, result)
    offset = rounded(OffsetQuantizer(lambda: factor.unit), [-0.02]).numpy() / step
    assert offset % 1 == 0.75


def test_a_convolution_whose_output_has_four_of_its_steps_is_no_tie() -> None:
    source = range_of([-1.0, 1.0])
    kernel = np.full((1, 1, 1, 2), 0.25, np.float32)
    alone: Any = settle(built(KernelQuantizer(source, range_of([-9, 9])), kernel.shape), kernel)
    # 256 steps, each 4 of the sums' own.
    end = 512 * float(alone.step[0]) * float(source.step)
    tied: Any = KernelQuantizer(source, range_of([-end, end]))
    settle(built(tied, kernel.shape), kernel)
    np.testing.assert_array_equal(tied.step, 2 * alone.step)


def test_a_threshold_on_the_inputs_steps_changes_no_sign() -> None:
    source = range_of([-8.0, 8.0])
    x = rounded(source, RANDOM.uniform(-8, 8, (1, 20, 20, 16)))
    exact = RANDOM.uniform(-2, 2, 16).astype(np.float32)
    tau = rounded(ThresholdQuantizer(source), exact)
    np.testing.assert_array_equal(np.asarray(x + tau) >= 0, np.asarray(x + exact) >= 0)


def test_float32_holds_every_sum_of_a_channel_that_hardly_varied() -> None:
    result = range_of([-8.0, 8.0])
    layer = Scale()
    layer.build((None, 4, 4, 3))
    layer.scale.assign([0.01, 300.0, -12345.6])
    factor = factor_of(layer, result)
    scale, unit = np.abs(rounded(factor, layer.gain)), factor.unit.numpy()
    sums = 2**13
    assert (scale * sums <= 2**23 * unit).all()
    step = float(result.step)
    assert (scale[1:] >= 128 * step).all()
    np.testing.assert_allclose(scale[0], 0.01, rtol=2**-8)


def test_a_scale_that_was_not_observed_stays() -> None:
    layer = Scale()
    layer.build((None, 4, 4, 1))
    layer.scale.assign([0.3])
    factor = FactorQuantizer(range_of([-8.0, 8.0]))
    factor.build(layer.gain.shape, "gain", tf.keras.layers.Wrapper(layer, name="owner"))
    factor.settle()
    np.testing.assert_array_equal(layer.scale, np.float32([0.3]))


@pytest.mark.parametrize("depthwise", [False, True])
def test_a_convolutions_sums_are_2_above_a_multiple_of_4(depthwise: bool) -> None:
    source = range_of([-1.0, 1.0])
    shape = (3, 3, 8, 2) if depthwise else (3, 3, 8, 16)
    kernel, bias = np.float32(RANDOM.normal(0, 1, shape)), np.float32(RANDOM.normal(0, 1, 16))
    quantizer: Any = built(KernelQuantizer(source, range_of([-9, 9]), depthwise=depthwise), shape)
    settle(quantizer, kernel)
    step = quantizer.step.numpy()
    unit = KERNEL_GRID * step * float(source.step)
    offset = rounded(OffsetQuantizer(lambda: unit), bias)
    x = rounded(source, RANDOM.uniform(-1, 1, (1, 12, 12, 8)))

    def convolve(kernel: Any, bias: Any) -> Any:
        if depthwise:
            return tf.nn.depthwise_conv2d(x, kernel, (1, 2, 2, 1), "SAME") + bias
        return tf.nn.conv2d(x, kernel, 2, "SAME") + bias

    on_grid = rounded(quantizer, kernel)
    sums = convolve(on_grid, offset).numpy()
    in_steps = sums / (step * float(source.step))
    np.testing.assert_array_equal(in_steps % 4, np.full_like(in_steps, 2))
    # 9 or 72 products, each off by half of a kernel's step of 4, and the bias by 4.
    taps = 9 if depthwise else 72
    bound = taps * 2 * step + unit
    assert (np.abs(sums - convolve(kernel, bias).numpy()) <= bound).all()
    columns = on_grid.numpy().reshape(-1, 16) / step
    assert np.abs(columns).max() <= 127
    assert np.abs(columns).max() >= 60
