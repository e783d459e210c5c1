"""What rounds tensors and variables, each as the converted file does.

Every step between values is a power of two, and every sum that is rounded is kept off the ties.
So Keras, Larq Compute Engine, XNNPACK and the XNOR runtime, which all round ties and intermediate
results by rules of their own, find the same integers, and a sign never depends on which of them
ran (not from the paper). While a network's ranges are observed, all pass exact values on.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_model_optimization.quantization.keras import quantizers

from larq_dense.layers._base import Tensor

# A kernel's values are multiples of 4 of 127 and its bias is 2 above such a multiple. TFLite rounds
# a sum twice, first to its half, then to the output's step; sums of this form round once only, and
# are no tie unless the output's step is 4 of theirs (`KernelQuantizer.settle`).
KERNEL_GRID = 4
LARGEST = 31

# A scale after a binary convolution has 9 bits, one more where training doubles it, and a sum of
# bits 13, so float32 holds their product, and twice as fine an offset. No scale or offset need be
# finer than 2^-13 of the output's step, and none may be as coarse as the step, whose halves are
# ties: channels that never open have such scales.
SCALE_BITS, FINEST_BITS = 9, 13

# Shares of a tensor's values that ranges may leave out at either end: a few large ones would make
# the steps of all others too coarse. Which share is best depends on the network.
OUTLIERS = (4e-3, 1.5e-2)

# A mean is kept so finely that its sign is that of the sum, for as many as 2^16 positions.
MEAN_BITS = 16


_converting = ContextVar("converting", default=False)


@contextmanager
def converting() -> Iterator[None]:
    """While a network is traced for the converter, leave out what TFLite's operators do anyway."""
    token = _converting.set(True)
    try:
        yield
    finally:
        _converting.reset(token)


