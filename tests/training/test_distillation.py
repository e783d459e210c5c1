"""Learning from a teacher."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from larq_dense import tasks
from larq_dense.common.errors import DataError, RecipeError, UnknownNameError, WeightsError
from larq_dense.models.weights import save_weights
from larq_dense.quantization import quantize
from larq_dense.training import Recipe, train
from larq_dense.training.average import MovingAverage
from larq_dense.training.distillation import Distillation
from larq_dense.training.losses import make_loss, misalignment
from larq_dense.training.pictures import IGNORE, OUTSIDE
from larq_dense.training.session import load_data
from larq_dense.training.settings import DistillationSettings, LossSettings, OptimizerSettings
from larq_dense.training.step import make_optimizers, make_train_step
from larq_dense.zoo import find_trained

# isort: split
import tensorflow as tf

Make = Callable[..., Recipe]
Build = Callable[..., Any]
INPUT = {"height": 32, "width": 64, "mean": [100, 110, 120], "std": [50, 60, 70]}


def write_run(folder: Path, recipe: Recipe, model: tf.keras.Model, data_root: Path) -> Path:
    """Write what a teacher is read from into a run's folder, and return that."""
    recipe.save(folder / "recipe.yaml")
    (folder / "classes.yaml").write_bytes(recipe.classes_file(data_root).read_bytes())
    save_weights(model, folder / "best.safetensors", unpacked=True)
    return folder


@pytest.fixture
def make_teacher(
    tiny_model: Build, make_recipe: Make, data_root: Path, tmp_path: Path
) -> Callable[..., Path]:
    """Make a run's folder with random weights of a network normalized in its own way."""

    def make(seed: int, normalization: dict[str, Any]) -> Path:
        recipe = make_recipe(input=normalization)
        tf.keras.utils.set_random_seed(seed)
        model = tiny_model(None, (None, None, 3), task=recipe.get_task(data_root))
        return write_run(tmp_path / f"teacher{seed}", recipe, model, data_root)

    return make


@pytest.fixture
def teacher(make_teacher: Callable[..., Path]) -> Path:
    return make_teacher(3, INPUT)


def softmax(logits: Any) -> Any:
    raised = np.exp(logits.astype(np.float64))
    return raised / raised.sum(-1, keepdims=True)


def answer(build: Build, task: Any, seed: int, images: Any) -> Any:
    """Return what a network of random weights says, float32 logits."""
    tf.keras.utils.set_random_seed(seed)
    return build(None, (None, None, 3), task=task)(images, training=False).numpy()


@pytest.fixture
def batch() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    labels = rng.integers(0, 3, (2, 32, 32)).astype(np.uint8)
    labels[0, :8], labels[1, :, :5] = IGNORE, OUTSIDE
    return pixels, labels


def test_the_term(
    teacher: Path, make_recipe: Make, data_root: Path, tiny_model: Build, batch: Any
) -> None:
    """The teacher gets pictures normalized in its own way, and pixels outside do not count."""
    pixels, labels = batch
    images = tf.constant((pixels - 127.5) / 127.5)
    recipe = make_recipe()
    task = recipe.get_task(data_root)
    settings = DistillationSettings(teacher=str(teacher), weight=0.7, temperature=3)
    tf.keras.utils.set_random_seed(4)
    student = tiny_model(None, (None, None, 3), task=task)
    logits, found = Distillation(settings, student, task, recipe.input)(images, labels)
    np.testing.assert_allclose(logits, student(images, training=True), atol=1e-5)
    theirs = (pixels - INPUT["mean"]) / np.array(INPUT["std"])
    p = softmax(answer(tiny_model, task, 3, theirs) / 3)
    q = softmax(logits.numpy() / 3)
    apart = (p * np.log(p / q)).sum(-1)[labels != OUTSIDE].mean()
    assert float(found) == pytest.approx(0.7 * 9 * apart, rel=1e-3)


