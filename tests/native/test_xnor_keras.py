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
from larq_dense.models.exact import snap  # noqa: E402


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
    snap(model)
    interpreter = xnor.load(lce.convert_keras_model(model), 2)
    for _ in range(3):
        x = rng.normal(size=interpreter.input_shape).astype(np.float32)
        expected = model(x, training=False).numpy()
        got = interpreter.run(x)
        # No sign differs, so that only the head's sums do, in their last bits.
        np.testing.assert_allclose(got, expected, atol=2e-6 * np.abs(expected).max())
