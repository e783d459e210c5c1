"""From the fake-quantized model to a file without floats, with LCE's interpreter as oracle."""

from functools import cache

import int8_networks as networks
import numpy as np
import pytest
import tensorflow as tf
import tiny_models as tiny
from larq_compute_engine.tflite.python.interpreter import Interpreter as Lce

from larq_dense.common.errors import ConversionError
from larq_dense.conversion import ConversionResult, audit, convert, parity
from larq_dense.runtime import LceInterpreter, Predictor
from larq_dense.runtime.tflite_file import TfliteFile


@cache
def converted(name: str) -> tuple[tf.keras.Model, ConversionResult]:
    model = networks.int8_network(networks.BODIES[name])
    spec = tiny.spec()
    return model, convert(model, spec, images=tiny.pictures())


@pytest.mark.parametrize("name", networks.BODIES)
def test_nothing_is_float_and_every_integer_is_that_of_keras(name: str) -> None:
    model, result = converted(name)
    file = TfliteFile.parse(result.content)
    computed = [tensor for each in file.operators for tensor in each.outputs]
    assert {tensor.dtype for tensor in (*file.inputs, *computed)} <= {"int8", "int32"}
    random = np.random.default_rng(3).uniform(-2, 2, (1, tiny.HEIGHT, tiny.WIDTH, 3))
    picture = random.astype(np.float32)
    expected = model(picture).numpy()
    step = file.outputs[0].scale
    for kernel in ("default", "reference", "indirect"):
        actual = LceInterpreter(result.content, kernel=kernel).run(picture)
        # LCE rounds the halves of bilinear upsampling away from 0.
        assert np.abs(actual - expected).max() <= (step if name == "everything" else 0)


def test_the_file_says_its_steps_as_lce_reads_them() -> None:
    _, result = converted("parallel")
    file, lce = TfliteFile.parse(result.content), Lce(result.content)
    assert [file.inputs[0].scale] == lce.input_scales
    assert [file.inputs[0].zero_point] == lce.input_zero_points
    assert [file.outputs[0].scale] == lce.output_scales
    assert [file.outputs[0].zero_point] == lce.output_zero_points


def test_parity_counts_steps() -> None:
    model, result = converted("parallel")
    assert result.parity is not None
    assert (result.parity.same_labels, result.parity.max_steps) == (1, 0)
    (bias,) = (v for v in model.variables if v.name == "head/bias:0")
    bias.assign_add([1.0, 0.0, 0.0])
    try:
        off = parity(model, result.content, tiny.pictures(), tiny.spec()).max_steps
    finally:
        bias.assign_add([-1.0, 0.0, 0.0])
    assert off == round(1 / TfliteFile.parse(result.content).outputs[0].scale)


def test_the_runtime_gives_what_keras_gives() -> None:
    model, result = converted("attention")
    file, keras = (Predictor(each, tiny.spec()) for each in (result.content, model))
    for picture in tiny.pictures():
        np.testing.assert_array_equal(file.logits(picture), keras.logits(picture))
        assert file.probabilities(picture).shape == (*picture.shape[:2], 3)


def test_the_audit_names_a_float_tensor() -> None:
    model, result = tiny.converted()
    with pytest.raises(ConversionError, match=r"neither int8 nor bits, such as .*float32"):
        audit(result.content, model, int8=True)
