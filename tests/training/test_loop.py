"""The loop: what a run leaves behind, how it stops and what it refuses."""

import csv
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from interrupts import interrupt_at
from PIL import Image
from safetensors.numpy import load_file

from larq_dense import tasks
from larq_dense.common.errors import (
    DataError,
    LarqDenseError,
    RecipeError,
    UnknownNameError,
    WeightsError,
)
from larq_dense.models.weights import save_weights
from larq_dense.training import Interrupted, Recipe, exclusive, loop, train
from larq_dense.training.checkpoint import read_progress
from larq_dense.training.distribution import Distribution, place
from larq_dense.training.logs import CsvLog
from larq_dense.training.run import Run
from larq_dense.training.session import load_data
from larq_dense.training.validation import Validator
from larq_dense.zoo import find_trained

Make = Callable[..., Recipe]
pytestmark = pytest.mark.usefixtures("tiny_model")


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run(
    make_recipe: Make, data_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe(epochs=3, validate_every=2)
    run = tmp_path / "deep" / "run"
    result = train(recipe, data_root, run)
    assert Recipe.load(run / "recipe.yaml") == recipe
    assert recipe.get_task(run).class_names == ("red", "green", "blue"), "without the data"
    found = rows(run)
    assert [row["epoch"] for row in found] == ["1", "2", "3"]
    assert [row["step"] for row in found] == ["3", "6", "9"]
    assert [bool(row["score"]) for row in found] == [False, True, True]
    scores = [float(row["score"]) for row in found[1:]]
    assert result["score"] == pytest.approx(max(scores))
    assert result["best_epoch"] == 2 + int(np.argmax(scores))
    assert result["metrics"]["bands/val"]["miou"] == result["score"]
    assert result["steps"] == 9 and not result["stopped_early"]
    report = json.loads((run / "metrics.json").read_text())
    assert report["score"] == result["score"]
    assert set(report["sources"]["bands/val"]["per_class"]) == {"red", "green", "blue"}
    assert list((run / "tensorboard").glob("events*"))
    assert load_file(run / "best.safetensors")["binary/kernel:0"].dtype == np.float32
    out, err = capfd.readouterr()
    assert out == ""
    assert recipe.dump_yaml() in err, "the recipe is printed in full"
    assert "epoch 3/3" in err and "best" in err and "left" in err and "images/s" in err
    again = train(recipe, data_root, run)
    assert again == result, "a finished run is not trained again"
    assert "epoch" not in capfd.readouterr().err


def test_validation_against_numpy(make_recipe: Make, data_root: Path, tiny_model: Any) -> None:
    recipe = make_recipe()
    task = recipe.get_task(data_root)
    data = load_data(recipe, task, data_root)
    model = tiny_model(recipe, (None, None, 3), task=task)
    found = Validator(model, task, recipe.preprocessing, data.validation)()["bands/val"]
    matrix = np.zeros((3, 3))
    for sample in recipe.read_samples(task, data_root, recipe.data.validation[0]):
        logits = model(recipe.preprocessing(sample.image), training=False).numpy()[0]
        planes = [Image.fromarray(logits[..., c]).resize((72, 40), 2) for c in range(3)]
        guess = np.argmax(np.stack([np.asarray(plane) for plane in planes], -1), -1)
        truth = task.read_label(sample)
        np.add.at(matrix, (truth[truth < 3], guess[truth < 3]), 1)
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    assert found["metrics"]["miou"] == pytest.approx(np.mean(np.diag(matrix) / union), rel=1e-5)


def test_the_score_is_the_mean_over_sources(make_recipe: Make, data_root: Path) -> None:
    source = {"folder": "bands", "split": "val"}
    sources = {"train": [source], "validation": [source, {**source, "split": "train"}]}
    recipe = make_recipe(data={**sources, "validation_limit": 2})
    task = recipe.get_task(data_root)
    data = load_data(recipe, task, data_root)
    assert {name: len(some) for name, some in data.validation.items()} == {
        "bands/val": 2,
        "bands/train": 2,
    }
    validator = Validator(
        recipe.build_model((32, 64, 3), task=task), task, recipe.preprocessing, data.validation
    )
    given = {name: {"metrics": {"miou": value}} for name, value in (("a", 0.2), ("b", 0.6))}
    assert validator.score(given) == pytest.approx(0.4)


def test_pictures_that_are_trained_and_validated_on_are_a_warning(
    make_recipe: Make, data_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = {"folder": "bands", "split": "val"}
    for split, told in (("val", ["4 of the 4 pictures of bands/val"]), ("train", [])):
        sources = [{"folder": "bands", "split": split}]
        recipe = make_recipe(data={"train": sources, "validation": [own]})
        caplog.clear()
        with caplog.at_level("WARNING", "larq_dense"):
            load_data(recipe, recipe.get_task(data_root), data_root)
        assert [each.getMessage()[:32] for each in caplog.records] == told


def test_a_recipe_that_a_person_wrote_is_not_replaced(make_recipe: Make, tmp_path: Path) -> None:
    run, recipe = Run(tmp_path), make_recipe()
    loop._write_recipe(recipe, run)
    loop._write_recipe(recipe.replace(epochs=9), run)
    assert run.recipe().epochs == 9, "that of a start that failed is replaced"
    mine = "# Tuned for a week.\n" + recipe.dump_yaml()
    run.recipe_file.write_text(mine)
    loop._write_recipe(recipe, run)
    with pytest.raises(LarqDenseError, match=r"recipe\.yaml is a recipe of your own"):
        loop._write_recipe(recipe.replace(epochs=3), run)
    assert run.recipe_file.read_text() == mine


def test_classes_in_another_encoding_go_with_the_run(
    make_recipe: Make, write_bands: Callable[..., Path], tmp_path: Path
) -> None:
    classes = write_bands(tmp_path / "bands") / "classes.yaml"
    classes.write_text(classes.read_text(), encoding="utf-16")
    train(make_recipe(epochs=1), tmp_path, tmp_path / "run", progress=False)
    assert make_recipe().get_task(tmp_path / "run").class_names == ("red", "green", "blue")


def test_a_log_that_was_saved_by_another_program_ends_no_run(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes("epoch,step,score,notes\n1,3,0.5,gr\xfcn,x,y\n2;6;0,5\n".encode("latin-1"))
    CsvLog(path, ["epoch", "step", "score"], 3).add({"epoch": 2, "step": 6, "score": 0.7})
    assert path.read_text() == "epoch,step,score\n1,3,0.5\n2,6,0.7\n"


@pytest.mark.parametrize(("step", "number"), [(2, signal.SIGTERM), (3, signal.SIGINT)])
def test_interrupt_saves_and_resume_goes_on(
    make_recipe: Make,
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    number: signal.Signals,
) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        interrupt_at(patch, step, number)
        with pytest.raises(Interrupted, match=f"saved up to step {step} of 6, and") as stopped:
            train(make_recipe(), data_root, tmp_path, progress=False)
    assert stopped.value.exit_code == 128 + number
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    state = read_progress(tmp_path)
    assert state is not None and state.step == step
    # What a session that died after its last checkpoint leaves: a later row, and half a row.
    with (tmp_path / "log.csv").open("a") as file:
        file.write("2,6,0.1,0.1,1,1,0.1,0.1\n3,")
    assert train(make_recipe(), data_root, tmp_path, progress=False)["steps"] == 6
    assert [row["step"] for row in rows(tmp_path)] == ["3", "6"]


def test_variables_stay_float32(make_recipe: Make, data_root: Path, tmp_path: Path) -> None:
    result = train(make_recipe(bfloat16=True, epochs=1), data_root, tmp_path, progress=False)
    assert np.isfinite(result["score"])
    state = load_file(tmp_path / "checkpoint" / "state.safetensors")
    assert {str(value.dtype) for value in state.values()} == {"float32", "int64"}


@pytest.mark.parametrize(
    ("chosen", "instruction_set", "used"),
    [(True, "avx512_bf16", True), (True, "avx2", False), (False, "avx512_bf16", False)],
)
def test_bfloat16_is_for_processors_that_have_it(
    chosen: bool, instruction_set: str, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "processor", lambda: ("some", {instruction_set}))
    with loop._convolving_in_bfloat16(chosen):
        options = tf.config.optimizer.get_experimental_options()
        assert options["auto_mixed_precision_onednn_bfloat16"] is used


def test_bfloat16_ends_with_the_training(
    make_recipe: Make, data_root: Path, tmp_path: Path, tiny_model: Any
) -> None:
    picture = np.random.default_rng(0).normal(size=(1, 32, 64, 3)).astype(np.float32)

    def logits() -> Any:
        tf.keras.utils.set_random_seed(0)
        model = tiny_model(None, (None, None, 3), task=tasks.get("camvid"))
        return model.predict(picture, verbose=0)

    before = logits()
    train(make_recipe(bfloat16=True, epochs=1), data_root, tmp_path, progress=False)
    np.testing.assert_array_equal(logits(), before)


def test_early_stop(
    make_recipe: Make, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.9])
    monkeypatch.setattr(Validator, "score", lambda *_: next(scores))
    result = train(make_recipe(epochs=5, early_stop=2), data_root, tmp_path, progress=False)
    assert result["stopped_early"] and result["steps"] == 12
    assert result["best_epoch"] == 2 and result["score"] == 0.7
    assert train(make_recipe(epochs=5, early_stop=2), data_root, tmp_path) == result


def test_a_loss_that_is_no_number(make_recipe: Make, data_root: Path, tmp_path: Path) -> None:
    recipe = make_recipe(optimizer={"learning_rate": 1e30, "warmup": 0})
    with pytest.raises(RecipeError, match=r"no longer a number at step .*learning_rate") as raised:
        train(recipe, data_root, tmp_path, progress=False)
    assert "\n" not in str(raised.value)


def test_init_from_a_weight_file(
    make_recipe: Make, data_root: Path, tmp_path: Path, tiny_model: Any, capsys: Any
) -> None:
    other = tiny_model(None, (None, None, 3), task=tasks.get("camvid"))
    save_weights(other, tmp_path / "other.safetensors", unpacked=True)
    recipe = make_recipe(
        init=str(tmp_path / "other.safetensors"),
        optimizer={"learning_rate": 1e-12, "warmup": 0},
    )
    train(recipe, data_root, tmp_path / "run")
    assert "begins with 11 of 13 variables" in capsys.readouterr().err, "all but the head"
    found = load_file(tmp_path / "run" / "best.safetensors")
    for layer in ("stem", "binary"):
        kernel = other.get_layer(layer).kernel
        np.testing.assert_allclose(found[kernel.name], kernel, atol=1e-6)


def test_init_from_a_run(make_recipe: Make, data_root: Path, tmp_path: Path, capsys: Any) -> None:
    train(make_recipe(epochs=1), data_root, tmp_path / "first", progress=False)
    second = make_recipe(
        init=str(tmp_path / "first"), optimizer={"learning_rate": 1e-12, "warmup": 0}, epochs=1
    )
    train(second, data_root, tmp_path / "second")
    assert "begins with 13 of 13 variables" in capsys.readouterr().err
    first, second_best = (
        load_file(tmp_path / name / "best.safetensors") for name in ("first", "second")
    )
    np.testing.assert_allclose(second_best["binary/kernel:0"], first["binary/kernel:0"], atol=1e-6)
    (tmp_path / "first" / "best.safetensors").unlink()
    with pytest.raises(WeightsError, match="first has no weights yet"):
        train(second, data_root, tmp_path / "third", progress=False)


def test_encoder_weights_for_another_encoder(
    make_recipe: Make, data_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=f"{data_root}/weights.npz are for the encoder"):
        train(make_recipe(encoder_weights="weights.npz"), data_root, tmp_path, progress=False)


def test_the_average_is_what_is_measured_and_kept(
    make_recipe: Make, data_root: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(epochs=1, optimizer={"average": 0.9, "warmup": 0})
    train(recipe, data_root, tmp_path, progress=False)
    state = load_file(tmp_path / "checkpoint" / "state.safetensors")
    state = {name.split(" ", 1)[1]: value for name, value in state.items()}
    best = load_file(tmp_path / "best.safetensors")
    for name, value in best.items():
        averaged = name != "binary/kernel:0"
        kept = state[name.replace(":0", "/average:0")] if averaged else state[name]
        np.testing.assert_array_equal(value, kept, err_msg=name)
    assert not np.array_equal(best["stem/kernel:0"], state["stem/kernel:0"])


def test_recalibration_changes_what_is_kept_and_not_what_is_trained(
    make_recipe: Make, data_root: Path, tmp_path: Path
) -> None:
    states, bests = [], []
    for recalibrate in (0, 2):
        run = tmp_path / str(recalibrate)
        recipe = make_recipe(epochs=1, recalibrate=recalibrate)
        train(recipe, data_root, run, progress=False)
        states.append(load_file(run / "checkpoint" / "state.safetensors"))
        bests.append(load_file(run / "best.safetensors"))
    for name, value in states[0].items():
        np.testing.assert_array_equal(states[1][name], value, err_msg=name)
    for name, value in bests[0].items():
        assert np.array_equal(bests[1][name], value) != ("moving" in name), name


def test_pictures_are_let_go_of(
    make_recipe: Make, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load(*arguments: Any) -> Any:
        loaded.append(load_data(*arguments))
        assert loaded[0].training and loaded[0].validation
        return loaded[0]

    monkeypatch.setattr("larq_dense.training.loop.load_data", load)
    train(make_recipe(epochs=1), data_root, tmp_path, progress=False)
    assert not loaded[0].training and not loaded[0].validation


def test_init_that_does_not_fit(make_recipe: Make, data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="zoo entry"):
        train(
            make_recipe(init="camwid"), data_root, tmp_path / "a", progress=False, find=find_trained
        )
    for missing in ({"init": "runs/gone"}, {"distillation": {"teacher": "runs/gone"}}):
        with pytest.raises(WeightsError, match="there is no run runs/gone; train it first"):
            train(make_recipe(**missing), data_root, tmp_path / "c", progress=False)
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match=r"bad\.safetensors"):
        train(make_recipe(init=str(path)), data_root, tmp_path / "b", progress=False)


def test_another_recipe_in_the_folder(make_recipe: Make, data_root: Path, tmp_path: Path) -> None:
    train(make_recipe(epochs=1), data_root, tmp_path, progress=False)
    with pytest.raises(RecipeError, match=r"another recipe \(seed: 0 there, 1 now\)"):
        train(make_recipe(epochs=1, seed=1), data_root, tmp_path, progress=False)
    with pytest.raises(LarqDenseError, match="already holds a run"):
        train(make_recipe(epochs=1), data_root, tmp_path, resume=False, progress=False)


def test_weights_without_a_checkpoint_are_not_overwritten(
    make_recipe: Make, data_root: Path, tmp_path: Path
) -> None:
    for name in ("best.safetensors", "weights.safetensors"):
        folder = tmp_path / name.split(".", 1)[0]
        folder.mkdir()
        (folder / name).write_bytes(b"kept")
        with pytest.raises(LarqDenseError, match=f"holds {name}, but no checkpoint"):
            train(make_recipe(), data_root, folder, progress=False)
        assert (folder / name).read_bytes() == b"kept"
        assert not (folder / "recipe.yaml").exists()


def test_other_pictures_than_the_run_began_with(
    make_recipe: Make, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(Interrupted):
            train(make_recipe(), data_root, tmp_path / "run", progress=False)
    shutil.copytree(data_root, tmp_path / "data")
    (listing,) = (tmp_path / "data").glob("*/train.txt")
    names = listing.read_text().splitlines()
    listing.write_text("\n".join(names[:2]))
    with pytest.raises(
        LarqDenseError, match=f"hold 2 pictures now, and held {len(names)} when .*run began"
    ):
        train(make_recipe(), tmp_path / "data", tmp_path / "run", progress=False)


def test_one_process_at_a_time(
    make_recipe: Make, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exclusive, "_SECONDS", 0.0)
    unfinished = tmp_path / "checkpoint" / ".state.safetensors.x1"
    unfinished.parent.mkdir()
    unfinished.touch()
    with exclusive.alone_in(tmp_path):
        assert not unfinished.exists(), "what a killed process left is removed"
        with pytest.raises(LarqDenseError, match="another process trains in"):
            train(make_recipe(), data_root, tmp_path, progress=False)
    assert train(make_recipe(), data_root, tmp_path, progress=False)["steps"] == 6


def test_too_little_memory(
    make_recipe: Make, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losses(*_: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr(loop.Session, "losses", losses)
    with pytest.raises(RecipeError, match=r"not enough memory for .* lower batch_size"):
        train(make_recipe(), data_root, tmp_path, progress=False)


def test_a_place_that_cannot_be_written(make_recipe: Make, data_root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LarqDenseError, match=r"cannot write in .*run"):
        train(make_recipe(), data_root, tmp_path / "file" / "run", progress=False)


def test_a_missing_folder_and_an_empty_split(
    make_recipe: Make, data_root: Path, tmp_path: Path
) -> None:
    source = {"folder": "bands", "split": "val"}
    for wrong in ({**source, "split": "nothing"}, {**source, "folder": "nowhere"}):
        recipe = make_recipe(data={"train": [source], "validation": [wrong]})
        with pytest.raises(LarqDenseError, match=r"nothing|nowhere"):
            train(recipe, data_root, tmp_path / "run", progress=False)


def test_distribution_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="multiworker"):
        Distribution("multiworkers", 4)
    fourth = {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 3}}
    for config in ("", "{", "[]", '{"cluster": []}', json.dumps(fourth)):
        monkeypatch.setenv("TF_CONFIG", config)
        with pytest.raises(LarqDenseError, match="TF_CONFIG"):
            Distribution("multiworker", 4)


@pytest.mark.parametrize(
    ("cluster", "task", "expected"),
    [
        ({"worker": ["a:1", "b:1"]}, ("worker", 1), (1, 2)),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, ("chief", 0), (0, 3)),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, ("worker", 1), (2, 3)),
    ],
)
def test_place_among_the_workers(
    cluster: dict[str, list[str]], task: tuple[str, int], expected: tuple[int, int]
) -> None:
    config = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}}
    assert place(json.dumps(config)) == expected


