"""Trains the arms of a study and brings together what was found."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from larq_dense.common.errors import RecipeError
from larq_dense.common.machine import describe_machine
from larq_dense.experiments.ablation import deviation, judge
from larq_dense.experiments.study import Study, changed
from larq_dense.runtime import xnor
from larq_dense.training import Recipe
from larq_dense.zoo import find_trained

Runs = dict[str, dict[int, dict[str, Any]]]
"""What `train` returned, with the steps of all stages, by arm and seed."""

_ALIKE = ("task", "input.height", "input.width", "data.validation", "data.validation_limit")
"""What all arms have in common, so that one table can hold them."""


@dataclass(frozen=True)
class Ablation:
    """A recipe and the study that changes parts of it.

    Attributes:
        name: What a user called the recipe.
        recipe: As all arms have it.
        study: Arms and claims.
    """

    name: str
    recipe: Recipe
    study: Study

    @classmethod
    def of(cls, name: str, recipe: Recipe, study: Study) -> Ablation:
        """Prepare a recipe such that no arm has an advantage.

        Raises:
            RecipeError: The recipe goes on in eight bits, or the study does not fit it.
        """
        if recipe.quantize:
            raise RecipeError(f"{name} goes on in eight bits; name the recipe that it began with.")
        values = changed(recipe.to_dict(), study.settled)
        # Another network's weights would fit the arms that are like it better than others.
        values["init"] = None
        return cls(name, Recipe.from_dict(values, "the recipe as all arms have it"), study)

    def recipe_of(self, arm: str) -> Recipe:
        """Return an arm's recipe.

        Raises:
            LarqDenseError: There is no such arm, its changes do not fit the recipe, or it would not
                be measured on the same pictures as the others.
        """
        values = changed(self.recipe.to_dict(), self.study.settings(arm))
        found = Recipe.from_dict(values, f"the recipe of arm {arm}")
        if setting := found.first_difference(self.recipe, _ALIKE):
            raise RecipeError(
                f"arm {arm} has another {setting}, and its figures could not stand beside the "
                "others; settle it for all arms, or compare runs by `larq-dense evaluate`."
            )
        return found

    def stages(self, arm: str, place: Path, seed: int | None = None) -> dict[Path, Recipe]:
        """Return what is trained for an arm, one after another, and where.

        Raises:
            LarqDenseError: As for `recipe_of`, or the recipe is too short for two stages.
        """
        whole, first = self.recipe_of(arm), self.study.arms[arm].first
        if seed is not None:
            whole = whole.replace(seed=seed)
        if first is None:
            return {place: whole}
        key = "steps" if whole.steps else "epochs"
        length = whole.steps or whole.epochs or 0
        if length < 2:
            raise RecipeError(f"arm {arm} has two stages, and the recipe is too short for both.")
        before = place / "first"
        values = changed(whole.to_dict(), first) | {key: length // 2}
        return {
            before: Recipe.from_dict(values, f"the first stage of arm {arm}"),
            place: whole.replace(init=str(before), **{key: length - length // 2}),
        }

    def train(
        self, arms: Iterable[str], seeds: int, data: Path, folder: Path, say: Callable[[str], None]
    ) -> Runs:
        """Train arms that are not finished yet.

        Args:
            arms: Names of arms.
            seeds: Runs of each, with as many seeds from the recipe's on.
            data: Holds the recipe's source folders.
            folder: Holds a run's folder for each arm and seed.
            say: Is told in a sentence what is trained next.

        Returns:
            What was wanted and all that was finished before.

        Raises:
            LarqDenseError: A network cannot be built, which is found before any is trained, or a
                training fails.
            Interrupted: The user stopped it; the same call goes on.
        """
        wanted = [(arm, self.recipe.seed + k) for k in range(seeds) for arm in arms]
        finished = list(self._finished(folder))
        missing = [each for each in wanted if each not in finished]
        runs: Runs = {arm: {} for arm in self.study.arms}
        for arm, seed in finished:
            runs[arm][seed] = self._train_one(arm, seed, data, folder)
        self._check_networks(dict.fromkeys(arm for arm, _ in missing), data)
        for number, (arm, seed) in enumerate(missing, 1):
            say(f"arm {arm}, seed {seed}: run {number} of {len(missing)}")
            runs[arm][seed] = self._train_one(arm, seed, data, folder)
            _forget_graphs()
        return {arm: dict(sorted(by_seed.items())) for arm, by_seed in runs.items() if by_seed}

    def _train_one(self, arm: str, seed: int, data: Path, folder: Path) -> dict[str, Any]:
        """Train one arm's stages, or read what was found where they are finished."""
        from larq_dense.training import train

        stages = self.stages(arm, folder / f"{arm}-seed{seed}", seed)
        found = [train(stage, data, place, find=find_trained) for place, stage in stages.items()]
        return {**found[-1], "steps": sum(each["steps"] for each in found)}

    def _finished(self, folder: Path) -> Iterator[tuple[str, int]]:
        from larq_dense.training.checkpoint import read_progress

        for arm in self.study.arms:
            for place in folder.glob(f"{arm}-seed*"):
                seed, state = place.name.removeprefix(f"{arm}-seed"), read_progress(place)
                if seed.isdigit() and state is not None and state.finished:
                    yield arm, int(seed)

    def _check_networks(self, arms: Iterable[str], data: Path) -> None:
        """Build what the arms train, so that a wrong setting is found before hours of training."""
        task = self.recipe.get_task(data)
        for arm in arms:
            for stage in self.stages(arm, Path()).values():
                stage.build_model(task=task)
        _forget_graphs()

    def document(self, runs: Runs, data: Path) -> dict[str, Any]:
        """Measure what was trained and return what `ablation.json` holds."""
        from larq_dense.experiments.cost import measure_attention, measure_cost

        recipe, study = self.recipe, self.study
        task = recipe.get_task(data)
        costs = measure_cost({arm: self.recipe_of(arm) for arm in runs}, task)
        scores = {arm: [run["score"] for run in found.values()] for arm, found in runs.items()}
        judged = (judge(claim, scores) for claim in study.claims)
        return {
            "recipe": self.name,
            "data": str(data),
            "task": task.name,
            "metric": task.main_metric,
            "steps": max(run["steps"] for found in runs.values() for run in found.values()),
            "batch_size": recipe.batch_size,
            "input": [recipe.input.height, recipe.input.width],
            "machine": describe_machine(),
            "arms": [
                {
                    "arm": arm,
                    "title": study.arms[arm].title,
                    "settings": study.settings(arm),
                    "first": study.arms[arm].first,
                    "score": _statistics(scores[arm]),
                    "sources": _by_source(found, task.main_metric),
                    "runs": [{"seed": seed, **run} for seed, run in found.items()],
                    **costs[arm],
                }
                for arm, found in runs.items()
            ],
            "claims": [each.to_dict() for each in judged if each is not None],
            "attention": measure_attention(recipe) if xnor.available() else None,
        }


def _forget_graphs() -> None:
    """Free what Keras would keep of every arm's network."""
    import tensorflow as tf

    tf.keras.backend.clear_session()
    gc.collect()


def _by_source(found: Mapping[int, dict[str, Any]], metric: str) -> dict[str, dict[str, Any]]:
    sources = next(iter(found.values()))["metrics"]
    return {
        source: _statistics([run["metrics"][source][metric] for run in found.values()])
        for source in sources
    }


def _statistics(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": sum(values) / len(values), "deviation": deviation(values)}
