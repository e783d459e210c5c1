"""`larq-dense evaluate` over a run, an entry and a converted file, and on bad input."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from larq_dense import Predictor, zoo
from larq_dense.cli import main
from larq_dense.common.files import sha256
from larq_dense.zoo.opening import load, open_baseline, open_predictor


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


@pytest.fixture
def people(tiny_data: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny data set that may be damaged."""
    return shutil.copytree(tiny_data / "people", tmp_path / "people")


def object_iou(predictor: Predictor, folder: Path) -> float:
    """Return the object's IoU over the validation frames, from label maps."""
    both = either = 0
    for stem in (folder / "val.txt").read_text().split():
        (image,) = (folder / "images").glob(f"{stem}.*")
        predicted = predictor.labels(image) == 1
        label = np.asarray(Image.open(folder / "masks" / f"{stem}.png")) == 255
        both += int((predicted & label).sum())
        either += int((predicted | label).sum())
    return both / either


@pytest.fixture(scope="module")
def keras_report(
    tiny_run: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    """Return what is printed and written for the tiny run."""
    output = tmp_path_factory.mktemp("evaluate") / "new" / "report"
    arguments = (tiny_run, "--data", tiny_data / "people", "--split", "val", "--output", output)
    result = evaluate(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), output


def test_a_run_is_measured(
    keras_report: tuple[dict[str, Any], Path], tiny_run: Path, tiny_data: Path
) -> None:
    document, _ = keras_report
    assert document["images"] == 2
    assert document["model"] == str(tiny_run)
    assert document["task"] == "ecssd"
    assert document["data"] == str(tiny_data / "people")
    assert document["split"] == "val"
    assert set(document["metrics"]) >= {"maxf", "mae", "s_measure", "e_measure"}
    expected = object_iou(open_predictor(str(tiny_run)).predictor, tiny_data / "people")
    assert document["per_class"]["object"]["iou"] == pytest.approx(expected, abs=1e-9)


def test_tiles_and_averages_are_measured(tiny_run: Path, tiny_data: Path) -> None:
    arguments = (tiny_run, "--data", tiny_data / "people", "--split", "val", "--json")
    result = evaluate(*arguments, "--tile", 48, "--tta")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["tile"] == 48 and document["tta"] is True
    predictor = load(tiny_run, tile=48, tta=True)
    expected = object_iou(predictor, tiny_data / "people")
    assert document["per_class"]["object"]["iou"] == pytest.approx(expected, abs=1e-9)


def test_the_report_is_written(keras_report: tuple[dict[str, Any], Path]) -> None:
    document, output = keras_report
    assert json.loads((output / "metrics.json").read_text()) == document
    rows = list(csv.DictReader((output / "per_class.csv").open()))
    assert [row["class"] for row in rows] == ["background", "object"]
    for name in ("worst.jpg", "best.jpg", "confusion.png"):
        Image.open(output / name).verify()


@pytest.mark.parametrize("runtime", ["auto", "lce"])
def test_a_converted_file_measures_as_its_keras_model(
    keras_report: tuple[dict[str, Any], Path], tiny_file: Path, people: Path, runtime: str
) -> None:
    arguments = ("--data", people, "--split", "val", "--runtime", runtime, "--threads", 2)
    result = evaluate(tiny_file, *arguments, "--json")
    assert result.exit_code == 0, result.output
    document, expected = json.loads(result.stdout), keras_report[0]
    assert document["images"] == expected["images"]
    for name, value in expected["metrics"].items():
        assert document["metrics"][name] == pytest.approx(value, abs=0.02), name


def test_an_entry_is_measured_by_its_name(
    keras_report: tuple[dict[str, Any], Path],
    tiny_run: Path,
    people: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from larq_dense.models.weights import load_weights, save_weights
    from larq_dense.training import Run

    model = Run(tiny_run).recipe().build_model(task=Run(tiny_run).task())
    load_weights(model, Run(tiny_run).weights())
    entry = tmp_path / "zoo" / "tiny"
    entry.mkdir(parents=True)
    shutil.copy(tiny_run / "recipe.yaml", entry)
    save_weights(model, entry / "weights.safetensors")
    digest = sha256((entry / "weights.safetensors").read_bytes())
    (entry / "weights.sha256").write_text(digest + "  weights.safetensors\n")
    monkeypatch.setattr(zoo.entries, "ROOT", entry.parent)
    # A folder of the entry's name, such as a run, does not stand in its way.
    shutil.copytree(tiny_run, tmp_path / "work" / "tiny")
    (tmp_path / "work" / "tiny" / "best.safetensors").write_bytes(b"never read")
    monkeypatch.chdir(tmp_path / "work")
    result = evaluate("tiny", "--data", people, "--split", "val", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["model"] == "tiny"
    for name, value in keras_report[0]["metrics"].items():
        assert document["metrics"][name] == pytest.approx(value, abs=1e-6), name
    assert open_baseline("tiny").name == "light_float"


def test_real_pictures_are_measured_at_their_own_sizes(tiny_file: Path, shared_data: Path) -> None:
    people = shared_data / "people"
    result = evaluate(tiny_file, "--data", people, "--split", "val", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["images"] == 29
    expected = object_iou(open_predictor(str(tiny_file)).predictor, people)
    assert document["per_class"]["object"]["iou"] == pytest.approx(expected, abs=1e-9)


def test_tables_are_for_people(tiny_file: Path, people: Path) -> None:
    result = evaluate(tiny_file, "--data", people, "--split", "val")
    assert result.exit_code == 0
    assert "2 pictures" in result.stdout
    words = [line.split() for line in result.stdout.splitlines()]
    assert any(line[:1] == ["maxf"] for line in words)
    assert any(line[:1] == ["object"] for line in words)


def test_a_further_list_limits_the_split(tiny_file: Path, people: Path) -> None:
    (people / "easy.txt").write_text("val_1\ntrain_0\n")
    result = evaluate(tiny_file, "--data", people, "--split", "val", "--within", "easy", "--json")
    assert json.loads(result.stdout)["images"] == 1


def _truncate(people: Path) -> None:
    path = people / "images" / "val_1.png"
    path.write_bytes(path.read_bytes()[:200])


def _drop_mask(people: Path) -> None:
    (people / "masks" / "val_1.png").unlink()


def _shrink_mask(people: Path) -> None:
    Image.new("L", (30, 40)).save(people / "masks" / "val_1.png")


def _wrong_label(people: Path) -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[0, 0] = 7
    Image.fromarray(mask).save(people / "masks" / "val_1.png")


def _empty_split(people: Path) -> None:
    (people / "val.txt").write_text("\n")


def _remove_folder(people: Path) -> None:
    shutil.rmtree(people)


def _remove_image(people: Path) -> None:
    (people / "images" / "val_1.png").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "val_1.png"),
        (_drop_mask, "val_1.png has no mask"),
        (_shrink_mask, "is 30 x 40, but its image is 60 x 40"),
        (_wrong_label, "val_1.png has the label 7"),
        (_empty_split, "'val' of"),
        (_remove_folder, "no such folder"),
        (_remove_image, "no image for 'val_1'"),
    ],
)
def test_damaged_data_is_one_sentence(
    tiny_file: Path, people: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(people)
    output = tmp_path / "report"
    result = evaluate(tiny_file, "--data", people, "--split", "val", "--output", output)
    assert_one_sentence(result, message)
    assert not list(output.glob("*"))


def test_an_unknown_split_names_those_that_there_are(tiny_file: Path, people: Path) -> None:
    result = evaluate(tiny_file, "--data", people, "--split", "test")
    assert_one_sentence(result, "train, val")


def test_an_unknown_label_encoding_offers_the_nearest(tiny_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / name / "a.png")
    arguments = (tiny_file, "--data", folder, "--split", "all", "--labels", "binray")
    assert_one_sentence(evaluate(*arguments), "did you mean binary")


def test_an_unknown_entry_offers_the_nearest(people: Path) -> None:
    result = evaluate("cityscape", "--data", people, "--split", "val")
    assert_one_sentence(result, "did you mean cityscapes")


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def _text(path: Path) -> None:
    path.write_text("no model")


def _missing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_truncated, "damaged.tflite is truncated or damaged"),
        (_flipped, "damaged.tflite is truncated or damaged"),
        (_text, "damaged.tflite is not a TFLite model"),
        (_missing, "no such model file"),
    ],
)
def test_a_damaged_file_is_one_sentence(
    tiny_file: Path, people: Path, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "damaged.tflite"))
    damage(path)
    result = evaluate(path, "--data", people, "--split", "val")
    assert_one_sentence(result, said)


