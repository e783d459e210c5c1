import json
from dataclasses import replace
from pathlib import Path

import larq as lq
import numpy as np
import pytest
import tensorflow as tf
import tiny_models as tiny
from click.testing import CliRunner, Result
from PIL import Image

from larq_dense.cli import main
from larq_dense.conversion import difference
from larq_dense.models import binary_layers
from larq_dense.models.weights import save_weights
from larq_dense.quantization import quantize
from larq_dense.runtime import Predictor, read_spec
from larq_dense.runtime.tflite_file import TfliteFile
from larq_dense.training import Recipe
from larq_dense.zoo import opening
from larq_dense.zoo.opening import open_keras


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["convert", *map(str, arguments)])


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> tf.keras.Model:
    """Make every name on the command line mean the tiny network."""
    model, _ = tiny.converted()
    model.spec = tiny.spec()
    monkeypatch.setattr(opening, "open_keras", lambda name: (model, None))
    return model


def test_converts_a_run(tiny_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.tflite"
    result = run(tiny_run, "--output", path, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["file"] == str(path)
    assert document["bytes"] == path.stat().st_size
    assert document["parity"]["images"] == 3
    model, task = opening.open_keras(str(tiny_run))
    assert len(document["audit"]["layers"]) == len(binary_layers(model))
    file = Predictor(path)
    assert file.spec.kind == "saliency"
    assert file.spec.class_names == list(task.class_names)
    picture = tiny.pictures()[0]
    np.testing.assert_array_equal(file.labels(picture), Predictor(model).labels(picture))


def test_a_file_that_disagrees_with_keras_is_not_written(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(difference, "_SAME_LABELS", 1.01)
    monkeypatch.setattr(difference, "first_difference", lambda model, picture: "decoder1_join")
    result = run(tiny_run, "--output", tmp_path / "x.tflite")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: the converted file gives the Keras model's label at only 100.000 % of the pixels, "
        "though light_binary promises the same signs everywhere; the first difference arises in "
        "the layer decoder1_join, so please report it."
    )
    assert not (tmp_path / "x.tflite").exists()


def test_a_full_precision_run_in_both_forms(float_run: Path, tmp_path: Path) -> None:
    model, _ = opening.open_keras(str(float_run))
    random = np.random.default_rng(0)
    pictures = [tmp_path / f"{k}.png" for k in range(3)]
    for path in pictures:
        Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    for options, kinds in ((), {"float32"}), (("--int8", "--images", tmp_path), {"int8"}):
        path = tmp_path / "out.tflite"
        result = run(float_run, *options, "--output", path, "--json")
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert document["audit"]["layers"] == [] and document["parity"]["images"] == 3
        file = TfliteFile.parse(path.read_bytes())
        assert {tensor.dtype for tensor in (*file.inputs, *file.outputs)} == kinds
        expected, actual = (Predictor(each).logits(pictures[0]) for each in (model, path))
        assert np.corrcoef(actual.ravel(), expected.ravel())[0, 1] > 0.9
    assert "name some by --images" in run(float_run, "--int8").stderr
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    black = run(float_run, "--int8", "--images", tmp_path / "black.png", "--output", path)
    assert black.exit_code == 1 and "of one colour; give real pictures" in black.stderr


def test_fills_the_assets_of_an_app(tiny_run: Path, tmp_path: Path) -> None:
    assets = tmp_path / "assets"
    result = run(tiny_run, "--android", assets, "--json")
    assert result.exit_code == 0, result.output
    entry, baseline = assets / "tiny.tflite", assets / "tiny_random_baseline_int8.tflite"
    assert json.loads(result.stdout)["files"] == [str(entry), str(baseline)]
    assert sorted(assets.iterdir()) == sorted([entry, baseline])
    assert (spec := read_spec(entry)) is not None
    assert (other := read_spec(baseline)) is not None
    assert "random weights" in other.description
    assert other == replace(spec, description=other.description)
    binary, int8 = (TfliteFile.parse(path.read_bytes()) for path in (entry, baseline))
    assert "LceBconv2d" in {each.custom_name for each in binary.operators}
    assert {each.custom_name for each in int8.operators} == {""}
    inner = {each.outputs[0].dtype for each in int8.operators}
    assert "int8" in inner
    assert int8.inputs[0].dtype == int8.outputs[0].dtype == "float32"


def test_leaves_no_float_in_an_int8_file(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(tiny_run, "--int8")
    assert result.exit_code == 1
    assert "name some by --images" in result.output
    picture = tiny.pictures()[0]
    Image.fromarray(picture).save("picture.png")
    result = run(tiny_run, "--int8", "--images", "picture.png", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["file"] == "tiny_int8.tflite"
    assert document["parity"]["max_steps"] == 0
    file = TfliteFile.parse(Path("tiny_int8.tflite").read_bytes())
    computed = [tensor for each in file.operators for tensor in each.outputs]
    assert {each.dtype for each in (*file.inputs, *computed)} == {"int8", "int32"}
    labels = Predictor("tiny_int8.tflite").labels(picture)
    assert labels.shape == picture.shape[:2]
    result = run(tiny_run, "--int8", "--images", "picture.png", "--android", "assets")
    assert result.exit_code == 0, result.output
    made = {"tiny_int8.tflite", "tiny_int8_random_baseline_int8.tflite"}
    assert {each.name for each in Path("assets").iterdir()} == made
    assert Path("assets/tiny_int8.tflite").read_bytes() == Path("tiny_int8.tflite").read_bytes()


def test_a_run_in_eight_bits_is_so_without_the_option(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(tiny.pictures()[0]).save("picture.png")
    recipe = Recipe.load(tiny_run / "recipe.yaml")
    model, _ = open_keras(str(tiny_run))
    quantized = quantize(model, [recipe.preprocessing(Path("picture.png"))])
    recipe.quantized(str(tiny_run)).save("int8/recipe.yaml")
    save_weights(quantized, Path("int8/best.safetensors"), unpacked=True)
    done = run("int8", "--images", "picture.png", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["file"] == "tiny_int8.tflite"


def test_prints_a_report_and_takes_pictures(
    opened: tf.keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.fromarray(tiny.pictures()[0]).save("p.png")
    result = run("tiny", "--images", "*.png")
    assert result.exit_code == 0, result.output
    assert Path("tiny.tflite").is_file()
    assert "3 of 3 binary layers are LceBconv2d, 2 of them" in result.stdout
    assert "(pictures: 1)" in result.stdout
    assert "LceQuantize" in result.stdout


def test_a_failed_audit_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = lq.layers.QuantConv2DTranspose(8, 3, 2, padding="same", name="up", **tiny.BINARY)
    model = tiny.around(layer)
    model.spec = tiny.spec()
    monkeypatch.setattr(opening, "open_keras", lambda name: (model, None))
    result = run("x", "--output", tmp_path / "x.tflite")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: declared binary, but no LceBconv2d")
    assert "up (a float TRANSPOSE_CONV)" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["x.tflite"], "a file already"),
        (["ecsd"], "did you mean ecssd"),
        (["ecssd", "--output", "x.tflite", "--android", "{folder}"], "give one of them"),
        (["ecssd", "--images", "{folder}"], "holds no picture"),
        (["ecssd", "--images", "{folder}/none*"], "no file matches"),
        (["ecssd", "--images", "{folder}/**.jpg"], "no pattern for files"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    result = run(*(each.format(folder=tmp_path) for each in arguments))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unwritable_place_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_keras", None)
    (tmp_path / "file").write_text("")
    result = run("tiny", "--output", tmp_path / "file" / "x.tflite")
    assert result.exit_code == 1
    assert "cannot write" in result.stderr


def test_nothing_but_a_converted_file_is_replaced(tmp_path: Path) -> None:
    weights = tmp_path / "best.safetensors"
    weights.write_bytes(b"trained for a week")
    result = run("tiny", "--output", weights)
    assert result.exit_code == 1
    assert "best.safetensors is there and is no .tflite file" in result.stderr
    assert weights.read_bytes() == b"trained for a week"


def test_help_shows_an_example() -> None:
    assert "larq-dense convert ecssd" in run("--help").stdout
