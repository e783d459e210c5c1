"""Snapping: constants on a grid, close to what they were, and sums without rounding."""

import types

import numpy as np
import pytest
import tensorflow as tf

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.layers import BinaryAttention, ParallelConv2D
from larq_dense.layers.estimator import ApproxSign
from larq_dense.models import binary_kernels, build
from larq_dense.models.exact import PRODUCT_BITS, snap

TASK = types.SimpleNamespace(num_outputs=3)
SIZE = (32, 64, 3)


def trained(seed: int, precision: str = "binary") -> tf.keras.Model:
    """Return a model whose normalizations shift and scale as those of a trained one do."""
    tf.keras.utils.set_random_seed(seed)
    model = build(TASK, precision=precision, input_shape=SIZE, encoder_options={"blocks": 1})
    rng = np.random.default_rng(seed)
    for layer in model.submodules:
        if not isinstance(layer, tf.keras.layers.BatchNormalization):
            continue
        count = layer.gamma.shape
        layer.gamma.assign(rng.uniform(0.2, 1.5, count) * rng.choice([-1, 1], count))
        layer.beta.assign(rng.normal(0, 0.5, count))
    for _ in range(8):
        model(rng.normal(size=(4, *SIZE)), training=True)
    return model


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (1, *SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def pair() -> tuple[tf.keras.Model, tf.keras.Model]:
    """Return a model before and after."""
    before, after = trained(0), trained(0)
    snap(after)
    return before, after


def test_what_a_sign_is_taken_of_is_on_the_grid(
    pair: tuple[tf.keras.Model, tf.keras.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = {id(kernel) for kernel in binary_kernels(pair[1])}
    seen: list[np.ndarray] = []
    original = ApproxSign.call

    def call(self: object, x: tf.Tensor) -> tf.Tensor:
        if id(x) not in kernels:
            seen.append(np.asarray(x, np.float64))
        return original(self, x)

    monkeypatch.setattr(ApproxSign, "call", call)
    pair[1](picture(1), training=False)
    # Means over a power of two of positions keep the grid's factor.
    maps = [x for x in seen if x.shape[1] > 1 and x.shape[0] == 1 and x.shape[2] > 1]
    assert len(maps) > 20
    for x in maps:
        assert not (x * 2.0**PRODUCT_BITS % 1).any()
        assert np.abs(x).max() < 2.0 ** (24 - PRODUCT_BITS)


def test_every_normalization_stays_close(pair: tuple[tf.keras.Model, tf.keras.Model]) -> None:
    before, after = (
        [
            norm
            for layer in model.submodules
            if isinstance(layer, ParallelConv2D | BinaryAttention)
            for norm in (layer.norms.values() if isinstance(layer.norms, dict) else layer.norms)
        ]
        for model in pair
    )
    assert len(before) > 20
    for old, new in zip(before, after, strict=True):
        mean, deviation = old.moving_mean.numpy(), np.sqrt(old.moving_variance.numpy())
        sums = np.round(mean + deviation * np.linspace(-2, 2, 9)[:, None, None, None])
        half = 2.0**-13
        bound = half * (np.abs(sums - np.round(mean)) + 1) + 1e-4
        assert (np.abs(new(sums) - old(sums)) <= bound).all()
        # Close enough to go on training with: within a factor of 2 of the true deviation.
        ratio = np.sqrt((new.moving_variance + new.epsilon) / (old.moving_variance + old.epsilon))
        assert ratio.max() <= 2**0.51 and ratio.min() >= 2**-0.51


def test_ordinary_convolutions_stay_close(pair: tuple[tf.keras.Model, tf.keras.Model]) -> None:
    features = [
        tf.keras.Model(model.input, model.get_layer("stage0_transition_norm").output)
        for model in pair
    ]
    x = picture(2)
    old, new = (feature(x, training=False).numpy() for feature in features)
    assert np.abs(new - old).mean() < 0.02 * old.std()


def test_snapping_again_changes_nothing(pair: tuple[tf.keras.Model, tf.keras.Model]) -> None:
    expected = [v.numpy() for v in pair[1].variables]
    x = picture(3)
    logits = pair[1](x, training=False).numpy()
    snap(pair[1])
    np.testing.assert_array_equal(pair[1](x, training=False), logits)
    for variable, value in zip(pair[1].variables, expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-6, atol=1e-7)


def test_the_full_precision_twin_is_left_alone() -> None:
    model = trained(1, "float")
    expected = [v.numpy() for v in model.variables]
    snap(model)
    for variable, value in zip(model.variables, expected, strict=True):
        np.testing.assert_array_equal(variable, value)
