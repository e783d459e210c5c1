"""Studies: their files, their arms, and what an arm makes of a recipe."""

from pathlib import Path

import pytest
import yaml

from larq_dense.common.errors import RecipeError, UnknownNameError
from larq_dense.experiments.study import Study, changed
from larq_dense.training.recipe import Recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_methods_arms_settle_all_that_any_of_them_changes() -> None:
    study = Study.load()
    found = [study.settings(arm) for arm in study.arms]
    for settings in found:
        assert settings.keys() == study.settled.keys()
    assert study.settings("k3-attention") == study.settled
    assert len({str(settings) for settings in found}) == len(found)


@pytest.mark.parametrize(
    "study",
    [Study.load(), *map(Study.load, map(BENCHMARKS.joinpath, ("training.yaml", "scale.yaml")))],
)
def test_every_arm_fits_the_recipe_that_it_was_trained_with(study: Study) -> None:
    recipe = Recipe.load(BENCHMARKS / "ablation.yaml")
    seen = []
    for arm in study.arms:
        values = changed(recipe.to_dict(), study.settings(arm))
        values = changed(values, study.arms[arm].first or {})
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


def test_an_unknown_arm() -> None:
    with pytest.raises(UnknownNameError, match="did you mean k3"):
        Study.load().settings("k33")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arms: [", "not valid YAML"),
        ("arms: {}", "wrong arms"),
        ("arms: {A b: {title: t}}", "wrong arms"),
        ("arms: {a: {titel: t}}", "wrong arms.a.title"),
        ("just words", "is wrong: input should be"),
        (
            yaml.safe_dump(
                {
                    "arms": {"a": {"title": "t"}},
                    "claims": [{"claim": "More", "arm": "a", "against": "B"}],
                }
            ),
            "is wrong: the claim 'More' names no arm: B.",
        ),
    ],
)
def test_a_wrong_file_gets_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as error:
        Study.load(path)
    assert said in str(error.value) and str(path) in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        Study.load(tmp_path / "study.yaml")
