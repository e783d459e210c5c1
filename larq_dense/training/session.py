"""One process's part in a run: its data, model, optimizers and step."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import DataError
from larq_dense.common.keras2 import tf
from larq_dense.common.sampling import evenly_spaced
from larq_dense.models.pretrained import load_pretrained
from larq_dense.quantization import quantize
from larq_dense.training.average import MovingAverage
from larq_dense.training.checkpoint import restore_state, save_state
from larq_dense.training.data import batches
from larq_dense.training.distillation import Distillation
from larq_dense.training.initial import initialize
from larq_dense.training.losses import make_loss
from larq_dense.training.offsets import ClassOffsets
from larq_dense.training.pictures import (
    IGNORE,
    Picture,
    at_network_size,
    check_labelled,
    check_teaching,
    class_shares,
    load_training,
    load_validation,
)
from larq_dense.training.recalibration import Recalibration
from larq_dense.training.run import FindRun, find_run
from larq_dense.training.step import freeze_encoder, make_optimizers, make_train_step
from larq_dense.training.validation import Validator

if TYPE_CHECKING:
    from larq_dense.tasks import Task
    from larq_dense.training.checkpoint import Progress
    from larq_dense.training.distribution import Distribution
    from larq_dense.training.recipe import Recipe

logger = logging.getLogger(__name__)

SHAPE = (None, None, 3)
CALIBRATION_PICTURES = 32


@dataclass(frozen=True)
class Data:
    """Decoded pictures.

    Attributes:
        training: A repeated picture is listed as often as it counts.
        validation: By the source's title.
        positions: Training pictures in one pass.
    """

    training: list[Picture]
    validation: dict[str, list[Picture]]
    positions: int


def load_data(recipe: Recipe, task: Task, root: Path) -> Data:
    """Find and decode a recipe's pictures.

    Raises:
        DataError: A folder, list, picture or mask is missing or wrong, or a split is empty.
    """
    settings = recipe.data
    samples = [s for source in settings.train for s in recipe.read_samples(task, root, source)]
    for unlabelled in settings.unlabelled:
        samples += recipe.read_unlabelled(task, root, unlabelled)
    found = {
        source.title: recipe.read_samples(task, root, source) for source in settings.validation
    }
    validation = {
        title: load_validation(some, task, recipe.preprocessing, settings.validation_limit)
        for title, some in found.items()
    }
    for title, pictures in validation.items():
        check_labelled(pictures, title)
    trained_on = {sample.image for sample in samples}
    for title, some in found.items():
        shared = [sample.image for sample in some if sample.image in trained_on]
        if shared:
            logger.warning(
                "%d of the %d pictures of %s are trained on, too, such as %s; take them off one "
                "list, or its figures say nothing of other pictures.",
                len(shared),
                len(some),
                title,
                shared[0],
            )
    try:
        training = load_training(samples, task, settings.longest_side, recipe.input.channels)
    except MemoryError as error:
        raise DataError(
            f"there is not enough memory for the {len(samples)} training pictures; set "
            "data.longest_side lower, or train on fewer."
        ) from error
    if recipe.distillation is None:
        title = " and ".join(source.title for source in settings.train)
        check_teaching(training, samples, task, title)
    return Data(training, validation, len(samples))


class Session:
    """A model in training.

    Attributes:
        model: The network that is trained, for crops of any size.
        plain: What is measured and kept: the network, or a copy of it on one device, of averages,
            or adjusted.
        optimizers: With the variables that each updates.
        average: The moving average of the variables, if the recipe has one.
        distillation: The teacher and its term of the loss, if the recipe has one.
        train_step: From `make_train_step`.
        validator: Measures `plain`.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        data: Data,
        distribution: Distribution,
        total_steps: int,
        find: FindRun = find_run,
    ) -> None:
        """Build the model with new weights, and what trains and measures it.

        Args:
            recipe: What to train.
            task: The recipe's task.
            data: Its pictures.
            distribution: The replicas.
            total_steps: Steps of the whole run.
            find: Finds teachers and runs to begin with.
        """
        self._recipe, self._data, self._distribution = recipe, data, distribution
        self._task, self._find = task, find
        self._total_steps = total_steps
        with distribution.strategy.scope():
            self.model = recipe.build_model(SHAPE, task=task, imagenet=True)
            if recipe.optimizer.freeze_encoder:
                freeze_encoder(self.model)
            self.optimizers = make_optimizers(self.model, recipe.optimizer, total_steps)
            decay = recipe.optimizer.average
            self.average = MovingAverage(self.model, decay) if decay else None
        adjusted = recipe.recalibrate or recipe.class_offsets
        copied = distribution.kind or self.average or adjusted
        self.plain = recipe.build_model(SHAPE, task=task) if copied else self.model
        self._variables = list(self.model.weights)
        for optimizer, _ in self.optimizers:
            self._variables += optimizer.variables
        if self.average:
            self._variables += self.average.variables
        self.validator = Validator(self.plain, task, recipe.preprocessing, data.validation)
        # Constants are chosen for the statistics that the answers are given with.
        made = (self._make_recalibration(), self._make_class_offsets())
        self._adjustments = [each for each in made if each is not None]
        shares = class_shares(data.training, len(task.classes))
        self.distillation = self._make_distillation(task)
        self.train_step = make_train_step(
            self.model,
            self.optimizers,
            make_loss(recipe.loss, task, shares),
            distillation=self.distillation,
            average=self.average,
            replicas=distribution.replicas,
        )

    def _make_distillation(self, task: Task) -> Distillation | None:
        settings = self._recipe.distillation
        if settings is None:
            return None
        with self._distribution.strategy.scope():
            return Distillation(settings, self.model, task, self._recipe.input, self._find)

    def _make_recalibration(self) -> Recalibration | None:
        count = self._recipe.recalibrate
        if not count:
            return None
        pictures = evenly_spaced(self._data.training, count)
        preprocess, size = self._recipe.preprocessing, self._recipe.batch_size

        def whole_pictures() -> Iterator[NDArray[np.float32]]:
            for first in range(0, len(pictures), size):
                some = pictures[first : first + size]
                yield np.concatenate([preprocess(each.pixels) for each in some])

        return Recalibration(self.plain, whole_pictures)

    def _make_class_offsets(self) -> ClassOffsets | None:
        count, pictures = self._recipe.class_offsets, self._data.training
        if not count:
            return None
        labelled = [each for each in pictures if np.any(each.label != IGNORE)]
        chosen = evenly_spaced(labelled, count)
        if not chosen:
            return None
        # By name: in int8 form the layer's own attribute is the rounded bias.
        (bias,) = (each for each in self.plain.variables if each.name == "head/bias:0")
        fitting = [at_network_size(each, self._recipe.preprocessing) for each in chosen]
        return ClassOffsets(bias, self.validator.logits, fitting)

    @property
    def learning_rate(self) -> float:
        """The real-valued variables' learning rate in the last step."""
        return float(self.optimizers[0][0].learning_rate.numpy())

    def initialize(self, source: str) -> str:
        """Load what matches from other weights; returns a sentence about it."""
        if not self._recipe.quantize:
            return initialize(self.model, source, self._find)
        real = self._recipe.replace(quantize=False).build_model(SHAPE, task=self._task)
        sentence = initialize(real, source, self._find)
        calibration = self._calibration()
        self.model.set_weights(quantize(real, calibration).get_weights())
        return f"{sentence}; its ranges are those of {len(calibration)} training pictures"

    def initialize_encoder(self, path: Path) -> str:
        """Load the encoder's ImageNet weights; returns a sentence about it."""
        count = load_pretrained(self.model, path, self._calibration())
        return f"the encoder begins with {count} variables from {path}"

    def _calibration(self) -> list[NDArray[np.float32]]:
        """Return some training pictures, normalized, evenly spaced over all."""
        pictures = self._data.training
        chosen = pictures[:: math.ceil(len(pictures) / CALIBRATION_PICTURES)] if pictures else []
        return [self._recipe.preprocessing(each.pixels) for each in chosen]

    def import_weights(self, values: Mapping[str, NDArray[Any]], step: int) -> None:
        """Continue from a network that was trained elsewhere; optimizers begin with empty slots.

        Args:
            values: The network's variables by name.
            step: Steps done.
        """
        for variable in self.model.weights:
            variable.assign(values[variable.name].astype(variable.dtype.as_numpy_dtype))
        if self.average:
            self.average.reset()
        for optimizer, _ in self.optimizers:
            optimizer.iterations.assign(step)

    def restore(self, run_dir: Path) -> None:
        """Restore a run's state."""
        restore_state(run_dir, self._variables)

    def save(self, run_dir: Path, progress: Progress) -> None:
        """Write a run's state; every worker calls it, the chief writes."""
        values = [variable.numpy() for variable in self._variables]
        if self._distribution.is_chief:
            names = [variable.name for variable in self._variables]
            save_state(run_dir, names, values, progress)

    def close(self) -> None:
        """Let go of the pictures; TensorFlow never lets go of a function that reads them."""
        self._data.training.clear()
        self._data.validation.clear()

    def copy_to_plain(self) -> tf.keras.Model:
        """Bring the copy that is measured and kept up to date; every worker calls it."""
        if self.average:
            self.average.copy_to(self.plain, self.model)
        elif self.plain is not self.model:
            self.plain.set_weights(self.model.get_weights())
        for adjust in self._adjustments:
            adjust()
        return self.plain

    def losses(self, first_step: int) -> Iterator[float]:
        """Train step after step.

        Args:
            first_step: Number of the first step, from 0.

        Yields:
            Each step's loss, over all replicas.
        """
        steps = (first_step, self._total_steps)
        pictures, recipe, place = self._data.training, self._recipe, self._distribution
        if place.kind is None:
            for batch in batches(pictures, recipe, *steps):
                yield float(self.train_step(*batch))
            return
        share, local = (place.worker, place.workers), place.replicas // place.workers
        dataset = place.strategy.distribute_datasets_from_function(
            lambda _: batches(pictures, recipe, *steps, share, local)
        )
        for batch in dataset:
            yield float(self._distributed_step(batch))

    @tf.function(autograph=False)
    def _distributed_step(self, batch: Any) -> tf.Tensor:
        strategy = self._distribution.strategy
        shares = strategy.run(self.train_step, batch)
        return strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)
