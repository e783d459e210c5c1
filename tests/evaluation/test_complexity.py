"""Complexity against counts by hand, in closed form, from the traced graph and by Larq."""

import larq as lq
import numpy as np
import pytest
import tensorflow as tf

from larq_dense import models
from larq_dense.common.errors import LarqDenseError
from larq_dense.evaluation import complexity
from larq_dense.layers import ParallelConv2D

layers = tf.keras.layers


def binary_conv(filters: int, size: int, **settings: object) -> lq.layers.QuantConv2D:
    return lq.layers.QuantConv2D(
        filters,
        size,
        padding="same",
        input_quantizer="ste_sign",
        kernel_quantizer="ste_sign",
        kernel_constraint="weight_clip",
        **settings,
    )


def test_a_small_network_equals_the_count_by_hand() -> None:
    inputs = layers.Input((16, 24, 3))
    x = layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = binary_conv(64, 3, use_bias=False, name="bits")(x)
    x = layers.DepthwiseConv2D(5, padding="same", name="depthwise")(x)
    x = layers.Conv2DTranspose(8, 2, 2, use_bias=False, name="grow")(x)
    x = layers.SeparableConv2D(6, 3, padding="same", use_bias=False, name="separable")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = tf.keras.Model(inputs, layers.Dense(10, name="dense")(x))
    found = complexity(model)
    macs = {
        "stem": 8 * 12 * 32 * (3 * 3 * 3),
        "bits": 8 * 12 * 64 * (3 * 3 * 32),
        "depthwise": 8 * 12 * 64 * (5 * 5),
        "grow": 8 * 12 * 64 * (2 * 2) * 8,
        "separable": 16 * 24 * 8 * (3 * 3) + 16 * 24 * 8 * 6,
        "dense": 6 * 10,
    }
    assert {row.name: row.binary_macs + row.float_macs for row in found.layers} == {
        **macs,
        "norm": 0,
    }
    assert found.binary_macs == macs.pop("bits")
    assert found.float_macs == sum(macs.values())
    assert found.ops == found.float_macs + found.binary_macs / 64
    assert found.parameters == (864 + 4 * 32 + 18432 + (1600 + 64) + 2048 + (72 + 48) + (60 + 10))
    assert found.stored_bytes == 18432 // 8 + 4 * (found.parameters - 18432)


