"""`larq-dense demo` on a tiny entry: pictures in, overlays, converted files and a table out."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from larq_dense import zoo
from larq_dense.cli import demo, main
from larq_dense.models.weights import load_weights, save_weights
from larq_dense.quantization import quantize
from larq_dense.runtime.tflite_file import TfliteFile
from larq_dense.training.recipe import Recipe
from larq_dense.zoo import entries

ACCURACY = {"data": "people", "metrics": {"maxf": 0.1234}}


@pytest.fixture
def zoo_of_one(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a tiny `ecssd` the only entry of the zoo and of the demo."""
    folder = tmp_path / "zoo" / "ecssd"
    folder.mkdir(parents=True)
    shutil.copy(tiny_run / "recipe.yaml", folder)
    model = Recipe.load(folder / "recipe.yaml").build_model()
    load_weights(model, tiny_run / "best.safetensors")
    digest = save_weights(model, folder / "weights.safetensors")
    (folder / "weights.sha256").write_text(f"{digest}  weights.safetensors\n")
    (folder / "metrics.json").write_text(json.dumps({"accuracy": [ACCURACY]}))
    monkeypatch.setattr(entries, "ROOT", folder.parent)
    monkeypatch.setattr(demo, "_ENTRIES", ("ecssd",))


@pytest.mark.usefixtures("zoo_of_one")
def test_demo_predicts_converts_and_compares(tmp_path: Path) -> None:
    picture = tmp_path / "own picture.png"
    Image.fromarray(np.full((30, 50, 3), 90, np.uint8)).save(picture)
    output = tmp_path / "out"
    result = CliRunner().invoke(
        main, ["demo", "--image", str(picture), "--output", str(output), "--repeats", "1", "--json"]
    )
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row["metric"] == "MaxF 0.123 on people"
    assert row["same_labels"] >= 0.9999
    assert {"LCE", "TFLite float32"} <= row["milliseconds"].keys()
    assert row["bytes"] == (output / "ecssd.tflite").stat().st_size
    with Image.open(output / "ecssd-own picture.png") as overlay:
        assert overlay.size == (50, 30)


@pytest.mark.usefixtures("zoo_of_one")
def test_demo_takes_the_int8_variant_where_there_is_one(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "own.png")
    entry = zoo.find("ecssd")
    model = zoo.load("ecssd")
    folder = entry.int8().folder
    entry.recipe().quantized("ecssd").save(folder / "recipe.yaml")
    quantized = quantize(zoo.load("ecssd", training=True), [model.preprocess(picture)])
    digest = save_weights(quantized, folder / "weights.safetensors", unpacked=True)
    (folder / "weights.sha256").write_text(f"{digest}  weights.safetensors\n")
    accuracy = ACCURACY | {"metrics": {"maxf": 0.1223}}
    (folder / "metrics.json").write_text(json.dumps({"accuracy": [accuracy]}))
    output = tmp_path / "out"
    options = ("--image", str(tmp_path / "own.png"), "--output", str(output), "--repeats", "1")
    result = CliRunner().invoke(main, ["demo", *options, "--json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert row["metric"] == "MaxF 0.122 on people"
    assert row["same_labels"] == 1
    file = output / "ecssd_int8.tflite"
    assert row["bytes"] == file.stat().st_size
    assert TfliteFile.parse(file.read_bytes()).inputs[0].dtype == "int8"


@pytest.mark.usefixtures("zoo_of_one")
def test_a_missing_picture_is_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["demo", "--image", str(tmp_path / "no.png"), "--output", str(tmp_path / "out")]
    )
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: no such image: ")


def test_pictures_are_on_every_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LARQ_DENSE_DATA", str(tmp_path))
    for name in ("cityscapes", "ecssd"):
        pictures = demo._pictures(name)
        assert pictures and all(path.is_file() for path in pictures)


def test_street_frames_are_taken_where_they_are(
    monkeypatch: pytest.MonkeyPatch, shared_data: Path
) -> None:
    monkeypatch.setenv("LARQ_DENSE_DATA", str(shared_data))
    pictures = demo._pictures("cityscapes")
    assert {path.parent.parent.name for path in pictures} == {"camvid", "idd_lite"}