def test_an_ensemble(
    make_teacher: Callable[..., Path],
    make_recipe: Make,
    data_root: Path,
    tiny_model: Build,
    batch: Any,
) -> None:
    """Each teacher gets pictures normalized in its own way; their probabilities are averaged."""
    pixels, labels = batch
    inputs = {3: INPUT, 5: {**INPUT, "mean": [90, 90, 90]}}
    first, second = (str(make_teacher(seed, each)) for seed, each in inputs.items())
    recipe = make_recipe()
    task = recipe.get_task(data_root)
    student = tiny_model(None, (None, None, 3), task=task)
    settings = DistillationSettings(teacher=first, ensemble=[second], temperature=2)
    learning = Distillation(settings, student, task, recipe.input)
    logits, found = learning(tf.constant((pixels - 127.5) / 127.5), labels)
    normalized = {
        seed: (pixels - each["mean"]) / np.array(each["std"]) for seed, each in inputs.items()
    }
    answers = [answer(tiny_model, task, seed, images) for seed, images in normalized.items()]
    p = np.mean([softmax(each / 2) for each in answers], axis=0)
    q = softmax(logits.numpy() / 2)
    apart = (p * np.log(p / q)).sum(-1)[labels != OUTSIDE].mean()
    assert float(found) == pytest.approx(4 * apart, rel=1e-3)


@pytest.fixture
def student(
    teacher: Path, make_recipe: Make, data_root: Path, tiny_model: Build
) -> tuple[tf.keras.Model, Any, Distillation]:
    recipe = make_recipe()
    task = recipe.get_task(data_root)
    tf.keras.utils.set_random_seed(4)
    model = tiny_model(None, (None, None, 3), task=task)
    settings = DistillationSettings(teacher=str(teacher), weight=2, temperature=1)
    loss = make_loss(LossSettings(dice=1), task, np.full(3, 1 / 3))
    return model, loss, Distillation(settings, model, task, recipe.input)


def test_the_student_comes_to_the_teachers_answers(student: Any, batch: Any) -> None:
    model, loss, term = student
    images = tf.constant((batch[0] - 127.5) / 127.5)
    labels = tf.fill((2, 32, 32), tf.constant(IGNORE, tf.uint8))
    optimizers = make_optimizers(model, OptimizerSettings(learning_rate=1e-2, warmup=0), 40)
    step = make_train_step(model, optimizers, loss, distillation=term)
    (teacher,) = term.networks
    before = [variable.numpy() for variable in teacher.variables]
    losses = [float(step(images, labels)) for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0], "pixels without labels teach"
    for old, variable in zip(before, teacher.variables, strict=True):
        np.testing.assert_array_equal(old, variable, "the teacher stays as it is")


def test_both_terms_add_up_and_nothing_is_labelled_outside(student: Any, batch: Any) -> None:
    model, loss, term = student
    images, labels = tf.constant((batch[0] - 127.5) / 127.5), tf.constant(batch[1])
    logits, apart = term(images, labels)
    truth = tf.constant(np.where(batch[1] == OUTSIDE, IGNORE, batch[1]).astype(np.uint8))
    expected = float(loss(truth, logits)) + float(apart)
    optimizers = make_optimizers(model, OptimizerSettings(warmup=0), 10)
    step = make_train_step(model, optimizers, loss, distillation=term)
    assert float(step(images, labels)) == pytest.approx(expected, rel=1e-4)


def test_the_step_exports_to_hlo(student: Any, batch: Any) -> None:
    model, loss, term = student
    step = make_train_step(
        model,
        make_optimizers(model, OptimizerSettings(), 30),
        loss,
        distillation=term,
        average=MovingAverage(model, 0.9),
        jit_compile=True,
    )
    images, labels = tf.constant(batch[0]), tf.constant(batch[1])
    text = step.experimental_get_compiler_ir(images, labels)(stage="hlo")
    assert "f32[2,32,32,3]" in text and "u8[2,32,32]" in text
    concrete = step.get_concrete_function(images, labels)
    handles = {id(variable.handle) for variable in concrete.graph.variables}
    assert {id(captured) for captured in concrete.captured_inputs} <= handles, "a pure function"