def test_macs_are_the_multiplications_that_numpy_makes() -> None:
    """Run a strided, grouped convolution as loops and count."""
    inputs = layers.Input((7, 9, 4))
    model = tf.keras.Model(inputs, layers.Conv2D(6, 3, 2, groups=2, padding="valid")(inputs))
    kernel, bias = (weight.numpy() for weight in model.weights)
    picture = np.random.default_rng(0).normal(size=(7, 9, 4))
    output = np.zeros((3, 4, 6)) + bias
    multiplications = 0
    for row, column, channel in np.ndindex(output.shape):
        group = channel // 3
        patch = picture[2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        for place in np.ndindex(3, 3, 2):
            y, x, source = place
            weight = kernel[y, x, source, channel]
            output[row, column, channel] += patch[y, x, 2 * group + source] * weight
            multiplications += 1
    np.testing.assert_allclose(model(picture[None].astype(np.float32))[0], output, atol=1e-5)
    assert complexity(model).float_macs == multiplications


@pytest.mark.parametrize("one_sided", ["input_quantizer", "kernel_quantizer"])
def test_a_convolution_binary_on_one_side_only_computes_float_macs(one_sided: str) -> None:
    inputs = layers.Input((8, 8, 16))
    conv = lq.layers.QuantConv2D(8, 3, **{one_sided: "ste_sign"}, use_bias=False)
    found = complexity(tf.keras.Model(inputs, conv(inputs)))
    assert found.binary_macs == 0
    assert found.float_macs == 6 * 6 * 8 * 9 * 16
    bits = 1 if one_sided == "kernel_quantizer" else 32
    assert found.stored_bytes == 8 * 9 * 16 * bits // 8


@pytest.mark.parametrize("branches", [1, 3])
def test_parallel_branches_are_found_inside_their_layer(branches: int) -> None:
    inputs = layers.Input((8, 10, 32))
    outputs = ParallelConv2D(64, 3, branches=branches, name="parallel")(inputs)
    found = complexity(tf.keras.Model(inputs, outputs))
    assert found.binary_macs == branches * 8 * 10 * 64 * 9 * 32
    assert found.float_macs == 0
    convolutions = [row for row in found.layers if row.binary_macs]
    assert len({row.name for row in convolutions}) == branches
    assert all(row.name.startswith("parallel/") for row in convolutions)
    assert all(row.output_shape == (8, 10, 64) for row in convolutions)


def test_a_layer_that_is_called_twice_computes_twice_and_stores_once() -> None:
    inputs = layers.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", use_bias=False)
    found = complexity(tf.keras.Model(inputs, shared(shared(inputs))))
    assert found.float_macs == 2 * 8 * 8 * 3 * 27
    assert found.parameters == 81


@pytest.mark.parametrize("precision", ["binary", "float"])
def test_our_networks_agree_with_the_traced_graph(
    precision: str, request: pytest.FixtureRequest
) -> None:
    """Every convolution that TensorFlow will run is counted, however deep its layer lies."""
    model = request.getfixturevalue(f"{precision}_model")
    found = complexity(model)
    assert found.binary_macs + found.float_macs == graph_macs(model)
    assert found.parameters == model.count_params()
    assert (found.binary_macs > 0) == (precision == "binary")
    binary = sum(int(np.prod(kernel.shape)) for kernel in models.binary_kernels(model))
    assert found.stored_bytes == binary // 8 + 4 * (found.parameters - binary)


def graph_macs(model: tf.keras.Model) -> int:
    traced = tf.function(lambda image: model(image, training=False)).get_concrete_function(
        tf.TensorSpec((1, *model.input_shape[1:]))
    )
    total = 0
    for operation in traced.graph.get_operations():
        assert operation.type not in ("MatMul", "BatchMatMulV2", "Conv2DBackpropInput", "Einsum")
        if operation.type in ("Conv2D", "DepthwiseConv2dNative"):
            rows, columns = operation.outputs[0].shape[1:3]
            total += operation.inputs[1].shape.num_elements() * rows * columns
    return total


def test_larq_agrees_on_a_flat_network() -> None:
    """Larq's summary sees only layers that lie openly, and two of batch norm's four numbers."""
    inputs = layers.Input((16, 16, 3))
    x = layers.Conv2D(32, 3, 2, padding="same", use_bias=False)(inputs)
    x = layers.BatchNormalization()(x)
    x = binary_conv(64, 3, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    model = tf.keras.Model(inputs, layers.Conv2D(5, 1)(x))
    found, larq = complexity(model), lq.models.ModelProfile(model)
    assert found.binary_macs == larq.op_count("mac", 1)
    assert found.float_macs == larq.op_count("mac", 32)
    fused = 2 * (32 + 64)
    assert found.parameters == larq.weight_count() + fused
    assert found.stored_bytes == larq.memory // 8 + 4 * fused


def test_the_model_is_left_as_it_was() -> None:
    inputs = layers.Input((8, 8, 3))
    model = tf.keras.Model(inputs, layers.Conv2D(4, 3, name="conv")(inputs))
    before = model(np.ones((1, 8, 8, 3), np.float32)).numpy()
    complexity(model)
    assert "call" not in vars(model.get_layer("conv"))
    np.testing.assert_array_equal(model(np.ones((1, 8, 8, 3), np.float32)), before)


def test_the_table_lists_layers_and_totals() -> None:
    inputs = layers.Input((8, 8, 3))
    text = str(complexity(tf.keras.Model(inputs, layers.Conv2D(4, 3, name="conv")(inputs))))
    row, total, note = text.splitlines()[1:]
    assert row.split() == ["conv", "Conv2D", "6x6x4", "0", "3,888", "112", "448"]
    assert total.split() == ["total", "0", "3,888", "112", "448"]
    assert note == "OPs = float MACs + binary MACs / 64 = 3,888"


def test_an_open_input_size_must_be_given() -> None:
    inputs = layers.Input((None, None, 3))
    model = tf.keras.Model(inputs, layers.Conv2D(4, 3)(inputs))
    with pytest.raises(LarqDenseError, match="no fixed input size"):
        complexity(model)
    assert complexity(model, (10, 10, 3)).float_macs == 8 * 8 * 4 * 27
