"""Soft gates between parallel branches, and their merge into one tensor."""

import math
from typing import Any

import tensorflow as tf

from larq_dense.layers._base import Tensor, as_branches, check_flag, register
from larq_dense.layers.fixed_point import to_grid

# Short coefficients keep products of short values exact in float32 (see `FixedPoint`).
COEFFICIENT_BITS = 6


@register
class SoftGate(tf.keras.layers.Layer):
    """Lets each branch see the others through a learned gate.

    `G_k = alpha_k * B_k + (1 - alpha_k) * sum_j B_j` with `alpha_k = sigmoid(theta_k)` (arXiv
    2405.17776 as docs/method.md, part 3, reads it; not from the paper: `theta_k` is one learned
    value a channel, so the gate is a constant at inference).

    Args:
        initial_theta: What every `theta` starts at.
        **kwargs: Keras' own.

    Input and output: a list of K tensors `[..., channels]`, float.

    Examples:
        >>> gated = SoftGate()([tf.ones((1, 8, 8, 16)), tf.zeros((1, 8, 8, 16))])
        >>> [float(branch[0, 0, 0, 0]) for branch in gated]
        [1.0, 0.5]
    """

    def __init__(self, initial_theta: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial_theta = float(initial_theta)

    def build(self, input_shape: Any) -> None:
        """Make `theta`, `[K, channels]`."""
        self.theta = self.add_weight(
            "theta",
            shape=(len(input_shape), input_shape[0][-1]),
            initializer=tf.keras.initializers.Constant(self.initial_theta),
        )
        super().build(input_shape)

    def call(self, inputs: list[Tensor]) -> list[Tensor]:
        """Return the K gated branches."""
        alpha = tf.unstack(tf.sigmoid(self.theta))
        total = tf.add_n(inputs)
        return [a * branch + (1 - a) * total for a, branch in zip(alpha, inputs, strict=True)]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "initial_theta": self.initial_theta}


@register
class Merge(tf.keras.layers.Layer):
    """Sums parallel branches with learned weights: `y = sum_k lambda_k * G_k`.

    Every `lambda_k` is one number and starts at a K-th of `initial_sum` (arXiv 2405.17776 as
    docs/method.md, part 4, reads it).

    Args:
        initial_sum: What the weights sum to at the start.
        **kwargs: Keras' own.

    Input: a list of K tensors `[..., channels]`. Output: one such tensor.

    Examples:
        >>> merged = Merge()([tf.ones((1, 8, 8, 16)), tf.zeros((1, 8, 8, 16))])
        >>> float(merged[0, 0, 0, 0])
        0.5
    """

    def __init__(self, initial_sum: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial_sum = float(initial_sum)

    def build(self, input_shape: Any) -> None:
        """Make `lambda`, `[K]`."""
        count = len(input_shape)
        start = tf.keras.initializers.Constant(self.initial_sum / count)
        self.weight = self.add_weight("lambda", shape=(count,), initializer=start)
        super().build(input_shape)

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Return the weighted sum."""
        return tf.add_n([w * x for w, x in zip(tf.unstack(self.weight), inputs, strict=True)])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "initial_sum": self.initial_sum}


@register
class GatedMerge(tf.keras.layers.Layer):
    """`Merge()(SoftGate()(branches))` in closed form: `y = sum_k c_k * B_k`.

    Both are linear in the branches, so they collapse to one coefficient a branch and channel,
    `c_k = lambda_k * alpha_k + sum_j lambda_j * (1 - alpha_j)`: K products instead of 4 K. The
    coefficients are rounded to multiples of 1/64, with gradient 1 (not from the paper: see
    `FixedPoint`). One branch needs neither gate nor weight and passes unchanged.

    The `lambda_k` start such that the merge begins as the branches' mean, every `c_k` at 1/K (not
    from the paper). At 1/K themselves it would begin as `alpha + K (1 - alpha)` times that, twice
    the mean of three branches, which costs accuracy (docs/ablation.md).

    Args:
        initial_theta: What every `theta` of the gate starts at.
        gated: Whether there is a gate; without it every `alpha_k` is 1 and `c_k = lambda_k`.
        initial_scale: What the merge begins as, as a multiple of the branches' mean.
        folded: Whether the coefficients are variables themselves, which take the place of gate and
            merge (`models.exact.inference_form`).
        **kwargs: Keras' own.

    Input: a list of K tensors `[..., channels]`, or one such tensor, which Keras makes of a list
    of one when it copies a model. Output: one such tensor.

    Raises:
        TypeError: `gated` or `folded` is neither true nor false.

    Examples:
        >>> merged = GatedMerge()([tf.ones((1, 8, 8, 16)), tf.zeros((1, 8, 8, 16))])
        >>> tuple(merged.shape), float(merged[0, 0, 0, 0])
        ((1, 8, 8, 16), 0.5)
    """

    def __init__(
        self,
        initial_theta: float = 0.0,
        gated: bool = True,
        initial_scale: float = 1.0,
        folded: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_flag("gated", gated)
        check_flag("folded", folded)
        self.gated = gated
        self.initial_scale = float(initial_scale)
        self.folded = folded
        self.gate = SoftGate(initial_theta, name="gate")
        self.merge = Merge(name="merge")

    def build(self, input_shape: Any) -> None:
        """Make the gate's `theta` and the merge's `lambda`, or the coefficients themselves.

        One branch needs none of them.
        """
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        self.channels, count = shapes[0][-1], len(shapes)
        alpha = 1 / (1 + math.exp(-self.gate.initial_theta)) if self.gated else 1.0
        self.merge.initial_sum = self.initial_scale / (alpha + count * (1 - alpha))
        if count > 1 and self.folded:
            mean = tf.keras.initializers.Constant(self.initial_scale / count)
            self.folded_coefficients = self.add_weight(
                "coefficients", (count, self.channels), initializer=mean
            )
        elif count > 1:
            # The parts are never called, so nobody else gives their weights a scope; and Keras,
            # reading a saved model, builds this layer outside of its own.
            scope = tf.get_current_name_scope() or self.name
            for part in (self.gate, self.merge) if self.gated else (self.merge,):
                with tf.name_scope(f"{scope}/{part.name}/"):
                    part.build(input_shape)
        super().build(input_shape)

    def coefficients(self) -> Tensor:
        """Return `c`, `[K, channels]`, rounded to multiples of 1/64 (not from the paper)."""
        if self.folded:
            return to_grid(self.folded_coefficients, COEFFICIENT_BITS)
        alpha = tf.sigmoid(self.gate.theta) if self.gated else tf.ones((1, self.channels))
        weight = self.merge.weight[:, None]
        exact = weight * alpha + tf.reduce_sum(weight * (1 - alpha), axis=0)
        return to_grid(exact, COEFFICIENT_BITS)

    def call(self, inputs: Tensor) -> Tensor:
        """Return the gated, weighted sum."""
        branches = as_branches(inputs)
        if len(branches) == 1:
            return branches[0]
        scaled = [c * x for c, x in zip(tf.unstack(self.coefficients()), branches, strict=True)]
        return tf.add_n(scaled)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "initial_theta": self.gate.initial_theta,
            "gated": self.gated,
            "initial_scale": self.initial_scale,
            "folded": self.folded,
        }
