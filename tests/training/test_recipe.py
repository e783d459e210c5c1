"""Recipes: what they hold, what they refuse, and how they say so."""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic_core import PydanticUndefined

from larq_dense.common.errors import DataError, LarqDenseError, RecipeError, UnknownNameError
from larq_dense.common.images import Preprocessing
from larq_dense.models import build
from larq_dense.training.recipe import Recipe
from larq_dense.training.settings import Section, SourceSettings

Make = Callable[..., Recipe]
SOURCE = {"folder": "bands", "split": "val"}
SOURCES = {name: [SOURCE] for name in ("train", "validation")}


def test_round_trip_through_yaml(make_recipe: Make, tmp_path: Path) -> None:
    recipe = make_recipe(steps_per_epoch=5, optimizer={"binary_learning_rate": 1e-3})
    recipe.save(tmp_path / "recipe.yaml")
    assert Recipe.load(tmp_path / "recipe.yaml") == recipe
    stored = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    assert stored["optimizer"]["warmup"] == recipe.optimizer.warmup, "defaults are written too"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lerning_rate": 1}, "unknown setting lerning_rate"),
        ({"optimizer": {"learning_rat": 1}}, "unknown setting optimizer.learning_rat"),
        ({"optimizer": {"learning_rate": -1}}, "wrong optimizer.learning_rate"),
        ({"optimizer": {"learning_rate": float("nan")}}, "wrong optimizer.learning_rate"),
        ({"optimizer": {"learning_rate": "fast"}}, "wrong optimizer.learning_rate"),
        ({"crop": [100, 96]}, "wrong crop.0"),
        ({"crop": [96]}, "crop.1"),
        ({"input": {"height": 32, "width": 50}}, "wrong input.width"),
        ({"input": {"height": 32, "width": 64, "mean": [float("nan")] * 3}}, "wrong input.mean.0"),
        ({"input": {"height": 32 * 10**9, "width": 64}}, "wrong input.height"),
        ({"data": {**SOURCES, "train": [{**SOURCE, "repeat": 10**30}]}}, "train.0.repeat"),
        ({"name": "../../mine"}, "name must be one that a file can have"),
        ({"name": ""}, "name must be one that a file can have"),
        ({"name": "a\0b"}, "name must be one that a file can have"),
        ({"epochs": 10**30}, "wrong epochs"),
        ({"batch_size": 0}, "wrong batch_size"),
        ({"epochs": None}, "give either epochs or steps"),
        ({"steps": 3}, "give either epochs or steps"),
        ({"augmentation": {"scale": [2, 1]}}, "augmentation: scale [2.0, 1.0] runs backwards"),
        ({"loss": {"class_weights": "sqrt"}}, "wrong loss.class_weights"),
        ({"data": {"train": [], "validation": []}}, "wrong data.train"),
        ({"seed": -1}, "wrong seed"),
        (
            {"model": {"precision": "float"}, "init": "runs/mine", "quantize": True},
            "quantize trains binary networks",
        ),
        ({"distillation": {"weight": 1}}, "lacks the setting distillation.teacher"),
        ({"distillation": {"teacher": "x", "temperature": 0}}, "wrong distillation.temperature"),
        ({"optimizer": {"average": 1}}, "wrong optimizer.average"),
        ({"loss": {"label_smoothing": 1}}, "wrong loss.label_smoothing"),
        ({"data": {**SOURCES, "unlabelled": [{"folder": "x"}]}}, "unlabelled needs distillation"),
    ],
)
def test_one_sentence_names_the_key(make_recipe: Make, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as raised:
        make_recipe(**changes)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_key(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text("name: x\ntask: camvid\n")
    with pytest.raises(RecipeError, match=r"short\.yaml lacks the setting input"):
        Recipe.load(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: [", "not valid YAML"),
        (b"epochs: 1\nname: a\nepochs: 9", "the key 'epochs' is given twice .* line 3"),
        (b"input: {height: 32, width: 32, height: 64}", "the key 'height' is given twice"),
        (b"just words", "key: value"),
        (b"", "key: value"),
        (b"\xff\xfe\x00", "cannot read"),
        (b"name: 2024-31-12", "not valid YAML"),
    ],
)
def test_no_recipe_at_all(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=said) as raised:
        Recipe.load(path)
    assert "\n" not in str(raised.value)


def test_a_name_that_yaml_takes_for_a_number(
    recipe_values: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    text = yaml.safe_dump(recipe_values()).replace("folder: bands", "folder: 01_02", 1)
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"valid string; put it in quotes \(got \d+\)"):
        Recipe.load(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        Recipe.load(tmp_path / "none.yaml")


def test_preprocessing_is_the_inputs(make_recipe: Make) -> None:
    recipe = make_recipe(input={"height": 64, "width": 96, "mean": [1, 2, 3]})
    expected = Preprocessing(64, 96, (1.0, 2.0, 3.0), (127.5, 127.5, 127.5))
    assert recipe.preprocessing == expected


@pytest.mark.parametrize(
    ("length", "samples", "total", "epoch"),
    [
        ({"epochs": 3}, 10, 9, 3),
        ({"epochs": 3, "steps_per_epoch": 7}, 10, 21, 7),
        ({"epochs": None, "steps": 8}, 10, 8, 3),
        ({"epochs": None, "steps": 2}, 10, 2, 2),
        ({"epochs": 1}, 1, 1, 1),
    ],
)
def test_length(
    make_recipe: Make, length: dict[str, Any], samples: int, total: int, epoch: int
) -> None:
    assert make_recipe(**length).total_steps(samples) == (total, epoch)


def test_unknown_task(make_recipe: Make) -> None:
    with pytest.raises(UnknownNameError, match="did you mean camvid"):
        make_recipe(task="camvit").get_task()


def test_folder_task(make_recipe: Make, data_root: Path, tmp_path: Path) -> None:
    recipe = make_recipe()
    assert recipe.get_task(data_root).num_outputs == 3
    (tmp_path / "bands").symlink_to(data_root / "bands")
    two = [{"name": name, "color": [0, 0, 0]} for name in ("a", "b")]
    (tmp_path / "classes.yaml").write_text(yaml.safe_dump({"classes": two}))
    assert recipe.get_task(tmp_path).num_outputs == 3, "the source's, not a data root's"
    recipe.save(tmp_path / "recipe.yaml")
    assert recipe.get_task(tmp_path).num_outputs == 2, "a run's own"
    with pytest.raises(RecipeError, match="say which"):
        recipe.get_task()


def test_empty_split(make_recipe: Make, data_root: Path, tmp_path: Path) -> None:
    recipe = make_recipe()
    root = tmp_path / "bands"
    root.symlink_to(data_root / "bands")
    task = recipe.get_task(tmp_path)
    source = recipe.data.train[0].model_copy(update={"split": "nothing"})
    with pytest.raises(DataError, match="nothing"):
        recipe.read_samples(task, tmp_path, source)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"brunches": 3}, "model.brunches is not a setting; known: activation, attention, "),
        ({"precision": "ternary"}, "ternary"),
        ({"encoder": "lite"}, "light"),
    ],
)
def test_wrong_model(make_recipe: Make, data_root: Path, model: dict[str, Any], said: str) -> None:
    recipe = make_recipe(model=model)
    with pytest.raises(LarqDenseError, match=said):
        recipe.build_model(task=recipe.get_task(data_root))


