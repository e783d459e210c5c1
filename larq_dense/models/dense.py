"""A network that knows what it is for, wherever it is saved and loaded."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense.common.images import ImageLike
from larq_dense.layers._base import register
from larq_dense.runtime import ModelSpec, Predictor


@register
class DenseModel(tf.keras.Model):
    """A functional Keras model with a description, which `save` and `load_model` keep.

    Attributes:
        spec: What the network is for: its task, its classes and how pictures become its input.

    Examples:
        >>> from larq_dense import zoo
        >>> model = zoo.load("ecssd")                              # doctest: +SKIP
        >>> model.save("mine.keras")                               # doctest: +SKIP
        >>> model = tf.keras.models.load_model("mine.keras")       # doctest: +SKIP
        >>> model.spec.class_names                                 # doctest: +SKIP
        ['background', 'object']
    """

    # Keras saves a functional model as one only if the class has no constructor of its own.
    spec: ModelSpec | None = None

    def preprocess(self, image: ImageLike) -> NDArray[np.float32]:
        """Return the network's input for a picture, float32 `[1, height, width, channels]`.

        Raises:
            DataError: The picture cannot be read, or the model has no description.
        """
        return Predictor.from_keras(self).spec.preprocessing(image)

    def postprocess(self, logits: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the label map of the network's output.

        Args:
            logits: `[h, w, channels]` or `[1, h, w, channels]`.
            size: Height and width of the picture.

        Returns:
            uint8 `[height, width]`.
        """
        scores = np.asarray(logits, np.float32)
        scores = scores[0] if scores.ndim == 4 else scores
        return Predictor.from_keras(self).labels_from_logits(scores, *size)

    def get_config(self) -> dict[str, Any]:
        """Return the network and the description, JSON-ready."""
        return {**super().get_config(), "spec": self.spec and self.spec.to_dict()}

    def to_json(self, **kwargs: Any) -> str:
        """Return the network and the description as JSON, for `tf.keras.models.model_from_json`.

        Args:
            **kwargs: Of `json.dumps`.
        """
        described = json.loads(super().to_json())
        # Keras writes the bare name, by which it does not find a registered class.
        described["class_name"] = tf.keras.utils.get_registered_name(type(self))
        return json.dumps(described, **kwargs)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> DenseModel:
        """Rebuild from `get_config`."""
        network = {key: value for key, value in config.items() if key != "spec"}
        forget_builds(network)
        model: DenseModel = super().from_config(network, custom_objects)
        model.spec = ModelSpec.from_dict(config["spec"]) if config["spec"] else None
        return model


def forget_builds(network: dict[str, Any]) -> None:
    """Let a functional model's layers be built by their calls, which name variables after them.

    Keras would build them before from what it kept, and name every kernel `kernel:0`.

    Args:
        network: From a functional model's `get_config`.
    """
    for layer in network["layers"]:
        layer.pop("build_config", None)
