"""From grey pictures, or those of four channels, to a file that labels them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from larq_dense.common.errors import DataError, RecipeError
from larq_dense.common.images import read_image
from larq_dense.evaluation import measure
from larq_dense.runtime import ModelSpec, Predictor
from larq_dense.training import train
from larq_dense.training.recipe import Recipe
from larq_dense.training.session import load_data
from larq_dense.training.validation import Validator

Make = Callable[..., Recipe]


def saved_as(root: Path, mode: str) -> Path:
    """Let a folder's pictures be PNGs of another mode; the fourth channel is noise."""
    for path in sorted((root / "bands" / "images").iterdir()):
        with Image.open(path) as opened:
            picture = opened.convert(mode)
        path.unlink()
        if mode == "RGBA":
            noise = np.random.default_rng(0).integers(0, 256, picture.size[::-1], np.uint8)
            picture.putalpha(Image.fromarray(noise))
        picture.save(path.with_suffix(".png"))
    return root


@pytest.mark.parametrize(
    ("channels", "mode", "fit"), [(1, "L", "letterbox"), (4, "RGBA", "stretch")]
)
def test_a_run_in_other_channels(
    channels: int,
    mode: str,
    fit: str,
    make_recipe: Make,
    write_bands: Callable[..., Path],
    tmp_path: Path,
) -> None:
    pytest.importorskip("larq_compute_engine")
    from larq_dense.conversion import convert
    from larq_dense.zoo.opening import open_keras

    write_bands(tmp_path / "bands", train=4, validation=1)
    input = {"height": 32, "width": 64, "channels": channels, "fit": fit}
    recipe = make_recipe(input=input, epochs=None, steps=1)
    train(recipe, saved_as(tmp_path, mode), tmp_path / "run")
    model, _ = open_keras(str(tmp_path / "run"))
    assert model.input_shape == (None, 32, 64, channels)
    image = tmp_path / "bands" / "images" / "p04.png"
    expected = Predictor.from_keras(model).predict(image)
    file = Predictor.from_tflite(convert(model).content, runtime="lce")
    assert file.spec.preprocessing == recipe.preprocessing
    assert file.input_shape == (1, 32, 64, channels)
    found = file.predict(image)
    assert found.labels().shape == (40, 72)
    np.testing.assert_allclose(found.probabilities(), expected.probabilities(), atol=1e-3)
    assert np.ptp(read_image(image, channels)[..., -1]) > 0


def test_validation_measures_what_evaluate_does(
    make_recipe: Make,
    recipe_values: Callable[..., dict[str, Any]],
    write_bands: Callable[..., Path],
    tmp_path: Path,
) -> None:
    write_bands(tmp_path / "bands", train=2, validation=3)
    recipe = make_recipe(
        input={"height": 64, "width": 64, "channels": 1, "fit": "letterbox"},
        model={**recipe_values()["model"], "precision": "float"},
    )
    task = recipe.get_task(tmp_path)
    data = load_data(recipe, task, tmp_path)
    model = recipe.build_model(task=task)
    found = Validator(model, task, recipe.preprocessing, data.validation)()["bands/val"]
    spec = ModelSpec.for_task("bands", task, recipe.preprocessing)
    samples = recipe.read_samples(task, tmp_path, recipe.data.validation[0])
    expected = measure(Predictor.from_keras(model, spec), task, samples)
    assert found["metrics"]["miou"] == pytest.approx(expected.metrics["miou"], abs=1e-3)


def test_a_picture_without_the_channels_is_named(
    make_recipe: Make, write_bands: Callable[..., Path], tmp_path: Path
) -> None:
    write_bands(tmp_path / "bands", train=2, validation=1)
    recipe = make_recipe(input={"height": 32, "width": 64, "channels": 4})
    with pytest.raises(DataError, match=r"p0\d\.jpg has 3 channels .*but 4 are asked for"):
        train(recipe, tmp_path, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": {"channels": 2}}, "channels"),
        ({"input": {"channels": 4, "mean": [1, 2, 3]}}, "mean needs 4 values"),
        ({"input": {"mean": [1.0]}}, "mean needs 3 values"),
        ({"input": {"channels": 1}, "augmentation": {"hue": 0.1}}, "hue needs input.channels of 3"),
    ],
)
def test_channels_that_do_not_fit_are_refused(
    make_recipe: Make, changes: dict[str, Any], message: str
) -> None:
    input = {"height": 32, "width": 64, **changes["input"]}
    with pytest.raises(RecipeError, match=message):
        make_recipe(**{**changes, "input": input})
