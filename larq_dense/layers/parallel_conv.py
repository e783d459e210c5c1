"""Parallel binary convolution: K branches that round differently."""

from typing import Any

import tensorflow as tf

from larq_dense.layers._base import (
    ACTIVATIONS,
    PRECISIONS,
    Activation,
    Precision,
    Tensor,
    activate,
    as_branches,
    check_choice,
    check_estimator,
    check_flag,
    check_positive,
    convolution,
    register,
)
from larq_dense.layers.affine import normalization
from larq_dense.layers.threshold import Threshold


@register
class ParallelConv2D(tf.keras.layers.Layer):
    """K homogeneous branches, each with its own binary weights and its own input thresholds.

    `B_k = BN(ReLU(conv(sign(x_k + tau_k), sign(W_k))))` (arXiv 2405.17776 as docs/method.md, part
    2, reads it). Not from the paper: the thresholds, which start evenly spaced between
    `-initial_threshold` and `initial_threshold`, so that the branches' rounding errors differ. One
    branch has no threshold unless it is asked for: it is the plain binary layer. In full precision
    `B_k = BN(ReLU(conv(x_k, W_k)))`.

    Args:
        filters: Output channels of each branch.
        kernel_size: Side of the kernels in pixels.
        branches: K.
        strides: Step in pixels.
        precision: `"binary"`, `"activations"` (of the inputs only) or `"float"`.
        estimator: Larq quantizer for weights and inputs; its gradient is the straight-through
            estimator.
        initial_threshold: Largest initial threshold, in units of the input.
        shared_threshold: Whether all branches use one threshold, which starts at 0.
        single_threshold: Whether one branch alone has a threshold, too; it starts at 0.
        initial_scale: What the scales of the normalizations start at.
        activation: `"relu"`, or `"prelu"` with one learned slope a channel (arXiv 1502.01852).
        folded: Whether scales and offsets (`Affine`) take the place of batch normalizations.
        **kwargs: Keras' own.

    Input: one tensor `[batch, height, width, channels]` for all branches, or a list of K.
    Output: a list of K tensors `[batch, height / strides, width / strides, filters]`.

    Raises:
        TypeError: A count is not an integer, or a switch neither true nor false.
        ValueError: A count is below 1, a choice is unknown, or a list has not K inputs.

    Examples:
        >>> branches = ParallelConv2D(32, branches=3, strides=2)(tf.zeros((1, 8, 8, 16)))
        >>> [tuple(branch.shape) for branch in branches]
        [(1, 4, 4, 32), (1, 4, 4, 32), (1, 4, 4, 32)]
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        branches: int = 3,
        strides: int = 1,
        precision: Precision = "binary",
        estimator: str = "approx_sign",
        initial_threshold: float = 0.5,
        shared_threshold: bool = False,
        single_threshold: bool = False,
        initial_scale: float = 1.0,
        activation: Activation = "relu",
        folded: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for key, value in (
            ("filters", filters),
            ("kernel_size", kernel_size),
            ("branches", branches),
            ("strides", strides),
        ):
            check_positive(key, value)
        check_choice("precision", precision, PRECISIONS)
        check_estimator(estimator)
        check_flag("shared_threshold", shared_threshold)
        check_flag("single_threshold", single_threshold)
        check_choice("activation", activation, ACTIVATIONS)
        check_flag("folded", folded)
        self.filters = filters
        self.kernel_size = kernel_size
        self.branches = branches
        self.strides = strides
        self.precision = precision
        self.estimator = estimator
        self.initial_threshold = float(initial_threshold)
        self.shared_threshold = shared_threshold
        self.single_threshold = single_threshold
        self.initial_scale = float(initial_scale)
        self.activation = activation
        self.folded = folded
        self._make_branches()

    def _make_branches(self) -> None:
        shifted = self.precision != "float" and (self.branches > 1 or self.single_threshold)
        self.thresholds = self._make_thresholds() * shifted
        self.convolutions = [
            convolution(
                self.filters,
                self.kernel_size,
                precision=self.precision,
                estimator=self.estimator,
                strides=self.strides,
                name=f"conv_{k}",
            )
            for k in range(self.branches)
        ]
        scale = tf.keras.initializers.Constant(self.initial_scale)
        self.norms = [
            normalization(f"norm_{k}", self.folded, gamma_initializer=scale)
            for k in range(self.branches)
        ]
        self.activations = [
            activate(self.activation, name=f"{self.activation}_{k}") for k in range(self.branches)
        ]

    def _make_thresholds(self) -> list[Threshold]:
        """Return each branch's threshold; all the same one where it is shared."""
        if self.shared_threshold or self.branches == 1:
            return [Threshold(name="threshold")] * self.branches
        steps = max(self.branches - 1, 1)
        taus = [self.initial_threshold * (2 * k / steps - 1) for k in range(self.branches)]
        return [Threshold(tau, name=f"threshold_{k}") for k, tau in enumerate(taus)]

    def call(self, inputs: Tensor, training: bool | None = None) -> list[Tensor]:
        """Return the K branches.

        Raises:
            ValueError: There are neither 1 nor K inputs.
        """
        sources = as_branches(inputs)
        if len(sources) == 1:
            sources = sources * self.branches
        if len(sources) != self.branches:
            raise ValueError(
                f"layer {self.name} has {self.branches} branches but got {len(sources)} inputs."
            )
        outputs = []
        for k, x in enumerate(sources):
            if self.thresholds:
                x = self.thresholds[k](x)
            x = self.activations[k](self.convolutions[k](x))
            outputs.append(self.norms[k](x, training=training))
        return outputs

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "branches": self.branches,
            "strides": self.strides,
            "precision": self.precision,
            "estimator": self.estimator,
            "initial_threshold": self.initial_threshold,
            "shared_threshold": self.shared_threshold,
            "single_threshold": self.single_threshold,
            "initial_scale": self.initial_scale,
            "activation": self.activation,
            "folded": self.folded,
        }
