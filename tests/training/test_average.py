"""Moving averages of variables."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from larq_dense import tasks
from larq_dense.training.average import MovingAverage

# isort: split
import tensorflow as tf


@pytest.fixture
def make_model(tiny_model: Callable[..., Any]) -> Callable[[], tf.keras.Model]:
    return lambda: tiny_model(None, (None, None, 3), task=tasks.get("camvid"))


def test_against_numpy(make_model: Callable[[], tf.keras.Model]) -> None:
    model, copy = make_model(), make_model()
    average = MovingAverage(model, 0.5)
    expected = {v.name: v.numpy() for v in model.weights}
    rng = np.random.default_rng(0)
    for step in range(1, 20):
        for variable in model.weights:
            variable.assign(rng.normal(size=variable.shape))
        average.update(tf.constant(step, tf.int64))
        kept = min(0.5, (1 + step) / (10 + step))
        for variable in model.weights:
            now = variable.numpy()
            expected[variable.name] = kept * expected[variable.name] + (1 - kept) * now
    average.copy_to(copy, model)
    for target, source in zip(copy.weights, model.weights, strict=True):
        if source.name == "binary/kernel:0":
            np.testing.assert_array_equal(target, source, "latent kernels are not averaged")
        else:
            np.testing.assert_allclose(target, expected[source.name], rtol=1e-5, atol=1e-6)
            assert not np.allclose(target, source)


def test_every_other_variable_has_an_average(make_model: Callable[[], tf.keras.Model]) -> None:
    model = make_model()
    found = [variable.name for variable in MovingAverage(model, 0.9).variables]
    names = [v.name.split(":")[0] for v in model.weights if v.name != "binary/kernel:0"]
    assert found == [f"{name}/average:0" for name in names]
    assert any("moving_variance" in name for name in found)


def test_the_beginning_is_soon_forgotten() -> None:
    layer = tf.keras.layers.Dense(1, use_bias=False)
    model = tf.keras.Sequential([layer])
    model.build((None, 1))
    layer.kernel.assign([[1e3]])
    average = MovingAverage(model, 0.999)
    layer.kernel.assign([[1.0]])
    for step in range(1, 31):
        average.update(tf.constant(step, tf.int64))
    assert float(average.variables[0]) == pytest.approx(1, abs=1e-3)
