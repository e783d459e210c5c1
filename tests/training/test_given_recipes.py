"""The recipes in recipes/: as their script writes them, and each builds a network."""

from pathlib import Path
from types import ModuleType

import pytest
from scripts import load_script

from larq_dense.models import binary_layers
from larq_dense.training.recipe import Recipe

SHORT = ("compact_s", "mobilenet_v3_small")


@pytest.fixture(scope="module")
def script(checkout: Path) -> ModuleType:
    """Return the script that writes them."""
    return load_script(checkout / "recipes" / "make.py")


def test_they_are_as_the_script_writes_them(script: ModuleType) -> None:
    folders = [script.HERE / task for task in script.TASKS]
    written = {path: path.read_text() for each in folders for path in each.glob("*.yaml")}
    assert written == {path: script.dump(recipe) for path, recipe in script.recipes().items()}


def test_only_network_start_and_rates_differ(script: ModuleType) -> None:
    own = {"name", "model", "optimizer", "encoder_weights", "init", "input"}
    for task in script.TASKS:
        read = [Recipe.load(path) for path in (script.HERE / task).iterdir()]
        shared = [{k: v for k, v in each.to_dict().items() if k not in own} for each in read]
        assert all(each == shared[0] for each in shared) and len(shared) == len(
            script.networks(task)
        )


def test_short_trainings_learn_from_what_is_trained_before(
    script: ModuleType, tmp_path: Path
) -> None:
    short = {path: Recipe.from_dict(recipe) for path, recipe in script.short(tmp_path).items()}
    assert {path.parent.name for path in short} == set(script.SHORT)
    for path, recipe in short.items():
        assert recipe.steps is not None and recipe.steps <= 1000 and not recipe.data.unlabelled
        for source in (recipe.init, *recipe.teachers):
            # A run is trained by the file beside it, which learns from no other run in turn.
            if source and source != recipe.task:
                before = short[Path(f"{source}.yaml")]
                assert before is not recipe and before.task in (recipe.task, "cityscapes")
        assert bool(recipe.distillation) == (
            path.stem != script.TEACHER or path.parent.name == "camvid"
        )


@pytest.mark.parametrize("network", SHORT)
def test_they_build(script: ModuleType, network: str) -> None:
    recipe = Recipe.load(script.HERE / "camvid" / f"{network}.yaml")
    model = recipe.build_model()
    assert model.output_shape == (None, 352, 480, 11)
    assert bool(binary_layers(model)) == ("compact" in network)
