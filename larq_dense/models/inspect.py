"""Which parts of a model are binary."""

import tensorflow as tf


def binary_layers(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """Return the layers whose kernel is binary, nested ones too, in the model's order."""
    found: dict[int, tf.keras.layers.Layer] = {}
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.Layer) and getattr(layer, "kernel_quantizer", None):
            found[id(layer)] = layer
    return list(found.values())


def binary_kernels(model: tf.keras.Model) -> list[tf.Variable]:
    """Return the latent (real) kernels of the binary layers."""
    return [layer.kernel for layer in binary_layers(model)]
