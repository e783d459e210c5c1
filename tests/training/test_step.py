"""The training step: its gradients, its optimizers, its schedule."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from larq_dense import models, tasks
from larq_dense.training.losses import make_loss
from larq_dense.training.settings import LossSettings, OptimizerSettings
from larq_dense.training.step import freeze_encoder, make_optimizers, make_train_step, schedule

# isort: split
import tensorflow as tf

Build = Callable[..., Any]


@pytest.fixture
def model(tiny_model: Build) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(0)
    return tiny_model(None, (None, None, 3), task=tasks.get("camvid"))


@pytest.fixture
def batch() -> tuple[tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(2, 32, 32, 3)).astype(np.float32))
    return images, tf.constant(rng.integers(0, 11, (2, 32, 32)).astype(np.uint8))


@pytest.mark.parametrize(("warmup", "final"), [(0.1, 0.0), (0.1, 0.2), (0.0, 0.0)])
def test_schedule(warmup: float, final: float) -> None:
    rates = schedule(0.5, OptimizerSettings(warmup=warmup, final=final), 200)
    start = round(warmup * 200)
    for step in (0, 7, 20, 60, 133, 200):
        if step < start:
            expected = 0.5 * step / start
        else:
            cosine = 0.5 + 0.5 * math.cos(math.pi * (step - start) / (200 - start))
            expected = 0.5 * (final + (1 - final) * cosine)
        assert float(rates(step)) == pytest.approx(expected, abs=1e-6), step


def test_each_variable_has_one_optimizer(model: tf.keras.Model) -> None:
    settings = OptimizerSettings(learning_rate=1e-2, binary_learning_rate=3e-3, warmup=0)
    (real, real_variables), (binary, latent) = make_optimizers(model, settings, 10)
    assert [variable.name for variable in latent] == ["binary/kernel:0"]
    names = {variable.name for variable in model.trainable_variables}
    assert {variable.name for variable in real_variables} == names - {"binary/kernel:0"}
    assert float(real.learning_rate) == pytest.approx(1e-2)
    assert float(binary.learning_rate) == pytest.approx(3e-3)
    assert binary.weight_decay is None


def test_decay_is_for_real_kernels_only(model: tf.keras.Model) -> None:
    settings = OptimizerSettings(learning_rate=0.1, warmup=0, weight_decay=0.5)
    for variable in model.trainable_variables:
        variable.assign(tf.ones_like(variable))
    for optimizer, variables in make_optimizers(model, settings, 10):
        optimizer.apply_gradients((tf.zeros_like(v), v) for v in variables)
    for variable in model.trainable_variables:
        decayed = variable.name in ("stem/kernel:0", "head/kernel:0")
        expected = 1 - 0.1 * 0.5 if decayed else 1.0
        np.testing.assert_allclose(variable, expected, rtol=1e-6, err_msg=variable.name)


@pytest.mark.parametrize("clip", [1.0, 0.25])
def test_latent_weights_stay_in_range(clip: float, tiny_model: Build) -> None:
    model = tiny_model(None, (None, None, 3), task=tasks.get("camvid"))
    settings = OptimizerSettings(learning_rate=10.0, warmup=0, clip=clip)
    optimizer, (kernel,) = make_optimizers(model, settings, 10)[1]
    optimizer.apply_gradients([(tf.ones_like(kernel), kernel)])
    assert np.array_equal(np.unique(kernel), [-clip])


def test_first_step_of_adam(model: tf.keras.Model, batch: tuple[tf.Tensor, tf.Tensor]) -> None:
    """In Adam's first step every weight moves by the learning rate against its gradient."""
    settings = OptimizerSettings(
        learning_rate=1e-3, binary_learning_rate=1e-2, warmup=0, weight_decay=0
    )
    loss = make_loss(LossSettings(), tasks.get("camvid"), np.full(11, 1 / 11))
    images, labels = batch
    before = [variable.numpy() for variable in model.trainable_variables]
    moving = model.get_layer("stem_norm").moving_mean.numpy()
    with tf.GradientTape() as tape:
        expected = loss(labels, model(images, training=True))
    gradients = tape.gradient(expected, model.trainable_variables)
    step = make_train_step(model, make_optimizers(model, settings, 10), loss)
    assert float(step(images, labels)) == pytest.approx(float(expected), rel=1e-5)
    for variable, old, gradient in zip(model.trainable_variables, before, gradients, strict=True):
        rate = 1e-2 if variable.name == "binary/kernel:0" else 1e-3
        clear = np.abs(gradient) > 1e-3
        moved = variable.numpy() - old
        np.testing.assert_allclose(
            moved[clear], -rate * np.sign(gradient.numpy()[clear]), rtol=1e-2, err_msg=variable.name
        )
    assert not np.array_equal(moving, model.get_layer("stem_norm").moving_mean)


def test_the_loss_falls(model: tf.keras.Model, batch: tuple[tf.Tensor, tf.Tensor]) -> None:
    settings = OptimizerSettings(learning_rate=1e-2, warmup=0)
    loss = make_loss(LossSettings(dice=1), tasks.get("camvid"), np.full(11, 1 / 11))
    step = make_train_step(model, make_optimizers(model, settings, 30), loss)
    losses = [float(step(*batch)) for _ in range(30)]
    assert losses[-1] < losses[0] - 0.1
    assert step.experimental_get_tracing_count() == 1, "fixed shapes trace once"


def test_the_step_exports_to_hlo(model: tf.keras.Model, batch: tuple[tf.Tensor, tf.Tensor]) -> None:
    loss = make_loss(LossSettings(), tasks.get("camvid"), np.full(11, 1 / 11))
    optimizers = make_optimizers(model, OptimizerSettings(), 30)
    step = make_train_step(model, optimizers, loss, jit_compile=True)
    text = step.experimental_get_compiler_ir(*batch)(stage="hlo")
    assert "f32[2,32,32,3]" in text and "u8[2,32,32]" in text


def test_a_frozen_encoder_stays_as_it_is() -> None:
    model = models.build(
        tasks.get("camvid"),
        input_shape=(32, 32, 3),
        encoder_options={"blocks": 1, "filters": (8, 8, 8, 8)},
        branches=1,
        decoder_filters=8,
        head_filters=8,
    )
    freeze_encoder(model)
    encoder = set(model.encoder_layer_names)
    assert {"stem_conv", "stage3_block0"} <= encoder and "head" not in encoder
    groups = make_optimizers(model, OptimizerSettings(freeze_encoder=True), 4)
    trained = {id(variable) for _, variables in groups for variable in variables}
    before = {layer.name: layer.get_weights() for layer in model.layers}
    step = make_train_step(model, groups, lambda _, logits: tf.reduce_mean(logits**2))
    for _ in range(2):
        step(tf.random.normal((2, 32, 32, 3), seed=1), tf.zeros((2, 32, 32), tf.uint8))
    for layer in model.layers:
        kept = all(map(np.array_equal, before[layer.name], layer.get_weights()))
        if layer.name in encoder:
            assert kept and not trained.intersection(map(id, layer.weights)), layer.name
    assert not np.array_equal(before["head"][0], model.get_layer("head").get_weights()[0])
