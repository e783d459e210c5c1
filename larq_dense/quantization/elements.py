"""Elementary layers of an int8 network, each rounding as the converted file does.

Every step between values is a power of two, and every sum that is rounded is kept off the ties.
So Keras, Larq Compute Engine, XNNPACK and the XNOR runtime, which all round ties and intermediate
results by rules of their own, find the same integers, and a sign never depends on which of them
ran (Ours). Until `calibrate` has set the steps, the layers compute in float.
"""

from collections.abc import Callable
from typing import Any

import larq as lq
import numpy as np
import tensorflow as tf

from larq_dense.layers import Threshold
from larq_dense.layers._base import Tensor, register
from larq_dense.layers.attention import open_below_zero

# A kernel's values are multiples of 4 of 127 and its bias is 2 above such a multiple. TFLite rounds
# a sum twice, first to its half, then to the output's step; sums of this form round once only.
KERNEL_GRID = 4
LARGEST = 31

# A scale after a binary convolution has 9 bits, one more where training doubles it, and a sum of
# bits 13, so float32 holds their product, and twice as fine an offset. No scale or offset need be
# finer than 2^-13 of the output's step.
SCALE_BITS, FINEST_BITS = 9, 13

# Share of a tensor's values that a range may leave out at either end: a few large ones would make
# the steps of all others too coarse.
OUTLIERS = 1e-3

# A mean is kept so finely that its sign is that of the sum, for as many as 2^16 positions.
MEAN_BITS = 16


def straight_through(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return `function(x)` with gradient 1."""

    @tf.custom_gradient
    def run(x: Tensor) -> tuple[Tensor, Any]:
        return function(x), lambda upstream: upstream

    return run(x)


def power_of_two_above(values: Any) -> Any:
    """Return the smallest powers of two that are not below `values`."""
    return np.exp2(np.ceil(np.log2(np.maximum(values, 2.0**-24)))).astype(np.float32)


@register
class FakeQuantize(tf.keras.layers.Layer):
    """Rounds to 256 steps of one power of two; gradient 1 within the range, 0 beyond.

    One such layer may round several tensors, which share a range then.

    Args:
        step: The step of a symmetric range that is known; left out, `settle` finds the range.
        of_mean: The layer that rounds what this one's input is a mean of, whose sign counts only.
        **kwargs: Keras' own.
    """

    def __init__(
        self, step: float = 0.0, of_mean: "FakeQuantize | None" = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.initial_step = step
        self.of_mean = of_mean
        self.observing = False

    def build(self, input_shape: Any) -> None:
        """Make the range."""
        step = self.initial_step
        self.low, self.high, self.step = (
            self.add_weight(
                name, (), initializer=tf.keras.initializers.Constant(value), trainable=False
            )
            for name, value in (("low", -128 * step), ("high", 127 * step), ("step", step))
        )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the rounded tensor, or the tensor itself while its range is observed."""
        if self.observing:
            if not self.initial_step:
                self._watch(inputs)
            return tf.identity(inputs)
        if self.of_mean is not None:
            return straight_through(self._round, inputs)
        return self._round(inputs)

    def _watch(self, inputs: Tensor) -> None:
        ordered = tf.sort(tf.reshape(inputs, [-1]))
        left_out = int(OUTLIERS * ordered.shape[0])
        self.low.assign(tf.minimum(self.low, ordered[left_out]))
        self.high.assign(tf.maximum(self.high, ordered[-1 - left_out]))

    def _round(self, inputs: Tensor) -> Tensor:
        return tf.quantization.fake_quant_with_min_max_vars(inputs, self.low, self.high)

    def observe(self) -> None:
        """From now on only watch what passes."""
        self.observing = True
        if not self.initial_step:
            self.low.assign(0.0)
            self.high.assign(0.0)

    def settle(self) -> None:
        """Set the range by the values that were observed, and round again."""
        self.observing = False
        if self.initial_step:
            return
        low, high = float(self.low), float(self.high)
        step, zero_point = power_of_two_above((high - low) / 256), 0
        if self.of_mean is not None:
            step = float(self.of_mean.step) * 2.0**-MEAN_BITS
        else:
            zero_point = int(np.clip(np.round(-128 - low / step), -128, 127))
        self.step.assign(step)
        self.low.assign((-128 - zero_point) * step)
        self.high.assign((127 - zero_point) * step)


class Ranged(tf.keras.layers.Layer):
    """A layer that knows what rounds its input and its output.

    Attributes:
        source: The input's `FakeQuantize`, or None where sums of bits come in.
        result: The output's, or None where only its sign is used.
        rounds: Whether the steps of both are set.
    """

    source: Any = None
    result: Any = None
    rounds = False

    def settle(self) -> None:
        """Round from now on; source and result are settled already."""
        self.rounds = True


@register
class Scale(Ranged):
    """`scale · n + offset` with one value a channel: what normalization after a sum of bits is.

    Sums of bits are large and scales small, of any size; training changes them by a factor, `gain`.
    """

    def build(self, input_shape: Any) -> None:
        """Make scale, gain and offset."""
        shape = (input_shape[-1],)
        self.scale = self.add_weight("scale", shape, initializer="ones", trainable=False)
        self.gain = self.add_weight("gain", shape, initializer="ones")
        self.offset = self.add_weight("offset", shape, initializer="zeros")
        self.unit = self.add_weight("unit", shape, initializer="ones", trainable=False)
        super().build(input_shape)

    def settle(self) -> None:
        """Set what the scales are multiples of, and round from now on."""
        super().settle()
        step = 1.0 if self.result is None else float(self.result.step)
        scale = np.abs(self.scale.numpy() * self.gain.numpy())
        units = power_of_two_above(scale) * 2.0**-SCALE_BITS
        self.unit.assign(np.maximum(units, step * 2.0**-FINEST_BITS))

    def call(self, inputs: Tensor) -> Tensor:
        """Return the scaled tensor."""
        if not self.rounds:
            return self.gain * self.scale * inputs + self.offset
        unit = self.unit
        exact = self.gain * self.scale
        scale = straight_through(lambda x: tf.round(x / unit) * unit, exact)
        offset = straight_through(lambda x: (tf.floor(x / unit) + 0.5) * unit, self.offset)
        return scale * inputs + offset


@register
class Int8Threshold(Ranged, Threshold):
    """`layers.Threshold` on its input's own steps; rounding down changes no sign."""

    def call(self, inputs: Tensor) -> Tensor:
        """Return `inputs + tau`."""
        if not self.rounds:
            return inputs + self.tau
        source = self.source
        tau = straight_through(lambda x: tf.floor(x / source.step) * source.step, self.tau)
        return inputs + source(tau)


class _Int8Convolution(Ranged):
    """The rounding of an ordinary convolution's kernel and bias."""

    def build(self, input_shape: Any) -> None:
        """Make the weights and the steps of the kernel."""
        super().build(input_shape)
        self.kernel_step = self.add_weight(
            "kernel_step", self.bias.shape, initializer="ones", trainable=False
        )

    def settle(self) -> None:
        """Set the steps by the kernel, and round from now on."""
        super().settle()
        largest = np.abs(self.real_kernel.numpy()).reshape(-1, self.bias.shape[0]).max(axis=0)
        self.kernel_step.assign(power_of_two_above(largest / ((LARGEST + 0.5) * KERNEL_GRID)))

    @property
    def real_kernel(self) -> tf.Variable:
        """The kernel; its last axes are the output channels."""
        return self.kernel

    def rounded(self) -> tuple[Tensor, Tensor]:
        """Return kernel and bias, rounded once the steps are set."""
        kernel = tf.reshape(self.real_kernel, (*self.real_kernel.shape[:2], -1, self.bias.shape[0]))
        if not self.rounds:
            return kernel, self.bias
        grid = KERNEL_GRID * self.kernel_step
        low, high = -127 * self.kernel_step, 127 * self.kernel_step

        def snap(x: Tensor) -> Tensor:
            return tf.clip_by_value(tf.round(x / grid), -LARGEST, LARGEST) * grid

        kernel = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            straight_through(snap, kernel), low, high, narrow_range=True
        )
        unit = grid * self.source.step
        return kernel, straight_through(lambda x: (tf.floor(x / unit) + 0.5) * unit, self.bias)


