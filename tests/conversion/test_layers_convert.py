"""Every layer of the package, in one network: all that is binary in Keras is binary in the file."""

from typing import Any

import pytest
import tensorflow as tf
import tiny_models as tiny

from larq_dense import layers
from larq_dense.conversion import ConversionResult, convert

BINARY_LAYERS = {
    "branches": ["conv_0", "conv_1", "conv_2"],
    "spatial_attention": ["spatial_conv"],
    "plain": ["conv_0"],
    "pair": ["conv_0", "conv_1"],
    "full_attention": ["spatial_conv", "channel_conv"],
    "subpixel": ["conv/conv_0", "conv/conv_1"],
    "nearest": ["conv/conv_0", "conv/conv_1", "conv/conv_2"],
    "channel_attention": ["channel_conv"],
}


def network(precision: str) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(1)
    kept: dict[str, Any] = {"precision": precision}
    inputs = tf.keras.Input((tiny.HEIGHT, tiny.WIDTH, 3))
    x = tf.keras.layers.Conv2D(32, 3, 4, padding="same")(inputs)
    x = layers.ParallelConv2D(32, branches=3, name="branches", **kept)(x)
    x = layers.BinaryAttention("spatial", name="spatial_attention", **kept)(x)
    x = layers.Merge()(layers.SoftGate(0.5)(x))
    (x,) = layers.ParallelConv2D(64, branches=1, strides=2, name="plain", **kept)(x)
    pair = layers.ParallelConv2D(32, branches=2, name="pair", **kept)(x)
    merged = layers.GatedMerge(0.5)(pair)
    x = layers.BinaryAttention("both", name="full_attention", **kept)(pair, targets=merged)
    x = layers.ParallelUpsampling2D(32, branches=2, name="subpixel", **kept)(x)
    x = layers.ParallelUpsampling2D(32, method="nearest", name="nearest", **kept)(x)
    x = layers.BinaryAttention("channel", name="channel_attention", **kept)(x)
    outputs = tf.keras.layers.Conv2D(3, 1, name="head")(x)
    return tf.keras.Model(inputs, outputs, name=precision)


@pytest.fixture(scope="module")
def results() -> dict[str, ConversionResult]:
    return {
        precision: convert(network(precision), tiny.spec(), images=tiny.pictures())
        for precision in ("binary", "float")
    }


@pytest.mark.parametrize("name", BINARY_LAYERS)
def test_a_layers_convolutions_are_binary(results: dict[str, ConversionResult], name: str) -> None:
    found = {layer.layer for layer in results["binary"].audit.layers}
    inside = {path.removeprefix(f"{name}/") for path in found if path.startswith(f"{name}/")}
    assert inside == set(BINARY_LAYERS[name])


def test_nothing_else_is_binary(results: dict[str, ConversionResult]) -> None:
    count = sum(map(len, BINARY_LAYERS.values()))
    assert len(results["binary"].audit.layers) == count
    operators = results["binary"].audit.operators
    assert operators["LceBconv2d"] == count
    # The float stem and the head.
    assert operators["CONV_2D"] == 2


def test_a_baseline_has_a_float_convolution_in_each_place(
    results: dict[str, ConversionResult],
) -> None:
    operators = results["float"].audit.operators
    assert operators["CONV_2D"] == sum(map(len, BINARY_LAYERS.values())) + 2
    assert not any(name.startswith("Lce") for name in operators)


@pytest.mark.parametrize("precision", ["binary", "float"])
def test_the_file_labels_as_keras_does(
    results: dict[str, ConversionResult], precision: str
) -> None:
    parity = results[precision].parity
    assert parity is not None
    assert parity.same_labels > 0.99
