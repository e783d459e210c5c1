"""Experiments: their files, their variants, and what a variant makes of a recipe."""

from pathlib import Path

import pytest
import yaml

from larq_dense.common.errors import RecipeError, UnknownNameError
from larq_dense.experiments.experiment import Experiment, changed
from larq_dense.training.recipe import Recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_methods_variants_fix_all_that_any_of_them_changes() -> None:
    experiment = Experiment.load()
    found = [experiment.settings(variant) for variant in experiment.variants]
    for settings in found:
        assert settings.keys() == experiment.fixed.keys()
    assert experiment.settings("k3-attention") == experiment.fixed
    assert len({str(settings) for settings in found}) == len(found)


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment.load(),
        *map(Experiment.load, map(BENCHMARKS.joinpath, ("training.yaml", "scale.yaml"))),
    ],
)
def test_every_variant_fits_the_recipe_that_it_was_trained_with(experiment: Experiment) -> None:
    recipe = Recipe.load(BENCHMARKS / "ablation.yaml")
    seen = []
    for variant in experiment.variants:
        values = changed(recipe.to_dict(), experiment.settings(variant))
        values = changed(values, experiment.variants[variant].first or {})
        seen.append(Recipe.from_dict(values))
        if [each.model for each in seen].count(seen[-1].model) == 1:
            seen[-1].build_model()
    assert all(seen.count(each) == 1 for each in seen)


def test_changes_reach_into_sections_and_leave_the_rest() -> None:
    values = {"steps": 3, "optimizer": {"average": 0.0, "warmup": 0.1}, "distillation": None}
    settings = {"optimizer.average": 0.9, "distillation.teacher": "a", "steps": 4}
    assert changed(values, settings) == {
        "steps": 4,
        "optimizer": {"average": 0.9, "warmup": 0.1},
        "distillation": {"teacher": "a"},
    }
    assert values["steps"] == 3 and values["optimizer"]["average"] == 0.0


def test_an_unknown_variant() -> None:
    with pytest.raises(UnknownNameError, match="did you mean k3"):
        Experiment.load().settings("k33")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("variants: [", "not valid YAML"),
        ("variants: {}", "wrong variants"),
        ("variants: {A b: {title: t}}", "wrong variants"),
        ("variants: {a: {titel: t}}", "wrong variants.a.title"),
        ("just words", "is wrong: input should be"),
        (
            yaml.safe_dump(
                {
                    "variants": {"a": {"title": "t"}},
                    "hypotheses": [{"hypothesis": "More", "variant": "a", "against": "B"}],
                }
            ),
            "is wrong: the hypothesis 'More' names no variant: B.",
        ),
    ],
)
def test_a_wrong_file_gets_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as error:
        Experiment.load(path)
    assert said in str(error.value) and str(path) in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        Experiment.load(tmp_path / "experiment.yaml")