@register
class Int8Conv2D(_Int8Convolution, tf.keras.layers.Conv2D):
    """An ordinary convolution with a kernel of eight bits, one step an output channel."""

    def call(self, inputs: Tensor) -> Tensor:
        """Convolve."""
        kernel, bias = self.rounded()
        return tf.nn.bias_add(self.convolution_op(inputs, kernel), bias)


@register
class Int8DepthwiseConv2D(_Int8Convolution, tf.keras.layers.DepthwiseConv2D):
    """A depthwise convolution with a kernel of eight bits, one step a channel."""

    @property
    def real_kernel(self) -> tf.Variable:
        """The kernel `[height, width, channels, multiplier]`."""
        return self.depthwise_kernel

    def call(self, inputs: Tensor) -> Tensor:
        """Convolve."""
        kernel, bias = self.rounded()
        kernel = tf.reshape(kernel, self.depthwise_kernel.shape)
        x = tf.keras.backend.depthwise_conv2d(
            inputs, kernel, self.strides, self.padding, self.data_format, self.dilation_rate
        )
        return tf.nn.bias_add(x, bias)


@register
class Sign(tf.keras.layers.Layer):
    """A Larq quantizer as a layer: -1 below 0, else +1."""

    def __init__(self, estimator: str = "approx_sign", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.estimator = estimator

    def call(self, inputs: Tensor) -> Tensor:
        """Return the signs."""
        return lq.quantizers.get(self.estimator)(inputs)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "estimator": self.estimator}


@register
class OpenGate(tf.keras.layers.Layer):
    """Signs to 0 and 1, with the gradient of `layers.BinaryAttention`."""

    def call(self, inputs: Tensor) -> Tensor:
        """Return 0 for -1 and 1 for +1."""
        return open_below_zero(inputs)


@register
class DepthToSpace(tf.keras.layers.Layer):
    """Moves channels to positions."""

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Tensor) -> Tensor:
        """Return `[batch, factor · height, factor · width, channels / factor²]`."""
        return tf.nn.depth_to_space(inputs, self.factor)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}
