"""A moving average of a network's variables, steadier than the variables themselves."""

from __future__ import annotations

from larq_dense import models
from larq_dense.common.keras2 import tf


class MovingAverage:
    """Exponential moving average of all but the latent binary kernels.

    Statistics of normalizations are averaged, too, since they belong to the averaged kernels. Of a
    binary kernel only the sign counts, and an average of its latent values has another meaning.
    """

    def __init__(self, model: tf.keras.Model, decay: float) -> None:
        """Begin with the variables as they are.

        Args:
            model: The network.
            decay: Share of the average that a step keeps, 0…1; the first steps keep less, so that
                the beginning is soon forgotten.
        """
        self._decay = decay
        latent = {id(kernel) for kernel in models.binary_kernels(model)}
        self.sources = [v for v in model.weights if id(v) not in latent]
        # As normalizations keep their statistics: each replica for itself, read as a mean.
        self.variables = [
            tf.Variable(
                v.numpy(),
                trainable=False,
                name=f"{v.name.split(':')[0]}/average",
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.MEAN,
            )
            for v in self.sources
        ]

    def reset(self) -> None:
        """Begin again with the variables as they are."""
        for average, source in zip(self.variables, self.sources, strict=True):
            average.assign(source)

    def update(self, step: tf.Tensor) -> None:
        """Take the variables' values in.

        Args:
            step: Number of the step that is done, from 1; an integer.
        """
        step = tf.cast(step, tf.float32)
        kept = tf.minimum(self._decay, (1 + step) / (10 + step))
        for average, source in zip(self.variables, self.sources, strict=True):
            average.assign(kept * average + (1 - kept) * source)

    def copy_to(self, model: tf.keras.Model, source: tf.keras.Model) -> None:
        """Set a copy's variables to the averages, and the latent kernels to the source's.

        Args:
            model: Built as the network itself.
            source: The network.
        """
        averages = {id(v): a for a, v in zip(self.variables, self.sources, strict=True)}
        for target, variable in zip(model.weights, source.weights, strict=True):
            target.assign(averages.get(id(variable), variable).numpy())
