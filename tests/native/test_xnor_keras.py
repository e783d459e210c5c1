"""A whole network of ours, converted: the XNOR runtime against Keras."""

import types

import numpy as np
import pytest
import tensorflow as tf

from larq_dense.runtime import xnor

if not xnor.available():
    pytest.skip(str(xnor.why_unavailable()), allow_module_level=True)
lce = pytest.importorskip("larq_compute_engine")

from larq_dense.models.builder import build  # noqa: E402


@pytest.mark.xfail(
    reason="a sign at a near-tie may flip against Keras' float sums; open: where, how often"
)
def test_a_network_gives_what_keras_gives() -> None:
    task = types.SimpleNamespace(num_outputs=5)
    tf.keras.utils.set_random_seed(0)
    model = build(task, input_shape=(64, 96, 3), branches=3, encoder_options={"blocks": 1})
    rng = np.random.default_rng(0)
    for weight in model.weights:
        # Fresh normalizations do nothing; these shift and scale every channel.
        kind = weight.name.rsplit("/", 1)[-1].split(":")[0]
        if kind in ("gamma", "moving_variance"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif kind in ("beta", "moving_mean"):
            weight.assign(rng.normal(size=weight.shape) * 0.3)
    interpreter = xnor.load(lce.convert_keras_model(model), 2)
    for _ in range(3):
        x = rng.normal(size=interpreter.input_shape).astype(np.float32)
        expected = model(x, training=False).numpy()
        got = interpreter.run(x)
        assert (got.argmax(-1) == expected.argmax(-1)).mean() >= 0.9999
        np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())
