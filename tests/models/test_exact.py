"""The inference form: constants on a grid, close to what they were, and sums without rounding."""

import types

import numpy as np
import pytest
import tensorflow as tf

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.common.errors import WeightsError
from larq_dense.layers import Affine, ParallelConv2D, ParallelUpsampling2D
from larq_dense.layers.estimator import ApproxSign
from larq_dense.models import binary_kernels, build
from larq_dense.models.exact import (
    CONSTANT_BITS,
    PRODUCT_BITS,
    coefficients,
    fit,
    inference_form,
    is_exact,
    off_grid,
    read_norm,
)

TASK = types.SimpleNamespace(num_outputs=3)
SIZE = (32, 64, 3)
BatchNormalization = tf.keras.layers.BatchNormalization
Pair = tuple[tf.keras.Model, tf.keras.Model]


def trained(seed: int, precision: str = "binary") -> tf.keras.Model:
    """Return a model whose normalizations shift and scale as those of a trained one do."""
    tf.keras.utils.set_random_seed(seed)
    model = build(TASK, precision=precision, input_shape=SIZE, encoder_options={"blocks": 1})
    rng = np.random.default_rng(seed)
    for layer in model.submodules:
        if isinstance(layer, BatchNormalization):
            count = layer.gamma.shape
            layer.gamma.assign(rng.uniform(0.2, 1.5, count) * rng.choice([-1, 1], count))
            layer.beta.assign(rng.normal(0, 0.5, count))
    for variable in model.trainable_variables:
        if "theta" in variable.name or "lambda" in variable.name:
            variable.assign(rng.uniform(0.1, 0.9, variable.shape))
    for _ in range(8):
        model(rng.normal(size=(4, *SIZE)), training=True)
    return model


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (1, *SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def pair() -> Pair:
    """Return a trained model and its inference form."""
    model = trained(0)
    return model, inference_form(model)


def layers_of(model: tf.keras.Model, *kinds: type) -> list[tf.keras.layers.Layer]:
    return [layer for layer in model.submodules if isinstance(layer, kinds)]


def test_only_constants_are_left(pair: Pair) -> None:
    _, form = pair
    assert not layers_of(form, BatchNormalization)
    assert not off_grid(form)
    assert not [v.name for v in form.variables if "theta" in v.name or "lambda" in v.name]


def test_what_a_sign_is_taken_of_is_on_the_grid(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
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


def test_every_normalization_stays_close(pair: Pair) -> None:
    olds, news = (
        [conv for conv in layers_of(model, ParallelConv2D) if conv.name != "conv"] for model in pair
    )
    assert len(olds) > 5
    half = 2.0 ** -(CONSTANT_BITS + 1)
    for old_conv, new_conv in zip(olds, news, strict=True):
        terms = np.prod(old_conv.convolutions[0].kernel.shape[:3])
        for old, new in zip(old_conv.norms, new_conv.norms, strict=True):
            mean, deviation = old.moving_mean.numpy(), np.sqrt(old.moving_variance.numpy())
            sums = np.round(mean + deviation * np.linspace(-2, 2, 9)[:, None, None, None])
            bound = half * (np.abs(sums - mean) + 1) + 1e-4
            kept = np.abs(read_norm(old)[0]) * terms < 2**12 - 2**6
            assert kept.mean() > 0.8
            assert (np.abs(new(sums) - old(sums)) <= bound)[..., kept].all()


def test_ordinary_convolutions_stay_close(pair: Pair) -> None:
    features = [
        tf.keras.Model(model.input, model.get_layer("stage0_transition_norm").output)
        for model in pair
    ]
    x = picture(2)
    old, new = (feature(x, training=False).numpy() for feature in features)
    assert np.abs(new - old).mean() < 0.02 * old.std()


def test_coefficients_are_those_of_gate_and_merge(pair: Pair) -> None:
    name = "decoder1_merge"
    old, new = (model.get_layer(name) for model in pair)
    alpha = 1 / (1 + np.exp(-old.gate.theta.numpy().astype(float)))
    weight = old.merge.weight.numpy().astype(float)[:, None]
    exact = weight * alpha + (weight * (1 - alpha)).sum(axis=0)
    np.testing.assert_array_equal(coefficients(old), np.round(exact * 64) / 64)
    np.testing.assert_array_equal(new.coefficients(), coefficients(old))


def test_the_form_of_a_form_is_itself(pair: Pair) -> None:
    assert inference_form(pair[1]) is pair[1]


def test_a_form_that_was_trained_returns_to_the_grid(pair: Pair) -> None:
    form = inference_form(trained(2))
    rng = np.random.default_rng(0)
    for variable in form.trainable_variables:
        variable.assign_add(rng.normal(0, 1e-3, variable.shape))
    assert off_grid(form)
    again = inference_form(form)
    assert not off_grid(again)
    for old, new in zip(layers_of(form, Affine), layers_of(again, Affine), strict=True):
        np.testing.assert_allclose(new.offset, old.offset, atol=2.0 ** -(CONSTANT_BITS + 1))


def test_limited_scales_fit_into_float32_and_the_rest_stays() -> None:
    model = trained(4)
    # Behind it come layers whose sums have fewer terms and whose norms bear the same name.
    norm = model.get_layer("stage1_block0").norms[0]
    dead = np.arange(128) % 2 == 0
    norm.moving_variance.assign(np.where(dead, 0, norm.moving_variance))
    norm.moving_mean.assign(np.where(dead, 2.0**-8, norm.moving_mean))
    scale, mean, offset = read_norm(norm)
    assert (np.abs(scale[dead]) * 9 * 128 > 2**12).all()
    assert (np.abs(scale[~dead]) * 9 * 128 < 2**11).all()
    limited, _, closed = read_norm(inference_form(model).get_layer("stage1_block0").norms[0])
    half = 2.0 ** -(CONSTANT_BITS + 1)
    np.testing.assert_allclose(limited[~dead], scale[~dead], rtol=0, atol=half)
    # A channel that ReLU closes gives what it gave.
    bound = half * (1 + np.abs(mean)) + 1e-9
    assert (np.abs(closed - (offset - scale * mean)) <= bound).all()
    assert (np.abs(limited) * 9 * 128 + np.abs(closed) <= 2**12).all()
    np.testing.assert_array_equal(np.sign(limited), np.sign(scale))


def is_float32(values: np.ndarray) -> bool:
    return np.array_equal(values.astype(np.float32).astype(np.float64), values)


@pytest.mark.parametrize("terms", [288, 576, 4608])
def test_scale_and_offset_fit_into_float32_however_large(terms: int) -> None:
    rng = np.random.default_rng(terms)
    scale = rng.choice([-1, 1], 4096) * 2.0 ** rng.uniform(-12, 8, 4096)
    offset = rng.normal(0, 8, 4096).clip(-60, 60)
    found, moved = fit(scale, offset, terms, PRODUCT_BITS)
    assert is_float32(terms * found + moved) and is_float32(terms * found)
    small = np.abs(scale) * terms + np.abs(offset) < 2.0**5
    assert 500 < small.sum() < 3500
    for value, exact in ((found, scale), (moved, offset)):
        assert (np.abs(value - exact)[small] <= 2.0 ** -(PRODUCT_BITS + 1)).all()
        assert np.abs(moved - offset).max() <= 2.0 ** -(CONSTANT_BITS + 1)
    again = fit(found, moved, terms, PRODUCT_BITS)
    np.testing.assert_array_equal(again, (found, moved))


def upsampling(model: tf.keras.Model) -> ParallelUpsampling2D:
    (found, *_) = layers_of(model, ParallelUpsampling2D)
    return found


def test_scales_take_up_the_coefficients_of_a_merge_that_alone_reads_them(pair: Pair) -> None:
    old, new = map(upsampling, pair)
    np.testing.assert_array_equal(new.merge.coefficients(), 1)
    for factor, norm, folded in zip(
        coefficients(old.merge), old.conv.norms, new.conv.norms, strict=True
    ):
        scale, mean, offset = read_norm(norm)
        scale = np.round(scale * 2.0**CONSTANT_BITS) / 2.0**CONSTANT_BITS
        offset = np.round((offset - scale * mean) * 2.0**CONSTANT_BITS) / 2.0**CONSTANT_BITS
        grid = (scale, offset)
        for value, exact in zip((folded.scale, folded.offset), grid, strict=True):
            np.testing.assert_allclose(value, factor * exact, rtol=0, atol=2.0**-CONSTANT_BITS)
    # Attention reads these branches, too.
    assert (pair[1].get_layer("decoder1_merge").coefficients().numpy() != 1).any()


def test_a_merge_without_attention_is_taken_up_as_well() -> None:
    model = build(TASK, input_shape=SIZE, attention="none", encoder_options={"blocks": 1})
    form = inference_form(model)
    np.testing.assert_array_equal(form.get_layer("decoder1_merge").coefficients(), 1)
    assert not off_grid(form)


def test_weights_that_are_no_numbers_are_refused_by_name() -> None:
    model = trained(3)
    model.get_layer("stage2_block0").norms[0].beta.assign_add(np.full(256, np.nan, np.float32))
    with pytest.raises(WeightsError, match="stage2_block0/norm_0/offset:0 holds values"):
        inference_form(model)


def test_the_full_precision_network_is_left_alone() -> None:
    model = trained(1, "float")
    assert not is_exact(model)
    assert inference_form(model) is model
