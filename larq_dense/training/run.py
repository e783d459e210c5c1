"""A run: the folder in which one training keeps its recipe, weights, log and metrics.

Reading it needs no TensorFlow. The names of a run's files are written here and nowhere else.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from larq_dense.common.errors import LarqDenseError, WeightsError
from larq_dense.common.files import read_json

if TYPE_CHECKING:
    from larq_dense.common.images import Preprocessing
    from larq_dense.runtime import ModelSpec
    from larq_dense.tasks import Task
    from larq_dense.training.recipe import Recipe
    from larq_dense.training.record import Read

RECIPE = "recipe.yaml"
CLASSES = "classes.yaml"
METRICS = "metrics.json"
LOG = "log.csv"
READ = "data.json"
BEST = "best.safetensors"


@dataclass(frozen=True)
class Run:
    """One training's folder.

    Attributes:
        folder: Holds `recipe.yaml`; `classes.yaml` for classes of one's own; and, once the
            training is under way, `data.json`, `log.csv`, `metrics.json`, `best.safetensors`,
            `checkpoint/` and `tensorboard/`.

    Examples:
        >>> run = Run(Path("run"))
        >>> run.recipe().name, run.weights().name
        ('tiny', 'best.safetensors')
    """

    folder: Path

    @property
    def recipe_file(self) -> Path:
        """Every setting of the training."""
        return self.folder / RECIPE

    @property
    def classes_file(self) -> Path:
        """Classes of one's own; a published task has no such file."""
        return self.folder / CLASSES

    @property
    def metrics_file(self) -> Path:
        """What was measured."""
        return self.folder / METRICS

    @property
    def log(self) -> Path:
        """A line for each epoch: loss, learning rate, validation scores."""
        return self.folder / LOG

    @property
    def read_file(self) -> Path:
        """What the training read."""
        return self.folder / READ

    @property
    def best(self) -> Path:
        """The weights of the best validation so far."""
        return self.folder / BEST

    @property
    def checkpoint(self) -> Path:
        """The state that an interrupted training resumes from."""
        return self.folder / "checkpoint" / "state.safetensors"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's logs."""
        return self.folder / "tensorboard"

    @property
    def lock(self) -> Path:
        """Held by the process that trains here."""
        return self.folder / ".lock"

    @property
    def title(self) -> str:
        """What its model is called."""
        return self.recipe().name

    @property
    def notice(self) -> str:
        """What its weights have learned from, in a sentence; empty where nothing is known."""
        return ""

    def recipe(self) -> Recipe:
        """Return the recipe that is trained.

        Raises:
            RecipeError: The file is missing or wrong.
        """
        from larq_dense.training import Recipe

        return Recipe.load(self.recipe_file)

    def scores(self) -> list[tuple[int, float]]:
        """Return the steps of the logged validations, and their scores; empty without a log.

        Raises:
            LarqDenseError: The file is damaged.
        """
        if not self.log.is_file():
            return []
        try:
            with self.log.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            return [(int(row["step"]), float(row["score"])) for row in rows if row["score"]]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise LarqDenseError(
                f"{self.log} is damaged or was changed ({error}); restore or remove it."
            ) from error

    def task(self) -> Task:
        """Return what the network is for."""
        return self.recipe().get_task(self.folder)

    def spec(self, preprocessing: Preprocessing | None = None) -> ModelSpec:
        """Describe the network; at its own input size, or with another preprocessing."""
        from larq_dense.runtime import ModelSpec

        preprocessing = preprocessing or self.recipe().preprocessing
        return ModelSpec.for_task(self.title, self.task(), preprocessing, self.notice)

    def metrics(self) -> dict[str, Any]:
        """Return what was measured, or an empty dictionary where nothing was yet.

        Raises:
            LarqDenseError: The file is damaged.
        """
        fix = "install larq-dense or publish the entry again"
        return read_json(self.metrics_file, dict, fix) or {}

    def read(self) -> list[Read]:
        """Return what the training read, and those before it; nothing where no record was kept.

        Raises:
            LarqDenseError: The file is damaged.
        """
        return read_json(self.read_file, list, "remove it, or train again") or []

    def weights(self) -> Path:
        """Return the file of trained weights.

        Raises:
            WeightsError: There is none yet.
        """
        if not self.best.is_file():
            raise WeightsError(
                f"{self.folder} has no weights yet; train on until its first validation."
            )
        return self.best


FindRun = Callable[[str], Run]
"""Finds the run that a recipe names as `init` or as a teacher."""


def find_run(source: str) -> Run:
    """Return the run in a folder.

    Raises:
        WeightsError: There is no run.
    """
    run = Run(Path(source))
    if not run.recipe_file.is_file():
        raise WeightsError(
            f"there is no run {source}; train it first (the card of the entry whose recipe names "
            "it has the command), or name another."
        )
    return run
