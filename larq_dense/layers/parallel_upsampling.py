"""Parallel upsampling: K binary branches, gated and merged, at a multiple of the resolution."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import (
    Activation,
    Precision,
    Tensor,
    as_branches,
    check_choice,
    check_positive,
    register,
)
from larq_dense.layers.gate import GatedMerge
from larq_dense.layers.nearest import upsample
from larq_dense.layers.parallel_conv import ParallelConv2D

METHODS = ("subpixel", "nearest")


@register
class ParallelUpsampling2D(tf.keras.layers.Layer):
    """Upsamples a feature map with K parallel binary convolutions.

    Each branch is binarized, convolved and upsampled; then soft gate and merge (arXiv 2405.17776 as
    docs/method.md, part 5, reads it). Not from the paper: the sub-pixel form, a binary convolution
    to `factor² · filters` channels and then depth-to-space, which stays in XNOR from end to end;
    gate and merge are linear in each channel, so they come before the one depth-to-space. The
    alternative upsamples by nearest neighbour first and convolves at the high resolution, at
    `factor²` times the position count.

    Args:
        filters: Output channels.
        factor: How many times larger the output is.
        kernel_size: Side of the kernels in pixels.
        branches: K.
        method: `"subpixel"` or `"nearest"`.
        precision: `"binary"`, `"activations"` (of the inputs only) or `"float"`.
        estimator: Larq quantizer for weights and inputs.
        initial_threshold: Largest initial threshold of the branches.
        gated: Whether there is a soft gate before the merge.
        shared_threshold: Whether all branches use one threshold, which starts at 0.
        single_threshold: Whether one branch alone has a threshold, too; it starts at 0.
        activation: `"relu"` or `"prelu"`.
        merge_scale: What the merge begins as, as a multiple of the branches' mean.
        folded: Whether constants take the place of batch normalizations and gates.
        **kwargs: Keras' own.

    Input: one tensor `[batch, height, width, channels]`, or a list of K. Output:
    `[batch, factor · height, factor · width, filters]`.

    Raises:
        TypeError: A count is not an integer, or a switch neither true nor false.
        ValueError: A count is below 1 or a choice is unknown.

    Examples:
        >>> tuple(ParallelUpsampling2D(32, factor=2)(tf.zeros((1, 8, 8, 16))).shape)
        (1, 16, 16, 32)
    """

    def __init__(
        self,
        filters: int,
        factor: int = 2,
        kernel_size: int = 3,
        branches: int = 3,
        method: str = "subpixel",
        precision: Precision = "binary",
        estimator: str = "approx_sign",
        initial_threshold: float = 0.5,
        gated: bool = True,
        shared_threshold: bool = False,
        single_threshold: bool = False,
        activation: Activation = "relu",
        merge_scale: float = 1.0,
        folded: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_positive("filters", filters)
        check_positive("factor", factor)
        check_choice("method", method, METHODS)
        self.filters = filters
        self.factor = factor
        self.method = method
        self.conv = ParallelConv2D(
            filters * factor**2 if method == "subpixel" else filters,
            kernel_size,
            branches,
            precision=precision,
            estimator=estimator,
            initial_threshold=initial_threshold,
            shared_threshold=shared_threshold,
            single_threshold=single_threshold,
            activation=activation,
            folded=folded,
            name="conv",
        )
        self.merge = GatedMerge(gated=gated, initial_scale=merge_scale, folded=folded, name="merge")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return the upsampled, merged branches."""
        sources = as_branches(inputs)
        if self.method == "nearest":
            sources = [upsample(x, self.factor) for x in sources]
        merged = self.merge(self.conv(sources, training=training))
        if self.method == "nearest" or self.factor == 1:
            return merged
        return tf.nn.depth_to_space(merged, self.factor)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        conv = self.conv
        return {
            **super().get_config(),
            "filters": self.filters,
            "factor": self.factor,
            "kernel_size": conv.kernel_size,
            "branches": conv.branches,
            "method": self.method,
            "precision": conv.precision,
            "estimator": conv.estimator,
            "initial_threshold": conv.initial_threshold,
            "gated": self.merge.gated,
            "shared_threshold": conv.shared_threshold,
            "single_threshold": conv.single_threshold,
            "activation": conv.activation,
            "merge_scale": self.merge.initial_scale,
            "folded": conv.folded,
        }
