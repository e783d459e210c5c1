"""Which parts of a model are binary."""

import tensorflow as tf


def binary_layers(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """Return the layers whose kernel is binary, nested ones too, in the model's order.

    Args:
        model: Any Keras model.

    Returns:
        Layers such as Larq's `QuantConv2D`.

    Examples:
        >>> from larq_dense.layers import ParallelConv2D
        >>> inputs = tf.keras.Input((8, 8, 16))
        >>> model = tf.keras.Model(inputs, ParallelConv2D(32, branches=3)(inputs))
        >>> len(binary_layers(model))
        3
    """
    found: dict[int, tf.keras.layers.Layer] = {}
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.Layer) and getattr(layer, "kernel_quantizer", None):
            found[id(layer)] = layer
    return list(found.values())


def binary_kernels(model: tf.keras.Model) -> list[tf.Variable]:
    """Return the latent (real) kernels of the binary layers.

    Args:
        model: Any Keras model.

    Returns:
        float32 variables, such as `[height, width, in, out]`; the network uses their signs.

    Examples:
        >>> from larq_dense.layers import ParallelConv2D
        >>> inputs = tf.keras.Input((8, 8, 16))
        >>> model = tf.keras.Model(inputs, ParallelConv2D(32, branches=1)(inputs))
        >>> [tuple(kernel.shape) for kernel in binary_kernels(model)]
        [(3, 3, 16, 32)]
    """
    return [layer.kernel for layer in binary_layers(model)]