def test_reading_a_recipe_needs_no_tensorflow() -> None:
    code = (
        "import sys; from larq_dense.training import Recipe; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_documentation_has_every_setting_with_its_default(checkout: Path) -> None:
    rows = documented((checkout / "docs" / "recipe.md").read_text(encoding="utf-8"))
    known = dict(settings(Recipe))
    assert rows.keys() >= known.keys()
    for name, default in known.items():
        if default is not None and name not in ("input.mean", "input.std"):
            assert yaml.safe_load(rows[name]) == default, name
    sources = dict(settings(SourceSettings))
    arguments = inspect.signature(build).parameters.keys() - {"task", "input_shape", "flat"}
    assert rows.keys() >= sources.keys() | arguments
    for name in arguments:
        assert yaml.safe_load(rows[name]) == inspect.signature(build).parameters[name].default, name


def settings(section: type[Section], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting of a section and of those in it, and its default, None without one."""
    for name, field in section.model_fields.items():
        annotation = field.annotation
        parts = () if get_origin(annotation) is list else (annotation, *get_args(annotation))
        inner = [each for each in parts if isinstance(each, type) and issubclass(each, Section)]
        if inner:
            yield from settings(inner[0], f"{prefix}{name}.")
        else:
            default = field.get_default(call_default_factory=True)
            default = list(default) if isinstance(default, tuple) else default
            yield f"{prefix}{name}", None if default is PydanticUndefined else default


def documented(text: str) -> dict[str, str]:
    """Return what the tables say of each setting's default."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            names, defaults, *_ = (cell.strip() for cell in line.strip("|").split("|"))
            names = re.findall("`([a-z_.0-9]+)`", names)
            several = defaults.split(", ") if len(names) == defaults.count(", ") + 1 else []
            found |= dict(zip(names, several or [defaults] * len(names), strict=True))
    return found