def test_a_tflite_file_of_another_maker_is_one_sentence(people: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    from larq_dense.conversion.baseline import float_tflite

    inputs = tf.keras.Input((32, 32, 3))
    path = tmp_path / "foreign.tflite"
    path.write_bytes(float_tflite(tf.keras.Model(inputs, tf.keras.layers.Conv2D(2, 1)(inputs))))
    result = evaluate(path, "--data", people, "--split", "val")
    assert_one_sentence(result, "foreign.tflite has no metadata of larq_dense")


def test_an_output_that_cannot_be_written_is_told_before_the_work(
    tiny_file: Path, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("evaluated first")

    monkeypatch.setattr("larq_dense.evaluation.measure", fail)
    (tmp_path / "file").write_text("")
    output = tmp_path / "file" / "report"
    result = evaluate(tiny_file, "--data", people, "--split", "val", "--output", output)
    assert_one_sentence(result, "cannot write in")


def test_folders_that_are_no_models_are_one_sentence(
    tiny_run: Path, people: Path, tmp_path: Path
) -> None:
    assert_one_sentence(evaluate(people, "--data", people, "--split", "val"), "no recipe.yaml")
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    shutil.copy(tiny_run / "recipe.yaml", unfinished)
    result = evaluate(unfinished, "--data", people, "--split", "val")
    assert_one_sentence(result, "has no weights yet")


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (("model",), "--data"),
        (("model", "--data", "x"), "--split"),
        (("model", "--data", "x", "--split", "val", "--runtime", "none"), "--runtime"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...], culprit: str) -> None:
    result = evaluate(*arguments)
    assert result.exit_code == 2
    assert culprit in result.stderr.splitlines()[-1]


def assert_one_sentence(result: Result, part: str) -> None:
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert not result.stdout
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert part in errors[0]
