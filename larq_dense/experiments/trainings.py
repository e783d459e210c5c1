"""Trains the variants of an experiment and brings together what was found."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from larq_dense.common.errors import RecipeError
from larq_dense.common.machine import describe_machine
from larq_dense.experiments.ablation import deviation, judge
from larq_dense.experiments.experiment import Experiment, changed
from larq_dense.runtime import xnor
from larq_dense.training import Recipe
from larq_dense.zoo import find_trained

Runs = dict[str, dict[int, dict[str, Any]]]
"""What `train` returned, with the steps of all stages, by variant and seed."""

_ALIKE = ("task", "input.height", "input.width", "data.validation", "data.validation_limit")
"""What all variants have in common, so that one table can hold them."""


@dataclass(frozen=True)
class Ablation:
    """A recipe and the experiment that changes parts of it.

    Attributes:
        name: What a user called the recipe.
        recipe: As all variants have it.
        experiment: Variants and hypotheses.
    """

    name: str
    recipe: Recipe
    experiment: Experiment

    @classmethod
    def of(cls, name: str, recipe: Recipe, experiment: Experiment) -> Ablation:
        """Prepare a recipe such that no variant has an advantage.

        Raises:
            RecipeError: The recipe fine-tunes for int8, or the experiment does not fit it.
        """
        if recipe.quantize:
            raise RecipeError(f"{name} fine-tunes for int8; name the recipe of its float network.")
        values = changed(recipe.to_dict(), experiment.fixed)
        # Another network's weights would fit the variants that are like it better than others.
        values["init"] = None
        return cls(name, Recipe.from_dict(values, "the recipe as all variants have it"), experiment)

    def recipe_of(self, variant: str) -> Recipe:
        """Return a variant's recipe.

        Raises:
            LarqDenseError: There is no such variant, its changes do not fit the recipe, or it would
                not be measured on the same pictures as the others.
        """
        values = changed(self.recipe.to_dict(), self.experiment.settings(variant))
        found = Recipe.from_dict(values, f"the recipe of variant {variant}")
        if setting := found.first_difference(self.recipe, _ALIKE):
            raise RecipeError(
                f"variant {variant} changes {setting}, so it cannot be compared with the others; "
                f"set {setting} under `fixed` for all variants, or compare runs by `larq-dense "
                "evaluate`."
            )
        return found

    def stages(self, variant: str, place: Path, seed: int | None = None) -> dict[Path, Recipe]:
        """Return what is trained for a variant, one after another, and where.

        Raises:
            LarqDenseError: As for `recipe_of`, or the recipe is too short for two stages.
        """
        whole, first = self.recipe_of(variant), self.experiment.variants[variant].first
        if seed is not None:
            whole = whole.replace(seed=seed)
        if first is None:
            return {place: whole}
        key = "steps" if whole.steps else "epochs"
        length = whole.steps or whole.epochs or 0
        if length < 2:
            raise RecipeError(
                f"variant {variant} has two stages, and the recipe is too short for both."
            )
        before = place / "first"
        values = changed(whole.to_dict(), first) | {key: length // 2}
        return {
            before: Recipe.from_dict(values, f"the first stage of variant {variant}"),
            place: whole.replace(init=str(before), **{key: length - length // 2}),
        }

    def train(
        self,
        variants: Iterable[str],
        seeds: int,
        data: Path,
        folder: Path,
        say: Callable[[str], None],
    ) -> Runs:
        """Train variants that are not finished yet.

        Args:
            variants: Names of variants.
            seeds: Seeds per variant, counted from the recipe's.
            data: Holds the recipe's source folders.
            folder: Holds a run's folder for each variant and seed.
            say: Is told in a sentence what is trained next.

        Returns:
            What was wanted and all that was finished before.

        Raises:
            LarqDenseError: A network cannot be built, which is found before any is trained, or a
                training fails.
            Interrupted: The user stopped it; the same call resumes.
        """
        wanted = [(variant, self.recipe.seed + k) for k in range(seeds) for variant in variants]
        finished = list(self._finished(folder))
        missing = [each for each in wanted if each not in finished]
        runs: Runs = {variant: {} for variant in self.experiment.variants}
        for variant, seed in finished:
            runs[variant][seed] = self._train_one(variant, seed, data, folder)
        self._check_networks(dict.fromkeys(variant for variant, _ in missing), data)
        for number, (variant, seed) in enumerate(missing, 1):
            say(f"variant {variant}, seed {seed}: run {number} of {len(missing)}")
            runs[variant][seed] = self._train_one(variant, seed, data, folder)
            _forget_graphs()
        return {
            variant: dict(sorted(by_seed.items())) for variant, by_seed in runs.items() if by_seed
        }

    def _train_one(self, variant: str, seed: int, data: Path, folder: Path) -> dict[str, Any]:
        """Train one variant's stages, or read what was found where they are finished."""
        from larq_dense.training import train

        stages = self.stages(variant, folder / f"{variant}-seed{seed}", seed)
        found = [train(stage, data, place, find=find_trained) for place, stage in stages.items()]
        return {**found[-1], "steps": sum(each["steps"] for each in found)}

    def _finished(self, folder: Path) -> Iterator[tuple[str, int]]:
        from larq_dense.training.checkpoint import read_progress

        for variant in self.experiment.variants:
            for place in folder.glob(f"{variant}-seed*"):
                seed, state = place.name.removeprefix(f"{variant}-seed"), read_progress(place)
                if seed.isdigit() and state is not None and state.finished:
                    yield variant, int(seed)

    def _check_networks(self, variants: Iterable[str], data: Path) -> None:
        """Build the variants' networks, so that a wrong setting fails before hours of training."""
        task = self.recipe.get_task(data)
        for variant in variants:
            for stage in self.stages(variant, Path()).values():
                stage.build_model(task=task)
        _forget_graphs()

    def document(self, runs: Runs, data: Path) -> dict[str, Any]:
        """Measure what was trained and return what `ablation.json` holds."""
        from larq_dense.experiments.cost import measure_attention, measure_cost

        recipe, experiment = self.recipe, self.experiment
        task = recipe.get_task(data)
        costs = measure_cost({variant: self.recipe_of(variant) for variant in runs}, task)
        scores = {
            variant: [run["score"] for run in found.values()] for variant, found in runs.items()
        }
        judged = (judge(hypothesis, scores) for hypothesis in experiment.hypotheses)
        return {
            "recipe": self.name,
            "data": str(data),
            "task": task.name,
            "metric": task.main_metric,
            "steps": max(run["steps"] for found in runs.values() for run in found.values()),
            "batch_size": recipe.batch_size,
            "input": [recipe.input.height, recipe.input.width],
            "machine": describe_machine(),
            "variants": [
                {
                    "variant": variant,
                    "title": experiment.variants[variant].title,
                    "settings": experiment.settings(variant),
                    "first": experiment.variants[variant].first,
                    "score": _statistics(scores[variant]),
                    "sources": _by_source(found, task.main_metric),
                    "runs": [{"seed": seed, **run} for seed, run in found.items()],
                    **costs[variant],
                }
                for variant, found in runs.items()
            ],
            "hypotheses": [each.to_dict() for each in judged if each is not None],
            "attention": measure_attention(recipe) if xnor.available() else None,
        }


def _forget_graphs() -> None:
    """Free what Keras would keep of every variant's network."""
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
