"""Networks of random weights in both precisions, which several folders of tests share."""

from types import SimpleNamespace

import tensorflow as tf

from larq_dense import layers, models


def network(precision: str) -> tf.keras.Model:
    """Return a whole network of two classes."""
    return models.build(
        SimpleNamespace(num_outputs=2),
        branches=2,
        precision=precision,
        input_shape=(32, 64, 3),
        decoder_filters=32,
        encoder_options={"blocks": 1},
    )


def few_layers(precision: str) -> tf.keras.Model:
    """Return a few layers that convert in a moment."""
    tf.keras.utils.set_random_seed(3)
    inputs = tf.keras.Input((32, 64, 3))
    x = tf.keras.layers.Conv2D(32, 3, 2, padding="same", activation="relu")(inputs)
    (x,) = layers.ParallelConv2D(32, branches=1, precision=precision)(x)
    x = tf.keras.layers.Conv2D(2, 1)(x)
    return tf.keras.Model(inputs, tf.keras.layers.UpSampling2D(2, interpolation="bilinear")(x))
