"""Encoder and decoder joined into a Keras model."""

from typing import Any, Protocol

import tensorflow as tf

from larq_dense.layers._base import PRECISIONS, Activation, Precision, check_choice, check_flag
from larq_dense.layers.attention import PARTS
from larq_dense.models import encoders
from larq_dense.models.decoder import fpn_decoder

InputShape = tuple[int | None, int | None, int]


class HasOutputs(Protocol):
    """Anything that says how many logits a pixel gets: a task."""

    @property
    def num_outputs(self) -> int:
        """Channels of the logits."""
        ...


# Autograph would rewrite every layer's call, to no effect, for much of the time.
@tf.autograph.experimental.do_not_convert
def build(
    task: HasOutputs,
    encoder: str = "light",
    branches: int = 3,
    attention: str = "both",
    precision: Precision = "binary",
    input_shape: InputShape = (224, 320, 3),
    *,
    upsampling: str = "subpixel",
    decoder_filters: int = 64,
    head_filters: int = 16,
    decoder_blocks: int = 0,
    estimator: str = "approx_sign",
    gated: bool = True,
    shared_threshold: bool = False,
    attention_per_branch: bool = False,
    activation: Activation = "relu",
    merge_scale: float = 1.0,
    encoder_options: dict[str, Any] | None = None,
) -> tf.keras.Model:
    """Build a network that labels every pixel.

    Args:
        task: What gives `num_outputs`.
        encoder: A name in `larq_dense.models.ENCODERS`.
        branches: K, the parallel branches of every decoder layer.
        attention: `"none"`, `"spatial"`, `"channel"` or `"both"`.
        precision: `"binary"`; `"float"` for the full-precision twin; `"activations"` for binary
            activations with real kernels, whose weights a binary network can begin with.
        input_shape: `(height, width, 3)`, multiples of 32; None, None for any such size, which
            trains but does not convert.
        upsampling: `"subpixel"` or `"nearest"`.
        decoder_filters: Channels of the decoder's stages.
        head_filters: Channels at half resolution.
        decoder_blocks: Residual binary convolutions at the head of each stage of the decoder.
        estimator: Larq quantizer of the binary layers.
        gated: Whether soft gates stand between the branches and their merge.
        shared_threshold: Whether the branches of a layer use one threshold, not each its own.
        attention_per_branch: Whether each branch has an attention of its own, computed on it
            alone, instead of one for all.
        activation: What follows the binary convolutions of the decoder and of the light encoder:
            `"relu"`; or `"prelu"`, which converts, but not to eight bits, and costs time.
        merge_scale: What the merges of branches begin as, as a multiple of the branches' mean.
        encoder_options: Further arguments of the encoder.

    Returns:
        A model from float32 `[batch, height, width, 3]`, normalized, to float32 logits
        `[batch, height, width, task.num_outputs]`.

    Raises:
        UnknownNameError: There is no such encoder.
        TypeError: A switch is neither true nor false.
        ValueError: A choice is unknown or a size is no multiple of 32.
    """
    check_choice("precision", precision, PRECISIONS)
    check_choice("attention", attention, ("none", *PARTS))
    check_flag("attention_per_branch", attention_per_branch)
    for side in input_shape[:2]:
        if side is not None and (side < 32 or side % 32):
            raise ValueError(f"the input's sides must be multiples of 32, not {input_shape[:2]}.")
    options = dict(encoder_options or {})
    if encoder == "light":
        options = {"estimator": estimator, "activation": activation, **options}
    inputs = tf.keras.Input(input_shape, name="image")
    features = encoders.get(encoder)(inputs, precision=precision, **options)
    x = fpn_decoder(
        features,
        filters=decoder_filters,
        head_filters=head_filters,
        blocks=decoder_blocks,
        branches=branches,
        attention=attention,
        upsampling=upsampling,
        precision=precision,
        estimator=estimator,
        gated=gated,
        shared_threshold=shared_threshold,
        attention_per_branch=attention_per_branch,
        activation=activation,
        merge_scale=merge_scale,
    )
    x = tf.keras.layers.Conv2D(task.num_outputs, 1, name="head")(x)
    x = tf.keras.layers.UpSampling2D(2, interpolation="bilinear", name="logits", dtype="float32")(x)
    return tf.keras.Model(inputs, x, name=f"{encoder}_{precision}")