@pytest.mark.parametrize("features", [0.0, 0.5])
def test_features(
    make_recipe: Make, data_root: Path, tmp_path: Path, batch: Any, features: float
) -> None:
    recipe = make_recipe()
    task = recipe.get_task(data_root)
    teacher, student = (recipe.build_model((None, None, 3), task=task) for _ in range(2))
    write_run(tmp_path, recipe, teacher, data_root)
    settings = DistillationSettings(teacher=str(tmp_path), weight=0, features=features)
    images = tf.constant((batch[0] - 127.5) / 127.5)
    _, found = Distillation(settings, student, task, recipe.input)(images, tf.constant(batch[1]))
    expected = 0.0
    for stage in range(4):
        maps = []
        for model, training in ((teacher, False), (student, True)):
            layer = model.get_layer(f"decoder{stage}_join")
            energy = tf.keras.Model(model.input, layer.output)(images, training=training).numpy()
            energy = (energy.astype(np.float64) ** 2).mean(-1)
            maps.append(energy / np.linalg.norm(energy, axis=(1, 2), keepdims=True))
        expected += features * ((maps[0] - maps[1]) ** 2).sum((1, 2)).mean()
    assert float(found) == pytest.approx(expected, rel=1e-3)
    assert bool(features) == (expected > 0.01)


@pytest.fixture
def efficient(make_recipe: Make, data_root: Path, tmp_path: Path) -> Path:
    """Return a run's folder with an EfficientNet-Lite0 that ends at 1/16, of random weights."""
    model = {
        "encoder": "efficientnet_lite0",
        "decoder": "lraspp",
        "precision": "float",
        "encoder_options": {"output_stride": 16},
    }
    recipe = make_recipe(model=model)
    network = recipe.build_model((None, None, 3), task=recipe.get_task(data_root))
    return write_run(tmp_path / "efficient", recipe, network, data_root)


def test_encoders_of_two_kinds(
    efficient: Path, make_recipe: Make, data_root: Path, batch: Any
) -> None:
    """The term is of the sizes that both have, 1/8 and 1/16, and training shrinks it."""
    recipe = make_recipe()
    task = recipe.get_task(data_root)
    student = recipe.build_model((None, None, 3), task=task)
    settings = DistillationSettings(teacher=str(efficient), weight=0, encoder=0.5)
    learning = Distillation(settings, student, task, recipe.input)
    images = tf.constant((batch[0] - 127.5) / 127.5)
    labels = tf.fill((2, 32, 32), tf.constant(IGNORE, tf.uint8))
    expected = 0.0
    for theirs, ours in (("block4_add", "stage1_grid"), ("block11_expand_relu", "stage2_grid")):
        taps = (learning.networks[0], f"efficientnet_{theirs}", False), (student, ours, True)
        maps = [
            tf.keras.Model(model.input, model.get_layer(name).output)(images, training=training)
            for model, name, training in taps
        ]
        expected += 0.5 * float(misalignment(*maps))
    _, found = learning(images, labels)
    assert float(found) == pytest.approx(expected, rel=1e-3)
    loss = make_loss(LossSettings(), task, np.full(3, 1 / 3))
    optimizers = make_optimizers(student, OptimizerSettings(learning_rate=1e-2, warmup=0), 40)
    step = make_train_step(student, optimizers, loss, distillation=learning)
    losses = [float(step(images, labels)) for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]


def test_networks_that_do_not_compare(efficient: Path, make_recipe: Make, data_root: Path) -> None:
    recipe = make_recipe()
    task = recipe.get_task(data_root)
    student = recipe.build_model((None, None, 3), task=task)
    stages = DistillationSettings(teacher=str(efficient), features=1)
    with pytest.raises(RecipeError, match=r"decoder fpn, which the teacher .* lacks"):
        Distillation(stages, student, task, recipe.input)
    encoder = DistillationSettings(teacher=str(efficient), encoder=1)
    with pytest.raises(RecipeError, match="the student is in int8 form"):
        Distillation(encoder, quantize(student), task, recipe.input)


