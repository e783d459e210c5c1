"""Hand-made binary networks, small enough to convert in a second or two."""

import functools
from typing import Any

import larq as lq
import numpy as np
import tensorflow as tf

from larq_dense.common.images import Preprocessing
from larq_dense.conversion import ConversionResult, convert
from larq_dense.runtime import ModelSpec, SpecClass

HEIGHT, WIDTH = 32, 64
CLASSES = (("sky", (70, 130, 180)), ("road", (128, 64, 128)), ("tree", (0, 128, 0)))
BINARY = {
    "input_quantizer": "approx_sign",
    "kernel_quantizer": "approx_sign",
    "kernel_constraint": "weight_clip",
    "use_bias": False,
}


def spec(kind: str = "segmentation", height: int = HEIGHT, width: int = WIDTH) -> ModelSpec:
    """Describe a model: three classes, or background and object."""
    classes = CLASSES[:2] if kind == "saliency" else CLASSES
    return ModelSpec(
        name="tiny",
        task="hand-made",
        kind=kind,
        classes=tuple(SpecClass(*each) for each in classes),
        preprocessing=Preprocessing(height, width, (120.0, 115.5, 110.0), (60.0, 59.0, 58.5)),
        description="Random weights, for tests.",
    )


def binary_conv(filters: int, kernel_size: int = 3, **options: Any) -> tf.keras.layers.Layer:
    """Return a one-padding binary convolution."""
    options = {"padding": "same", "pad_values": 1.0, **BINARY, **options}
    return lq.layers.QuantConv2D(filters, kernel_size, **options)


def batch_norm(seed: int) -> tf.keras.layers.Layer:
    """Return a batch normalization with scales of both signs."""
    return tf.keras.layers.BatchNormalization(
        gamma_initializer=tf.keras.initializers.RandomNormal(0, 1, seed),
        beta_initializer=tf.keras.initializers.RandomNormal(0, 0.5, seed),
    )


def around(*layers: tf.keras.layers.Layer, filters: int = 32, height: int | None = HEIGHT) -> Any:
    """Return a network of a float stem, the layers, and a float head of three logits."""
    tf.keras.utils.set_random_seed(0)
    inputs = tf.keras.Input((height, WIDTH, 3))
    x = tf.keras.layers.Conv2D(filters, 3, padding="same")(inputs)
    for layer in layers:
        x = layer(x)
    return tf.keras.Model(inputs, tf.keras.layers.Conv2D(3, 1, name="head")(x), name="tiny")


def network() -> tf.keras.Model:
    """Return a network with a bitpacked tensor, filters of odd sizes, and depth-to-space."""
    return around(
        binary_conv(48, name="packed"),
        batch_norm(1),
        binary_conv(64, strides=2, name="half"),
        batch_norm(2),
        binary_conv(128, 1, name="wide"),
        batch_norm(3),
        tf.keras.layers.Lambda(lambda x: tf.nn.depth_to_space(x, 2)),
    )


@functools.cache
def converted() -> tuple[tf.keras.Model, ConversionResult]:
    """Return the network and its file, compared on two random pictures."""
    model = network()
    return model, convert(model, spec(), images=pictures())


def pictures() -> list[np.ndarray]:
    """Return two random pictures of different sizes."""
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in ((40, 50), (32, 64))]