def test_a_signal_before_the_first_step_is_a_sentence(
    make_recipe: Make, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("larq_dense.training.loop.load_data", load)
    with pytest.raises(Interrupted, match="stopped before the next step") as stopped:
        train(make_recipe(), data_root, tmp_path, progress=False)
    assert stopped.value.exit_code == 143


def test_lines_tell_of_the_steps_where_nobody_watches(
    make_recipe: Make,
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("larq_dense.training.logs.LINE_SECONDS", 0)
    train(make_recipe(), data_root, tmp_path)
    lines = capfd.readouterr().err.splitlines()
    steps = [line.split("step ")[1].split("/")[0] for line in lines if "  step " in line]
    assert steps == list("123456")
    assert all("loss" in line and "left" in line for line in lines if "  step " in line)


@pytest.mark.parametrize(("value", "message"), [(255, "no labelled pixel"), (1, "only 'green'")])
def test_masks_that_teach_nothing_are_refused_before_the_first_step(
    make_recipe: Make,
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    value: int,
    message: str,
) -> None:
    mask = np.full((40, 72), value, np.uint8)
    monkeypatch.setattr(tasks.Task, "read_values", lambda *_: (mask, mask))
    with pytest.raises(DataError, match=message):
        train(make_recipe(), data_root, tmp_path, progress=False)
    assert not (tmp_path / "checkpoint").exists()


class Recorder(tf.keras.callbacks.Callback):
    """Keeps what it is told, and stops after the second epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, int]] = []
        self.logs: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.told.append(("epoch", epoch))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        assert logs["loss"] > 0
        self.told.append(("batch", batch))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.logs.append(logs)
        self.model.stop_training = epoch == 1

    def on_train_end(self, logs: Any = None) -> None:
        self.told.append(("end", len(self.params)))


def test_keras_callbacks_are_told_and_may_stop(
    make_recipe: Make, data_root: Path, tmp_path: Path
) -> None:
    recorder = Recorder()
    recipe = make_recipe(epochs=4, validate_every=4)
    result = train(recipe, data_root, tmp_path, progress=False, callbacks=[recorder])
    batches = [("batch", 0), ("batch", 1), ("batch", 2)]
    assert recorder.told[:-1] == [("epoch", 0), *batches, ("epoch", 1), *batches]
    assert recorder.told[-1][0] == "end"
    assert result["stopped_early"] and result["steps"] == 6
    # The last epoch is validated, whether it was due or not.
    (_, last) = rows(tmp_path)
    assert float(last["score"]) == pytest.approx(result["score"], abs=1e-6)
    assert recorder.logs[0].keys() == {"loss", "learning_rate"}
    assert recorder.logs[1]["loss"] == pytest.approx(float(last["loss"]), abs=1e-4)
    assert train(recipe, data_root, tmp_path, progress=False) == result, "it is finished"


def test_validation_scores_reach_the_callbacks(
    make_recipe: Make, data_root: Path, tmp_path: Path
) -> None:
    history = tf.keras.callbacks.History()
    train(make_recipe(epochs=2), data_root, tmp_path, progress=False, callbacks=[history])
    expected = [float(row["score"]) for row in rows(tmp_path)]
    assert history.history["val_miou"] == pytest.approx(expected, abs=1e-6)


def test_a_finished_run_is_trained_for_longer(
    make_recipe: Make, data_root: Path, tmp_path: Path
) -> None:
    train(make_recipe(epochs=1), data_root, tmp_path, progress=False)
    assert train(make_recipe(epochs=1), data_root, tmp_path, progress=False)["steps"] == 3
    longer = make_recipe(epochs=2)
    assert train(longer, data_root, tmp_path, progress=False)["steps"] == 6
    assert [row["step"] for row in rows(tmp_path)] == ["3", "6"]
    assert Recipe.load(tmp_path / "recipe.yaml") == longer
    with pytest.raises(RecipeError, match="another recipe"):
        train(make_recipe(epochs=1), data_root, tmp_path, progress=False)


def test_freezing_needs_trained_weights(make_recipe: Make, data_root: Path, tmp_path: Path) -> None:
    recipe = make_recipe(epochs=1, optimizer={"freeze_encoder": True})
    with pytest.raises(RecipeError, match="name trained weights"):
        train(recipe, data_root, tmp_path, progress=False)
    assert not recipe.quantized("x").optimizer.freeze_encoder
