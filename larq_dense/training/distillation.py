"""Learning from a trained network: what it says of a batch, and the term of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from larq_dense.common.errors import RecipeError
from larq_dense.common.keras2 import tf
from larq_dense.models.weights import load_weights
from larq_dense.training.losses import divergence, energy_distance
from larq_dense.training.pictures import IGNORE, OUTSIDE
from larq_dense.training.run import FindRun, find_run

if TYPE_CHECKING:
    from larq_dense.tasks import Task
    from larq_dense.training.settings import DistillationSettings, InputSettings


# The decoder's stages, from the finest.
LEVELS = tuple(f"decoder{stage}_join" for stage in range(4))


class Distillation:
    """The term of the loss that holds a student's answers against its teacher's."""

    def __init__(
        self,
        settings: DistillationSettings,
        student: tf.keras.Model,
        task: Task,
        normalization: InputSettings,
        find: FindRun = find_run,
    ) -> None:
        """Build the teacher and load its weights.

        Args:
            settings: Teacher, weights and temperature.
            student: The network that learns.
            task: What it learns.
            normalization: How its batches are normalized.
            find: Finds the teacher by its name.

        Raises:
            WeightsError: There is no such teacher, it has no weights, or they are damaged.
            RecipeError: It has other classes.
        """
        self._settings = settings
        run = find(settings.teacher)
        recipe, theirs = run.recipe(), run.task()
        if (theirs.kind, theirs.class_names) != (task.kind, task.class_names):
            raise RecipeError(
                f"the teacher {settings.teacher} knows other classes "
                f"({', '.join(theirs.class_names)}) than its student "
                f"({', '.join(task.class_names)}); name a teacher of the student's task."
            )
        if recipe.input.channels != normalization.channels:
            raise RecipeError(
                f"the teacher {settings.teacher} sees {recipe.input.channels} channels, and its "
                f"student {normalization.channels}; name a teacher that sees as many."
            )
        if len(task.classes) > OUTSIDE:
            raise RecipeError(f"distillation is for tasks of at most {OUTSIDE} classes.")
        teacher = recipe.build_model((None, None, 3), task=theirs)
        load_weights(teacher, run.weights())
        levels = LEVELS if settings.features else ()
        self.teacher, self._student = _with(levels, teacher), _with(levels, student)
        mean, std = np.array(recipe.input.mean), np.array(recipe.input.std)
        self._scale = (np.array(normalization.std) / std).astype(np.float32)
        self._shift = ((np.array(normalization.mean) - mean) / std).astype(np.float32)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Put a batch to the student, which learns, and to its teacher, which does not.

        Args:
            images: float32 `[batch, height, width, 3]`, as the student gets them.
            labels: uint8 `[batch, height, width]`; pixels that are 254 do not count.

        Returns:
            The student's logits, float32 `[batch, height, width, outputs]`, and the term, a
            scalar.
        """
        settings = self._settings
        theirs = self.teacher(images * self._scale + self._shift, training=False)
        # Keras gives a tensor, no list, where there is but one output.
        known, *known_levels = tf.nest.flatten(theirs)
        logits, *levels = tf.nest.flatten(self._student(images, training=True))
        inside = tf.not_equal(labels, OUTSIDE)
        apart = divergence(known, logits, settings.temperature, inside)
        term = settings.weight * settings.temperature**2 * apart
        if levels:
            pairs = zip(known_levels, levels, strict=True)
            term += settings.features * tf.add_n([energy_distance(a, b) for a, b in pairs])
        return logits, term


def _with(levels: Sequence[str], model: tf.keras.Model) -> tf.keras.Model:
    """Return a network that gives its logits and what some of its layers put out."""
    return tf.keras.Model(
        model.inputs, [model.output, *(model.get_layer(name).output for name in levels)]
    )


def without_outside(labels: tf.Tensor) -> tf.Tensor:
    """Return labels for the other terms of the loss, in which all beyond a picture is ignored."""
    return tf.where(tf.equal(labels, OUTSIDE), tf.constant(IGNORE, tf.uint8), labels)
