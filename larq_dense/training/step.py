"""The training step and its optimizers: a function of a batch that updates variables in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from larq_dense import models
from larq_dense.common.keras2 import tf
from larq_dense.training.distillation import without_outside

if TYPE_CHECKING:
    from larq_dense.training.average import MovingAverage
    from larq_dense.training.distillation import Distillation
    from larq_dense.training.losses import Loss
    from larq_dense.training.settings import OptimizerSettings

Group = tuple[tf.keras.optimizers.Optimizer, list[tf.Variable]]


class LatentAdam(tf.keras.optimizers.Adam):
    """Adam for latent binary kernels, which are kept small, so that their signs can change."""

    def __init__(self, learning_rate: Any, clip: float = 1.0, **kwargs: Any) -> None:
        """Prepare.

        Args:
            learning_rate: A rate or a schedule.
            clip: Largest magnitude of a latent weight.
            **kwargs: Adam's own.
        """
        super().__init__(learning_rate, **kwargs)
        self._clip = clip

    def update_step(self, gradient: Any, variable: tf.Variable) -> None:
        """Update one variable and clip it."""
        super().update_step(gradient, variable)
        variable.assign(tf.clip_by_value(variable, -self._clip, self._clip))


def make_optimizers(
    model: tf.keras.Model, settings: OptimizerSettings, total_steps: int
) -> list[Group]:
    """Return the optimizers with the variables that each updates.

    Args:
        model: The network.
        settings: Learning rates and decay.
        total_steps: Length of the warm-up and decay together.

    Returns:
        AdamW for the real-valued variables, with weight decay on kernels only; and, if the
        model has binary kernels, `LatentAdam` for them.
    """
    latent_ids = {id(variable) for variable in models.binary_kernels(model)}
    latent = [v for v in model.trainable_variables if id(v) in latent_ids]
    real = [v for v in model.trainable_variables if id(v) not in latent_ids]
    adamw = tf.keras.optimizers.AdamW(
        schedule(settings.learning_rate, settings, total_steps),
        weight_decay=settings.weight_decay,
        jit_compile=False,
    )
    # Decay would pull scales, thresholds, biases and gates off their place.
    others = [v for v in real if "kernel" not in v.name.rsplit("/", 1)[-1]]
    adamw.exclude_from_weight_decay(var_list=others)
    groups: list[Group] = [(adamw, real)]
    if latent:
        rate = settings.binary_learning_rate or settings.learning_rate
        rates = schedule(rate, settings, total_steps)
        adam = LatentAdam(rates, settings.clip, jit_compile=False)
        groups.append((adam, latent))
    for optimizer, variables in groups:
        optimizer.build(variables)
    return groups


def freeze_encoder(model: tf.keras.Model) -> None:
    """Leave out of training what a network's encoder holds, and fix its statistics.

    Args:
        model: From `models.build`.
    """
    for name in model.encoder_layer_names:
        model.get_layer(name).trainable = False


def schedule(
    peak: float, settings: OptimizerSettings, total_steps: int
) -> tf.keras.optimizers.schedules.LearningRateSchedule:
    """Return a linear warm-up to `peak` followed by a cosine decay to its final share."""
    warmup = round(settings.warmup * total_steps)
    return tf.keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else peak,
        decay_steps=max(1, total_steps - warmup),
        alpha=settings.final,
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
    )


def make_train_step(
    model: tf.keras.Model,
    optimizers: Sequence[Group],
    loss: Loss,
    *,
    distillation: Distillation | None = None,
    average: MovingAverage | None = None,
    replicas: int = 1,
    jit_compile: bool | None = None,
) -> tf.types.experimental.PolymorphicFunction:
    """Return the training step.

    Args:
        model: The network; its variables are updated by assignment.
        optimizers: From `make_optimizers`.
        loss: A function of labels and logits.
        distillation: Of the model, with its teacher's term of the loss.
        average: Updated after the variables.
        replicas: Replicas whose gradients are summed; each contributes its share.
        jit_compile: Compile by XLA, as an export of the step's HLO does.

    Returns:
        A function of images (float32 `[batch, height, width, 3]`) and labels (uint8 `[batch,
        height, width]`) that returns this replica's share of the loss, a scalar.
    """

    @tf.function(jit_compile=jit_compile, autograph=False)
    def train_step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        variables = [variable for _, group in optimizers for variable in group]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            if distillation is None:
                value = loss(labels, model(images, training=True))
            else:
                logits, term = distillation(images, labels)
                value = loss(without_outside(labels), logits) + term
            value /= replicas
        gradients = dict(zip(map(id, variables), tape.gradient(value, variables), strict=True))
        for optimizer, group in optimizers:
            optimizer.apply_gradients((gradients[id(v)], v) for v in group)
        if average is not None:
            average.update(optimizers[0][0].iterations)
        return value

    return train_step