def test_teachers_that_will_not_do(
    teacher: Path, make_recipe: Make, data_root: Path, tiny_model: Build
) -> None:
    recipe = make_recipe()
    task, other = recipe.get_task(data_root), tasks.get("camvid")

    def learn(teacher: str, task: Any) -> None:
        student = tiny_model(None, (None, None, 3), task=task)
        settings = DistillationSettings(teacher=teacher)
        Distillation(settings, student, task, recipe.input, find_trained)

    with pytest.raises(RecipeError, match=r"other classes \(red, green, blue\) than its student"):
        learn(str(teacher), other)
    with pytest.raises(UnknownNameError, match="did you mean camvid"):
        learn("camwid", task)
    (teacher / "best.safetensors").unlink()
    with pytest.raises(WeightsError, match="has no weights yet"):
        learn(str(teacher), task)


@pytest.fixture
def more_pictures(data_root: Path, tmp_path: Path) -> Path:
    """Return a data root with further pictures, in a bare folder and in one with lists."""
    root = tmp_path / "more"
    (root / "loose").mkdir(parents=True)
    (root / "bands").symlink_to(data_root / "bands")
    for index in range(3):
        pixels = np.full((40, 60, 3), 60 * index, np.uint8)
        Image.fromarray(pixels).save(root / "loose" / f"u{index}.png")
    return root


def test_unlabelled_pictures(make_recipe: Make, more_pictures: Path) -> None:
    unlabelled = [{"folder": "loose", "repeat": 2}, {"folder": "bands", "split": "train"}]
    recipe = make_recipe(
        data={**make_recipe().data.model_dump(), "unlabelled": unlabelled},
        distillation={"teacher": "x"},
    )
    data = load_data(recipe, recipe.get_task(more_pictures), more_pictures)
    assert data.positions == len(data.training) == 12 + 2 * 3 + 12
    assert (data.training[0].label != IGNORE).any()
    for picture in data.training[12:]:
        assert picture.label.shape == picture.pixels.shape[:2]
        assert (picture.label == IGNORE).all()
    assert [int(picture.pixels[0, 0, 0]) for picture in data.training[12:18]] == [0, 60, 120] * 2
    np.testing.assert_array_equal(data.training[18].pixels, data.training[0].pixels)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"folder": "nowhere"}, "nowhere holds no picture"),
        ({"folder": "bands", "split": "nothing"}, "no split 'nothing'"),
        ({"folder": "loose", "split": "some"}, "no image for 'gone'"),
    ],
)
def test_unlabelled_pictures_that_are_not_there(
    make_recipe: Make, more_pictures: Path, source: dict[str, str], said: str
) -> None:
    (more_pictures / "loose" / "some.txt").write_text("gone\n")
    recipe = make_recipe(
        data={**make_recipe().data.model_dump(), "unlabelled": [source]},
        distillation={"teacher": "x"},
    )
    with pytest.raises(DataError, match=said):
        load_data(recipe, recipe.get_task(more_pictures), more_pictures)


def test_a_run(make_recipe: Make, more_pictures: Path, teacher: Path, tmp_path: Path) -> None:
    recipe = make_recipe(
        data={**make_recipe().data.model_dump(), "unlabelled": [{"folder": "loose"}]},
        distillation={"teacher": str(teacher)},
        augmentation={"scale": [0.4, 1]},
        loss={"label_smoothing": 0.1},
        optimizer={"average": 0.9},
    )
    result = train(recipe, more_pictures, tmp_path / "run", progress=False)
    assert result["steps"] == 2 * 4 and 0 <= result["score"] <= 1
    assert Recipe.load(tmp_path / "run" / "recipe.yaml") == recipe
