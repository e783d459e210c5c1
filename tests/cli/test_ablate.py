"""`larq-dense ablate`: variants are trained, interrupted, gone on with, read, and compared."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from interrupts import interrupt_at
from PIL import Image

from larq_dense.cli import main
from larq_dense.experiments import cost
from larq_dense.experiments.experiment import Experiment
from larq_dense.runtime import xnor
from larq_dense.training import Recipe


def invoke(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["ablate", *map(str, arguments)])


@pytest.fixture
def recipe(tiny_run: Path, tmp_path: Path) -> Path:
    """Return a recipe of 2 steps that begins with a run's weights."""
    values = yaml.safe_load((tiny_run / "recipe.yaml").read_text())
    values |= {"batch_size": 2, "epochs": 1, "steps_per_epoch": 2, "init": str(tiny_run)}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_variants_are_trained_and_compared(
    recipe: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test, for building and tracing the real network takes its time."""
    runs = tmp_path / "runs"
    arguments = [recipe, "--data", tiny_data, "--run", runs]
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1)
        stopped = invoke(*arguments, "--variant", "k1")
    assert stopped.exit_code == 130
    last = stopped.stderr.splitlines()[-1]
    assert "k1-seed0 is saved up to step 1 of 2" in last and "the same command resumes" in last
    assert not (runs / "ablation.json").exists()

    with monkeypatch.context() as patch:  # Of its own figures the next one tells.
        patch.setattr(cost, "measure_attention", lambda recipe: None)
        done = invoke(*arguments, "--variant", "k1", "--seeds", 2)
    assert done.exit_code == 0, done.stderr
    assert "resumes after step 1" in done.stderr
    assert "begins with" not in done.stderr, "no variant takes another network's weights"
    assert "K = 1" in done.stdout and "±" in done.stdout
    assert {path.name for path in runs.iterdir()} == {
        *("k1-seed0", "k1-seed1", "ablation.json", "ablation.md")
    }

    plot = tmp_path / "new" / "plot.png"
    both = invoke(*arguments, "--variant", "k1", "--variant", "float", "--plot", plot, "--json")
    assert both.exit_code == 0, both.stderr
    assert "variant k1," not in both.stderr, "finished runs are read"
    assert "variant float, seed 0: run 1 of 1" in both.stderr
    Image.open(plot).verify()
    document = json.loads(both.stdout)
    assert document == json.loads((runs / "ablation.json").read_text())
    check(document)
    table = (runs / "ablation.md").read_text()
    assert "| K = 1 | 2 |" in table and "| full-precision baseline | 1 |" in table

    other = invoke(*arguments, "--variant", "k1", "--steps", 3)
    assert other.exit_code == 1
    assert "holds a run of another recipe (epochs: 1 there, None now)" in other.stderr


def check(document: dict[str, Any]) -> None:
    binary, baseline = document["variants"]
    assert [binary["variant"], baseline["variant"]] == ["k1", "float"]
    assert [run["seed"] for run in binary["runs"]] == [0, 1]
    assert document["steps"] == 2
    for variant in document["variants"]:
        assert variant["settings"] == Experiment.load().settings(variant["variant"])
        assert variant["latency"]["median_ms"] > 0
        (figures,) = variant["sources"].values()
        values = [run["metrics"]["people/val"]["maxf"] for run in variant["runs"]]
        assert figures["mean"] == pytest.approx(sum(values) / len(values))
        assert figures == variant["score"]
        assert (figures["deviation"] is None) == (len(values) == 1)
    assert binary["complexity"]["binary_macs"] > 0 == baseline["complexity"]["binary_macs"]
    assert document["hypotheses"] == [], "no hypothesis is about these two"
    if not xnor.available():
        assert document["attention"] is None
        return
    assert document["attention"]["input"] == [16, 16, 32]
    once, each = document["attention"]["kinds"].values()
    assert each["ops"] == 64 * once["ops"]
    assert once["engine"] == "XNOR runtime" and each["engine"] == "TFLite float32"
    assert all(0 < abs(kind["attention_ms"]) < kind["stage_ms"] for kind in (once, each))


@pytest.mark.parametrize(
    ("changes", "options", "code", "said"),
    [
        ({}, ["--variant", "k7"], 1, "unknown variant 'k7'; did you mean"),
        ({}, ["--experiment", "nowhere.yaml"], 1, "cannot read the experiment nowhere.yaml"),
        ({}, ["--seeds", 0], 2, "--seeds"),
        ({}, ["--plot", "plot.txt"], 1, "cannot draw plot.txt"),
        ({"quantize": True}, [], 1, "fine-tunes for int8"),
        ({"seed": "none"}, [], 1, "wrong seed"),
    ],
)
def test_a_mistake_gets_one_sentence(
    changes: dict[str, Any],
    options: list[Any],
    code: int,
    said: str,
    recipe: Path,
    tiny_data: Path,
    tmp_path: Path,
) -> None:
    recipe.write_text(yaml.safe_dump({**yaml.safe_load(recipe.read_text()), **changes}))
    result = invoke(recipe, "--data", tiny_data, "--run", tmp_path / "runs", *options)
    assert result.exit_code == code
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ") and said in last
    assert "Traceback" not in result.output
    assert not (tmp_path / "runs").exists()


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    for name, said in (("nowhere.yaml", "No such file"), ("camvit", "unknown zoo entry 'camvit'")):
        result = invoke(name, "--data", tmp_path, "--run", tmp_path / "runs")
        assert result.exit_code == 1
        assert said in result.stderr


EXPERIMENT = """
variants:
  plain: {title: as it is}
  two-stages: {title: two stages, first: {model.precision: activations}}
  wrong: {title: wrong, changes: {optimizer.speed: 2}}
  network: {title: a wrong network, changes: {model.branchs: 5}}
  larger: {title: larger pictures, changes: {input.height: 96}}
hypotheses:
  - {hypothesis: two stages gain, variant: two-stages, against: plain}
"""


def test_an_experiment_of_ones_own(
    recipe: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "measure_attention", lambda recipe: None)
    runs, experiment = tmp_path / "runs", tmp_path / "experiment.yaml"
    experiment.write_text(EXPERIMENT)
    arguments = [
        recipe,
        "--data",
        tiny_data,
        "--run",
        runs,
        "--experiment",
        experiment,
        "--steps",
        3,
    ]
    wrong = invoke(*arguments)
    assert wrong.exit_code == 1
    assert "the recipe of variant wrong has an unknown setting optimizer.speed" in wrong.stderr
    network = invoke(*arguments, "--variant", "plain", "--variant", "network")
    assert network.exit_code == 1
    assert "model.branchs is not a setting" in network.stderr
    larger = invoke(*arguments, "--variant", "plain", "--variant", "larger")
    assert larger.exit_code == 1
    assert "variant larger changes input.height, so it cannot be compared" in larger.stderr
    short = invoke(*arguments[:-1], 1, "--variant", "two-stages")
    assert short.exit_code == 1
    assert "too short for both" in short.stderr
    assert not runs.exists()

    done = invoke(*arguments, "--variant", "two-stages", "--json")
    assert done.exit_code == 0, done.stderr
    place = runs / "two-stages-seed0"
    first, last = (Recipe.load(run / "recipe.yaml").to_dict() for run in (place / "first", place))
    assert first["model"]["precision"] == "activations" and first["steps"] == 1
    assert first["init"] is None
    assert last["model"].get("precision", "binary") == "binary" and last["steps"] == 2
    assert last["init"] == str(place / "first")
    assert "begins with" in done.stderr
    document = json.loads(done.stdout)
    assert document["steps"] == 3
    (variant,) = document["variants"]
    assert variant["first"] == {"model.precision": "activations"}
