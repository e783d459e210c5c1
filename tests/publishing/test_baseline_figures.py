"""The full-precision baseline of an entry: its figures are kept with the entry's, no weights."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from larq_dense.common.errors import LarqDenseError
from larq_dense.publishing import publish
from larq_dense.publishing.card import card
from larq_dense.publishing.plots import draw
from larq_dense.publishing.tables import entries_table
from larq_dense.training import Recipe
from larq_dense.zoo import Entry


@pytest.fixture
def baseline_run(tiny: Entry, tiny_run: Path, tmp_path: Path) -> Path:
    """Return a run's folder as `larq-dense train tiny --baseline` leaves it; weights are any."""
    run = tmp_path / "tiny_baseline"
    shutil.copytree(tiny_run, run)
    tiny.recipe().baseline().save(run / "recipe.yaml")
    return run


def measured(tiny: Entry) -> dict[str, Any]:
    """Return invented figures of the baseline."""
    rows = copy.deepcopy(tiny.metrics()["accuracy"])
    rows[0]["metrics"]["maxf"] = 0.9123
    rows[0]["command"] = "larq-dense evaluate runs/tiny_baseline --data people --split val"
    quantized = copy.deepcopy(rows)
    quantized[0]["metrics"]["maxf"] = 0.9012
    return {"run": "runs/tiny_baseline", "accuracy": rows, "int8": quantized}


def test_the_recipe_differs_by_precision_and_beginning(tiny: Entry) -> None:
    recipe = tiny.recipe().replace(init="tiny")
    baseline = recipe.baseline()
    assert baseline.init is None and recipe.baseline("runs/a").init == "runs/a"
    assert baseline.model == {**recipe.model, "precision": "float"}
    assert baseline.replace(model=recipe.model, init="tiny") == recipe


def test_figures_stand_beside_the_entrys(tiny: Entry, baseline_run: Path) -> None:
    assert "The full-precision baseline has not been trained" in tiny.card()
    publish(baseline_run, "tiny", lambda run: measured(tiny), tiny.folder.parent)
    assert {path.name for path in tiny.baseline().folder.iterdir()} == {
        "recipe.yaml",
        "metrics.json",
    }
    text = tiny.card()
    assert text == card(tiny)
    for line in (
        "| MaxF on people (val) | 0.876 | 0.912 | 0.901 |",
        "| MaxF on objects of PASCAL VOC (val, salient_like) | 0.765 | 0.765 | 0.765 |",
        "zoo publish runs/tiny_baseline tiny",
        f"larq-dense train tiny --baseline --data ../shared/data --run {baseline_run}",
        "larq-dense evaluate runs/tiny_baseline --data people --split val",
    ):
        assert line in text
    assert "| MaxF 0.876 | - | 0.912 |" in entries_table()


def test_the_card_has_a_picture(tiny: Entry, tiny_run: Path, baseline_run: Path) -> None:
    draw(tiny)
    assert not (tiny.folder / "accuracy.png").exists(), "no baseline, no picture"
    publish(baseline_run, "tiny", lambda run: measured(tiny))
    draw(tiny)
    Image.open(tiny.folder / "accuracy.png").verify()
    assert "](accuracy.png)" in tiny.card()
    figures = tiny.metrics()
    Recipe.load(tiny_run / "recipe.yaml").replace(seed=7).save(baseline_run / "recipe.yaml")
    publish(baseline_run, "tiny", lambda entry: figures)
    assert not (tiny.folder / "accuracy.png").exists(), "it showed the network before"


def test_the_card_shows_how_training_went(tiny: Entry, baseline_run: Path) -> None:
    log = "step,loss,score\n10,1.5,0.25\n20,1.2,\n30,1.0,0.5\n"
    (baseline_run / "log.csv").write_text(log)
    assert "training.png" not in tiny.card(), "entries published before have no log"
    publish(baseline_run, "tiny", lambda run: measured(tiny))
    assert tiny.baseline().log.read_text() == log
    draw(tiny)
    Image.open(tiny.folder / "training.png").verify()
    assert "](training.png)" in tiny.card()
    assert "([baseline/log.csv](baseline/log.csv))" in tiny.card()
    tiny.log.write_text(log)
    assert "([log.csv](log.csv) and [baseline/log.csv](baseline/log.csv))" in card(tiny)


def test_a_new_entry_keeps_the_baseline_of_its_recipe_only(
    tiny: Entry, tiny_run: Path, baseline_run: Path, tmp_path: Path
) -> None:
    publish(baseline_run, "tiny", lambda run: measured(tiny))
    figures = tiny.metrics()
    publish(tiny_run, "tiny", lambda entry: figures)
    assert "0.912" in tiny.card()
    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    Recipe.load(other / "recipe.yaml").replace(seed=7).save(other / "recipe.yaml")
    publish(other, "tiny", lambda entry: figures)
    assert not tiny.baseline().folder.exists()
    assert "The full-precision baseline has not been trained" in tiny.card()


