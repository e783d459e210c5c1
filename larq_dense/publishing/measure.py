"""What is measured of an entry when it is published, and in part by the demo."""

import logging
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from larq_dense.common.files import write_json
from larq_dense.common.progress import progress
from larq_dense.common.quiet import import_tensorflow
from larq_dense.common.sampling import evenly_spaced
from larq_dense.publishing.files import keep_file
from larq_dense.zoo.entries import Entry
from larq_dense.zoo.opening import open_baseline

if TYPE_CHECKING:
    import tensorflow as tf

    from larq_dense.conversion import ConversionResult
    from larq_dense.latency.benchmark import Timing
    from larq_dense.runtime import Predictor
    from larq_dense.tasks import Sample
    from larq_dense.training import Run

_Item = TypeVar("_Item")
_PARITY_PICTURES = 10
_CALIBRATION_PICTURES = 16
_CORRUPTED_PICTURES = 30
_LOG = logging.getLogger(__name__)
GOLDEN_PICTURE = "chelsea.png"
_GOLDEN_GRID = (6, 8)


def measure(run: "Run", data: Path, repeats: int = 50) -> dict[str, Any]:
    """Measure what `publish` has packed, or a full-precision run, as its recipe asks.

    Args:
        run: An entry with packed weights, or a full-precision run.
        data: Holds the folders of the recipe's sources.
        repeats: Timed runs of each engine.

    Raises:
        LarqDenseError: Data or weights are not what they should be, or the audit fails.
    """
    from larq_dense.publishing.measure_int8 import measure_int8

    if not isinstance(run, Entry):
        return measure_baseline(run, data)
    return (measure_int8 if run.recipe().quantize else measure_entry)(run, data, repeats)


def measure_entry(entry: "Entry", data: Path, repeats: int = 50) -> dict[str, Any]:
    """Convert a packed entry, keep the file, and measure accuracy, complexity and latency.

    Args:
        entry: Holds a recipe and packed weights.
        data: Holds the folders of the recipe's validation sources.
        repeats: Timed runs of each engine.

    Returns:
        What `metrics.json` holds besides its origin, each part with its command.

    Raises:
        LarqDenseError: Data or weights are not what they should be, or the audit fails.
    """
    from larq_dense import zoo
    from larq_dense.common.machine import describe_machine
    from larq_dense.conversion import convert
    from larq_dense.conversion.baseline import float_tflite, int8_tflite
    from larq_dense.runtime import Predictor

    import_tensorflow()
    _note_tests(entry, data)
    sources = measured_samples(entry, data)
    pictures = validation_pictures(entry, sources)
    model, baseline = zoo.load(entry.folder), open_baseline(str(entry.folder))
    compared = parity_pictures(pictures)
    converted = convert(model, images=compared)
    keep_file(entry, converted.content)
    # The file labels as the model does, in a fraction of the time.
    predictor = Predictor.from_tflite(converted.content, spec=converted.spec)
    calibration = [model.preprocess(path) for path in calibration_pictures(pictures)]
    timings = time_files(
        baseline.input_shape[1:],
        repeats,
        binary_file=converted.content,
        float_file=float_tflite(baseline),
        int8_file=int8_tflite(baseline, calibration),
    )
    return {
        "machine": describe_machine(),
        "accuracy": accuracy(entry, predictor, entry.name, sources, data),
        "robustness": robustness(entry, predictor, entry.name, sources[0], data),
        "golden": golden(model),
        "complexity": {
            "binary": complexity_totals(model),
            "float": complexity_totals(baseline),
            "command": (
                'python -c "from larq_dense import evaluation, zoo; '
                f"print(evaluation.complexity(zoo.load('{entry.name}')).totals())\""
            ),
        },
        "conversion": {
            **conversion(converted),
            "command": convert_command(entry.name, compared),
        },
        "latency": {
            "threads": 1,
            "rows": [
                {"engine": timing.candidate.engine, "milliseconds": timing.median}
                for timing in timings
            ],
            "command": f"larq-dense benchmark {entry.name} --threads 1 --repeats {repeats}",
        },
    }


def _note_tests(entry: "Entry", data: Path) -> None:
    """Add the test sources to the record of what was read, so that the card tells what they are."""
    from larq_dense.training.record import labelled

    recipe, task = entry.recipe(), entry.task()
    if recipe.data.test:
        tests = [labelled(source, task, data) for source in recipe.data.test]
        known = entry.read()
        write_json(entry.read_file, [*known, *(test for test in tests if test not in known)])


def measure_baseline(run: "Run", data: Path) -> dict[str, Any]:
    """Measure a full-precision run: accuracy alone, since all else needs no trained weights.

    Args:
        run: Its folder holds a recipe and the best weights.
        data: Holds the folders of the recipe's training and validation sources.

    Returns:
        `run`; `accuracy`, each row with its command; and `int8`, the same of TensorFlow Lite's
        post-training quantization, with ranges from training pictures.

    Raises:
        LarqDenseError: Data or weights are not what they should be.
    """
    from larq_dense.conversion.baseline import int8_tflite
    from larq_dense.runtime import Predictor
    from larq_dense.zoo.opening import open_keras

    name, recipe = str(run.folder), run.recipe()
    model, task = open_keras(name)
    sources = measured_samples(run, data)
    training = [recipe.read_samples(task, data, source) for source in recipe.data.train]
    pictures = calibration_pictures([sample.image for samples in training for sample in samples])
    file = int8_tflite(model, [model.spec.preprocessing(path) for path in pictures])
    quantized = Predictor.from_tflite(file, spec=model.spec)
    predictor = Predictor.from_keras(model)
    return {
        "run": name,
        "accuracy": accuracy(run, predictor, name, sources, data),
        "robustness": robustness(run, predictor, name, sources[0], data),
        "int8": [
            {key: value for key, value in row.items() if key != "command"}
            for row in accuracy(run, quantized, name, sources, data)
        ],
    }


