"""Binary attention, computed once on all branches and distributed over them."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import (
    PRECISIONS,
    Precision,
    Tensor,
    as_branches,
    check_choice,
    check_estimator,
    check_flag,
    convolution,
    register,
)
from larq_dense.layers.affine import normalization
from larq_dense.layers.estimator import quantizer

PARTS = ("spatial", "channel", "both")


@tf.custom_gradient
def open_below_zero(signs: Tensor) -> tuple[Tensor, Any]:
    """Return 1 for +1 and 0 for -1, with a gradient on both sides."""
    # ReLU removes the -1; its own gradient would be 0 there, and a closed gate could never open
    # again. Half of the slope of (s + 1) / 2 on both sides gives the same forward values.
    return tf.nn.relu(signs), lambda upstream: 0.5 * upstream


@register
class BinaryAttention(tf.keras.layers.Layer):
    """One mask for all branches, from their concatenation.

    `M = ReLU(sign(BN(binary conv(concat_k B_k))))`, in {0, 1}, and `B_k <- M * B_k` (arXiv
    2405.17776 as docs/method.md, part 6, reads it). Not from the paper: a spatial part, one map
    `[batch, height, width, 1]` by a 3x3 convolution, and a channel part `[batch, 1, 1, channels]`
    by a 1x1 convolution on the mean over the picture; M is their product. Also not from the paper:
    the gradient of the ReLU passes on both sides, or a closed gate could never open. In full
    precision `M = sigmoid(BN(conv(.)))`.

    Args:
        parts: `"spatial"`, `"channel"` or `"both"`.
        precision: `"binary"`, `"activations"` (of inputs and mask) or `"float"`.
        estimator: Larq quantizer for weights, inputs and the mask.
        folded: Whether scales and offsets (`Affine`) take the place of batch normalizations.
        **kwargs: Keras' own.

    Input: a list of K tensors `[batch, height, width, channels]`, or one such tensor. Output: the
    targets, masked; by default the inputs themselves. Gate and merge are linear, so masking what
    they make of the branches (`targets=GatedMerge()(branches)`) equals masking each branch first,
    at a K-th of the products.

    Raises:
        TypeError: `folded` is neither true nor false.
        ValueError: A choice is unknown.

    Examples:
        >>> branches = [tf.random.normal((1, 8, 8, 16)) for _ in range(3)]
        >>> attention = BinaryAttention("spatial")
        >>> [tuple(masked.shape) for masked in attention(branches)]
        [(1, 8, 8, 16), (1, 8, 8, 16), (1, 8, 8, 16)]
        >>> tuple(attention.masks(branches)["spatial"].shape)
        (1, 8, 8, 1)
    """

    def __init__(
        self,
        parts: str = "both",
        precision: Precision = "binary",
        estimator: str = "approx_sign",
        folded: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("parts", parts, PARTS)
        check_choice("precision", precision, PRECISIONS)
        check_estimator(estimator)
        check_flag("folded", folded)
        self.parts = parts
        self.precision = precision
        self.estimator = estimator
        self.folded = folded

    def build(self, input_shape: Any) -> None:
        """Make the convolutions and normalizations of the parts in use."""
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        sizes = {"spatial": (1, 3), "channel": (shapes[0][-1], 1)}
        self.used = {p: sizes[p] for p in sizes if self.parts in (p, "both")}
        self.convolutions = {
            part: convolution(
                filters,
                kernel_size,
                precision=self.precision,
                estimator=self.estimator,
                name=f"{part}_conv",
            )
            for part, (filters, kernel_size) in self.used.items()
        }
        self.norms = {
            part: normalization(
                f"{part}_norm",
                self.folded,
                # Most gates start open.
                beta_initializer=tf.keras.initializers.Constant(0.5),
            )
            for part in self.used
        }
        if self.precision != "float":
            self.sign = quantizer(self.estimator)
        super().build(input_shape)

    def _gate(self, scores: Tensor) -> Tensor:
        if self.precision == "float":
            return tf.sigmoid(scores)
        return open_below_zero(self.sign(scores))

    def masks(self, inputs: Tensor, training: bool | None = None) -> dict[str, Tensor]:
        """Return each part's mask, with values in {0, 1} (in 0…1 in full precision)."""
        joined = tf.concat(as_branches(inputs), axis=-1)
        sources = {"spatial": joined}
        if "channel" in self.used:
            sources["channel"] = tf.reduce_mean(joined, axis=[1, 2], keepdims=True)
        return {
            part: self._gate(
                self.norms[part](self.convolutions[part](sources[part]), training=training)
            )
            for part in self.used
        }

    def call(self, inputs: Tensor, targets: Tensor = None, training: bool | None = None) -> Tensor:
        """Return the targets, or else the inputs, times the mask."""
        targets = inputs if targets is None else targets
        outputs = as_branches(targets)
        for mask in self.masks(inputs, training).values():
            outputs = [mask * x for x in outputs]
        return outputs if isinstance(targets, list | tuple) else outputs[0]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "parts": self.parts,
            "precision": self.precision,
            "estimator": self.estimator,
            "folded": self.folded,
        }
