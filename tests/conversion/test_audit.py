import copy
from typing import Any

import larq as lq
import numpy as np
import pytest
import tensorflow as tf
import tiny_models as tiny

from larq_dense.common.errors import ConversionError
from larq_dense.conversion import audit, to_flatbuffer

SHAPE = (1, tiny.HEIGHT, tiny.WIDTH, 3)


def edited(content: bytes, edit: Any) -> bytes:
    """Return a file after `edit(model)` on TensorFlow Lite's own object form of it."""
    import flatbuffers
    from larq_compute_engine.mlir.python import tflite_schema as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    model = copy.deepcopy(model)
    edit(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def custom_code(model: Any, name: bytes) -> Any:
    return next(code for code in model.operatorCodes if code.customCode == name)


def filters(model: Any) -> list[Any]:
    """Return the buffers of the binary convolutions' filters."""
    graph = model.subgraphs[0]
    index = model.operatorCodes.index(custom_code(model, b"LceBconv2d"))
    chosen = [each for each in graph.operators if each.opcodeIndex == index]
    return [model.buffers[graph.tensors[each.inputs[1]].buffer] for each in chosen]


@pytest.fixture(scope="module")
def flatbuffer() -> bytes:
    return to_flatbuffer(tiny.network(), SHAPE)


def test_names_every_binary_layer_with_its_filter(flatbuffer: bytes) -> None:
    model, _ = tiny.converted()
    report = audit(flatbuffer, model)
    found = {layer.layer: (layer.filter_shape, layer.bitpacked) for layer in report.layers}
    assert found == {
        "packed": ((48, 3, 3, 32), True),
        "half": ((64, 3, 3, 48), True),
        "wide": ((128, 1, 1, 64), False),
    }
    assert report.operators["LceBconv2d"] == 3
    assert report.operators["CONV_2D"] == 2
    assert report.to_dict()["layers"][0]["layer"] == "packed"


def test_layers_that_lce_packs_in_their_own_ways_pass() -> None:
    model = tiny.around(
        tiny.binary_conv(64, name="wide", kernel_quantizer="magnitude_aware_sign"),
        tf.keras.layers.ReLU(),
        tiny.batch_norm(1),
        tiny.binary_conv(64, groups=2, name="grouped"),
        tiny.batch_norm(2),
        tiny.binary_conv(40, dilation_rate=2, name="dilated", input_quantizer="ste_sign"),
        tiny.batch_norm(3),
        tiny.binary_conv(24, name="zero_padded", pad_values=0.0),
        tf.keras.layers.ReLU(),
        tf.keras.layers.MaxPool2D(2),
        tiny.binary_conv(1, name="one_output", padding="valid"),
    )
    report = audit(to_flatbuffer(model, SHAPE), model)
    names = [layer.layer for layer in report.layers]
    assert names == ["wide", "grouped", "dilated", "zero_padded", "one_output"]


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (
            lambda: tiny.binary_conv(32, groups=2, name="narrow_groups"),
            "narrow_groups (a float CONV_2D); give each group a multiple of 32",
        ),
        (
            lambda: tiny.binary_conv(32, name="scaled", input_quantizer="magnitude_aware_sign"),
            "scaled (a float CONV_2D); binarize input and kernel by a plain sign",
        ),
        (
            lambda: lq.layers.QuantConv2DTranspose(
                16, 3, 2, padding="same", name="transposed", **tiny.BINARY
            ),
            "transposed (a float TRANSPOSE_CONV); use a convolution to factor²",
        ),
        (
            lambda: lq.layers.QuantDense(16, name="dense", **tiny.BINARY),
            "; use QuantConv2D, the only layer that LCE packs.",
        ),
        (
            lambda: lq.layers.QuantDepthwiseConv2D(
                3,
                padding="same",
                name="depthwise",
                input_quantizer="approx_sign",
                depthwise_quantizer="approx_sign",
                use_bias=False,
            ),
            "depthwise",
        ),
    ],
)
def test_a_layer_that_silently_stays_float_is_named(layer: Any, sentence: str) -> None:
    model = tiny.around(layer(), tf.keras.layers.ReLU(), tiny.batch_norm(1))
    with pytest.raises(ConversionError) as error:
        audit(to_flatbuffer(model, SHAPE), model)
    assert sentence in str(error.value)


def test_a_full_precision_network_passes_without_binary_layers() -> None:
    model = tiny.around(tf.keras.layers.Conv2DTranspose(8, 3, 2), tf.keras.layers.ReLU())
    report = audit(to_flatbuffer(model, SHAPE), model)
    assert report.layers == ()
    assert "LceBconv2d" not in report.operators


def test_one_wrong_bit_in_a_filter_is_found(flatbuffer: bytes) -> None:
    model, _ = tiny.converted()

    def flip(file: Any) -> None:
        buffer = filters(file)[1]
        data = np.array(buffer.data, np.uint8)
        data[17] ^= 4
        buffer.data = data

    assert audit(edited(flatbuffer, lambda file: None), model)
    with pytest.raises(ConversionError, match=r"declared binary.*half \(not found\)"):
        audit(edited(flatbuffer, flip), model)


def test_a_custom_operation_of_another_maker_is_named(flatbuffer: bytes) -> None:
    model, _ = tiny.converted()

    def rename(file: Any) -> None:
        custom_code(file, b"LceQuantize").customCode = b"Mystery"

    with pytest.raises(ConversionError, match="custom operation Mystery"):
        audit(edited(flatbuffer, rename), model)


def test_one_operation_does_not_stand_for_two_layers() -> None:
    pair = [tiny.binary_conv(32, name=name) for name in ("left", "right")]
    inputs = tf.keras.Input((tiny.HEIGHT, tiny.WIDTH, 32))
    model = tf.keras.Model(inputs, pair[1](pair[0](inputs)))
    both = to_flatbuffer(tiny.around(pair[0], tiny.batch_norm(1)), SHAPE)
    pair[1].set_weights(pair[0].get_weights())
    with pytest.raises(ConversionError, match=r": (left|right) \(not found\);"):
        audit(both, model)


def test_a_kernel_of_equal_magnitudes_in_a_float_layer_is_refused() -> None:
    signs = np.sign(np.random.default_rng(0).normal(size=(3, 3, 32, 8)))
    fixed = tf.keras.layers.Conv2D(
        8, 3, name="fixed", kernel_initializer=tf.keras.initializers.Constant(signs)
    )
    model = tiny.around(fixed)
    with pytest.raises(ConversionError, match=r"fixed.*floating point, as CONV_2D"):
        audit(to_flatbuffer(model, SHAPE), model)
