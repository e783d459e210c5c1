"""Networks of all layers that have an int8 form, small enough to convert in seconds."""

from collections.abc import Callable
from typing import Any

import larq as lq
import numpy as np
import tensorflow as tf
import tiny_models as tiny

from larq_dense import layers
from larq_dense.quantization import quantize

Tensor = Any


def parallel(x: Tensor) -> Tensor:
    maps = layers.ParallelConv2D(32, branches=3, name="branches")(x)
    return layers.GatedMerge(0.5, name="merge")(maps)


def simplified(x: Tensor) -> Tensor:
    """Apply branches of one threshold and a merge without gates."""
    maps = layers.ParallelConv2D(32, branches=3, shared_threshold=True, name="branches")(x)
    return layers.GatedMerge(gated=False, name="merge")(maps)


def attention(x: Tensor) -> Tensor:
    maps = layers.ParallelConv2D(32, branches=2, name="branches")(x)
    merged = layers.GatedMerge(0.5, name="merge")(maps)
    return layers.BinaryAttention("both", name="attention")(maps, targets=merged)


def subpixel(x: Tensor) -> Tensor:
    return layers.ParallelUpsampling2D(32, branches=2, name="up")(x)


def nearest(x: Tensor) -> Tensor:
    return layers.ParallelUpsampling2D(32, branches=2, method="nearest", name="up")(x)


def residual(x: Tensor) -> Tensor:
    (branch,) = layers.ParallelConv2D(32, branches=1, name="plain")(x)
    return tf.keras.layers.Add(name="add")([x, branch, x])


def larq_zoo_block(x: Tensor) -> Tensor:
    """Apply what larq-zoo's encoders are made of, in a network of its own."""
    inputs = tf.keras.Input(x.shape[1:])
    y = tiny.binary_conv(32, activation="relu", name="first")(inputs)
    y = tf.keras.layers.BatchNormalization(scale=False, name="first_norm")(y) + inputs
    y = tf.keras.layers.Activation("relu", name="relu")(y)
    y = lq.layers.QuantDepthwiseConv2D(3, 2, "same", use_bias=False, name="blur")(y)
    y = lq.layers.QuantConv2D(64, 1, use_bias=False, name="transition")(y)
    y = tf.keras.layers.BatchNormalization(center=False, name="second_norm")(y)
    # A copy names the terms of a sum otherwise than the original.
    return tf.keras.models.clone_model(tf.keras.Model(inputs, y, name="block"))(x)


def pooled(x: Tensor) -> Tensor:
    x = layers.FixedPoint(10, name="grid")(x)
    x = tf.keras.layers.MaxPool2D(3, 2, padding="same", name="pool")(x)
    return layers.NearestUpsampling2D(2, name="nearest")(x)


def depthwise(x: Tensor) -> Tensor:
    x = tf.keras.layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = tf.keras.layers.BatchNormalization(name="depthwise_norm")(x)
    return tf.keras.layers.ReLU(name="depthwise_relu")(x)


def everything(x: Tensor) -> Tensor:
    x = attention(residual(pooled(x)))
    return layers.ParallelUpsampling2D(32, branches=2, name="up")(x)


BODIES: dict[str, Callable[[Tensor], Tensor]] = {
    each.__name__: each
    for each in (
        parallel,
        simplified,
        attention,
        subpixel,
        nearest,
        residual,
        larq_zoo_block,
        pooled,
        depthwise,
        everything,
    )
}


def float_network(body: Callable[[Tensor], Tensor]) -> tf.keras.Model:
    """Return a stem, a body and a head, with normalizations as after a training."""
    tf.keras.utils.set_random_seed(0)
    inputs = tf.keras.Input((tiny.HEIGHT, tiny.WIDTH, 3), name="image")
    x = tf.keras.layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name="stem_conv")(inputs)
    x = tf.keras.layers.BatchNormalization(name="stem_norm")(x)
    x = body(x)
    x = tf.keras.layers.Conv2D(3, 1, name="head")(x)
    if body is everything:
        x = tf.keras.layers.UpSampling2D(2, interpolation="bilinear", name="logits")(x)
    model = tf.keras.Model(inputs, x, name="tiny")
    random = np.random.default_rng(1)
    for norm in model.submodules:
        if isinstance(norm, tf.keras.layers.BatchNormalization):
            count = norm.moving_mean.shape[0]
            if norm.scale:
                norm.gamma.assign(random.normal(1, 0.2, count) * random.choice((-1, 1), count))
            if norm.center:
                norm.beta.assign(random.normal(0, 0.3, count))
    for _ in range(30):
        model(batch(), training=True)
    return model


def batch() -> np.ndarray:
    """Return normalized pictures."""
    return np.concatenate([tiny.spec().preprocessing(picture) for picture in tiny.pictures()])


def int8_network(body: Callable[[Tensor], Tensor]) -> tf.keras.Model:
    """Return the calibrated int8 form."""
    return quantize(float_network(body), [batch()])
