"""Trainings as XLA programs: the same operators, no variable forgotten, and there and back."""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.common.errors import RecipeError, WeightsError
from larq_dense.models import binary_kernels
from larq_dense.models.weights import read_weights, save_weights
from larq_dense.training.checkpoint import read_progress
from larq_dense.training.recipe import Recipe

FOLDER = Path(__file__).parents[2] / "tools" / "accelerator"
MODEL = {
    "branches": 1,
    "attention": "none",
    "decoder_filters": 16,
    "head_filters": 8,
    "encoder_options": {"filters": [16, 16, 16, 16], "blocks": 1},
}
STEPS = 160
# Another interpreter may hold JAX, whose needs differ from TensorFlow's.
JAX = os.environ.get("LARQ_DENSE_JAX") or (
    sys.executable if importlib.util.find_spec("jax") else ""
)


@pytest.fixture(scope="module", autouse=True)
def importable() -> Any:
    """Let the scripts be imported as they import each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield


def script(name: str) -> Any:
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data root with pictures of a bright band on a dark one."""
    root = tmp_path_factory.mktemp("data")
    rng, folder = np.random.default_rng(0), root / "bands"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    stems = [f"p{index}" for index in range(12)]
    for index, stem in enumerate(stems):
        label = np.zeros((40, 72), np.uint8)
        label[:, 12 + 3 * index :] = 1
        pixels = np.where(label, 200, 50)[..., None] + rng.integers(-30, 30, (40, 72, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / f"{stem}.png")
        Image.fromarray(label).save(folder / "masks" / f"{stem}.png")
    (folder / "train.txt").write_text("\n".join(stems[:8]))
    (folder / "val.txt").write_text("\n".join(stems[8:]))
    classes = "classes: [{name: dark, color: [0, 0, 0]}, {name: bright, color: [9, 9, 9]}]\n"
    (folder / "classes.yaml").write_text(classes)
    return root


def make_recipe(**changes: Any) -> Recipe:
    source = {"folder": "bands"}
    values = {
        "name": "bands",
        "task": "folder",
        "model": MODEL,
        "input": {"height": 32, "width": 64},
        "data": {"train": [source | {"split": "train"}], "validation": [source | {"split": "val"}]},
        "crop": [32, 32],
        "batch_size": 4,
        "steps": STEPS,
    }
    return Recipe.from_dict(values | changes)


@pytest.fixture(scope="module")
def runs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the folders of a teacher with averaged weights and of its student, each a recipe."""
    base = tmp_path_factory.mktemp("runs")
    found = {name: base / name for name in ("teacher", "student")}
    teacher = make_recipe(model=MODEL | {"precision": "float"}, optimizer={"average": 0.9})
    teacher.save(found["teacher"] / "recipe.yaml")
    learning = {"distillation": {"teacher": str(found["teacher"])}}
    make_recipe(**learning).save(found["student"] / "recipe.yaml")
    return found


def call(interpreter: str, name: str, *arguments: Any) -> None:
    command = [interpreter, str(FOLDER / f"{name}.py"), *map(str, arguments)]
    # A script's own folder is kept off the path in these tests (conftest.py).
    environment = os.environ | {"PYTHONPATH": str(FOLDER)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def pack(runs: dict[str, Path], root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what the export writes."""
    pack = tmp_path_factory.mktemp("pack")
    call(sys.executable, "export", pack, *runs.values(), "--data", root)
    return pack


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("size", "side", "step"), [(11, 3, 2), (12, 5, 2), (12, 3, 1), (7, 5, 1), (8, 2, 2)]
)
def test_depthwise_convolutions_are_the_same(size: int, side: int, step: int, padding: str) -> None:
    x, kernel = tf.random.normal([2, size, size + 1, 6]), tf.random.normal([side, side, 6, 1])
    strides = (1, step, step, 1)
    found = script("xla_friendly").depthwise_conv2d(x, kernel, strides, padding)
    expected = tf.nn.depthwise_conv2d(x, kernel, strides, padding)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("interpolation", "factor"), [("nearest", 4), ("bilinear", 2)])
def test_enlargements_are_the_same(interpolation: str, factor: int) -> None:
    x = tf.random.normal([2, 5, 7, 3])
    arguments = (x, factor, factor, "channels_last", interpolation)
    expected = tf.keras.backend.resize_images(*arguments)
    np.testing.assert_allclose(
        script("xla_friendly").resize_images(*arguments), expected, atol=1e-6
    )


def test_convolutions_of_signs_are_exact() -> None:
    rng = np.random.default_rng(0)
    x, kernel = (
        tf.constant(rng.choice([-1.0, 1.0], shape).astype(np.float32))
        for shape in ((1, 6, 6, 16), (3, 3, 16, 8))
    )
    with script("xla_friendly").friendly_operators():
        layer = tf.keras.layers.Conv2D(8, 3, use_bias=False)
        layer.build(x.shape)
        layer.set_weights([kernel])
        found = layer(x)
    np.testing.assert_array_equal(found, tf.nn.conv2d(x, kernel, 1, "VALID"))
    # Afterwards Keras is as it was.
    assert layer(x + 0.001).dtype == tf.float32
    assert np.any(layer(x + 0.001) != found)


