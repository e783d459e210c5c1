"""Whole networks of ours, converted: the XNOR runtime against Keras, and in int8 against LCE."""

import types

import int8_networks
import numpy as np
import pytest
import tensorflow as tf
import tiny_models

from larq_dense.runtime import LceInterpreter, xnor

if not xnor.available():
    pytest.skip(str(xnor.why_unavailable()), allow_module_level=True)
lce = pytest.importorskip("larq_compute_engine")

from larq_dense.conversion.flatbuffer import to_flatbuffer  # noqa: E402
from larq_dense.models.builder import build  # noqa: E402
from larq_dense.models.exact import inference_form  # noqa: E402


@pytest.mark.parametrize("seed", range(2))
def test_a_network_gives_what_keras_gives(seed: int) -> None:
    task = types.SimpleNamespace(num_outputs=5)
    tf.keras.utils.set_random_seed(seed)
    model = build(task, input_shape=(64, 96, 3), branches=3, encoder_options={"blocks": 1})
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        # Fresh normalizations do nothing; these shift and scale every channel.
        kind = weight.name.rsplit("/", 1)[-1].split(":")[0]
        if kind in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif kind in ("beta", "moving_mean"):
            weight.assign(rng.normal(size=weight.shape) * 0.3)
    model = inference_form(model)
    content = to_flatbuffer(model, (1, 64, 96, 3))
    interpreter, reference = xnor.load(content, 2), LceInterpreter(content)
    for _ in range(3):
        x = rng.normal(size=interpreter.input_shape).astype(np.float32)
        expected = model(x, training=False).numpy()
        # No sign differs, so that only the head's sums do, in their last bits.
        for engine in (interpreter, reference):
            got = engine.run(x)
            np.testing.assert_allclose(got, expected, atol=2e-6 * np.abs(expected).max())


def test_an_int8_network_gives_what_lce_gives() -> None:
    model = int8_networks.int8_network(int8_networks.everything)
    shape = (1, tiny_models.HEIGHT, tiny_models.WIDTH, 3)
    content = to_flatbuffer(model, shape, int8=True)
    reference = lce.tflite.python.interpreter.Interpreter(content)
    rng = np.random.default_rng(0)
    for name in xnor.instruction_sets():
        interpreter = xnor.load(content, 2, instruction_set=name)
        x = rng.integers(-128, 128, shape).astype(np.int8)
        expected = reference.interpreter.predict([x])[0]
        np.testing.assert_array_equal(interpreter.run(x), expected, err_msg=name)
