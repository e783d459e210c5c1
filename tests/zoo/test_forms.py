"""The form in which an entry predicts: all-integer where it can be, the other one on request."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import larq_dense
from larq_dense import Predictor, zoo
from larq_dense.cli import main
from larq_dense.common.errors import LarqDenseError, UnknownNameError, WeightsError
from larq_dense.runtime import NativeInterpreter, XnorInterpreter, xnor
from larq_dense.runtime.library import why_no_library
from larq_dense.zoo import Entry
from larq_dense.zoo.opening import open_predictor

ENTRIES = [name for name in zoo.list_entries() if zoo.find(name).is_published]

needs_engine = pytest.mark.skipif(why_no_library() is not None, reason=str(why_no_library()))
needs_delegate = pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))


@pytest.fixture(scope="module")
def picture(checkout: Path) -> Path:
    return checkout / "docs" / "images" / "cat.jpg"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the entry ecssd, with both files, that a test may spoil."""
    return shutil.copytree(zoo.find("ecssd").folder, tmp_path / "ecssd")


def command(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@needs_engine
@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_predicts_by_its_int8_file_on_the_engine(name: str, picture: Path) -> None:
    predictor = larq_dense.load(name)
    assert isinstance(predictor._interpreter, NativeInterpreter)
    assert predictor.spec.name == name
    expected = Predictor(zoo.find(name).tflite(int8=True)).logits(picture)
    np.testing.assert_array_equal(predictor.logits(picture), expected)


@needs_delegate
@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_has_the_other_form_on_request(name: str, picture: Path) -> None:
    predictor = larq_dense.load(name, precision="binary")
    assert isinstance(predictor._interpreter, XnorInterpreter)
    logits = predictor.logits(picture)
    np.testing.assert_array_equal(logits, Predictor(zoo.find(name).tflite()).logits(picture))
    # Logits of an int8 file are whole steps; these are not.
    assert len(np.unique(logits)) > 256 * logits.shape[-1]


@needs_engine
def test_it_gives_the_logits_and_labels_of_the_int8_keras_model(picture: Path) -> None:
    found, keras = larq_dense.load("ecssd"), larq_dense.load("ecssd", runtime="keras")
    np.testing.assert_array_equal(found.logits(picture), keras.logits(picture))
    np.testing.assert_array_equal(found.labels(picture), keras.labels(picture))


@needs_delegate
def test_what_runs_a_form_changes_no_label(picture: Path) -> None:
    expected = larq_dense.load("ecssd").labels(picture)
    for runtime in ("xnor", "lce"):
        labels = larq_dense.load("ecssd", runtime=runtime).labels(picture)
        np.testing.assert_array_equal(labels, expected)


@needs_delegate
def test_an_entry_without_int8_file_runs_in_the_other_form(copy: Path, picture: Path) -> None:
    (copy / "int8" / "ecssd_int8.tflite").unlink()
    opened = open_predictor(str(copy))
    assert opened.precision == "binary"
    expected = Predictor(zoo.find("ecssd").tflite()).labels(picture)
    np.testing.assert_array_equal(opened.predictor.labels(picture), expected)


@needs_engine
def test_an_entry_of_an_int8_file_alone_needs_no_other(copy: Path, picture: Path) -> None:
    (copy / "ecssd.tflite").unlink()
    found = larq_dense.load(copy).labels(picture)
    np.testing.assert_array_equal(found, larq_dense.load("ecssd").labels(picture))


def test_a_damaged_int8_file_is_not_passed_over(copy: Path) -> None:
    path = copy / "int8" / "ecssd_int8.tflite"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"ecssd_int8\.tflite is damaged or not the published"):
        larq_dense.load(copy)


def test_a_run_has_its_own_form(tiny_run: Path, picture: Path) -> None:
    opened = open_predictor(str(tiny_run))
    assert opened.precision is None
    expected = Predictor(zoo.load(tiny_run)).labels(picture)
    np.testing.assert_array_equal(opened.predictor.labels(picture), expected)
    with pytest.raises(LarqDenseError, match="is a run, which has one form; leave out"):
        larq_dense.load(tiny_run, precision="int8")


def test_a_file_has_its_own_form() -> None:
    file = zoo.find("ecssd").tflite(int8=True)
    with pytest.raises(LarqDenseError, match=r"ecssd_int8\.tflite is a file, which has one form"):
        larq_dense.load(file, precision="binary")


def test_a_form_that_is_not_there_is_told(tiny: Entry) -> None:
    with pytest.raises(WeightsError, match="tiny has no int8 variant; make one by"):
        larq_dense.load(tiny.folder, precision="int8")
    assert open_predictor("tiny").precision == "binary"


def test_an_unknown_form_and_an_unknown_name_are_told() -> None:
    with pytest.raises(LarqDenseError, match="must be 'int8' or 'binary' to predict, not 'float'"):
        larq_dense.load("ecssd", precision="float")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="ecssd"):
        larq_dense.load("ecsd")


def test_the_engine_says_which_form_it_runs() -> None:
    sentence = "runs all-integer files alone, not ecssd in the precision binary; choose"
    with pytest.raises(LarqDenseError, match=sentence):
        larq_dense.load("ecssd", precision="binary", runtime="native")


@needs_delegate
def test_predict_has_the_option(picture: Path, tmp_path: Path) -> None:
    for options, expected in (
        ((), larq_dense.load("ecssd")),
        (("--precision", "int8"), larq_dense.load("ecssd")),
        (("--precision", "binary"), larq_dense.load("ecssd", precision="binary")),
    ):
        out = tmp_path / "-".join(("out", *options))
        done = command("predict", "ecssd", picture, "--save", "mask", "--output", out, *options)
        assert done.exit_code == 0, done.output
        with Image.open(out / "cat_mask.png") as mask:
            np.testing.assert_array_equal(np.asarray(mask), expected.labels(picture))


def test_predict_refuses_it_for_a_file(picture: Path) -> None:
    file = zoo.find("ecssd").tflite()
    done = command("predict", file, picture, "--precision", "int8", "--json")
    assert done.exit_code == 1
    assert "is a file, which has one form" in done.stderr
    done = command("predict", file, picture, "--entry", "ecssd", "--precision", "int8")
    assert done.exit_code == 2
    assert "--precision is for a zoo entry" in done.stderr


@needs_delegate
@pytest.mark.parametrize("asked", [None, "binary", "int8"])
def test_evaluate_measures_the_binary_form_unless_asked(tiny_data: Path, asked: str | None) -> None:
    arguments = ("--data", tiny_data / "people", "--split", "val", "--json")
    option = () if asked is None else ("--precision", asked)
    done = command("evaluate", "ecssd", *arguments, *option)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["precision"] == (asked or "binary")
    file = zoo.find("ecssd").tflite(int8=asked == "int8")
    expected = json.loads(command("evaluate", file, *arguments).stdout)
    assert expected["precision"] is None
    assert document["metrics"] == expected["metrics"]
