"""Networks of one task, converted, measured on the same pictures and timed in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from larq_dense.common.errors import DataError, LarqDenseError
from larq_dense.common.sampling import evenly_spaced
from larq_dense.latency.frontier import Point, on_arm, time_here
from larq_dense.runtime import Predictor
from larq_dense.zoo.entries import find_trained
from larq_dense.zoo.opening import load_recipe, open_int8, open_keras

if TYPE_CHECKING:
    import tensorflow as tf

    from larq_dense.tasks import Sample, Task
    from larq_dense.training import Recipe

CALIBRATION_PICTURES = 32

Watch = Callable[..., Iterable[Any]]


@dataclass(frozen=True)
class _Network:
    """A named network; without trained weights where a recipe file was named."""

    name: str
    recipe: Recipe
    task: Task
    keras: tf.keras.Model
    trained: bool


def measure(
    models: Sequence[str],
    data: Path | None,
    limit: int | None,
    threads: Sequence[int],
    repeats: int,
    watch: Watch,
) -> tuple[list[Point], str]:
    """Convert, evaluate and time networks.

    Args:
        models: Entries, runs' folders, or recipe files, whose networks have random weights and so
            no metric.
        data: The data root: what networks are measured on is the first one's validation data, what
            int8 ranges are taken from is each one's training data. Without it nothing is measured
            but time.
        limit: At most this many pictures, evenly spaced.
        threads: Numbers of threads.
        repeats: Timed runs of each file.
        watch: Passes items on under a progress bar, with what is done as `text`.

    Returns:
        The points, in the order of the models, and the metric's name.

    Raises:
        LarqDenseError: A model is missing, or of another task than the first; or the data are
            missing.
    """
    networks = [_open(model) for model in models]
    task = networks[0].task
    for network in networks:
        if network.task.class_names != task.class_names:
            raise LarqDenseError(
                f"{network.name} has other classes than {networks[0].name}; compare networks of "
                "one task."
            )
    points = [p for n in watch(networks, text="converting") for p in _points(n, data)]
    if data is not None:
        samples = _samples(networks[0], data, limit)
        trained = {network.name for network in networks if network.trained}
        points = [
            replace(p, metric=_score(p, task, samples)) if p.model in trained else p
            for p in watch(points, text="evaluating")
        ]
    files = [point.content for point in points]
    columns: dict[str, list[float]] = {}
    for count in threads:
        name = f"{count} thread{'s' * (count > 1)}"
        columns[name] = time_here(files, count, repeats, lambda turns: watch(turns, text="timing"))
    timed = [
        replace(p, milliseconds={**{c: columns[c][k] for c in columns}, **on_arm(p.content)})
        for k, p in enumerate(points)
    ]
    return timed, task.main_metric


def _open(model: str) -> _Network:
    if Path(model).suffix in (".yaml", ".yml"):
        recipe = load_recipe(model)
        task = recipe.get_task()
        keras = recipe.build_model(task=task)
        from larq_dense.runtime import ModelSpec

        keras.spec = ModelSpec.for_task(recipe.name, task, recipe.preprocessing)
        return _Network(recipe.name, recipe, task, keras, False)
    keras, task = open_keras(model)
    return _Network(model, find_trained(model).recipe(), task, keras, True)


def _points(network: _Network, data: Path | None) -> list[Point]:
    """Return a network's two forms, or one where it was trained for int8."""
    from larq_dense.conversion import convert
    from larq_dense.conversion.baseline import convert_baseline
    from larq_dense.models import binary_layers
    from larq_dense.quantization import is_quantized, quantize

    keras = network.keras
    if is_quantized(keras):
        return [Point(network.name, "binary, int8", convert(keras).content)]
    pictures = _calibration(network, data)
    if not binary_layers(keras):
        int8 = convert_baseline(keras, calibration=pictures).content
        return [
            Point(network.name, "float32", convert_baseline(keras).content),
            Point(network.name, "int8", int8),
        ]
    variant = open_int8(network.name) if network.trained else None
    if variant is None:
        variant = quantize(keras, [keras.spec.preprocessing(picture) for picture in pictures])
    return [
        Point(network.name, "binary, int8", convert(variant).content),
        Point(network.name, "binary, float between", convert(keras).content),
    ]


def _calibration(network: _Network, data: Path | None) -> list[Any]:
    """Return pictures to take ranges from: of the training data, or else a few of noise."""
    settings, recipe = network.recipe.input, network.recipe
    if data is None:
        shape = (2, settings.height, settings.width, settings.channels)
        return [*np.random.default_rng(0).integers(0, 256, shape, np.uint8)]
    samples = recipe.read_samples(network.task, data, recipe.data.train[0])
    return [sample.image for sample in evenly_spaced(samples, CALIBRATION_PICTURES)]


def _samples(network: _Network, data: Path, limit: int | None) -> list[Sample]:
    recipe = network.recipe
    found = [
        sample
        for source in recipe.data.validation
        for sample in recipe.read_samples(network.task, data, source)
    ]
    if not found:
        raise DataError(f"the recipe of {network.name} has no validation pictures.")
    return evenly_spaced(found, limit or len(found))


def _score(point: Point, task: Task, samples: Sequence[Sample]) -> float:
    from larq_dense.evaluation import evaluate

    metrics = evaluate(Predictor.from_tflite(point.content), task, samples)["metrics"]
    return float(metrics[task.main_metric])
