"""The trials that docs/accuracy.md tells of: working recipes, and figures from their logs."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from larq_dense import zoo
from larq_dense.training.recipe import Recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TRIALS = sorted((BENCHMARKS / "trials").iterdir())


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_a_trial_trains_an_entrys_network_or_a_deeper_one(trial: Path) -> None:
    recipe = Recipe.load(trial / "recipe.yaml")
    entry = zoo.find(trial.name.split("-", 1)[0]).recipe()
    assert recipe.task == entry.task
    found = {v.name: v.shape for v in recipe.build_model().variables}
    assert {v.name: v.shape for v in entry.build_model().variables}.items() <= found.items()


def test_figures_and_picture_come_from_the_logs(tmp_path: Path) -> None:
    picture = tmp_path / "trials.png"
    command = [sys.executable, str(BENCHMARKS / "trials.py"), str(picture)]
    # A script's own folder is kept off the path in these tests (conftest.py).
    environment = os.environ | {"PYTHONPATH": str(BENCHMARKS)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert Image.open(picture).size[0] > 500
    for trial in TRIALS:
        with (trial / "log.csv").open(encoding="utf-8") as file:
            last = list(csv.DictReader(file))[-1]
        (line,) = (line for line in done.stdout.splitlines() if f"[{trial.name}]" in line)
        main = next(float(value) for name, value in last.items() if name.startswith("miou"))
        assert line.rstrip("| ").endswith(f"{100 * main:.1f}")
        assert f"{last['step']} of" in line
