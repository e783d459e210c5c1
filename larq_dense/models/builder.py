"""Encoder and decoder joined into a Keras model."""

from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf

from larq_dense.layers._base import PRECISIONS, Precision, check_choice
from larq_dense.models import registry

InputShape = tuple[int | None, int | None, int]
Options = Mapping[str, Any]

IGNORE = 255
"""The label of pixels that count for nothing, as in Cityscapes."""

# Recipes may write options of the decoder without grouping them; two have other names there.
_FLAT = {"decoder_filters": "filters", "decoder_blocks": "blocks"}
# What a flat option sets in the encoder, too, where it has it.
_SHARED = ("estimator", "activation")
_OWN = ("encoder", "decoder", "precision", "encoder_options", "decoder_options")


class HasOutputs(Protocol):
    """Anything that says how many logits a pixel gets: a task."""

    @property
    def num_outputs(self) -> int:
        """Channels of the logits."""
        ...


# Autograph would rewrite every layer's call, to no effect, for much of the time.
@tf.autograph.experimental.do_not_convert
def build_model(
    num_classes: int,
    encoder: str = "light",
    decoder: str = "fpn",
    *,
    input_shape: InputShape = (256, 256, 3),
    precision: Precision = "binary",
    encoder_options: Options | None = None,
    decoder_options: Options | None = None,
    compile: bool = True,
) -> tf.keras.Model:
    """Build a network that labels every pixel, ready for `model.fit`.

    Args:
        num_classes: Classes; 1 for an object before a background, with one logit a pixel.
        encoder: A name in `larq_dense.models.ENCODERS`.
        decoder: A name in `larq_dense.models.DECODERS`.
        input_shape: `(height, width, 3)`, multiples of 32; None, None for any such size, which
            trains but does not convert.
        precision: `"binary"`; `"float"` for the same in full precision; `"activations"` for binary
            activations with real kernels, whose weights a binary network can begin with.
        encoder_options: Arguments of the encoder, such as `{"filters": (32, 64, 128, 256)}`.
        decoder_options: Arguments of the decoder, such as `{"branches": 1}`.
        compile: Whether to compile it: Adam at 0.001; cross-entropy of the logits, in which pixels
            labelled 255 count for nothing (for one class binary cross-entropy, of all pixels);
            mean IoU.

    Returns:
        A model from float32 `[batch, height, width, 3]`, from -1 to 1, to float32 logits
        `[batch, height, width, num_classes]`. It learns from integer labels
        `[batch, height, width]`.

    Raises:
        UnknownNameError: There is no such encoder or decoder.
        TypeError: One of them has no such option, or a switch is neither true nor false.
        ValueError: A choice is unknown, a size is no multiple of 32, or encoder and decoder do
            not fit together.

    Examples:
        >>> from larq_dense.models import build_model
        >>> model = build_model(3, "compact_s", "compact_s", input_shape=(64, 64, 3))
        >>> model.output_shape
        (None, 64, 64, 3)
        >>> model.fit(pictures_and_labels.batch(8), epochs=10)    # doctest: +SKIP
    """
    check_choice("precision", precision, PRECISIONS)
    for side in input_shape[:2]:
        if side is not None and (side < 32 or side % 32):
            raise ValueError(f"the input's sides must be multiples of 32, not {input_shape[:2]}.")
    encode, decode = registry.get_encoder(encoder), registry.get_decoder(decoder)
    registry.check_options("encoder", encoder, encode, encoder_options or {})
    registry.check_options("decoder", decoder, decode, decoder_options or {})
    inputs = tf.keras.Input(input_shape, name="image")
    features = encode(inputs, precision=precision, **(encoder_options or {}))
    logits = decode(features, outputs=num_classes, precision=precision, **(decoder_options or {}))
    model = tf.keras.Model(inputs, logits, name=f"{encoder}_{precision}")
    model.encoder_layer_names = tuple(each.name for each in tf.keras.Model(inputs, features).layers)
    model.feature_layer_names = tuple(each.node.layer.name for each in features)
    if compile:
        _compile(model, num_classes)
    return model


def build(
    task: HasOutputs,
    encoder: str = "light",
    decoder: str = "fpn",
    *,
    precision: Precision = "binary",
    input_shape: InputShape = (224, 320, 3),
    encoder_options: Options | None = None,
    decoder_options: Options | None = None,
    **flat: Any,
) -> tf.keras.Model:
    """Build the network that a recipe's `model` describes, not compiled.

    Args:
        task: What gives `num_outputs`.
        encoder: See `build_model`, as for what follows.
        decoder: Likewise.
        precision: Likewise.
        input_shape: Likewise.
        encoder_options: Likewise.
        decoder_options: Likewise.
        **flat: More of the decoder's options, with `filters` and `blocks` as `decoder_filters` and
            `decoder_blocks`. `estimator` and `activation` are the encoder's as well, where it has
            them and `encoder_options` does not say otherwise.

    Returns:
        A model as `build_model` gives it.

    Raises:
        UnknownNameError: There is no such encoder or decoder.
        TypeError: One of them has no such option, or a switch is neither true nor false.
        ValueError: A choice is unknown, or encoder and decoder do not fit together.

    Examples:
        >>> from larq_dense import models, tasks
        >>> options = {"encoder": "compact_s", "decoder": "compact_s", "input_shape": (32, 32, 3)}
        >>> models.build(tasks.get("ecssd"), **options).output_shape
        (None, 32, 32, 1)
    """
    encode = registry.get_encoder(encoder)
    shared = {key: flat[key] for key in _SHARED if key in flat}
    shared = {key: value for key, value in shared.items() if key in registry.options_of(encode)}
    named = {_FLAT.get(key, key): value for key, value in flat.items()}
    return build_model(
        task.num_outputs,
        encoder,
        decoder,
        input_shape=input_shape,
        precision=precision,
        encoder_options={**shared, **(encoder_options or {})},
        decoder_options={**named, **(decoder_options or {})},
        compile=False,
    )


def settings(decoder: str = "fpn") -> list[str]:
    """Return what a recipe's `model` may hold, with the options of its decoder.

    Args:
        decoder: A name in `larq_dense.models.DECODERS`.

    Returns:
        Names of settings, sorted.

    Raises:
        UnknownNameError: There is no such decoder.

    Examples:
        >>> "branches" in settings("fpn"), "branches" in settings("lraspp")
        (True, False)
    """
    flat = {new: old for old, new in _FLAT.items()}
    options = registry.options_of(registry.get_decoder(decoder))
    return sorted([*_OWN, *(flat.get(name, name) for name in options)])


def _compile(model: tf.keras.Model, num_classes: int) -> None:
    losses, metrics = tf.keras.losses, tf.keras.metrics
    if num_classes == 1:
        loss: Any = losses.BinaryCrossentropy(from_logits=True)
        iou: Any = metrics.BinaryIoU(threshold=0.0, name="iou")
    else:
        loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORE)
        iou = metrics.MeanIoU(num_classes, ignore_class=IGNORE, sparse_y_pred=False, name="iou")
    model.compile(tf.keras.optimizers.Adam(1e-3), loss, metrics=[iou])
