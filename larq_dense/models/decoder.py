"""The four-stage FPN decoder with parallel upsampling."""

from typing import Any

import tensorflow as tf

from larq_dense.layers import (
    BinaryAttention,
    GatedMerge,
    NearestUpsampling2D,
    ParallelConv2D,
    ParallelUpsampling2D,
)
from larq_dense.layers._base import Activation, Precision, check_choice, check_flag
from larq_dense.layers.attention import PARTS
from larq_dense.models.blocks import check_levels, conv_norm, residual, upsampled
from larq_dense.models.registry import register_decoder

Tensor = Any


@register_decoder("fpn")
def fpn(
    features: list[Tensor],
    *,
    outputs: int,
    precision: Precision = "binary",
    filters: int = 64,
    head_filters: int = 16,
    blocks: int = 0,
    branches: int = 3,
    attention: str = "both",
    upsampling: str = "subpixel",
    estimator: str = "approx_sign",
    gated: bool = True,
    shared_threshold: bool = False,
    attention_per_branch: bool = False,
    activation: Activation = "relu",
    merge_scale: float = 1.0,
) -> Tensor:
    """Join an encoder's features from the coarsest to the finest, each stage at twice the size.

    A stage: residual convolutions, if any → parallel convolution → attention over the branches →
    gate and merge, all on a residual → parallel upsampling on a residual → the encoder's features
    of that size, brought to the stage's width by a full-precision 1x1 convolution (arXiv
    2405.17776's critical path; not from the paper: what comes before the parallel convolution, the
    residuals and the lateral 1x1 convolutions).

    Args:
        features: Maps at 1/2, 1/4, 1/8, 1/16 and 1/32.
        outputs: Logits of a pixel.
        precision: `"binary"`, `"activations"` or `"float"`.
        filters: Channels of the stages; a multiple of `head_filters`.
        head_filters: Channels at 1/2.
        blocks: Residual convolutions at the head of each stage. They begin as the identity, so that
            a trained network can be given more of them and starts with the same output.
        branches: K.
        attention: `"none"`, `"spatial"`, `"channel"` or `"both"`.
        upsampling: `"subpixel"` or `"nearest"`.
        estimator: Larq quantizer of the binary convolutions.
        gated: Whether there are soft gates between the branches and their merge.
        shared_threshold: Whether the branches of a layer use one threshold, not each its own.
        attention_per_branch: See `attended_branches`.
        activation: `"relu"` or `"prelu"`.
        merge_scale: See `attended_branches`.

    Returns:
        Logits `[batch, height, width, outputs]`, twice upsampled bilinearly.

    Raises:
        TypeError: A switch is neither true nor false.
        ValueError: A choice is unknown, or there are not five maps.
    """
    check_choice("attention", attention, ("none", *PARTS))
    check_flag("attention_per_branch", attention_per_branch)
    check_levels("fpn", features, 5)
    binary: dict[str, Any] = {
        "precision": precision,
        "estimator": estimator,
        "activation": activation,
    }
    common = {
        **binary,
        "branches": branches,
        "gated": gated,
        "shared_threshold": shared_threshold,
        "merge_scale": merge_scale,
    }
    *laterals, top = features
    x = conv_norm(top, filters, 1, "lateral4", relu=False)
    for stage in reversed(range(4)):
        width = head_filters if stage == 0 else filters
        for block in range(blocks):
            x = residual(x, f"decoder{stage}_block{block}", initial_scale=0.0, **binary)
        merged = attended_branches(
            x,
            filters,
            f"decoder{stage}",
            attention=attention,
            attention_per_branch=attention_per_branch,
            **common,
        )
        x = tf.keras.layers.Add(name=f"decoder{stage}_add")([x, merged])
        up = ParallelUpsampling2D(width, method=upsampling, name=f"decoder{stage}_up", **common)(x)
        lateral = conv_norm(laterals[stage], width, 1, f"lateral{stage}", relu=False)
        terms = [up, lateral]
        if width == filters:
            terms.append(NearestUpsampling2D(name=f"decoder{stage}_shortcut")(x))
        x = tf.keras.layers.Add(name=f"decoder{stage}_join")(terms)
    x = tf.keras.layers.Conv2D(outputs, 1, name="head")(x)
    return upsampled(x, 2)


def attended_branches(
    x: Tensor,
    filters: int,
    name: str,
    *,
    branches: int,
    attention: str,
    precision: Precision,
    estimator: str = "approx_sign",
    gated: bool = True,
    shared_threshold: bool = False,
    attention_per_branch: bool = False,
    activation: Activation = "relu",
    merge_scale: float = 1.0,
) -> Tensor:
    """Apply a stage's parallel convolution, attention, gate and merge.

    Args:
        x: `[batch, height, width, channels]`.
        filters: Output channels.
        name: What the layers' names begin with.
        branches: K.
        attention: `"none"`, `"spatial"`, `"channel"` or `"both"`.
        precision: `"binary"`, `"activations"` or `"float"`.
        estimator: Larq quantizer of the binary convolutions.
        gated: Whether there is a soft gate before the merge.
        shared_threshold: Whether the branches use one threshold.
        attention_per_branch: Whether each branch has an attention of its own, which sees no other
            branch, instead of one for all.
        activation: `"relu"` or `"prelu"`.
        merge_scale: What a merge begins as, as a multiple of the branches' mean.

    Returns:
        The merged branches, `[batch, height, width, filters]`.
    """

    def attend(suffix: str = "") -> BinaryAttention:
        return BinaryAttention(attention, precision, estimator, name=f"{name}_attention{suffix}")

    maps = ParallelConv2D(
        filters,
        branches=branches,
        precision=precision,
        estimator=estimator,
        shared_threshold=shared_threshold,
        activation=activation,
        name=f"{name}_conv",
    )(x)
    merge = GatedMerge(gated=gated, initial_scale=merge_scale, name=f"{name}_merge")
    if attention == "none":
        return merge(maps)
    if attention_per_branch:
        return merge([attend(f"_{k}")(branch) for k, branch in enumerate(maps)])
    return attend()(maps, targets=merge(maps))