def test_a_baseline_goes_through_all_stages(tiny: Entry, tiny_run: Path, tmp_path: Path) -> None:
    """The entry goes on from a run; so does its baseline, from that run's baseline."""
    recipe = tiny.recipe()
    runs = {name: tmp_path / name for name in ("first", "last", "first_baseline", "last_baseline")}
    recipes = {"first": recipe.replace(seed=3), "last": recipe.replace(init=str(runs["first"]))}
    recipes["first_baseline"] = recipes["first"].baseline()
    recipes["last_baseline"] = recipes["last"].baseline(str(runs["first_baseline"]))
    for name, run in runs.items():
        shutil.copytree(tiny_run, run)
        recipes[name].save(run / "recipe.yaml")
    figures = tiny.metrics()
    publish(runs["last"], "tiny", lambda entry: figures)
    publish(runs["last_baseline"], "tiny", lambda run: measured(tiny))
    text = tiny.card()
    first, last = (f"--data ../shared/data --run {runs[each]}" for each in list(runs)[2:])
    for line in (
        f"train zoo/tiny/parent-first.yaml --baseline {first}",
        f"train tiny --baseline --init {runs['first_baseline']} {last}",
        "trained for the same length through the same stages",
    ):
        assert line in text

    recipes["last"].baseline().save(runs["last_baseline"] / "recipe.yaml")
    publish(runs["last_baseline"], "tiny", lambda run: measured(tiny))
    assert f"the entry began with those of {runs['first']}" in tiny.card()

    recipes["last_baseline"].save(runs["last_baseline"] / "recipe.yaml")
    recipes["first_baseline"].replace(seed=4).save(runs["first_baseline"] / "recipe.yaml")
    with pytest.raises(LarqDenseError, match="not the baseline of an entry tiny"):
        publish(runs["last_baseline"], "tiny", lambda run: measured(tiny))


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"steps": None, "epochs": 3},
        {"steps": 12, "steps_per_epoch": 4},
        {"distillation": None},
    ],
)
def test_a_baseline_may_go_on_from_the_entry(
    tiny: Entry, tiny_run: Path, baseline_run: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    """What lifting the binarization gives: of another length and without a teacher, if need be."""
    teacher, run = tmp_path / "teacher", tmp_path / "run"
    shutil.copytree(tiny_run, teacher)
    shutil.copytree(tiny_run, run)
    recipe = tiny.recipe()
    data = recipe.to_dict()["data"]
    taught = recipe.replace(
        steps=9,
        epochs=None,
        distillation={"teacher": str(teacher)},
        data=data | {"unlabelled": [{"folder": "street"}]},
    )
    taught.save(run / "recipe.yaml")
    figures = tiny.metrics()
    publish(run, "tiny", lambda entry: figures)
    own = {"data": data} if "distillation" in other else {}
    lifted = taught.baseline("tiny").replace(**other, **own)
    lifted.save(baseline_run / "recipe.yaml")
    publish(baseline_run, "tiny", lambda run: measured(tiny))
    length = "3 epochs" if "epochs" in other else f"{lifted.steps} steps"
    without = ", without a teacher" * ("distillation" in other)
    text = tiny.card()
    assert f"trained on from the entry's own weights for {length}{without}. " in text
    command = "larq-dense train zoo/tiny/baseline/recipe.yaml --data ../shared/data"
    assert f"{command} --run {baseline_run}" in text

    origin = tmp_path / "origin"
    shutil.copytree(teacher, origin)
    taught.replace(init=str(origin)).save(run / "recipe.yaml")
    publish(run, "tiny", lambda entry: figures)
    assert not tiny.baseline().folder.exists(), "it began with the weights before"
    lifted.replace(init=str(origin)).save(baseline_run / "recipe.yaml")
    publish(baseline_run, "tiny", lambda run: measured(tiny))
    whose = f"trained from the binary weights of {origin}, as the entry was, for {length}"
    assert f"{whose}{without}. " in tiny.card()

    lifted.replace(init=None, seed=5).save(baseline_run / "recipe.yaml")
    with pytest.raises(LarqDenseError, match="not the baseline of an entry tiny"):
        publish(baseline_run, "tiny", lambda run: measured(tiny))


def test_a_baseline_begins_with_that_of_another_entry(
    tiny: Entry, tiny_run: Path, baseline_run: Path, tmp_path: Path
) -> None:
    """The other one's went on from binary weights, so that only its kept recipe repeats it."""
    figures = tiny.metrics()
    recipe = tiny.recipe().replace(name="later", init="tiny")
    runs = {name: tmp_path / name for name in ("later", "later_baseline")}
    recipes = {"later": recipe, "later_baseline": recipe.baseline(str(baseline_run))}
    for name, run in runs.items():
        shutil.copytree(tiny_run, run)
        recipes[name].save(run / "recipe.yaml")
    tiny.recipe().baseline("tiny").save(baseline_run / "recipe.yaml")
    later = publish(runs["later"], "later", lambda entry: figures)
    with pytest.raises(LarqDenseError, match="is not the baseline that the entry tiny publishes"):
        publish(runs["later_baseline"], "later", lambda run: measured(tiny))
    publish(baseline_run, "tiny", lambda run: measured(tiny))
    publish(runs["later_baseline"], "later", lambda run: measured(tiny))
    text, data = later.card(), "--data ../shared/data --run"
    for line in (
        f"larq-dense train zoo/tiny/baseline/recipe.yaml {data} {baseline_run}\n"
        f"larq-dense train later --baseline --init {baseline_run} {data} {runs['later_baseline']}",
        "trained for the same length from the baseline of tiny. ",
    ):
        assert line in text


@pytest.mark.parametrize("change", [{"seed": 7}, {"task": "cityscapes"}, {"batch_size": 3}])
def test_another_full_precision_run_is_refused(
    tiny: Entry, baseline_run: Path, change: dict[str, Any]
) -> None:
    Recipe.load(baseline_run / "recipe.yaml").replace(**change).save(baseline_run / "recipe.yaml")
    with pytest.raises(
        LarqDenseError, match=r"not the baseline of an entry tiny .* use the run as a"
    ):
        publish(baseline_run, "tiny", lambda run: measured(tiny))
    assert not tiny.baseline().folder.exists()


def test_a_baseline_needs_its_entry(tiny: Entry, baseline_run: Path) -> None:
    with pytest.raises(LarqDenseError, match="not the baseline of an entry other"):
        publish(baseline_run, "other", lambda run: measured(tiny))
