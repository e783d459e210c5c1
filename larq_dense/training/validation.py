"""Validation: the task's metrics on each validation source, at the published input size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.images import Preprocessing
from larq_dense.common.keras2 import tf
from larq_dense.common.labels import Prediction, resize_scores

if TYPE_CHECKING:
    from larq_dense.tasks import Task
    from larq_dense.training.pictures import Picture


class Validator:
    """Measures a model again and again on the same pictures."""

    def __init__(
        self,
        model: tf.keras.Model,
        task: Task,
        preprocessing: Preprocessing,
        sources: Mapping[str, Sequence[Picture]],
    ) -> None:
        """Prepare.

        Args:
            model: From float32 `[1, height, width, channels]` to logits of that size.
            task: Gives probabilities and metrics.
            preprocessing: Normalizes.
            sources: From `load_validation`, by name.
        """
        self._task = task
        self._preprocessing = preprocessing
        self._sources = sources
        shape = preprocessing.input_shape

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)], autograph=False)
        def infer(image: tf.Tensor) -> tf.Tensor:
            return model(image, training=False)

        self._infer = infer

    def logits(self, picture: Picture) -> NDArray[np.float32]:
        """Return a picture's logits at its label's size, `[height, width, outputs]`.

        Args:
            picture: Its pixels at the network's size.
        """
        height, width = picture.label.shape
        return resize_scores(self._predict(picture).logits, height, width)

    def _predict(self, picture: Picture) -> Prediction:
        image = self._preprocessing.normalize(picture.pixels)[None]
        logits = self._infer(tf.constant(image)).numpy()[0]
        height, width = picture.label.shape
        return Prediction.of_input(logits, self._preprocessing, height, width)

    def __call__(self) -> dict[str, dict[str, Any]]:
        """Return the task's result for each source."""
        return {name: self._measure(pictures) for name, pictures in self._sources.items()}

    def score(self, results: Mapping[str, Mapping[str, Any]]) -> float:
        """Return the mean of the task's main metric over the sources."""
        return float(np.mean([r["metrics"][self._task.main_metric] for r in results.values()]))

    def _measure(self, pictures: Sequence[Picture]) -> dict[str, Any]:
        metrics = self._task.new_metrics()
        for picture in pictures:
            prediction = self._predict(picture)
            probability = prediction.probability(1) if metrics.uses_probability else None
            metrics.update(prediction.labels(), picture.label, probability)
        return dict(metrics.result())