def test_every_variable_is_accounted_for(pack: Path, runs: dict[str, Path], root: Path) -> None:
    for name, run in runs.items():
        spec = json.loads((pack / name / "stage.json").read_text())
        model = Recipe.load(run / "recipe.yaml").build_model(task=make_recipe().get_task(root))
        state = dict(zip(spec["state"], spec["shapes"], strict=True))
        assert len(state) == len(spec["state"])
        for variable in model.weights:
            assert state[f"model:{variable.name}"] == list(variable.shape)
            assert (f"average:{variable.name}" in state) == (name == "teacher")
        kept = {argument for _, argument in spec["kept"]}
        # All but the teacher's variables change in a step.
        changing = [i for i, label in enumerate(spec["state"], 2) if label[:8] != "teacher:"]
        assert kept == set(changing)
        begin = np.load(pack / name / "begin.npz")
        given = {*begin.files, *spec["drawn"]}
        assert given == {label for label in state if label.startswith("model:")}
    assert sum(label.startswith("teacher:") for label in state) == len(model.weights)


def test_a_recipe_that_lacks_something_is_refused(tmp_path: Path) -> None:
    check, before = script("export").check, tmp_path / "before"
    check(tmp_path, make_recipe(init=str(before)), [before])
    missing = f"needs {before}, which has no weights here; name that run's folder before it"
    with pytest.raises(WeightsError, match=missing):
        check(tmp_path, make_recipe(init=str(before)), [tmp_path / "other"])
    with pytest.raises(WeightsError, match=missing):
        check(tmp_path, make_recipe(distillation={"teacher": str(before)}), [])
    check(tmp_path, make_recipe(init="cityscapes"), [])
    learning = {"teacher": "cityscapes", "ensemble": ["cityscapes_slim"]}
    with pytest.raises(RecipeError, match="learns from an ensemble"):
        check(tmp_path, make_recipe(distillation=learning), [])
    with pytest.raises(RecipeError, match="give its recipe steps"):
        check(tmp_path, make_recipe(steps=None, epochs=2), [])


def test_weights_that_are_here_are_packed(
    runs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    trained, student = tmp_path / "trained", tmp_path / "student"
    recipe = Recipe.load(runs["teacher"] / "recipe.yaml")
    recipe.save(trained / "recipe.yaml")
    (trained / "classes.yaml").write_bytes((root / "bands" / "classes.yaml").read_bytes())
    tf.keras.utils.set_random_seed(7)
    model = recipe.build_model(task=recipe.get_task(root))
    save_weights(model, trained / "best.safetensors")
    learning = {"init": str(trained), "distillation": {"teacher": str(trained)}}
    make_recipe(**learning).save(student / "recipe.yaml")
    script("export").export_all(tmp_path / "pack", [student], root, quality=60)
    spec = json.loads((tmp_path / "pack" / "student" / "stage.json").read_text())
    assert spec["init"] is spec["teacher"] is None and not spec["drawn"]
    begin = np.load(tmp_path / "pack" / "student" / "begin.npz")
    found = 0
    for variable in model.weights:
        value = variable.numpy()
        np.testing.assert_allclose(begin[f"teacher:{variable.name}"], value, rtol=1e-3, atol=1e-4)
        mine = begin.get(f"model:{variable.name}")
        if mine is not None and mine.shape == value.shape:
            np.testing.assert_allclose(mine, value, rtol=1e-3, atol=1e-4)
            found += value.size > 1000
    assert found > 3


def test_results_that_are_damaged_are_refused(tmp_path: Path) -> None:
    (tmp_path / "run.npz").write_bytes(b"PK\x03\x04 cut short")
    for name in ("run.npz", "missing.npz"):
        with pytest.raises(WeightsError, match=f"{name} .*train it, or get it again"):
            script("import_weights").read(tmp_path / name, {})


def test_pictures_travel_once(pack: Path) -> None:
    with np.load(pack / "pictures.npz") as packed:
        assert len(packed["images/sizes"]) == len(packed["labels/sizes"]) == 8
        np.testing.assert_array_equal(packed["rows/teacher"], packed["rows/student"])
        np.testing.assert_array_equal(packed["rows/teacher"][:, 0], np.arange(8))


@pytest.mark.skipif(not JAX, reason="no JAX here; LARQ_DENSE_JAX may name an interpreter with it")
def test_there_and_back(pack: Path, runs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    call(JAX, "train", pack, tmp_path, *runs)
    call(sys.executable, "import_weights", tmp_path, *runs.values(), "--data", root)
    for name, run in runs.items():
        recipe = Recipe.load(run / "recipe.yaml")
        progress = read_progress(run)
        assert progress is not None and progress.finished and progress.step == STEPS
        assert progress.best is not None and progress.best > 0.9
        brought, best = np.load(tmp_path / f"{name}.npz"), read_weights(run / "best.safetensors")
        model = recipe.build_model(task=recipe.get_task(root))
        for kernel in binary_kernels(model):
            signs = np.unpackbits(brought[f"signs:{kernel.name}"], count=best[kernel.name].size)
            np.testing.assert_array_equal(best[kernel.name].ravel() < 0, signs)
    # What has been trained is packed with the next training, which goes on where it ended.
    after = tmp_path / "after"
    learning = {"init": str(runs["student"]), "distillation": {"teacher": str(runs["teacher"])}}
    make_recipe(steps=8, **learning).save(after / "recipe.yaml")
    call(sys.executable, "export", tmp_path / "next", after, "--data", root)
    call(JAX, "train", tmp_path / "next", tmp_path, after.name)
    first, last = (
        np.load(tmp_path / f"{name}.npz")["#log"][-1, 1] for name in ("after", "student")
    )
    assert first < 2 * last
