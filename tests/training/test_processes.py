"""Runs that are killed, and runs of several replicas, held against undisturbed single ones."""

import csv
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from larq_dense.training.recipe import Recipe

SCRIPT = Path(__file__).with_name("forked_runs.py")
EPOCHS, PER_EPOCH = 3, 20
STATE, BEST = "checkpoint/state.safetensors", "best.safetensors"


class Runs(NamedTuple):
    folder: Path
    steps_at_kills: list[int]


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory,
    write_bands: Callable[..., Path],
    recipe_values: Callable[..., dict[str, Any]],
) -> Runs:
    """Train in child processes: whole, killed, and on one, two mirrored and two workers' CPUs."""
    folder = tmp_path_factory.mktemp("runs")
    write_bands(folder / "data" / "bands")
    write_bands(folder / "data" / "full", ignored_rows=0)

    # A teacher for each of the two networks, with normalization and without.
    Recipe.from_dict(recipe_values(epochs=1)).save(folder / "teacher.yaml")

    def taught_by(name: str) -> dict[str, Any]:
        return {
            "distillation": {"teacher": str(folder / name)},
            "optimizer": {"average": 0.9},
        }

    def job(name: str, recipe: Path, **changes: Any) -> dict[str, Any]:
        plain: dict[str, Any] = {"kill": [], "distribute": None, "norm": True}
        return {**plain, "recipe": str(recipe), "run": str(folder / name), **changes}

    killed = folder / "killed.yaml"
    Recipe.from_dict(
        recipe_values(
            epochs=EPOCHS,
            steps_per_epoch=PER_EPOCH,
            # One after each step, on every machine.
            checkpoint_minutes=0,
            deterministic=True,
            loss={"dice": 0.5, "lovasz": 0.5, "label_smoothing": 0.1},
            **taught_by("teacher"),
        )
    ).save(killed)
    # Without normalization, weights and ignored pixels the mean loss over all replicas is the
    # mean of their losses, so that any number of replicas must come to the same weights.
    shared = folder / "shared.yaml"
    sources = {"train": [{"folder": "full", "split": "train"}]}
    sources["validation"] = [{"folder": "full", "split": "val"}]
    Recipe.from_dict(
        recipe_values(
            epochs=2,
            steps_per_epoch=2,
            data=sources,
            loss={"class_weights": "none"},
            augmentation={"scale": [1.2, 2]},
            **taught_by("plain_teacher"),
        )
    ).save(shared)
    rng = random.Random()
    jobs = [
        job("teacher", folder / "teacher.yaml"),
        job("plain_teacher", folder / "teacher.yaml", norm=False),
        job("whole", killed),
        job("killed", killed, kill=[rng.randint(1, 15) for _ in range(2)]),
        *(
            job(str(kind), shared, distribute=kind, norm=False)
            for kind in (None, "mirrored", "multiworker")
        ),
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, str(SCRIPT), str(folder / "jobs.json"), str(folder / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    steps = json.loads(done.stdout.splitlines()[-1])
    return Runs(folder, steps[str(folder / "killed")])


def tensors(path: Path) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = load_file(path)
    return found


def log(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_kills_fell_within_the_run(runs: Runs) -> None:
    first, second = runs.steps_at_kills
    assert 0 < first <= second < EPOCHS * PER_EPOCH


@pytest.mark.parametrize("file", [STATE, BEST])
def test_a_killed_run_ends_with_the_same_bits(runs: Runs, file: str) -> None:
    whole, killed = tensors(runs.folder / "whole" / file), tensors(runs.folder / "killed" / file)
    assert whole.keys() == killed.keys()
    for name, value in whole.items():
        assert value.tobytes() == killed[name].tobytes(), name


def test_the_state_holds_both_optimizers_and_latent_weights_in_range(runs: Runs) -> None:
    state = tensors(runs.folder / "whole" / STATE)
    iterations = [int(value) for name, value in state.items() if "iteration" in name]
    assert iterations == [EPOCHS * PER_EPOCH] * 2
    latent = next(value for name, value in state.items() if name.endswith(" binary/kernel:0"))
    assert 0.1 < np.abs(latent).max() <= 1


def test_a_killed_run_logs_the_same(runs: Runs) -> None:
    whole, killed = (log(runs.folder / name / "log.csv") for name in ("whole", "killed"))
    for row in whole + killed:
        assert float(row.pop("seconds")) > 0
        assert float(row.pop("images_per_second")) > 0
    assert whole == killed
    assert [row["step"] for row in whole] == ["20", "40", "60"]
    reports = [
        json.loads((runs.folder / name / "metrics.json").read_text())
        for name in ("whole", "killed")
    ]
    assert reports[0] == reports[1]
    assert reports[0]["score"] == pytest.approx(max(float(row["score"]) for row in whole))
    assert reports[0]["score"] > 0.5, "the colours are learned"


@pytest.mark.parametrize("kind", ["mirrored", "multiworker"])
def test_two_replicas_come_to_the_weights_of_one(runs: Runs, kind: str) -> None:
    one, two = tensors(runs.folder / "None" / BEST), tensors(runs.folder / kind / BEST)
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, atol=2e-4, err_msg=name)
    for a, b in zip(
        log(runs.folder / "None" / "log.csv"), log(runs.folder / kind / "log.csv"), strict=True
    ):
        assert float(b["loss"]) == pytest.approx(float(a["loss"]), rel=1e-3)
