"""`larq-dense train`."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from larq_dense.cli import main
from larq_dense.models import binary_layers
from larq_dense.training import Recipe
from larq_dense.zoo.opening import open_keras

RECIPE = """\
name: dots
task: folder
model:
  branches: 1
  attention: none
  decoder_filters: 16
  head_filters: 8
  encoder_options: {blocks: 1}
input: {height: 32, width: 32}
data:
  train: [{folder: dots, split: all}]
  validation: [{folder: dots, split: all}]
crop: [32, 32]
batch_size: 2
epochs: 2
steps_per_epoch: 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `recipe.yaml` and the data set `dots`."""
    root = tmp_path_factory.mktemp("train")
    (root / "recipe.yaml").write_text(RECIPE)
    for name in ("images", "masks"):
        (root / "dots" / name).mkdir(parents=True)
    for index in range(2):
        label = (
            np.random.default_rng(index).integers(0, 2, (4, 4), np.uint8).repeat(8, 0).repeat(8, 1)
        )
        pixels = np.stack([label * 200] * 3, -1)
        Image.fromarray(pixels).save(root / "dots" / "images" / f"{index}.jpg")
        Image.fromarray(label).save(root / "dots" / "masks" / f"{index}.png")
    classes = "classes:\n- {name: a, color: [0, 0, 0]}\n- {name: b, color: [1, 1, 1]}\n"
    (root / "dots" / "classes.yaml").write_text(classes)
    return root


def invoke(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, arguments)])


def test_a_run_is_interrupted_goes_on_and_prints_its_figures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test, for building and tracing the real network takes its time."""
    from larq_dense.training import logs

    before = logs.ProgressLine.update

    def update(self: Any, state: Any, *rest: Any) -> None:
        before(self, state, *rest)
        if state.step == 1:
            os.kill(os.getpid(), signal.SIGINT)

    arguments = [folder / "recipe.yaml", "--data", folder, "--run", tmp_path, "--epochs", 1]
    with monkeypatch.context() as patch:
        patch.setattr(logs.ProgressLine, "update", update)
        stopped = invoke(*arguments)
    assert stopped.exit_code == 130
    assert "the same command resumes from there" in stopped.stderr.splitlines()[-1]
    done = invoke(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["steps"] == 2
    assert 0 <= result["metrics"]["dots/all"]["miou"] <= 1
    table = invoke(*arguments)
    assert "miou" in table.stdout and "best.safetensors" in table.stdout


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("seed: none", "wrong seed"),
        ("sede: 1", "unknown setting sede"),
        ("task: dots", "unknown task 'dots'"),
        (
            "data: {train: [{folder: gone, split: x}], validation: [{folder: dots, split: all}]}",
            "gone",
        ),
        (
            "data: {train: [{folder: dots, split: gone}], validation: [{folder: x, split: all}]}",
            "gone",
        ),
    ],
)
def test_a_mistake_gets_one_sentence(folder: Path, tmp_path: Path, changes: str, said: str) -> None:
    key = changes.split(":")[0]
    values = {**yaml.safe_load(RECIPE), key: yaml.safe_load(changes)[key]}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    done = invoke(tmp_path / "recipe.yaml", "--data", folder, "--run", tmp_path / "run")
    assert done.exit_code == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ") and said in last
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    for name, said in (("nowhere.yaml", "No such file"), ("camvit", "unknown zoo entry 'camvit'")):
        done = invoke(name, "--data", tmp_path, "--run", tmp_path / "run")
        assert done.exit_code == 1
        assert said in done.stderr
        assert not (tmp_path / "run").exists()


def test_a_baseline_is_trained_in_full_precision(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = invoke(folder / "recipe.yaml", "--baseline", "--data", folder, "--run", run)
    assert done.exit_code == 0, done.output
    model, _ = open_keras(str(run))
    assert not binary_layers(model)
    assert Recipe.load(run / "recipe.yaml").init is None


def test_weights_to_begin_with_may_be_named(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for run, options in ((first, []), (second, ["--init", first])):
        done = invoke(
            folder / "recipe.yaml", "--baseline", "--data", folder, "--run", run, *options
        )
        assert done.exit_code == 0, done.output
    assert Recipe.load(second / "recipe.yaml").init == str(first)
    assert "begins with" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        ([], "RECIPE"),
        (["camvid"], "--data"),
        (["camvid", "--data", "."], "--run"),
        (["camvid", "--data", ".", "--run", "run", "--epochs", "0"], "--epochs"),
        (["camvid", "--data", ".", "--run", "run", "--baseline", "--quantize"], "--baseline"),
        (["camvid", "--data", ".", "--run", "run", "--init", "a", "--quantize"], "--init"),
    ],
)
def test_wrong_usage(arguments: list[str], culprit: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert culprit in done.stderr.splitlines()[-1]
