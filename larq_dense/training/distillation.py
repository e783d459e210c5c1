"""Learning from a trained network: what it says of a batch, and the term of the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from larq_dense.common.errors import RecipeError
from larq_dense.common.keras2 import tf
from larq_dense.models.weights import load_weights
from larq_dense.training.losses import divergence, energy_distance, misalignment
from larq_dense.training.pictures import IGNORE, OUTSIDE
from larq_dense.training.run import FindRun, find_run

if TYPE_CHECKING:
    from larq_dense.tasks import Task
    from larq_dense.training.settings import DistillationSettings, InputSettings


# The decoder's stages, from the finest.
STAGES = tuple(f"decoder{stage}_join" for stage in range(4))

# Which of the encoder's features are compared first: those at 1/8 of the picture's size.
FIRST = 2


class _Pair(NamedTuple):
    """A layer of each network, and what the distance of their outputs counts for."""

    teacher: str
    student: str
    weight: float
    distance: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class _Teacher:
    """A trained network that sees a student's pictures, normalized in its own way."""

    def __init__(self, name: str, task: Task, normalization: InputSettings, find: FindRun) -> None:
        """Build it and load its weights; see `Distillation`."""
        run = find(name)
        recipe, theirs = run.recipe(), run.task()
        if (theirs.kind, theirs.class_names) != (task.kind, task.class_names):
            raise RecipeError(
                f"the teacher {name} knows other classes ({', '.join(theirs.class_names)}) than "
                f"its student ({', '.join(task.class_names)}); name one of the student's task."
            )
        if recipe.input.channels != normalization.channels:
            raise RecipeError(
                f"the teacher {name} sees {recipe.input.channels} channels, and its student "
                f"{normalization.channels}; name a teacher that sees as many."
            )
        self.network = recipe.build_model((None, None, 3), task=theirs)
        load_weights(self.network, run.weights())
        mean, std = np.array(recipe.input.mean), np.array(recipe.input.std)
        self._scale = (np.array(normalization.std) / std).astype(np.float32)
        self._shift = ((np.array(normalization.mean) - mean) / std).astype(np.float32)

    def __call__(self, images: tf.Tensor) -> tf.Tensor | list[tf.Tensor]:
        """Return what it puts out for pictures as the student gets them."""
        return self.network(images * self._scale + self._shift, training=False)


class Distillation:
    """The term of the loss that holds a student's answers against its teachers'."""

    def __init__(
        self,
        settings: DistillationSettings,
        student: tf.keras.Model,
        task: Task,
        normalization: InputSettings,
        find: FindRun = find_run,
    ) -> None:
        """Build the teachers and load their weights.

        Args:
            settings: Teachers, weights and temperature.
            student: The network that learns.
            task: What it learns.
            normalization: How its batches are normalized.
            find: Finds a teacher by its name.

        Raises:
            WeightsError: There is no such teacher, it has no weights, or they are damaged.
            RecipeError: One has other classes or channels, or lacks what is to be compared.
        """
        self._settings = settings
        if len(task.classes) > OUTSIDE:
            raise RecipeError(f"distillation is for tasks of at most {OUTSIDE} classes.")
        self._teachers = [_Teacher(name, task, normalization, find) for name in settings.teachers]
        first = self._teachers[0]
        self._pairs = _pairs(settings, first.network, student)
        first.network = _with([pair.teacher for pair in self._pairs], first.network)
        self._student = _with([pair.student for pair in self._pairs], student)

    @property
    def networks(self) -> list[tf.keras.Model]:
        """The teachers' networks."""
        return [teacher.network for teacher in self._teachers]

    def __call__(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Put a batch to the student, which learns, and to its teachers, which do not.

        Args:
            images: float32 `[batch, height, width, 3]`, as the student gets them.
            labels: uint8 `[batch, height, width]`; pixels that are 254 do not count.

        Returns:
            The student's logits, float32 `[batch, height, width, outputs]`, and the term, a
            scalar.
        """
        settings = self._settings
        # Keras gives a tensor, no list, where there is but one output.
        answers = [tf.nest.flatten(teacher(images)) for teacher in self._teachers]
        logits, *maps = tf.nest.flatten(self._student(images, training=True))
        inside = tf.not_equal(labels, OUTSIDE)
        apart = divergence([answer[0] for answer in answers], logits, settings.temperature, inside)
        term = settings.weight * settings.temperature**2 * apart
        for pair, a, b in zip(self._pairs, answers[0][1:], maps, strict=True):
            term += pair.weight * pair.distance(a, b)
        return logits, term


def _pairs(
    settings: DistillationSettings, teacher: tf.keras.Model, student: tf.keras.Model
) -> list[_Pair]:
    """Return what is compared besides the logits.

    Raises:
        RecipeError: A network lacks what is to be compared.
    """
    networks = {f"the teacher {settings.teacher}": teacher, "the student": student}
    pairs = []
    if settings.features:
        for who, model in networks.items():
            if not {layer.name for layer in model.layers}.issuperset(STAGES):
                raise RecipeError(
                    f"distillation.features compares the stages of the decoder fpn, which {who} "
                    "lacks; set it to 0, or compare the encoders by distillation.encoder."
                )
        pairs += [_Pair(name, name, settings.features, energy_distance) for name in STAGES]
    if settings.encoder:
        for who, model in networks.items():
            if not hasattr(model, "feature_layer_names"):
                raise RecipeError(
                    f"distillation.encoder compares encoders, and {who} is in int8 form, which "
                    "keeps no encoder apart; set it to 0."
                )
        # An encoder for segmentation may end at 1/16 of the size.
        levels = zip(teacher.feature_layer_names, student.feature_layer_names, strict=False)
        pairs += [_Pair(a, b, settings.encoder, misalignment) for a, b in list(levels)[FIRST:]]
    return pairs


def _with(levels: Sequence[str], model: tf.keras.Model) -> tf.keras.Model:
    """Return a network that gives its logits and what some of its layers put out."""
    return tf.keras.Model(
        model.inputs, [model.output, *(model.get_layer(name).output for name in levels)]
    )


def without_outside(labels: tf.Tensor) -> tf.Tensor:
    """Return labels for the other terms of the loss, in which all beyond a picture is ignored."""
    return tf.where(tf.equal(labels, OUTSIDE), tf.constant(IGNORE, tf.uint8), labels)