def straight_through(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return `function(x)` with gradient 1."""

    @tf.custom_gradient
    def run(x: Tensor) -> tuple[Tensor, Any]:
        return function(x), lambda upstream: upstream

    return run(x)


def power_of_two_above(values: Any) -> Any:
    """Return the smallest powers of two that are not below `values`."""
    return np.exp2(np.ceil(np.log2(np.maximum(values, 2.0**-24)))).astype(np.float32)


class Quantizer(quantizers.Quantizer):
    """What all of them share: they observe, settle, and round from then on."""

    observing = False

    def build(self, tensor_shape: Any, name: str, layer: tf.keras.layers.Layer) -> dict[str, Any]:
        """Make what it keeps, among the layer's own variables."""
        return {}

    # AutoGraph would rewrite all that is called from here, to no effect, in every trace.
    @tf.autograph.experimental.do_not_convert
    def __call__(self, inputs: Tensor, training: Any, weights: Any, **kwargs: Any) -> Tensor:
        """Return the rounded values, or the exact ones while they are observed."""
        exact = self.exact(inputs)
        if not self.observing:
            return self.round(exact)
        self.watch(exact)
        return exact

    def exact(self, inputs: Tensor) -> Tensor:
        """Return what is to be rounded."""
        return tf.identity(inputs)

    @abstractmethod
    def round(self, exact: Tensor) -> Tensor:
        """Return the rounded values."""

    def observe(self) -> None:
        """From now on only watch what passes."""
        self.observing = True

    def watch(self, exact: Tensor) -> None:
        """Take note of exact values."""

    def settle(self, outliers: float | None = None) -> None:
        """Set the steps, and round from now on; ranges settle before the rest.

        Args:
            outliers: The one of `OUTLIERS` that ranges leave out; None if nothing was observed.
        """
        self.observing = False

    def get_config(self) -> dict[str, Any]:
        """Return nothing: a network's quantizers know each other, so none is made by itself."""
        return {}


class Range(Quantizer):
    """Rounds to 256 steps of one power of two; gradient 1 within the range, 0 beyond.

    One range may serve several tensors; the first layer that has such an output keeps it.

    Args:
        of_mean: The range of the averaged tensor; set if only the mean's sign is used.
    """

    def __init__(self, of_mean: "Range | None" = None) -> None:
        self.of_mean = of_mean
        self._built = False
        self._observed: dict[float, tuple[float, float]] = {}

    def build(self, tensor_shape: Any, name: str, layer: tf.keras.layers.Layer) -> dict[str, Any]:
        """Make the range, once."""
        if not self._built:
            self.low, self.high, self.step = (
                layer.add_weight(f"{name}_{part}", (), initializer="zeros", trainable=False)
                for part in ("low", "high", "step")
            )
            self._built = True
        return {}

    def round(self, exact: Tensor) -> Tensor:
        """Return the rounded values."""
        return straight_through(self._fake, exact) if self.of_mean else self._fake(exact)

    def _fake(self, exact: Tensor) -> Tensor:
        return tf.quantization.fake_quant_with_min_max_vars(exact, self.low, self.high)

    def observe(self) -> None:
        """From now on only watch what passes."""
        super().observe()
        self._observed = dict.fromkeys(OUTLIERS, (0.0, 0.0))

    def watch(self, exact: Tensor) -> None:
        """Widen the range to hold the values, but for each share of outliers among them."""
        ordered = np.sort(exact.numpy(), axis=None)
        for outliers, (low, high) in self._observed.items():
            left_out = int(outliers * len(ordered))
            smallest, largest = float(ordered[left_out]), float(ordered[-1 - left_out])
            self._observed[outliers] = min(low, smallest), max(high, largest)

    def settle(self, outliers: float | None = None) -> None:
        """Set the step, and the range to 256 of it."""
        super().settle(outliers)
        low, high = (0.0, 0.0) if outliers is None else self._observed[outliers]
        step, zero_point = power_of_two_above((high - low) / 256), 0
        if self.of_mean is not None:
            step = float(self.of_mean.step) * 2.0**-MEAN_BITS
        else:
            zero_point = int(np.clip(np.round(-128 - low / step), -128, 127))
        self.step.assign(step)
        self.low.assign((-128 - zero_point) * step)
        self.high.assign((127 - zero_point) * step)


class InterpolatedRange(Quantizer):
    """Rounds interpolated values as TFLite's bilinear resize does: ties of integers away from 0.

    Weights of 1/4 or 1/8 make many ties, which fake quantization rounds up.

    Args:
        source: The range of the values and of what is interpolated between them.
    """

    def __init__(self, source: Range) -> None:
        self._source = source

    def watch(self, exact: Tensor) -> None:
        """Widen the range to hold the values."""
        self._source.watch(exact)

    def round(self, exact: Tensor) -> Tensor:
        """Return the rounded values."""
        if not _converting.get():
            exact = straight_through(self._away_from_zero, exact)
        return self._source.round(exact)

    def _away_from_zero(self, exact: Tensor) -> Tensor:
        step, lowest = self._source.step, -128.0
        # The integer of a value counts from -128 at the range's lower end.
        integers = (exact - self._source.low) / step + lowest
        rounded = tf.sign(integers) * tf.floor(tf.abs(integers) + 0.5)
        return (rounded - lowest) * step + self._source.low


class KernelQuantizer(Quantizer):
    """A convolution's kernel on multiples of four steps, with one step an output channel.

    Args:
        source: The range of its input.
        result: The range of its output, after what is fused with it.
        depthwise: The kernel is `[height, width, channels, multiplier]`.
    """

    def __init__(self, source: Range, result: Range, *, depthwise: bool = False) -> None:
        self._source, self._result = source, result
        self._depthwise = depthwise

    def build(self, tensor_shape: Any, name: str, layer: tf.keras.layers.Layer) -> dict[str, Any]:
        """Make the steps."""
        self._shape = tuple(tensor_shape)
        channels = int(np.prod(self._shape[2:] if self._depthwise else self._shape[3:]))
        self.step = layer.add_weight(
            f"{name}_step", (channels,), initializer="ones", trainable=False
        )
        return {}

    def watch(self, exact: Tensor) -> None:
        """Set the steps by the kernel's largest values."""
        largest = np.abs(exact.numpy()).reshape(-1, self.step.shape[0]).max(axis=0)
        self.step.assign(power_of_two_above(largest / ((LARGEST + 0.5) * KERNEL_GRID)))

    def settle(self, outliers: float | None = None) -> None:
        """Double the steps where every sum would be a tie."""
        super().settle(outliers)
        tie = KERNEL_GRID * self.step * self._source.step == self._result.step
        self.step.assign(tf.where(tie, 2 * self.step, self.step))

    def round(self, exact: Tensor) -> Tensor:
        """Return the kernel on its grid, in a form that the converter reads the steps from."""
        grid = KERNEL_GRID * self.step

        def on_grid(x: Tensor) -> Tensor:
            return tf.clip_by_value(tf.round(x / grid), -LARGEST, LARGEST) * grid

        columns = tf.reshape(exact, (*self._shape[:2], -1, self.step.shape[0]))
        rounded = tf.quantization.fake_quant_with_min_max_vars_per_channel(
            straight_through(on_grid, columns), -127 * self.step, 127 * self.step, narrow_range=True
        )
        return tf.reshape(rounded, self._shape)


class FactorQuantizer(Quantizer):
    """The factors of a `Scale` on multiples of one unit a channel.

    Args:
        result: The range of its output, or None where only its sign is used.
    """

    def __init__(self, result: Range | None) -> None:
        self._result = result

    def build(self, tensor_shape: Any, name: str, layer: tf.keras.layers.Layer) -> dict[str, Any]:
        """Make the units."""
        self._scale = layer.layer.scale
        self.unit = layer.add_weight("unit", tensor_shape, initializer="ones", trainable=False)
        return {}

    def exact(self, inputs: Tensor) -> Tensor:
        """Return the factor of a gain."""
        return inputs * self._scale

    def watch(self, exact: Tensor) -> None:
        """Set the units by the factors."""
        self.unit.assign(power_of_two_above(np.abs(exact.numpy())) * 2.0**-SCALE_BITS)

    def settle(self, outliers: float | None = None) -> None:
        """Make no unit finer than the output needs, or as coarse as its step.

        An observed scale that is too large for the coarsest unit is made smaller.
        """
        super().settle(outliers)
        step = 1.0 if self._result is None else self._result.step
        coarsest = np.inf if self._result is None else step / 2
        unit = tf.clip_by_value(self.unit, step * 2.0**-FINEST_BITS, coarsest)
        if outliers is not None:
            # A factor keeps its bits, so that float32 holds its product with a sum of bits. Where
            # the unit is the coarsest, the smallest sum still moves the output by half its range.
            self._scale.assign(self._scale * tf.minimum(1.0, unit / self.unit))
        self.unit.assign(unit)

    def round(self, exact: Tensor) -> Tensor:
        """Return the nearest multiples."""
        unit = self.unit
        return straight_through(lambda x: tf.round(x / unit) * unit, exact)


class OffsetQuantizer(Quantizer):
    """What is added to multiples of a unit, on that unit's halves: no sum is a tie then.

    Args:
        unit: Returns the unit; one a channel.
    """

    def __init__(self, unit: Callable[[], Tensor]) -> None:
        self._unit = unit

    def round(self, exact: Tensor) -> Tensor:
        """Return the odd multiples of half a unit."""
        unit = self._unit()
        return straight_through(lambda x: (tf.floor(x / unit) + 0.5) * unit, exact)


class ThresholdQuantizer(Quantizer):
    """A threshold on the steps of what it is added to; rounding down changes no sign.

    Args:
        source: The range of its input.
    """

    def __init__(self, source: Range) -> None:
        self._source = source

    def round(self, exact: Tensor) -> Tensor:
        """Return whole steps."""
        source = self._source
        whole = straight_through(lambda x: tf.floor(x / source.step) * source.step, exact)
        return source.round(whole)
