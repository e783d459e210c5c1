"""Int8 fine-tuning of trained weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from interrupts import interrupt_at
from safetensors.numpy import load_file

from larq_dense.common.errors import RecipeError
from larq_dense.conversion import convert
from larq_dense.runtime.tflite_file import TfliteFile
from larq_dense.training import Interrupted, Recipe, train
from larq_dense.training.run import BEST
from larq_dense.zoo.opening import open_keras

Make = Callable[..., Recipe]


def test_the_recipe_goes_on_slowly_from_the_weights(make_recipe: Make) -> None:
    teacher = {"teacher": "runs/teacher"}
    rates = {"learning_rate": 0.02, "binary_learning_rate": 0.03, "average": 0.9}
    recipe = make_recipe(distillation=teacher, optimizer=rates, epochs=None, steps=500)
    quantized = recipe.quantized("runs/mine")
    assert quantized.quantize
    assert quantized.init == "runs/mine"
    assert (quantized.epochs, quantized.steps, quantized.distillation) == (2, None, None)
    optimizer = quantized.optimizer
    assert optimizer.learning_rate == pytest.approx(0.002)
    assert optimizer.binary_learning_rate == pytest.approx(0.003)
    assert optimizer.average == 0
    assert quantized.model == recipe.model
    assert make_recipe().quantized("x").optimizer.binary_learning_rate is None


def test_without_weights_to_go_on_from_it_is_refused(make_recipe: Make) -> None:
    with pytest.raises(RecipeError, match="name them as init"):
        make_recipe(quantize=True)


@pytest.mark.usefixtures("tiny_model")
def test_a_run_in_eight_bits_resumes_and_converts(
    make_recipe: Make, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(make_recipe(epochs=40, validate_every=40), data_root, tmp_path / "real", progress=False)
    recipe = make_recipe(epochs=1).quantized(str(tmp_path / "real")).replace(deterministic=True)
    result = train(recipe, data_root, tmp_path / "whole", progress=False)
    assert result["steps"] == 6
    with monkeypatch.context() as patch:
        interrupt_at(patch, 4)
        with pytest.raises(Interrupted):
            train(recipe, data_root, tmp_path / "cut", progress=False)
    assert train(recipe, data_root, tmp_path / "cut", progress=False)["score"] == result["score"]
    for file in (BEST, "checkpoint/state.safetensors"):
        whole, cut = (load_file(tmp_path / run / file) for run in ("whole", "cut"))
        for name, value in whole.items():
            np.testing.assert_array_equal(value, cut[name])
    # Whether it became better by learning differs from machine to machine.
    (head,) = (value for name, value in whole.items() if name.endswith(" head/kernel:0"))
    before = load_file(tmp_path / "real" / BEST)
    assert np.any(head != before["head/kernel:0"]), "it has learned"
    spoilt = recipe.replace(optimizer={"learning_rate": 10.0}, class_offsets=2)
    offsets = np.array([0.0, 0.5, 0.0], np.float32)
    with monkeypatch.context() as patch:
        patch.setattr("larq_dense.training.offsets.best_offsets", lambda *_: offsets)
        kept = train(spoilt, data_root, tmp_path / "spoilt", progress=False)
    assert kept["best_epoch"] == 0, "what training makes worse is not taken"
    best = load_file(tmp_path / "spoilt" / BEST)
    np.testing.assert_allclose(best["head/bias:0"] - before["head/bias:0"], offsets, atol=1e-6)
    model, _ = open_keras(str(tmp_path / "whole"))
    picture = data_root / "bands" / "images" / "p00.jpg"
    converted = convert(model, images=[picture])
    assert converted.parity is not None
    assert converted.parity.max_steps == 0
    file = TfliteFile.parse(converted.content)
    assert {tensor.dtype for each in file.operators for tensor in each.outputs} == {"int8", "int32"}