def parity_pictures(pictures: Sequence[_Item]) -> list[_Item]:
    """Choose the pictures on which a converted file is compared with Keras."""
    return evenly_spaced(pictures, _PARITY_PICTURES)


def calibration_pictures(pictures: Sequence[_Item]) -> list[_Item]:
    """Choose the pictures that the baseline's ranges are taken from."""
    return evenly_spaced(pictures, _CALIBRATION_PICTURES)


def convert_command(arguments: str, compared: Sequence[Path]) -> str:
    """Return the command that converts an entry and compares it on pictures."""
    return " ".join([f"larq-dense convert {arguments}", *(f"--images {p}" for p in compared)])


def golden(model: "tf.keras.Model") -> dict[str, Any]:
    """Record what a model says of one picture that every installation has.

    Returns:
        The picture's name, and the logits at a grid of 6 rows and 8 columns,
        `[6, 8, channels]`, by which a later version can tell that it still computes the same.
    """
    from larq_dense.runtime import Predictor

    logits = Predictor.from_keras(model).logits(bundled_picture(GOLDEN_PICTURE))
    rows, columns = (
        [(2 * index + 1) * size // (2 * count) for index in range(count)]
        for size, count in zip(logits.shape[:2], _GOLDEN_GRID, strict=True)
    )
    return {
        "picture": GOLDEN_PICTURE,
        "logits": logits[rows][:, columns].round(3).astype(float).tolist(),
    }


def bundled_picture(name: str) -> Path:
    """Return the path of a picture that ships with scikit-image."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return folder / name


def complexity_totals(model: "tf.keras.Model") -> dict[str, Any]:
    """Return OPs, MACs, parameters and bytes, without the table of layers."""
    from larq_dense.evaluation import complexity

    return complexity(model).totals()


def time_files(input_shape: tuple[int, ...], repeats: int, **files: bytes | None) -> "list[Timing]":
    """Time a network's files on one thread, interleaved, on a grey picture.

    The picture's content does not matter: the work of every layer is the same for any.

    Args:
        input_shape: `(height, width, 3)`.
        repeats: Timed runs of each.
        **files: As `larq_dense.latency.benchmark.candidates` calls them.
    """
    import numpy as np

    from larq_dense.latency.benchmark import candidates, time_interleaved

    picture = np.zeros((1, *input_shape), np.float32)
    watch = partial(progress, text="timing")
    return time_interleaved(candidates([1], **files), picture, repeats, watch)


def measured_samples(run: "Run", data: Path) -> "list[list[Sample]]":
    """Return the pictures of each of a recipe's validation sources, then of its test sources."""
    recipe, task = run.recipe(), run.task()
    return [recipe.read_samples(task, data, source) for source in recipe.data.measured]


def validation_pictures(run: "Run", sources: "list[list[Sample]]") -> list[Path]:
    """Return the picture files of the validation sources alone."""
    count = len(run.recipe().data.validation)
    return [sample.image for samples in sources[:count] for sample in samples]


def accuracy(
    run: "Run",
    predictor: "Predictor",
    model: str,
    sources: "list[list[Sample]]",
    data: Path,
) -> list[dict[str, Any]]:
    """Measure a network's metrics on each of its recipe's validation and test sources.

    Args:
        run: The entry or the run.
        predictor: It, opened.
        model: What a user would name to measure the same.
        sources: From `measured_samples`.
        data: Holds the sources' folders.
    """
    from larq_dense.evaluation import evaluate

    task = run.task()
    rows = []
    for source, samples in zip(run.recipe().data.measured, sources, strict=True):
        command = f"larq-dense evaluate {model} --data {data / source.folder}"
        command += f" --split {source.split}"
        command += f" --within {source.within}" if source.within else ""
        command += f" --labels {source.labels}" if source.labels else ""
        measured = evaluate(predictor, task, progress(samples, f"measuring on {source.folder}"))
        where = {"data": source.folder, "split": source.split, "within": source.within}
        rows.append({**where, **measured, "command": command})
    return rows


def robustness(
    run: "Run", predictor: "Predictor", model: str, samples: "list[Sample]", data: Path
) -> dict[str, Any] | None:
    """Measure a network on corrupted pictures of its recipe's first validation source.

    Args:
        run: The entry or the run.
        predictor: It, opened.
        model: What a user would name to measure the same.
        samples: The source's pictures.
        data: Holds the source's folder.

    Returns:
        As `evaluation.measure_robustness` does, with the command; None, told in the log, where
        the package that corrupts pictures is not installed.
    """
    from larq_dense.evaluation import measure_robustness

    if find_spec("imagecorruptions") is None:
        _LOG.info("robustness is not measured: the package imagecorruptions is not installed.")
        return None
    source = run.recipe().data.validation[0]
    chosen = evenly_spaced(samples, _CORRUPTED_PICTURES)
    watch = partial(progress, text="corrupting")
    command = f"larq-dense robustness {model} --data {data / source.folder} --split {source.split}"
    command += f" --labels {source.labels}" if source.labels else ""
    return {
        "data": source.folder,
        "split": source.split,
        **measure_robustness(predictor, run.task(), chosen, watch=watch),
        "command": f"{command} --limit {_CORRUPTED_PICTURES}",
    }


def conversion(converted: "ConversionResult") -> dict[str, Any]:
    """Return what is kept of a conversion."""
    assert converted.parity is not None
    return {
        "bytes": len(converted.content),
        "binary_layers": len(converted.audit.layers),
        "operators": converted.audit.operators,
        "parity": converted.parity.to_dict(),
    }
